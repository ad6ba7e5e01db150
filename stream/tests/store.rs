//! The store over each engine: with one log a stream, and with one for every four shards; and with troubles.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "store/faults.rs"]
mod faults;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tempfile::TempDir;
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::create::CreateStreamError;
use tidemill_stream::cursor::{MoveCursorError, TriggerId};
use tidemill_stream::delete::DeleteStreamError;
use tidemill_stream::engine::embedded::{Embedded, EmbeddedOptions};
use tidemill_stream::engine::faulty::{Faulty, FaultyOptions};
use tidemill_stream::engine::memory::Memory;
use tidemill_stream::engine::{
    Bound, Change, Durability, Engine, Expect, Generation, Key, LogId, ReadLimits, StreamId,
};
use tidemill_stream::limits;
use tidemill_stream::name::StreamName;
use tidemill_stream::put::PutError;
use tidemill_stream::read::{PositionError, Read, StartAt};
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::shard::{HashKey, ShardIndex};
use tidemill_stream::store::Store;
use tidemill_stream::stream::{Stream, StreamMode};

/// Courses of troubles that each check goes through.
const SEEDS: u64 = 8;
const DAY: Duration = Duration::from_hours(24);
const ALL: ReadLimits = ReadLimits { records_max: 10_000, bytes_max: 10 << 20 };

fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

fn record(key: &str, data: impl Into<Bytes>) -> Record {
    Record { partition_key: PartitionKey::parse(key.to_owned()).unwrap(), explicit_hash: None, data: data.into() }
}

/// A store, and how often one may have to look before what is there is seen: once, but under troubles.
struct Place {
    store: Store,
    looks_max: usize,
}

impl Deref for Place {
    type Target = Store;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

impl Place {
    async fn open(engine: Arc<dyn Engine>, clock: Clock, looks_max: usize) -> Self {
        Self { store: Store::open(engine, clock).await.unwrap(), looks_max }
    }

    /// Reads, again if need be until this is seen. Never less strict than one read on an engine without troubles.
    async fn look(
        &self,
        stream: &Stream,
        shard: ShardIndex,
        from: Bound,
        limits: ReadLimits,
        is_seen: impl Fn(&Read) -> bool,
    ) -> Read {
        for _ in 1..self.looks_max {
            let read = self.read(stream, shard, from, limits).await.unwrap();
            if is_seen(&read) {
                return read;
            }
        }
        self.read(stream, shard, from, limits).await.unwrap()
    }

    /// All data of a shard; `expected` says how much of it there should be.
    async fn all(&self, stream: &Stream, shard: ShardIndex, expected: usize) -> Vec<Bytes> {
        let read = self.look(stream, shard, Bound::START, ALL, |read| read.records.len() >= expected).await;
        read.records.into_iter().map(|record| record.data).collect()
    }
}

/// Troubles from this seed.
fn with_troubles<E: Engine>(engine: E, seed: u64) -> Arc<dyn Engine> {
    Arc::new(Faulty::new(engine, FaultyOptions { seed, ..FaultyOptions::default() }))
}

/// Runs a check on a store over each kind of engine. The folders live as long as the check.
#[expect(clippy::print_stderr, reason = "a random test prints its seed")]
async fn on_each_engine<F: Future<Output = ()>>(check: impl Fn(Place) -> F) {
    for shards_per_log in [4, u32::MAX] {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let memory = || Memory::with_shards_per_log(clock.clone(), shards_per_log);
        let options = EmbeddedOptions { shards_per_log, ..EmbeddedOptions::default() };
        let files = |folder: &TempDir| Embedded::open(folder.path(), clock.clone(), options.clone()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let plain: [Arc<dyn Engine>; 2] = [Arc::new(memory()), Arc::new(files(&folder))];
        for engine in plain {
            check(Place::open(engine, clock.clone(), 1).await).await;
        }
        for seed in 0..SEEDS {
            eprintln!("shards per log: {shards_per_log}, seed: {seed}");
            let folder = tempfile::tempdir().unwrap();
            for engine in [with_troubles(memory(), seed), with_troubles(files(&folder), seed)] {
                check(Place::open(engine, clock.clone(), 64).await).await;
            }
        }
    }
}

async fn ten_shards(store: &Store) -> Arc<Stream> {
    store.create_stream(&name("s"), 10, StreamMode::Provisioned, DAY).await.unwrap()
}

#[tokio::test]
async fn records_go_where_they_belong_and_are_answered_in_order() {
    on_each_engine(|store| async move {
        let stream = ten_shards(&store).await;
        let records: Vec<Record> = (0..500).map(|n| record(&format!("key {}", n % 50), format!("{n}"))).collect();
        let placed = store.put(&name("s"), records.clone()).await.unwrap();
        assert_eq!(placed.len(), 500);
        for (given, placed) in records.iter().zip(&placed) {
            let placed = placed.clone().unwrap();
            assert!(stream.shard(placed.shard).unwrap().range.contains(HashKey::of(&given.partition_key)));
            let at = store.position(&stream, placed.shard, StartAt::AtSequence(placed.sequence)).await.unwrap();
            let one = ReadLimits { records_max: 1, bytes_max: 1 << 20 };
            let found = store.look(&stream, placed.shard, at, one, |read| !read.records.is_empty()).await;
            assert_eq!(found.records[0].data, given.data);
        }
        let mut read = 0;
        for shard in stream.open_shards() {
            let expected: Vec<Bytes> = records
                .iter()
                .zip(&placed)
                .filter(|(_, placed)| placed.as_ref().unwrap().shard == shard.index)
                .map(|(given, _)| given.data.clone())
                .collect();
            assert_eq!(store.all(&stream, shard.index, expected.len()).await, expected);
            read += expected.len();
        }
        assert_eq!(read, 500);
    })
    .await;
}

#[tokio::test]
async fn a_reader_is_told_how_far_it_is_behind() {
    on_each_engine(|store| async move {
        let stream = store.create_stream(&name("s"), 1, StreamMode::Provisioned, DAY).await.unwrap();
        for second in 0..3 {
            store.clock().set(Timestamp::from_millis(1_700_000_000_000 + second * 1000));
            store.put(&name("s"), vec![record("k", "x")]).await.unwrap()[0].clone().unwrap();
        }
        let one = ReadLimits { records_max: 1, bytes_max: 1 << 20 };
        let first = store.look(&stream, ShardIndex(0), Bound::START, one, |read| !read.is_at_tip).await;
        assert_eq!((first.behind, first.is_at_tip), (Duration::from_secs(2), false));
        let rest = store.look(&stream, ShardIndex(0), first.next, ALL, |read| read.records.len() == 2).await;
        assert_eq!((rest.records.len(), rest.behind, rest.is_at_tip), (2, Duration::ZERO, true));
    })
    .await;
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_as_a_whole() {
    on_each_engine(|store| async move {
        let stream = ten_shards(&store).await;
        let put = async |records| store.put(&name("s"), records).await.unwrap_err();
        assert!(matches!(put(vec![]).await, PutError::Count { records: 0, max: 500 }));
        assert!(matches!(put(vec![record("k", "x"); 501]).await, PutError::Count { records: 501, max: 500 }));
        let large = vec![record("k", "x"), record("k", vec![0; limits::RECORD_BYTES_MAX])];
        assert!(matches!(put(large).await, PutError::RecordTooLarge { index: 1, .. }));
        assert!(matches!(put(vec![record("k", vec![0; 1 << 19]); 21]).await, PutError::TooLarge { .. }));
        assert!(matches!(store.put(&name("t"), vec![record("k", "x")]).await, Err(PutError::NoStream(_))));
        for shard in stream.open_shards() {
            assert!(store.read(&stream, shard.index, Bound::START, ALL).await.unwrap().records.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_number_of_another_shard_is_no_position() {
    on_each_engine(|store| async move {
        let stream = ten_shards(&store).await;
        let placed = store.put(&name("s"), vec![record("k", "x")]).await.unwrap()[0].clone().unwrap();
        let other = ShardIndex((placed.shard.0 + 1) % 10);
        let foreign = store.position(&stream, other, StartAt::AtSequence(placed.sequence)).await;
        assert!(matches!(foreign, Err(PositionError::ForeignSequence { .. })), "{foreign:?}");
    })
    .await;
}

#[tokio::test]
async fn a_name_has_one_stream_and_a_new_one_meets_nothing_old() {
    on_each_engine(|store| async move {
        let first = ten_shards(&store).await;
        let again = store.create_stream(&name("s"), 1, StreamMode::Provisioned, DAY).await;
        assert!(matches!(again, Err(CreateStreamError::Exists(_))), "{again:?}");
        store.put(&name("s"), vec![record("k", "x"); 10]).await.unwrap();
        store.delete_stream(&name("s")).await.unwrap();
        assert!(store.stream(&name("s")).is_err());
        let second = ten_shards(&store).await;
        assert_ne!(first.id, second.id);
        for shard in second.open_shards() {
            assert!(store.read(&second, shard.index, Bound::START, ALL).await.unwrap().records.is_empty());
            assert!(store.read(&first, shard.index, Bound::START, ALL).await.is_err());
        }
    })
    .await;
}

#[tokio::test]
async fn a_cursor_is_moved_by_its_owner_only() {
    on_each_engine(|store| async move {
        let (trigger, shard) = (TriggerId(7), ShardIndex(0));
        assert_eq!(store.cursor(trigger, shard).await.unwrap(), None);
        let with = Change { key: Key::new("trigger/t"), expect: Expect::Absent, value: Some(Bytes::from_static(b"t")) };
        store.fix_cursors(trigger, &[(shard, Bound::START)], vec![with.clone()]).await.unwrap();
        assert!(store.fix_cursors(TriggerId(8), &[(shard, Bound::START)], vec![with]).await.is_err());
        assert_eq!(store.cursor(TriggerId(8), shard).await.unwrap(), None, "all or nothing");
        let fixed = store.cursor(trigger, shard).await.unwrap().unwrap();
        let far = Bound::at(tidemill_stream::engine::Position(100));
        let moved = store.move_cursor(trigger, shard, &fixed, far.into()).await.unwrap();
        assert_eq!(store.cursor(trigger, shard).await.unwrap(), Some(moved.clone()));
        let stale = store.move_cursor(trigger, shard, &fixed, Bound::START.into()).await;
        assert!(matches!(stale, Err(MoveCursorError::Stale { .. })), "{stale:?}");
        assert_eq!(store.cursor(trigger, shard).await.unwrap(), Some(moved));
        store.drop_cursors(trigger, &[shard]).await.unwrap();
        assert_eq!(store.cursor(trigger, shard).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_creation_or_deletion_that_a_crash_cut_short_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Embedded::open(folder.path(), Clock::system(), EmbeddedOptions::default());
    let engine: Arc<dyn Engine> = Arc::new(open().unwrap());
    let store = Store::open(Arc::clone(&engine), Clock::system()).await.unwrap();
    let stream = ten_shards(&store).await;
    // What a crash leaves: the document as it was before, and a log of which only the folder was made.
    let key = Key::new("stream/s");
    let document = engine.get(&key).await.unwrap().unwrap();
    engine.log_drop(LogId { stream: stream.id, part: 0 }).await.unwrap();
    std::fs::create_dir(folder.path().join("logs").join(format!("{}-0", stream.id))).unwrap();
    // Behind the array's head and the id of nine bytes stands the status: active is 2, creating is 0.
    let mut creating = document.value.to_vec();
    assert_eq!(creating[10..12], [2, 0]);
    creating[10] = 0;
    let change = Change { key, expect: Expect::Any, value: Some(creating.into()) };
    engine.compare_and_set(vec![change], Durability::Synced).await.unwrap();
    drop((store, engine));
    let engine: Arc<dyn Engine> = Arc::new(open().unwrap());
    let store = Store::open(engine, Clock::system()).await.unwrap();
    assert!(store.put(&name("s"), vec![record("k", "x")]).await.unwrap()[0].is_ok());
}

/// Whether a stream's document is there.
async fn is_kept(store: &Store) -> bool {
    store.engine().get(&Key::new("stream/s")).await.unwrap().is_some()
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_nothing_half_done() {
    on_each_engine(|store| async move {
        let stream = name("s");
        let creation = store.create_stream(&stream, 10, StreamMode::Provisioned, DAY);
        drop(creation.now_or_never());
        while store.stream(&stream).is_err() {
            tokio::task::yield_now().await;
        }
        store.put(&stream, vec![record("k", "x")]).await.unwrap()[0].clone().unwrap();
        drop(store.delete_stream(&stream).now_or_never());
        while is_kept(&store).await {
            tokio::task::yield_now().await;
        }
        assert!(matches!(store.put(&stream, vec![record("k", "x")]).await, Err(PutError::NoStream(_))));
        ten_shards(&store).await;
    })
    .await;
}

#[tokio::test]
async fn of_two_deletions_one_finds_no_stream() {
    on_each_engine(|store| async move {
        ten_shards(&store).await;
        let stream = name("s");
        let (first, second) =
            futures_util::future::join(store.delete_stream(&stream), store.delete_stream(&stream)).await;
        let refused =
            [&first, &second].into_iter().filter(|done| matches!(done, Err(DeleteStreamError::NoStream(_)))).count();
        assert_eq!((refused, first.is_ok() || second.is_ok()), (1, true), "{first:?} {second:?}");
    })
    .await;
}

#[tokio::test]
async fn a_put_that_meets_a_new_generation_says_so_rather_than_lie() {
    on_each_engine(|store| async move {
        let stream = ten_shards(&store).await;
        let log = LogId { stream: StreamId(stream.id.0), part: 0 };
        for _ in 0..store.looks_max {
            if store.engine().stats(log).await.unwrap().generation == Generation::FIRST {
                drop(store.engine().seal(log, Generation::FIRST, &[], &[]).await);
            }
        }
        assert_eq!(store.engine().stats(log).await.unwrap().generation, Generation(2));
        let all: Vec<Record> = (0..100).map(|n| record(&format!("{n}"), "x")).collect();
        let outcomes = store.put(&name("s"), all).await.unwrap();
        let mut readable = 0;
        for shard in stream.open_shards() {
            let placed = outcomes.iter().filter(|outcome| outcome.as_ref().is_ok_and(|put| put.shard == shard.index));
            readable += store.all(&stream, shard.index, placed.count()).await.len();
        }
        let placed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(placed, readable);
        assert!(placed < 100, "the fenced log takes nothing");
    })
    .await;
}
