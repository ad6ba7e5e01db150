//! Records whose append was fenced, or is in doubt.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::engine::faulty::{Fault, Faulty, FaultyOptions};
use crate::engine::memory::Memory;
use crate::engine::{Bound, Expect, Generation, LogSettings, ReadLimits};
use crate::record::PartitionKey;
use crate::shard::{Closed, HashRange, Shard};
use crate::stream::StreamMode;

const ALL: ReadLimits = ReadLimits { records_max: 1000, bytes_max: 1 << 20 };

/// A stream of four shards, a log each.
async fn four_logs(faults: &[(Fault, u64)], in_a_row_max: u32, tickets_max: usize) -> (Store, Arc<Stream>) {
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    let per_mille = faults.iter().copied().collect();
    let options = FaultyOptions { seed: 1, per_mille, in_a_row_max, tickets_max };
    let engine = Arc::new(Faulty::new(Memory::with_shards_per_log(clock.clone(), 1), options));
    let store = Store::open(engine, clock).await.unwrap();
    let name = StreamName::parse("s").unwrap();
    let stream = store.create_stream(&name, 4, StreamMode::Provisioned, Duration::from_hours(24)).await.unwrap();
    (store, stream)
}

/// Records of ten keys, in turn, that say their number.
fn records(count: usize) -> Vec<Record> {
    let record = |number: usize| Record {
        partition_key: PartitionKey::parse(format!("{}", number % 10)).unwrap(),
        explicit_hash: None,
        data: Bytes::from(format!("{number:03}")),
    };
    (0..count).map(record).collect()
}

/// The data of each shard, in order.
async fn kept(store: &Store, stream: &Stream) -> Vec<Vec<Bytes>> {
    let mut kept = Vec::new();
    for shard in stream.open_shards() {
        let batch = store.engine().read(stream.log_of(shard.index), shard.index, Bound::START, ALL).await.unwrap();
        kept.push(batch.records.into_iter().map(|record| record.data).collect());
    }
    kept
}

/// What each shard should hold when every record is there once, in the order of the put.
fn wanted(stream: &Stream, records: &[Record]) -> Vec<Vec<Bytes>> {
    let of_shard = |shard: &crate::shard::Shard| {
        let own = records.iter().filter(|record| shard.range.contains(HashKey::of_record(record)));
        own.map(|record| record.data.clone()).collect()
    };
    stream.open_shards().map(of_shard).collect()
}

/// Another node seals two of the logs and says so in the stream's document; this one does not know yet.
async fn sealed_elsewhere(store: &Store, stream: &Stream) {
    let mut changed = stream.clone();
    for part in [1, 2] {
        let log = LogId { stream: stream.id, part };
        let sealed = store.engine().seal(log, Generation::FIRST, &[], &[]).await.unwrap();
        changed.generations[part as usize] = sealed.generation;
    }
    store.change(stream.key(), Expect::At(stream.revision), Some(changed.encode())).await.unwrap();
}

#[tokio::test]
async fn what_is_fenced_is_routed_anew_and_keeps_its_order() {
    let (store, stream) = four_logs(&[], 0, 1).await;
    sealed_elsewhere(&store, &stream).await;
    let records = records(100);
    let outcomes = store.put(&stream.name, records.clone()).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let kept = kept(&store, &stream).await;
    assert!(kept.iter().all(|shard| !shard.is_empty()), "both fenced and other logs are concerned: {kept:?}");
    assert_eq!(kept, wanted(&stream, &records));
    let known = store.stream(&stream.name).unwrap();
    assert_eq!(known.generations, [1, 2, 2, 1].map(Generation), "the next put is routed well at once");
}

/// Shards of two logs become one of a third: what was fenced apart arrives together.
#[tokio::test]
async fn records_of_shards_that_were_merged_keep_the_order_of_the_put() {
    let (store, stream) = four_logs(&[], 0, 1).await;
    let mut merged = Stream::clone(&stream);
    let child = LogId { stream: stream.id, part: 4 };
    store.engine().log_put(child, LogSettings::kept_for(stream.retention)).await.unwrap();
    for part in [0, 1] {
        let (log, shard) = (LogId { stream: stream.id, part }, ShardIndex(part));
        let sealed = store.engine().seal(log, Generation::FIRST, &[shard], &[]).await.unwrap();
        merged.generations[part as usize] = sealed.generation;
        merged.shards[part as usize].closed = Some(Closed { at: stream.created, position: sealed.position });
    }
    let range = HashRange { start: stream.shards[0].range.start, end: stream.shards[1].range.end };
    let parents = vec![ShardIndex(0), ShardIndex(1)];
    merged.shards.push(Shard { index: ShardIndex(4), range, created: stream.created, parents, closed: None });
    merged.generations.push(Generation::FIRST);
    store.change(stream.key(), Expect::At(stream.revision), Some(merged.encode())).await.unwrap();
    let records = records(100);
    let outcomes = store.put(&stream.name, records.clone()).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let merged = store.stream(&stream.name).unwrap();
    assert_eq!(kept(&store, &merged).await, wanted(&merged, &records));
    assert!(kept(&store, &stream).await[..2].concat().is_empty(), "closed shards take nothing");
}

#[tokio::test]
async fn a_put_in_doubt_is_made_once_whether_it_had_happened_or_not() {
    for fault in [Fault::AppendUnknownDone, Fault::AppendUnknownNotDone, Fault::AppendFenced] {
        let (store, stream) = four_logs(&[(fault, 1000)], 1, 100).await;
        let records = records(100);
        let outcomes = store.put(&stream.name, records.clone()).await.unwrap();
        assert!(outcomes.iter().all(Result::is_ok), "{fault:?}: {outcomes:?}");
        assert_eq!(kept(&store, &stream).await, wanted(&stream, &records), "{fault:?}");
    }
}

/// Putting it again could make it twice: that is for the producer to decide.
#[tokio::test]
async fn a_put_that_stays_in_doubt_is_a_failure_and_is_not_made_again() {
    let (store, stream) = four_logs(&[(Fault::AppendUnknownDone, 1000)], u32::MAX, 0).await;
    let records = records(100);
    let outcomes = store.put(&stream.name, records.clone()).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PutFailure::Internal(_)))), "{outcomes:?}");
    assert_eq!(kept(&store, &stream).await, wanted(&stream, &records));
}

#[tokio::test]
async fn a_put_that_is_fenced_time_and_again_ends() {
    let (store, stream) = four_logs(&[(Fault::AppendFenced, 1000)], u32::MAX, 0).await;
    let outcomes = store.put(&stream.name, records(10)).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PutFailure::Internal(_)))), "{outcomes:?}");
    assert!(kept(&store, &stream).await.concat().is_empty());
}

/// The outcomes of what went before say that it is placed: they are not taken back by a refusal.
#[tokio::test]
async fn a_put_of_which_a_part_was_placed_is_not_refused_as_a_whole() {
    let (store, stream) = four_logs(&[], 0, 1).await;
    sealed_elsewhere(&store, &stream).await;
    store.change(stream.key(), Expect::Any, None).await.unwrap();
    let outcomes = store.put(&stream.name, records(100)).await.unwrap();
    let placed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(placed, kept(&store, &stream).await.concat().len());
    assert!(0 < placed && placed < 100);
    assert!(store.stream(&stream.name).is_err(), "the stream that is gone is forgotten");
    assert!(matches!(store.put(&stream.name, records(1)).await, Err(PutError::NoStream(_))));
}
