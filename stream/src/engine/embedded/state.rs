//! What a log knows besides its records: generation, shards, marks. It stands in every segment's header, so that
//! deleting old segments never erases it, and each frame behind the header moves it on.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use super::frame::{Head, Notes};
use crate::clock::Timestamp;
use crate::engine::{Generation, LogSettings, Mark, Position, Tip};
use crate::keys::KeyPrint;
use crate::shard::ShardIndex;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogState {
    pub(super) generation: Generation,
    pub(super) settings: LogSettings,
    /// No record from before this time is read any more, whatever the settings say.
    pub(super) horizon: Timestamp,
    /// The number of the oldest segment that is kept.
    pub(super) kept_from: u32,
    pub(super) shards: BTreeMap<ShardIndex, ShardState>,
    pub(super) marks: BTreeMap<Bytes, Mark>,
    /// The next frame's first position.
    pub(super) next: Position,
    /// The last frame's first position, 0 before the first.
    pub(super) previous: Position,
    pub(super) last_arrival: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ShardState {
    pub(super) tip: Option<Tip>,
    pub(super) closed_at: Option<Position>,
    /// Records before this position are gone.
    pub(super) gone_before: Option<Position>,
}

/// The number of a log's first segment.
pub(super) const FIRST_SEGMENT: u32 = 1;

impl LogState {
    pub(super) fn new(settings: LogSettings) -> Self {
        Self {
            generation: Generation::FIRST,
            settings,
            horizon: Timestamp::default(),
            kept_from: FIRST_SEGMENT,
            shards: BTreeMap::new(),
            marks: BTreeMap::new(),
            next: Position(1),
            previous: Position(0),
            last_arrival: Timestamp::default(),
        }
    }

    /// Moves on by one frame.
    pub(super) fn apply(&mut self, head: &Head) {
        let first = head.place.first;
        for block in &head.blocks {
            let last = Position(block.first.0.saturating_add(u64::from(block.count.saturating_sub(1))));
            self.shards.entry(block.shard).or_default().tip = Some(Tip { position: last, arrival: block.arrival });
            self.last_arrival = self.last_arrival.max(block.arrival);
        }
        for mark in &head.notes.marks {
            let value = Bytes::copy_from_slice(&mark.value);
            let mark_now = Mark { revision: Position(mark.revision), value };
            self.marks.insert(Bytes::copy_from_slice(&mark.key), mark_now);
        }
        for shard in &head.notes.close {
            self.shards.entry(ShardIndex(*shard)).or_default().closed_at = Some(first);
        }
        for shard in &head.notes.open {
            self.shards.entry(ShardIndex(*shard)).or_default();
        }
        for shard in &head.notes.purge {
            let shard = self.shards.entry(ShardIndex(*shard)).or_default();
            let end = shard.tip.take().map(|tip| Position(tip.position.0.saturating_add(1)));
            shard.gone_before = shard.gone_before.max(end);
        }
        self.apply_settings(&head.notes);
        self.generation = head.notes.generation.map_or(self.generation, Generation);
        self.previous = first;
        self.next = head.next();
    }

    fn apply_settings(&mut self, notes: &Notes) {
        let settings = &mut self.settings;
        settings.retention = notes.retention_ms.map_or(settings.retention, Duration::from_millis);
        let bytes = notes.retention_bytes;
        settings.retention_bytes =
            bytes.map_or(settings.retention_bytes, |bytes| Some(bytes).filter(|bytes| *bytes > 0));
        settings.key = notes.key.map_or(settings.key, KeyPrint::from_number);
        self.horizon = self.horizon.max(Timestamp::from_millis(notes.horizon_ms.unwrap_or(0)));
        self.kept_from = self.kept_from.max(notes.kept_from.unwrap_or(0));
        for gone in notes.gone.iter().flatten() {
            let shard = self.shards.entry(ShardIndex(gone.shard)).or_default();
            shard.gone_before = shard.gone_before.max(Some(Position(gone.before)));
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        minicbor::to_vec(Stored::from(self)).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        minicbor::decode::<Stored>(bytes).ok().map(Self::from)
    }
}

#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    generation: u64,
    #[n(1)]
    retention_ms: u64,
    #[n(2)]
    shards: Vec<StoredShard>,
    #[n(3)]
    marks: Vec<super::frame::MarkNote>,
    #[n(4)]
    next: u64,
    #[n(5)]
    previous: u64,
    #[n(6)]
    last_arrival_ms: u64,
    #[n(7)]
    horizon_ms: Option<u64>,
    #[n(8)]
    kept_from: Option<u32>,
    #[n(9)]
    retention_bytes: Option<u64>,
    #[n(10)]
    key: Option<u64>,
}

#[derive(Encode, Decode)]
struct StoredShard {
    #[n(0)]
    index: u32,
    #[n(1)]
    tip: Option<u64>,
    #[n(2)]
    tip_arrival_ms: Option<u64>,
    #[n(3)]
    closed_at: Option<u64>,
    #[n(4)]
    gone_before: Option<u64>,
}

impl From<&LogState> for Stored {
    fn from(state: &LogState) -> Self {
        let shard = |(index, shard): (&ShardIndex, &ShardState)| StoredShard {
            index: index.0,
            tip: shard.tip.map(|tip| tip.position.0),
            tip_arrival_ms: shard.tip.map(|tip| tip.arrival.as_millis()),
            closed_at: shard.closed_at.map(|position| position.0),
            gone_before: shard.gone_before.map(|position| position.0),
        };
        let mark = |(key, mark): (&Bytes, &Mark)| super::frame::MarkNote {
            key: key.to_vec(),
            revision: mark.revision.0,
            value: mark.value.to_vec(),
        };
        Self {
            generation: state.generation.0,
            retention_ms: u64::try_from(state.settings.retention.as_millis()).unwrap_or(u64::MAX),
            shards: state.shards.iter().map(shard).collect(),
            marks: state.marks.iter().map(mark).collect(),
            next: state.next.0,
            previous: state.previous.0,
            last_arrival_ms: state.last_arrival.as_millis(),
            horizon_ms: Some(state.horizon.as_millis()),
            kept_from: Some(state.kept_from),
            retention_bytes: state.settings.retention_bytes,
            key: state.settings.key.map(KeyPrint::number),
        }
    }
}

impl From<Stored> for LogState {
    fn from(stored: Stored) -> Self {
        let shard = |shard: StoredShard| {
            let tip = shard.tip.zip(shard.tip_arrival_ms);
            let tip = tip.map(|(position, arrival)| Tip {
                position: Position(position),
                arrival: Timestamp::from_millis(arrival),
            });
            let closed_at = shard.closed_at.map(Position);
            (ShardIndex(shard.index), ShardState { tip, closed_at, gone_before: shard.gone_before.map(Position) })
        };
        let mark = |note: super::frame::MarkNote| {
            (note.key.into(), Mark { revision: Position(note.revision), value: note.value.into() })
        };
        Self {
            generation: Generation(stored.generation),
            settings: LogSettings {
                retention: Duration::from_millis(stored.retention_ms),
                retention_bytes: stored.retention_bytes,
                key: stored.key.and_then(KeyPrint::from_number),
            },
            // A state of before records expired has none of these.
            horizon: Timestamp::from_millis(stored.horizon_ms.unwrap_or(0)),
            kept_from: stored.kept_from.unwrap_or(FIRST_SEGMENT),
            shards: stored.shards.into_iter().map(shard).collect(),
            marks: stored.marks.into_iter().map(mark).collect(),
            next: Position(stored.next),
            previous: Position(stored.previous),
            last_arrival: Timestamp::from_millis(stored.last_arrival_ms),
        }
    }
}
