//! What is known of a stream, and the document that keeps it.

mod routes;

use std::time::Duration;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::capacity::Capacity;
use crate::clock::Timestamp;
use crate::encryption::{Encryption, StoredEncryption};
use crate::engine::{Generation, Key, LogId, LogSettings, Position, Revision, StreamId};
use crate::name::StreamName;
use crate::reshard::{Reshard, StoredReshard};
use crate::sequence::SequenceNumber;
use crate::settings::Settings;
use crate::shard::{Closed, HashKey, HashRange, Shard, ShardIndex};

pub(crate) use self::routes::Routes;

/// All documents of streams begin so.
pub(crate) const PREFIX: &str = "stream/";

/// Where a stream is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStatus {
    /// It is being made.
    Creating,
    /// It is being deleted.
    Deleting,
    /// It takes records.
    Active,
    /// It takes records while it changes.
    Updating,
}

/// Who sets the number of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamMode {
    /// The user.
    Provisioned,
    /// The store.
    OnDemand,
}

/// A stream's description: an immutable snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: StreamName,
    /// Tells it from an earlier stream of that name.
    pub id: StreamId,
    /// Where it is in its life.
    pub status: StreamStatus,
    /// Who sets the number of shards.
    pub mode: StreamMode,
    /// When it was created.
    pub created: Timestamp,
    /// How long its records are kept.
    pub retention: Duration,
    /// Bytes that it keeps at most, about: of more the oldest records go first. `None`: as many as come.
    pub retention_bytes: Option<u64>,
    /// What its records are encrypted with on the disk, if they are.
    pub encryption: Option<Encryption>,
    /// What its shards take and give in a second; `None`: what those of streams do that say nothing.
    pub capacity: Option<Capacity>,
    /// What its owner has set beside that.
    pub settings: Settings,
    /// All its shards, open and closed, by index.
    pub shards: Vec<Shard>,
    pub(crate) shards_per_log: u32,
    /// Of each of its logs, by part.
    pub(crate) generations: Vec<Generation>,
    /// The change of the shard map that is on its way.
    pub(crate) reshard: Option<Reshard>,
    pub(crate) revision: Revision,
    pub(crate) routes: Routes,
}

impl Stream {
    /// The shard of this number.
    pub fn shard(&self, index: ShardIndex) -> Option<&Shard> {
        self.shards.binary_search_by_key(&index, |shard| shard.index).ok().and_then(|at| self.shards.get(at))
    }

    /// The shards that take records, by index.
    pub fn open_shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(|shard| shard.is_open())
    }

    /// The open shard that takes this hash key; `None` only for a stream that is damaged.
    pub fn route(&self, key: HashKey) -> Option<&Shard> {
        self.routes.find(&self.shards, key)
    }

    /// The shards that took over from this one: none while it is open.
    pub fn children(&self, parent: ShardIndex) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(move |shard| shard.parents.contains(&parent))
    }

    /// The sequence number of a record.
    pub fn sequence_number(&self, shard: &Shard, position: Position, arrival: Timestamp) -> SequenceNumber {
        SequenceNumber::new(shard, position, arrival)
    }

    /// The number at which a shard starts.
    pub fn starting_sequence_number(&self, shard: &Shard) -> SequenceNumber {
        SequenceNumber::start_of(shard)
    }

    /// The log that holds a shard's records.
    pub fn log_of(&self, shard: ShardIndex) -> LogId {
        LogId { stream: self.id, part: shard.0 / self.shards_per_log.max(1) }
    }

    /// All its logs, with those of shards that are being opened.
    pub(crate) fn logs(&self) -> impl Iterator<Item = LogId> {
        let planned = self.planned().last().map_or(0, |last| self.log_of(last).part as usize + 1);
        (0..self.generations.len().max(planned)).map(|part| LogId { stream: self.id, part: part as u32 })
    }

    /// How its logs are kept.
    pub(crate) fn log_settings(&self) -> LogSettings {
        let logs = self.generations.len().max(1) as u64;
        LogSettings {
            retention: self.retention,
            retention_bytes: self.retention_bytes.map(|bytes| bytes / logs),
            key: self.encryption.as_ref().map(|encryption| encryption.key),
        }
    }

    pub(crate) fn key(&self) -> Key {
        key_of(&self.name)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let stored = Stored::from(self);
        minicbor::to_vec(&stored).map(Bytes::from).unwrap_or_default()
    }

    pub(crate) fn decode(name: StreamName, revision: Revision, value: &[u8]) -> Result<Self, minicbor::decode::Error> {
        let stored: Stored = minicbor::decode(value)?;
        Ok(stored.into_stream(name, revision))
    }
}

/// The document of a stream of this name.
pub(crate) fn key_of(name: &StreamName) -> Key {
    Key::new(format!("{PREFIX}{}", name.qualified()))
}

/// The document's content. Fields are numbered: new ones are added with new numbers, as options.
#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    id: u64,
    #[n(1)]
    status: StoredStatus,
    #[n(2)]
    mode: StoredMode,
    #[n(3)]
    created_ms: u64,
    #[n(4)]
    retention_ms: u64,
    #[n(5)]
    shards: Vec<StoredShard>,
    #[n(6)]
    shards_per_log: u32,
    #[n(7)]
    generations: Vec<u64>,
    #[n(8)]
    reshard: Option<StoredReshard>,
    #[n(9)]
    retention_bytes: Option<u64>,
    #[n(10)]
    encryption: Option<StoredEncryption>,
    #[n(20)]
    settings: Option<Settings>,
    #[n(30)]
    capacity: Option<Capacity>,
}

#[derive(Encode, Decode, Clone, Copy)]
#[cbor(index_only)]
enum StoredStatus {
    #[n(0)]
    Creating,
    #[n(1)]
    Deleting,
    #[n(2)]
    Active,
    #[n(3)]
    Updating,
}

#[derive(Encode, Decode, Clone, Copy)]
#[cbor(index_only)]
enum StoredMode {
    #[n(0)]
    Provisioned,
    #[n(1)]
    OnDemand,
}

#[derive(Encode, Decode)]
struct StoredShard {
    #[n(0)]
    index: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    start: [u8; 16],
    #[cbor(n(2), with = "minicbor::bytes")]
    end: [u8; 16],
    #[n(3)]
    created_ms: u64,
    #[n(4)]
    parents: Vec<u32>,
    #[n(5)]
    closed: Option<StoredClosed>,
}

#[derive(Encode, Decode)]
struct StoredClosed {
    #[n(0)]
    at_ms: u64,
    #[n(1)]
    position: u64,
}

impl From<&Stream> for Stored {
    fn from(stream: &Stream) -> Self {
        let status = match stream.status {
            StreamStatus::Creating => StoredStatus::Creating,
            StreamStatus::Deleting => StoredStatus::Deleting,
            StreamStatus::Active => StoredStatus::Active,
            StreamStatus::Updating => StoredStatus::Updating,
        };
        let mode = match stream.mode {
            StreamMode::Provisioned => StoredMode::Provisioned,
            StreamMode::OnDemand => StoredMode::OnDemand,
        };
        Self {
            id: stream.id.0,
            status,
            mode,
            created_ms: stream.created.as_millis(),
            retention_ms: u64::try_from(stream.retention.as_millis()).unwrap_or(u64::MAX),
            shards: stream.shards.iter().map(StoredShard::from).collect(),
            shards_per_log: stream.shards_per_log,
            generations: stream.generations.iter().map(|generation| generation.0).collect(),
            reshard: stream.reshard.as_ref().map(StoredReshard::from),
            retention_bytes: stream.retention_bytes,
            encryption: stream.encryption.as_ref().map(StoredEncryption::from),
            settings: Some(stream.settings.clone()),
            capacity: stream.capacity,
        }
    }
}

impl Stored {
    fn into_stream(self, name: StreamName, revision: Revision) -> Stream {
        let status = match self.status {
            StoredStatus::Creating => StreamStatus::Creating,
            StoredStatus::Deleting => StreamStatus::Deleting,
            StoredStatus::Active => StreamStatus::Active,
            StoredStatus::Updating => StreamStatus::Updating,
        };
        let mode = match self.mode {
            StoredMode::Provisioned => StreamMode::Provisioned,
            StoredMode::OnDemand => StreamMode::OnDemand,
        };
        Stream {
            name,
            id: StreamId(self.id),
            status,
            mode,
            created: Timestamp::from_millis(self.created_ms),
            retention: Duration::from_millis(self.retention_ms),
            retention_bytes: self.retention_bytes,
            encryption: self.encryption.and_then(StoredEncryption::into_encryption),
            capacity: self.capacity,
            settings: self.settings.unwrap_or_default(),
            shards: self.shards.into_iter().map(Shard::from).collect(),
            shards_per_log: self.shards_per_log,
            generations: self.generations.into_iter().map(Generation).collect(),
            reshard: self.reshard.map(Reshard::from),
            revision,
            routes: Routes::default(),
        }
    }
}

impl From<&Shard> for StoredShard {
    fn from(shard: &Shard) -> Self {
        Self {
            index: shard.index.0,
            start: shard.range.start.0.to_be_bytes(),
            end: shard.range.end.0.to_be_bytes(),
            created_ms: shard.created.as_millis(),
            parents: shard.parents.iter().map(|parent| parent.0).collect(),
            closed: shard
                .closed
                .map(|closed| StoredClosed { at_ms: closed.at.as_millis(), position: closed.position.0 }),
        }
    }
}

impl From<StoredShard> for Shard {
    fn from(stored: StoredShard) -> Self {
        let key = |bytes| HashKey(u128::from_be_bytes(bytes));
        Self {
            index: ShardIndex(stored.index),
            range: HashRange { start: key(stored.start), end: key(stored.end) },
            created: Timestamp::from_millis(stored.created_ms),
            parents: stored.parents.into_iter().map(ShardIndex).collect(),
            closed: stored
                .closed
                .map(|closed| Closed { at: Timestamp::from_millis(closed.at_ms), position: Position(closed.position) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::KeyPrint;
    use crate::reshard::Opening;
    use crate::settings::{Distribution, ShardMetric};

    fn stream(shards: u32) -> Stream {
        let created = Timestamp::from_millis(1_700_000_000_123);
        let shard = |(index, range)| Shard {
            index: ShardIndex(index),
            range,
            created,
            parents: vec![ShardIndex(3)],
            closed: (index == 1).then_some(Closed { at: created, position: Position(9) }),
        };
        Stream {
            name: StreamName::parse("s").unwrap(),
            id: StreamId(7),
            status: StreamStatus::Updating,
            mode: StreamMode::OnDemand,
            created,
            retention: Duration::from_hours(24),
            retention_bytes: Some(1 << 30),
            encryption: KeyPrint::from_number(12).map(|key| Encryption { key_id: "alias/k".to_owned(), key }),
            capacity: Some(Capacity::Provisioned),
            settings: Settings {
                record_kib_max: 2048,
                shard_metrics: [ShardMetric::OutgoingBytes].into(),
                warm_throughput_mibps: Some(7),
                distribution: Distribution::Even,
            },
            shards: (0..).zip(HashRange::uniform(shards)).map(shard).collect(),
            shards_per_log: 4,
            generations: vec![Generation(2)],
            reshard: Some(Reshard {
                open: vec![Opening { range: HashRange::uniform(2)[1], parents: vec![ShardIndex(0), ShardIndex(2)] }],
                target: Some(9),
            }),
            revision: Revision(5),
            routes: Routes::default(),
        }
    }

    #[test]
    fn a_stream_is_read_as_it_is_kept() {
        let stream = stream(3);
        assert_eq!(Stream::decode(stream.name.clone(), stream.revision, &stream.encode()).unwrap(), stream);
    }

    proptest! {
        #[test]
        fn every_key_goes_to_the_open_shard_whose_range_holds_it(shards in 3u32..300, key: u128) {
            let stream = stream(shards);
            match stream.route(HashKey(key)) {
                Some(shard) => prop_assert!(shard.is_open() && shard.range.contains(HashKey(key))),
                None => prop_assert!(stream.shards[1].range.contains(HashKey(key))),
            }
        }
    }
}
