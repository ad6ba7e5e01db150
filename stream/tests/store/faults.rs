//! What no trouble of an engine may do to a store: records twice, lost or out of order; streams half made or half gone.
//! Many courses of troubles, each from a seed.

use std::collections::BTreeMap;

use tidemill_stream::put::{Placed, PutFailure};

use super::*;

/// Courses of troubles for what is quick.
const COURSES: u64 = 100;
const PRODUCERS: usize = 4;
const PUTS: usize = 5;

/// Runs a check on many courses of troubles in memory.
#[expect(clippy::print_stderr, reason = "a random test prints its seed")]
async fn on_many_courses<F: Future<Output = ()>>(check: impl Fn(Place) -> F) {
    for seed in 1000..1000 + COURSES {
        eprintln!("seed: {seed}");
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let engine = with_troubles(Memory::with_shards_per_log(clock.clone(), 4), seed);
        check(Place::open(engine, clock, 64).await).await;
    }
}

/// Puts of 20 records of 5 keys, one after the other. What became of each record, by its text.
async fn produce(store: &Store, producer: usize) -> Vec<(String, Result<Placed, PutFailure>)> {
    let mut outcomes = Vec::new();
    for put in 0..PUTS {
        let texts: Vec<String> = (0..20).map(|n| format!("{producer}-{} {put:02} {n:02}", n % 5)).collect();
        let key = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        let records = texts.iter().map(|text| record(&key(text), text.clone())).collect();
        outcomes.extend(texts.into_iter().zip(store.put(&name("s"), records).await.unwrap()));
    }
    outcomes
}

/// All data of a shard. More looks than earlier views come in a row: the longest one is that of now.
async fn longest(store: &Place, stream: &Stream, shard: ShardIndex) -> Vec<Bytes> {
    let mut longest = Vec::new();
    for _ in 0..8 {
        let read = store.read(stream, shard, Bound::START, ALL).await.unwrap();
        let seen: Vec<_> = read.records.into_iter().map(|record| record.data).collect();
        longest = if seen.len() > longest.len() { seen } else { longest };
    }
    longest
}

#[tokio::test]
async fn a_record_that_is_placed_is_there_once_and_in_order_and_one_that_is_not_is_not() {
    on_many_courses(|store| async move {
        let stream = ten_shards(&store).await;
        let producers = (0..PRODUCERS).map(|producer| produce(&store, producer));
        let outcomes = futures_util::future::join_all(producers).await.concat();
        let mut expected: BTreeMap<ShardIndex, Vec<(u64, String)>> = BTreeMap::new();
        for (text, outcome) in outcomes {
            if let Ok(placed) = outcome {
                expected.entry(placed.shard).or_default().push((placed.sequence.position().0, text));
            }
        }
        for shard in stream.open_shards() {
            let mut expected = expected.remove(&shard.index).unwrap_or_default();
            expected.sort();
            let texts: Vec<&str> = expected.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(longest(&store, &stream, shard.index).await, texts);
            for key in texts.iter().filter_map(|text| text.split(' ').next()) {
                assert!(texts.iter().filter(|text| text.starts_with(key)).is_sorted(), "{key} keeps its order");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_put_whose_troubles_are_fewer_than_its_tries_succeeds() {
    on_many_courses(|store| async move {
        ten_shards(&store).await;
        for (text, outcome) in produce(&store, 0).await {
            assert!(outcome.is_ok(), "{text}: {outcome:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn streams_are_made_and_deleted_wholly() {
    on_many_courses(|store| async move {
        for _ in 0..5 {
            let stream = ten_shards(&store).await;
            assert_eq!(store.stream(&name("s")).unwrap(), stream);
            let again = store.create_stream(&name("s"), 1, StreamMode::Provisioned, DAY).await;
            assert!(matches!(again, Err(CreateStreamError::Exists(_))), "{again:?}");
            store.delete_stream(&name("s")).await.unwrap();
            assert!(!is_kept(&store).await);
            let log = LogId { stream: stream.id, part: 2 };
            assert!(store.engine().stats(log).await.is_err(), "its logs went with it");
        }
    })
    .await;
}

#[tokio::test]
async fn cursors_move_and_go_whatever_becomes_of_an_answer() {
    on_many_courses(|store| async move {
        let (trigger, shards) = (TriggerId(7), [ShardIndex(0), ShardIndex(1)]);
        let start: Vec<_> = shards.iter().map(|shard| (*shard, Bound::START)).collect();
        for _ in 0..5 {
            store.fix_cursors(trigger, &start, vec![]).await.unwrap();
            let mut cursor = store.cursor(trigger, shards[0]).await.unwrap().unwrap();
            for position in 1..5 {
                let to = Bound::at(tidemill_stream::engine::Position(position));
                cursor = store.move_cursor(trigger, shards[0], &cursor, to.into()).await.unwrap();
                assert_eq!(store.cursor(trigger, shards[0]).await.unwrap(), Some(cursor.clone()));
                assert_eq!(cursor.progress, to.into());
            }
            store.drop_cursors(trigger, &shards).await.unwrap();
            assert_eq!(store.cursor(trigger, shards[0]).await.unwrap(), None);
        }
    })
    .await;
}

/// Puts that meet a deletion: none of them brings the stream back.
#[tokio::test]
async fn a_stream_that_was_deleted_under_puts_stays_gone() {
    on_many_courses(|store| async move {
        ten_shards(&store).await;
        let stream = name("s");
        let put = |n: usize| store.put(&stream, vec![record(&format!("{n}"), "x")]);
        let puts = futures_util::future::join_all((0..8).map(put));
        let (_, deleted) = futures_util::future::join(puts, store.delete_stream(&stream)).await;
        deleted.unwrap();
        assert!(store.stream(&stream).is_err());
        assert!(store.streams().is_empty());
    })
    .await;
}
