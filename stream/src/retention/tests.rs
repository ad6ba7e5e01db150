//! What users see of retention: readable, listed and on disk, as time goes by.

use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::engine::embedded::{Embedded, EmbeddedOptions};
use crate::engine::memory::Memory;
use crate::engine::{Generation, LogId, LogSettings};
use crate::read::StartAt;
use crate::record::{PartitionKey, Record};
use crate::shard::Closed;
use crate::stream::StreamMode;

const DAY: Duration = Duration::from_hours(24);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const ALL: ReadLimits = ReadLimits { records_max: 10_000, bytes_max: 10 << 20 };

fn name() -> StreamName {
    StreamName::parse("s").unwrap()
}

async fn memory() -> (Store, Clock) {
    let clock = Clock::manual(START);
    let store = Store::open(Arc::new(Memory::with_shards_per_log(clock.clone(), 1)), clock.clone()).await.unwrap();
    store.create_stream(&name(), 2, StreamMode::Provisioned, DAY).await.unwrap();
    (store, clock)
}

async fn files(folder: &Path, clock: &Clock) -> (Arc<Embedded>, Store) {
    let options = EmbeddedOptions { segment_bytes: [64 << 10; 4], ..EmbeddedOptions::default() };
    let engine = Arc::new(Embedded::open(folder, clock.clone(), options).unwrap());
    let store = Store::open(Arc::clone(&engine) as Arc<dyn crate::engine::Engine>, clock.clone()).await.unwrap();
    (engine, store)
}

/// Records of 1,000 bytes, each its number.
async fn put(store: &Store, numbers: std::ops::Range<u32>) {
    let record = |number: u32| {
        let partition_key = PartitionKey::parse(number.to_string()).unwrap();
        let mut data = vec![0; 1000];
        data[..4].copy_from_slice(&number.to_le_bytes());
        Record { partition_key, explicit_hash: None, data: Bytes::from(data) }
    };
    let outcomes = store.put(&name(), numbers.map(record).collect()).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// The numbers of all records, by shard.
async fn readable(store: &Store) -> Vec<u32> {
    let stream = store.stream(&name()).unwrap();
    let mut numbers = Vec::new();
    for shard in &stream.shards {
        let mut from = store.position(&stream, shard.index, StartAt::TrimHorizon).await.unwrap();
        loop {
            let read = store.read(&stream, shard.index, from, ALL).await.unwrap();
            numbers.extend(read.records.iter().map(|record| u32::from_le_bytes(record.data[..4].try_into().unwrap())));
            if read.is_at_tip {
                break;
            }
            from = read.next;
        }
    }
    numbers.sort_unstable();
    numbers
}

fn listed(store: &Store) -> Vec<u32> {
    store.stream(&name()).unwrap().shards.iter().map(|shard| shard.index.0).collect()
}

/// Two shards become one, as a merge would do it.
async fn merge(store: &Store, clock: &Clock) {
    let stream = store.stream(&name()).unwrap();
    let mut merged = Stream::clone(&stream);
    let log = stream.log_of(ShardIndex(0));
    let sealed = store.engine().seal(log, stream.generations[0], &[ShardIndex(0), ShardIndex(1)], &[ShardIndex(2)]);
    let sealed = sealed.await.unwrap();
    merged.generations[0] = sealed.generation;
    for shard in &mut merged.shards {
        shard.closed = Some(Closed { at: clock.now(), position: sealed.position });
    }
    let range = crate::shard::HashRange { start: stream.shards[0].range.start, end: stream.shards[1].range.end };
    let parents = vec![ShardIndex(0), ShardIndex(1)];
    merged.shards.push(Shard { index: ShardIndex(2), range, created: clock.now(), parents, closed: None });
    store.replace(&stream, merged).await.unwrap();
}

#[tokio::test]
async fn a_change_reaches_every_log_and_goes_one_way_where_asked() {
    let (store, clock) = memory().await;
    put(&store, 0..10).await;
    let (longer, shorter) = (DAY * 2, DAY / 2);
    for (change, is_right) in [
        (RetentionChange::Increase(shorter), false),
        (RetentionChange::Decrease(longer), false),
        (RetentionChange::Increase(DAY), true),
        (RetentionChange::Decrease(DAY), true),
        (RetentionChange::Increase(longer), true),
        (RetentionChange::To(shorter), true),
    ] {
        let changed = store.set_retention(&name(), change).await;
        assert_eq!(changed.is_ok(), is_right, "{change:?}: {changed:?}");
        let stream = store.stream(&name()).unwrap();
        assert_eq!(stream.retention, if is_right { change.given() } else { DAY });
        for log in stream.logs() {
            let settings = store.engine().stats(log).await.unwrap().settings;
            assert_eq!(settings, LogSettings::kept_for(stream.retention));
        }
    }
    let none = store.set_retention(&StreamName::parse("none").unwrap(), RetentionChange::To(DAY)).await;
    assert!(matches!(none, Err(SetRetentionError::NoStream(_))));
    clock.set(START.plus(shorter + Duration::from_secs(1)));
    assert_eq!(readable(&store).await, []);
}

#[tokio::test]
async fn a_stream_that_changes_otherwise_keeps_its_retention() {
    let (store, _) = memory().await;
    let stream = store.stream(&name()).unwrap();
    let updating = Stream { status: StreamStatus::Updating, ..Stream::clone(&stream) };
    store.replace(&stream, updating).await.unwrap();
    let refused = store.set_retention(&name(), RetentionChange::Increase(DAY * 2)).await;
    assert!(matches!(refused, Err(SetRetentionError::NotActive { .. })), "{refused:?}");
    assert_eq!(store.stream(&name()).unwrap().retention, DAY);
}

#[tokio::test]
async fn a_change_that_a_crash_cut_short_is_finished_at_the_next_start() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let (engine, store) = files(folder.path(), &clock).await;
    let stream = store.create_stream(&name(), 1, StreamMode::Provisioned, DAY).await.unwrap();
    let changed = Stream { retention: DAY * 9, ..Stream::clone(&stream) };
    store.replace(&stream, changed).await.unwrap();
    drop((store, engine));
    let (_engine, store) = files(folder.path(), &clock).await;
    let log = LogId { stream: stream.id, part: 0 };
    assert_eq!(store.engine().stats(log).await.unwrap().settings, LogSettings::kept_for(DAY * 9));
}

#[tokio::test]
async fn a_sequence_number_from_behind_the_horizon_means_the_horizon() {
    let (store, clock) = memory().await;
    put(&store, 0..1).await;
    let stream = store.stream(&name()).unwrap();
    let shard = stream.shards.iter().find(|shard| !shard.range.contains(crate::shard::HashKey(u128::MAX)));
    let shard = shard.unwrap().index;
    let record = |data: &'static str| Record {
        partition_key: PartitionKey::parse("k").unwrap(),
        explicit_hash: Some(crate::shard::HashKey(0)),
        data: Bytes::from_static(data.as_bytes()),
    };
    let mut placed = Vec::new();
    for (hours, data) in [(0, "old1"), (0, "old2"), (20, "new1")] {
        clock.set(START.plus(Duration::from_hours(hours)));
        placed.push(store.put(&name(), vec![record(data)]).await.unwrap().remove(0).unwrap());
    }
    clock.set(START.plus(DAY * 3 / 2));
    store.expire().await;
    for start in [StartAt::AtSequence(placed[0].sequence), StartAt::AfterSequence(placed[0].sequence)] {
        let from = store.position(&stream, shard, start).await.unwrap();
        let read = store.read(&stream, shard, from, ALL).await.unwrap();
        let data: Vec<_> = read.records.iter().map(|record| record.data.clone()).collect();
        assert_eq!((data, read.skipped), (vec![Bytes::from_static(b"new1")], true), "{start:?}");
    }
}

#[tokio::test]
async fn a_year_goes_by() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let (mut engine, mut store) = files(folder.path(), &clock).await;
    store.create_stream(&name(), 2, StreamMode::Provisioned, DAY * 7).await.unwrap();
    let mut next = 0;
    for day in 0..365u32 {
        clock.set(START.plus(DAY * day));
        put(&store, next..next + 100).await;
        next += 100;
        if day == 100 {
            merge(&store, &clock).await;
        }
        if day == 200 {
            store.set_retention(&name(), RetentionChange::Decrease(DAY)).await.unwrap();
        }
        if day == 300 {
            store.set_retention(&name(), RetentionChange::Increase(DAY * 30)).await.unwrap();
        }
        if day % 61 == 60 {
            // The store holds the engine as well: both go before the folder is opened again.
            engine.close();
            drop((engine, store));
            (engine, store) = files(folder.path(), &clock).await;
        }
        assert_eq!(store.expire().await.troubles, BTreeMap::new());
        let days_kept = match day {
            0..200 => day.min(7),
            200..300 => 1,
            // What had expired when it was made longer stays so.
            300.. => (day - 299).min(30),
        } + 1;
        assert_eq!(readable(&store).await, (next - days_kept * 100..next).collect::<Vec<_>>(), "day {day}");
        let shards = match day {
            0..100 => vec![0, 1],
            100..108 => vec![0, 1, 2],
            108.. => vec![2],
        };
        assert_eq!(listed(&store), shards, "day {day}");
        let log = store.stream(&name()).unwrap().log_of(ShardIndex(0));
        let bytes = store.engine().stats(log).await.unwrap().bytes;
        assert!(bytes < u64::from(days_kept) * 110_000 + ((3 * 64) << 10), "day {day}: {bytes} bytes");
    }
    let stream = store.stream(&name()).unwrap();
    assert_eq!(stream.shards[0].parents, [ShardIndex(0), ShardIndex(1)], "a child keeps its parents' names");
    assert_eq!(stream.generations, [Generation(2)]);
}

#[tokio::test]
async fn of_too_many_bytes_the_oldest_records_go() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let (mut engine, mut store) = files(folder.path(), &clock).await;
    store.create_stream(&name(), 2, StreamMode::Provisioned, DAY).await.unwrap();
    let most = 400_000;
    store.set_retention_bytes(&name(), Some(most)).await.unwrap();
    for round in 1..=10u32 {
        for batch in 0..20 {
            let first = (round - 1) * 200 + batch * 10;
            put(&store, first..first + 10).await;
        }
        if round % 4 == 0 {
            engine.close();
            drop((engine, store));
            (engine, store) = files(folder.path(), &clock).await;
        }
        assert_eq!(store.expire().await.troubles, BTreeMap::new());
        let kept = readable(&store).await;
        assert_eq!(kept, (round * 200 - kept.len() as u32..round * 200).collect::<Vec<_>>(), "round {round}");
        // A segment more or less, and as many bytes of frames and keys as records of 1,000 bytes have.
        assert!(round < 3 || (250..400).contains(&kept.len()), "round {round}: {} records", kept.len());
        let log = store.stream(&name()).unwrap().log_of(ShardIndex(0));
        let bytes = store.engine().stats(log).await.unwrap().bytes;
        assert!(bytes < most + ((2 * 64) << 10), "round {round}: {bytes} bytes");
    }
    store.set_retention_bytes(&name(), None).await.unwrap();
    let before = readable(&store).await.len();
    put(&store, 2_000..2_400).await;
    store.expire().await;
    assert_eq!(readable(&store).await.len(), before + 400);
}
