//! Streams and their records: the steps, and what the model keeps of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::create::CreateStreamError;
use tidemill_stream::delete::DeleteStreamError;
use tidemill_stream::engine::{Bound, LogId, Position, ReadLimits};
use tidemill_stream::name::StreamName;
use tidemill_stream::put::{Placed, PutError};
use tidemill_stream::read::ReadError;
use tidemill_stream::record::{PartitionKey, Record, StoredRecord};
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{HashKey, Shard, ShardIndex};
use tidemill_stream::stream::{Stream, StreamMode, StreamStatus};

use super::map::ShardMap;
use super::retention::Horizon;
use super::steps::{NewRecord, STREAMS_MAX, Target};
use super::tally::Kind;
use super::world::World;

/// Of a stream that is made.
const RETENTION: Duration = Duration::from_hours(6);
pub(crate) const WHOLE: ReadLimits = ReadLimits { records_max: 10_000, bytes_max: 10 << 20 };

/// Where a log ends that has nothing yet.
const EMPTY: (Position, Timestamp) = (Position(0), Timestamp::from_millis(0));

/// A stream, and what must be in it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// As it was answered last.
    pub(crate) stream: Arc<Stream>,
    pub(crate) map: ShardMap,
    pub(crate) mode: StreamMode,
    pub(crate) retention: Duration,
    /// All records that were ever put into shards that are listed.
    pub(crate) shards: BTreeMap<ShardIndex, Vec<StoredRecord>>,
    /// Where each log ends.
    ends: BTreeMap<LogId, (Position, Timestamp)>,
    pub(crate) horizons: BTreeMap<LogId, Horizon>,
}

impl Kept {
    fn new(stream: Arc<Stream>, map: ShardMap, mode: StreamMode) -> Self {
        let (shards, ends, horizons) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut kept = Self { stream: Arc::clone(&stream), map, mode, retention: RETENTION, shards, ends, horizons };
        kept.adopt(stream);
        kept
    }

    /// Compares an answer with the model. Shards that were closed end behind their last record.
    pub(crate) fn adopt(&mut self, answered: Arc<Stream>) {
        assert_eq!((&answered.name, answered.id), (&self.stream.name, self.stream.id));
        assert_eq!(
            (answered.status, answered.mode, answered.retention, answered.created),
            (StreamStatus::Active, self.mode, self.retention, self.stream.created)
        );
        assert_eq!(answered.shards, self.map.all().cloned().collect::<Vec<_>>());
        for shard in &answered.shards {
            let Some(closed) = shard.closed else { continue };
            let was_open = self.stream.shard(shard.index).is_none_or(Shard::is_open);
            let end = self.ends.entry(answered.log_of(shard.index)).or_insert(EMPTY);
            assert!(!was_open || closed.position > end.0, "{shard:?} was closed before the end of its log, {end:?}");
        }
        for shard in &answered.shards {
            let Some(closed) = shard.closed else { continue };
            let end = self.ends.entry(answered.log_of(shard.index)).or_insert(EMPTY);
            end.0 = end.0.max(closed.position);
        }
        self.stream = answered;
    }

    /// Checks where records were placed, and keeps them.
    fn keep(&mut self, now: Timestamp, records: Vec<Record>, placed: Vec<Placed>) {
        assert_eq!(records.len(), placed.len());
        let before = self.ends.clone();
        for (record, placed) in records.into_iter().zip(placed) {
            let hash = record.explicit_hash.unwrap_or_else(|| HashKey::of(&record.partition_key));
            let shard = self.map.route(hash);
            let log = self.stream.log_of(shard.index);
            let (end, last_arrival) = before.get(&log).copied().unwrap_or(EMPTY);
            let (arrival, position) = (now.max(last_arrival), placed.sequence.position());
            assert_eq!(placed.sequence, SequenceNumber::new(shard, position, arrival));
            assert_eq!(placed.shard, shard.index);
            assert!(position > end, "{position:?} was given again: the log ended at {end:?}");
            let Record { partition_key, explicit_hash, data } = record;
            let records = self.shards.entry(shard.index).or_default();
            assert!(records.last().is_none_or(|last| last.position < position), "the order of a put is lost");
            records.push(StoredRecord {
                position,
                arrival,
                partition_key,
                explicit_hash: explicit_hash.map(Box::new),
                data,
            });
            let end = self.ends.entry(log).or_insert((position, arrival));
            *end = (position.max(end.0), arrival);
        }
    }

    pub(crate) fn records(&self, shard: ShardIndex) -> &[StoredRecord] {
        self.shards.get(&shard).map(Vec::as_slice).unwrap_or_default()
    }
}

fn name(index: u8) -> StreamName {
    StreamName::parse(&format!("stream-{}", index % STREAMS_MAX)).unwrap()
}

impl World {
    pub(crate) fn target(&self, target: Target) -> StreamName {
        match target {
            Target::Named(index) => name(index),
            Target::Existing(nth) => {
                let nth = nth.checked_rem(self.streams.len()).unwrap_or(0);
                self.streams.keys().nth(nth).cloned().unwrap_or_else(|| name(0))
            }
        }
    }

    pub(crate) async fn create(&mut self, index: u8, shards: u32) {
        let (name, mode) = (name(index), StreamMode::Provisioned);
        let created = self.store().create_stream(&name, shards, mode, RETENTION).await;
        if self.streams.contains_key(&name) {
            assert!(matches!(created, Err(CreateStreamError::Exists(_))), "{created:?}");
            self.tally.in_vain(Kind::StreamCreate);
            return;
        }
        let kept = Kept::new(created.unwrap(), ShardMap::new(shards, self.clock.now()), mode);
        self.streams.insert(name, kept);
        self.tally.succeeded(Kind::StreamCreate);
    }

    pub(crate) async fn delete(&mut self, target: Target) {
        let name = self.target(target);
        let deleted = self.store().delete_stream(&name).await;
        let Some(kept) = self.streams.remove(&name) else {
            assert!(matches!(deleted, Err(DeleteStreamError::NoStream(_))), "{deleted:?}");
            self.tally.in_vain(Kind::StreamDelete);
            return;
        };
        deleted.unwrap();
        assert!(self.store().stream(&name).is_err());
        let shard = kept.map.open()[0].index;
        let read = self.store().read(&kept.stream, shard, Bound::START, WHOLE).await;
        assert!(matches!(read, Err(ReadError::NoStream(_))), "{read:?}");
        self.bookmarks.retain(|bookmark| bookmark.name != name);
        self.tally.succeeded(Kind::StreamDelete);
    }

    pub(crate) async fn put(&mut self, target: Target, records: &[NewRecord]) {
        let name = self.target(target);
        let records: Vec<Record> = records.iter().map(|record| self.record(record)).collect();
        let put = self.store().put(&name, records.clone()).await;
        let Some(kept) = self.streams.get_mut(&name) else {
            assert!(matches!(put, Err(PutError::NoStream(_))), "{put:?}");
            self.tally.in_vain(Kind::Put);
            return;
        };
        let placed = put.unwrap().into_iter().map(Result::unwrap).collect();
        kept.keep(self.clock.now(), records, placed);
        self.tally.succeeded(Kind::Put);
    }

    fn record(&mut self, new: &NewRecord) -> Record {
        let partition_key = PartitionKey::parse(format!("key {}", new.key)).unwrap();
        Record { partition_key, explicit_hash: new.explicit_hash.map(HashKey), data: self.content(new.bytes).into() }
    }

    /// So many bytes that nothing else has: a number over and over.
    pub(crate) fn content(&mut self, bytes: usize) -> Vec<u8> {
        self.written += 1;
        self.written.to_le_bytes().into_iter().cycle().take(bytes).collect()
    }
}
