//! How often each kind of step was taken, and how often with success.

use std::collections::BTreeMap;
use std::fmt;

/// Each kind is taken with success so often at least.
const SUCCEEDED_MIN: u64 = 200;
/// Segments that were full, at least: each opening begins a segment too, and does not count.
const ROLLED_MIN: u64 = 20;

/// The kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    StreamCreate,
    StreamDelete,
    Put,
    ReadHorizon,
    ReadLatest,
    ReadTime,
    ReadAt,
    ReadAfter,
    ReadOn,
    /// Pages that say that something before them has expired.
    ReadSkipped,
    /// Pages that are the last of a closed shard.
    ReadEnd,
    Close,
    Drop,
    Kill,
    DocumentInsert,
    DocumentUpdate,
    DocumentDelete,
    DocumentConflict,
    DocumentsSeveral,
    DocumentLazy,
    DocumentSynced,
    CursorFix,
    CursorMove,
    CursorStale,
    CursorDrop,
    ClockForward,
    ClockHours,
    ClockBack,
    Split,
    Merge,
    CountUp,
    CountDown,
    SetMode,
    RefusedAbsent,
    RefusedOnDemand,
    RefusedClosed,
    RefusedSplitPoint,
    RefusedNotAdjacent,
    RefusedCount,
    RefusedScale,
    RetentionLonger,
    RetentionShorter,
    RetentionWrongWay,
    /// Bytes were given back.
    Expire,
    /// Closed shards left the list.
    ShardsGone,
}

impl Kind {
    const LAST: Self = Self::ShardsGone;
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<Kind, Count>,
    segments_rolled: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    taken: u64,
    succeeded: u64,
}

impl Tally {
    pub(crate) fn succeeded(&mut self, kind: Kind) {
        let count = self.counts.entry(kind).or_default();
        count.taken += 1;
        count.succeeded += 1;
    }

    /// A step that was rightly refused, or had nothing to work on.
    pub(crate) fn in_vain(&mut self, kind: Kind) {
        self.counts.entry(kind).or_default().taken += 1;
    }

    pub(crate) fn add(&mut self, other: &Self, segments_rolled: u64) {
        for (kind, count) in &other.counts {
            let sum = self.counts.entry(*kind).or_default();
            sum.taken += count.taken;
            sum.succeeded += count.succeeded;
        }
        self.segments_rolled += segments_rolled;
    }

    /// Kinds of steps that were not taken with success often enough.
    pub(crate) fn rare(&self) -> Vec<(Kind, u64)> {
        let rare = self.counts.iter().filter(|(_, count)| count.succeeded < SUCCEEDED_MIN);
        rare.map(|(kind, count)| (*kind, count.succeeded)).collect()
    }

    /// A test that does nothing often enough shows nothing.
    pub(crate) fn judge(&self) {
        assert_eq!(self.counts.len(), Kind::LAST as usize + 1, "a kind of step is missing");
        let rare = self.rare();
        assert!(rare.is_empty(), "fewer than {SUCCEEDED_MIN} times with success: {rare:?}");
        assert!(self.segments_rolled >= ROLLED_MIN, "only {} segments were full", self.segments_rolled);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.counts {
            writeln!(f, "{:>18} {:>6} taken {:>6} succeeded", format!("{kind:?}"), count.taken, count.succeeded)?;
        }
        write!(f, "{:>18} {:>6}", "segments rolled", self.segments_rolled)
    }
}
