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
use tidemill_stream::read::{ReadError, StartAt};
use tidemill_stream::record::{PartitionKey, Record, StoredRecord};
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{HashKey, Shard, ShardIndex};
use tidemill_stream::stream::{Stream, StreamMode};

use super::check::compare;
use super::steps::{From, Limits, NewRecord, STREAMS_MAX, Target};
use super::tally::Kind;
use super::world::{FIRST, World};

/// Longer than any case's clock runs: nothing expires.
const RETENTION: Duration = Duration::from_hours(8760);
const BOOKMARKS_MAX: usize = 8;
const WHOLE: ReadLimits = ReadLimits { records_max: 10_000, bytes_max: 10 << 20 };

/// A stream, and what must be in it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) stream: Arc<Stream>,
    pub(crate) shards: BTreeMap<ShardIndex, Vec<StoredRecord>>,
    /// Where each log ends.
    ends: BTreeMap<LogId, (Position, Timestamp)>,
}

/// How far someone has read.
#[derive(Debug, Clone)]
pub(crate) struct Bookmark {
    pub(crate) name: StreamName,
    pub(crate) shard: ShardIndex,
    pub(crate) bound: Bound,
    /// Records of the shard that lie before it.
    pub(crate) passed: usize,
}

impl Kept {
    /// Checks where records were placed, and keeps them.
    fn keep(&mut self, now: Timestamp, records: Vec<Record>, placed: Vec<Placed>) {
        assert_eq!(records.len(), placed.len());
        let before = self.ends.clone();
        for (record, placed) in records.into_iter().zip(placed) {
            let shard = shard_of(&self.stream, &record);
            let log = self.stream.log_of(shard.index);
            let (end, last_arrival) = before.get(&log).copied().unwrap_or((Position(0), Timestamp::default()));
            let (arrival, position) = (now.max(last_arrival), placed.sequence.position());
            assert_eq!(placed.sequence, SequenceNumber::new(shard, position, arrival));
            assert_eq!(placed.shard, shard.index);
            assert!(position > end, "{position:?} was given again: the log ended at {end:?}");
            let Record { partition_key, explicit_hash, data } = record;
            let records = self.shards.entry(shard.index).or_default();
            assert!(records.last().is_none_or(|last| last.position < position), "the order of a put is lost");
            records.push(StoredRecord { position, arrival, partition_key, explicit_hash, data });
            let end = self.ends.entry(log).or_insert((position, arrival));
            *end = (position.max(end.0), arrival);
        }
    }

    /// Three times of four one that has records, if any has.
    fn nth_shard(&self, nth: u32) -> &Shard {
        let with_records: Vec<&ShardIndex> = self.shards.keys().collect();
        match (nth / 4).checked_rem(with_records.len() as u32) {
            Some(filled) if !nth.is_multiple_of(4) => self.stream.shard(*with_records[filled as usize]).unwrap(),
            Some(_) | None => &self.stream.shards[nth as usize % self.stream.shards.len()],
        }
    }

    pub(crate) fn records(&self, shard: ShardIndex) -> &[StoredRecord] {
        self.shards.get(&shard).map(Vec::as_slice).unwrap_or_default()
    }
}

fn shard_of<'a>(stream: &'a Stream, record: &Record) -> &'a Shard {
    let hash = record.explicit_hash.unwrap_or_else(|| HashKey::of(&record.partition_key));
    stream.shards.iter().find(|shard| shard.range.start <= hash && hash <= shard.range.end).unwrap()
}

fn name(index: u8) -> StreamName {
    StreamName::parse(&format!("stream-{}", index % STREAMS_MAX)).unwrap()
}

impl World {
    fn target(&self, target: Target) -> StreamName {
        match target {
            Target::Named(index) => name(index),
            Target::Existing(nth) => {
                let nth = nth.checked_rem(self.streams.len()).unwrap_or(0);
                self.streams.keys().nth(nth).cloned().unwrap_or_else(|| name(0))
            }
        }
    }

    pub(crate) async fn create(&mut self, index: u8, shards: u32) {
        let name = name(index);
        let created = self.store().create_stream(&name, shards, StreamMode::Provisioned, RETENTION).await;
        if self.streams.contains_key(&name) {
            assert!(matches!(created, Err(CreateStreamError::Exists(_))), "{created:?}");
            self.tally.in_vain(Kind::StreamCreate);
            return;
        }
        let stream = created.unwrap();
        assert_eq!(stream.shards.len(), shards as usize);
        self.streams.insert(name, Kept { stream, shards: BTreeMap::new(), ends: BTreeMap::new() });
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
        let read = self.store().read(&kept.stream, ShardIndex(0), Bound::START, WHOLE).await;
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

    pub(crate) async fn read(&mut self, target: Target, shard: u32, from: From, limits: Limits, pages: usize) {
        let (name, kind) = (self.target(target), kind_of(from));
        let Some(kept) = self.streams.get(&name) else {
            assert!(self.store().stream(&name).is_err());
            self.tally.in_vain(kind);
            return;
        };
        let shard = kept.nth_shard(shard).clone();
        let (start, passed) = start(kept.records(shard.index), &shard, from);
        let is_empty = kept.records(shard.index).is_empty();
        let bound = self.store().position(&kept.stream, shard.index, start).await.unwrap();
        let mut bookmark = Bookmark { name, shard: shard.index, bound, passed };
        for _ in 0..pages {
            self.read_page(&mut bookmark, limits).await;
        }
        self.bookmarks.push_back(bookmark);
        if self.bookmarks.len() > BOOKMARKS_MAX {
            self.bookmarks.pop_front();
        }
        if is_empty { self.tally.in_vain(kind) } else { self.tally.succeeded(kind) }
    }

    pub(crate) async fn read_on(&mut self, nth: usize, limits: Limits) {
        let Some(nth) = nth.checked_rem(self.bookmarks.len()) else { return self.tally.in_vain(Kind::ReadOn) };
        let mut bookmark = self.bookmarks[nth].clone();
        self.read_page(&mut bookmark, limits).await;
        self.bookmarks[nth] = bookmark;
        self.tally.succeeded(Kind::ReadOn);
    }

    /// Reads one page, compares it, and moves the bookmark behind it.
    pub(crate) async fn read_page(&self, bookmark: &mut Bookmark, limits: Limits) {
        let Limits { records_max, bytes_max } = limits;
        let kept = &self.streams[&bookmark.name];
        let limits = ReadLimits { records_max, bytes_max };
        let page = self.store().read(&kept.stream, bookmark.shard, bookmark.bound, limits).await.unwrap();
        let rest = &kept.records(bookmark.shard)[bookmark.passed..];
        let bytes: usize = page.records.iter().map(StoredRecord::size_bytes).sum();
        assert!(page.records.len() <= records_max, "{} records, over {records_max}", page.records.len());
        assert!(bytes <= bytes_max || page.records.len() == 1, "{bytes} bytes, over {bytes_max}");
        assert!(!page.records.is_empty() || rest.is_empty(), "a page without records before the tip");
        compare(&page.records, &rest[..page.records.len().min(rest.len())], bookmark.shard);
        bookmark.passed += page.records.len();
        bookmark.bound = page.next;
        let is_at_tip = page.records.len() == rest.len();
        let last = page.records.last().filter(|_| !is_at_tip);
        let behind = last.map_or(Duration::ZERO, |last| self.clock.now().since(last.arrival));
        assert_eq!((page.is_at_tip, page.is_at_end, page.behind), (is_at_tip, false, behind));
    }
}

/// A position, and how many of these records lie before it.
fn start(records: &[StoredRecord], shard: &Shard, from: From) -> (StartAt, usize) {
    let nth = |fraction: u8| usize::from(fraction) * records.len() / 256;
    let number = |nth: usize| {
        let record: Option<&StoredRecord> = records.get(nth);
        record
            .map_or(SequenceNumber::start_of(shard), |found| SequenceNumber::new(shard, found.position, found.arrival))
    };
    match from {
        From::Horizon => (StartAt::TrimHorizon, 0),
        From::Latest => (StartAt::Latest, records.len()),
        From::Time { fraction, by_ms } => {
            let near = records.get(nth(fraction)).map_or(FIRST, |record| record.arrival);
            let time = Timestamp::from_millis(near.as_millis().saturating_add_signed(by_ms));
            (StartAt::Time(time), records.iter().take_while(|record| record.arrival < time).count())
        }
        From::At { fraction } => (StartAt::AtSequence(number(nth(fraction))), nth(fraction)),
        From::After { fraction } => {
            (StartAt::AfterSequence(number(nth(fraction))), (nth(fraction) + 1).min(records.len()))
        }
    }
}

fn kind_of(from: From) -> Kind {
    match from {
        From::Horizon => Kind::ReadHorizon,
        From::Latest => Kind::ReadLatest,
        From::Time { .. } => Kind::ReadTime,
        From::At { .. } => Kind::ReadAt,
        From::After { .. } => Kind::ReadAfter,
    }
}
