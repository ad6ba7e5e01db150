//! Puts under a key: repeated, mixed up, at the same time, after a restart, and when the outcome is in doubt.

use bytes::Bytes;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::engine::embedded::{Embedded, EmbeddedOptions};
use crate::engine::faulty::{Fault, Faulty, FaultyOptions};
use crate::engine::memory::Memory;
use crate::engine::{Engine, ReadLimits, StreamId};
use crate::record::PartitionKey;
use crate::stream::StreamMode;

const ALL: ReadLimits = ReadLimits { records_max: 10_000, bytes_max: 10 << 20 };

fn name() -> StreamName {
    StreamName::parse("s").unwrap()
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_700_000_000_000))
}

async fn store_on(engine: impl Engine, clock: &Clock, shards: u32) -> Store {
    let store = Store::open(Arc::new(engine), clock.clone()).await.unwrap();
    if store.stream(&name()).is_err() {
        store.create_stream(&name(), shards, StreamMode::Provisioned, Duration::from_hours(24)).await.unwrap();
    }
    store
}

fn once(key: u8, content: u8) -> OnceKey {
    OnceKey { key: [key; 32], content: [content; 32] }
}

/// Records of ten keys, in turn.
fn records(count: usize) -> Vec<Record> {
    let record = |number: usize| Record {
        partition_key: PartitionKey::parse(format!("{}", number % 10)).unwrap(),
        explicit_hash: None,
        data: Bytes::from(format!("{number:03}")),
    };
    (0..count).map(record).collect()
}

async fn count(store: &Store) -> usize {
    let stream = store.stream(&name()).unwrap();
    let mut count = 0;
    for shard in stream.open_shards() {
        let log = stream.log_of(shard.index);
        count += store.engine().read(log, shard.index, Bound::START, ALL).await.unwrap().records.len();
    }
    count
}

async fn put(store: &Store, once: OnceKey, records: Vec<Record>) -> Result<OncePut, PutOnceError> {
    store.put_keyed(&name(), once, records).await
}

#[tokio::test]
async fn a_repeated_put_appends_nothing_and_is_answered_as_the_first_was() {
    let store = store_on(Memory::new(clock()), &clock(), 4).await;
    let first = put(&store, once(1, 1), records(30)).await.unwrap();
    assert!(!first.is_repeat && first.outcomes.iter().all(Result::is_ok), "{first:?}");
    // The same records under another key, at the same time: each repeat finds its own.
    let other = put(&store, once(2, 1), records(30)).await.unwrap();
    assert_ne!(first.outcomes, other.outcomes);
    for (key, expected) in [(1, &first), (2, &other)] {
        let again = put(&store, once(key, 1), records(30)).await.unwrap();
        assert_eq!((again.is_repeat, &again.outcomes), (true, &expected.outcomes), "{key}");
    }
    assert_eq!(count(&store).await, 60);
}

#[tokio::test]
async fn a_key_is_for_one_content_and_for_ten_minutes() {
    let clock = clock();
    let store = store_on(Memory::new(clock.clone()), &clock, 1).await;
    put(&store, once(1, 1), records(1)).await.unwrap();
    assert!(matches!(put(&store, once(1, 2), records(2)).await, Err(PutOnceError::OtherContent)));
    clock.set(clock.now().plus(ONCE_LIFETIME.saturating_sub(Duration::from_millis(1))));
    assert!(put(&store, once(1, 1), records(1)).await.unwrap().is_repeat);
    clock.set(clock.now().plus(Duration::from_millis(1)));
    assert!(!put(&store, once(1, 2), records(2)).await.unwrap().is_repeat, "the key is free again");
    assert_eq!(count(&store).await, 3);
}

#[tokio::test]
async fn a_key_outlives_a_restart_with_its_records() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let open = || Embedded::open(folder.path(), clock.clone(), EmbeddedOptions::default()).unwrap();
    let store = store_on(open(), &clock, 3).await;
    let first = put(&store, once(1, 1), records(30)).await.unwrap();
    store.put(&name(), records(20)).await.unwrap();
    drop(store);
    let store = store_on(open(), &clock, 3).await;
    let again = put(&store, once(1, 1), records(30)).await.unwrap();
    assert_eq!((again.is_repeat, again.outcomes), (true, first.outcomes));
    assert!(matches!(put(&store, once(1, 2), records(1)).await, Err(PutOnceError::OtherContent)));
    assert_eq!(count(&store).await, 50);
}

#[tokio::test]
async fn puts_under_one_key_at_the_same_time_append_once() {
    let per_mille = [(Fault::Pause, 900)].into();
    let options = FaultyOptions { seed: 1, per_mille, in_a_row_max: 12, tickets_max: 100 };
    let store = store_on(Faulty::new(Memory::new(clock()), options), &clock(), 1).await;
    let puts = future_all((0..20).map(|_| put(&store, once(1, 1), records(5)))).await;
    let fresh = puts.iter().filter(|put| put.as_ref().is_ok_and(|put| !put.is_repeat)).count();
    let refused = puts.iter().filter_map(|put| put.as_ref().err());
    assert!(refused.clone().all(|error| matches!(error, PutOnceError::InWork)), "{:?}", refused.collect::<Vec<_>>());
    assert_eq!((fresh, count(&store).await), (1, 5));
}

async fn future_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(futures).await
}

#[tokio::test]
async fn a_put_whose_caller_goes_away_is_made_and_remembered() {
    let store = store_on(Memory::new(clock()), &clock(), 1).await;
    let mut first = Box::pin(put(&store, once(1, 1), records(5)));
    tokio::select! {
        biased;
        done = first.as_mut() => panic!("it was done at once: {done:?}"),
        () = std::future::ready(()) => {}
    }
    drop(first);
    let again = loop {
        match put(&store, once(1, 1), records(5)).await {
            Err(PutOnceError::InWork) => tokio::task::yield_now().await,
            done => break done.unwrap(),
        }
    };
    assert_eq!((again.is_repeat, count(&store).await), (true, 5));
}

/// The engine says "unknown" and "fenced" often; a client tries again until it is answered.
#[tokio::test]
async fn a_put_that_is_tried_until_it_is_answered_is_there_once() {
    for seed in 0..20 {
        let per_mille =
            [(Fault::AppendUnknownDone, 200), (Fault::AppendUnknownNotDone, 200), (Fault::AppendFenced, 200)].into();
        let options = FaultyOptions { seed, per_mille, in_a_row_max: 12, tickets_max: 100 };
        let store = store_on(Faulty::new(Memory::new(clock()), options), &clock(), 2).await;
        for key in 0..20 {
            let mut tries = 0;
            let done = loop {
                let done = put(&store, once(key, 1), records(3)).await;
                tries += 1;
                assert!(tries < 50, "seed {seed}, key {key}: {done:?}");
                if done.as_ref().is_ok_and(|done| done.outcomes.iter().all(Result::is_ok)) {
                    break done.unwrap();
                }
            };
            let again = put(&store, once(key, 1), records(3)).await.unwrap();
            assert_eq!((again.is_repeat, again.outcomes), (true, done.outcomes), "seed {seed}, key {key}");
        }
        assert_eq!(count(&store).await, 60, "seed {seed}");
    }
}

#[tokio::test]
async fn a_log_that_remembers_all_it_may_refuses_the_next_key() {
    let clock = clock();
    let store = store_on(Memory::new(clock.clone()), &clock, 1).await;
    let key = |number: u32| {
        let mut once = once(0, 1);
        once.key[..4].copy_from_slice(&number.to_be_bytes());
        once
    };
    for number in 0..ONCE_KEYS_PER_LOG_MAX {
        assert!(!put(&store, key(number), records(1)).await.unwrap().is_repeat, "{number}");
    }
    clock.set(clock.now().plus(Duration::from_mins(4)));
    let refused = put(&store, key(ONCE_KEYS_PER_LOG_MAX), records(1)).await.unwrap_err();
    let PutOnceError::TooManyKeys { free_in } = refused else { panic!("{refused}") };
    assert_eq!(free_in, Duration::from_mins(6));
    assert!(put(&store, key(0), records(1)).await.unwrap().is_repeat);
    clock.set(clock.now().plus(free_in));
    assert!(!put(&store, key(ONCE_KEYS_PER_LOG_MAX), records(1)).await.unwrap().is_repeat);
}

#[tokio::test]
async fn a_stream_of_several_logs_takes_no_keys() {
    let store = store_on(Memory::with_shards_per_log(clock(), 1), &clock(), 2).await;
    assert!(matches!(put(&store, once(1, 1), records(3)).await, Err(PutOnceError::SeveralLogs)));
}

#[tokio::test]
async fn logs_that_are_forgotten_are_read_again() {
    let store = store_on(Memory::new(clock()), &clock(), 1).await;
    put(&store, once(1, 1), records(3)).await.unwrap();
    for number in 0..=crate::limits::ONCE_LOGS_MAX {
        let name = StreamName::parse(&format!("other-{number}")).unwrap();
        store.create_stream(&name, 1, StreamMode::Provisioned, Duration::from_hours(24)).await.unwrap();
        store.put_keyed(&name, once(1, 1), records(1)).await.unwrap();
    }
    for number in 0..=crate::limits::ONCE_LOGS_MAX {
        let name = StreamName::parse(&format!("other-{number}")).unwrap();
        assert!(store.put_keyed(&name, once(1, 1), records(1)).await.unwrap().is_repeat, "{number}");
    }
    assert!(put(&store, once(1, 1), records(3)).await.unwrap().is_repeat);
}

#[test]
fn a_key_that_is_claimed_is_in_work_until_its_put_ends() {
    let (rings, now) = (Rings::default(), Timestamp::from_millis(1));
    let log = LogId { stream: StreamId(1), part: 0 };
    rings.load(log, &[None, None], rings.evictions());
    let Ok(Some(Claim::Taken(claimed))) = rings.claim(log, &once(1, 1), now) else { panic!("the key is new") };
    assert!(matches!(rings.claim(log, &once(1, 1), now), Err(PutOnceError::InWork)));
    rings.settle(log, &claimed, None, None);
    assert!(matches!(rings.claim(log, &once(1, 1), now), Ok(Some(Claim::Taken(_)))));
}
