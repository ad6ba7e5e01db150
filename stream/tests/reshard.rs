//! Producers put while the shard map changes under them: along the shards of a key nothing is lost, doubled or out of
//! order, on engines with and without troubles, with one log and with several.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tidemill_stream::clock::Clock;
use tidemill_stream::engine::embedded::{Embedded, EmbeddedOptions};
use tidemill_stream::engine::faulty::{Faulty, FaultyOptions};
use tidemill_stream::engine::{Bound, Engine, ReadLimits};
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::reshard::{ReshardError, Scale};
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{HashKey, Shard};
use tidemill_stream::store::Store;
use tidemill_stream::stream::{Stream, StreamMode, StreamStatus};
use tokio::sync::watch;

const PRODUCERS: u32 = 6;
const KEYS_EACH: u64 = 7;
const CHANGES: usize = 25;
/// Puts of each producer between one change of the map and the next, at least.
const PUTS_BETWEEN: u64 = 2;
const ALL: ReadLimits = ReadLimits { records_max: 10_000, bytes_max: 10 << 20 };

fn name() -> StreamName {
    StreamName::parse("s").unwrap()
}

/// How many puts all producers have made; the changes keep pace with them.
type Puts = Arc<watch::Sender<u64>>;

/// Puts records that say their number until the map has been changed often enough. Returns how many those were.
async fn produce(store: Store, producer: u32, puts: Puts, is_done: watch::Receiver<bool>) -> u64 {
    let mut count = 0;
    while !*is_done.borrow() {
        let size = 1 + count % 5;
        let mut waiting: Vec<u64> = (count..count + size).collect();
        count += size;
        // What is refused was not put; it goes again before anything else of this producer does.
        while !waiting.is_empty() {
            let records = waiting.iter().map(|number| record(producer, *number)).collect();
            let outcomes = store.put(&name(), records).await.unwrap();
            waiting =
                waiting.into_iter().zip(outcomes).filter(|(_, put)| put.is_err()).map(|(number, _)| number).collect();
        }
        puts.send_modify(|puts| *puts += 1);
        tokio::task::yield_now().await;
    }
    count
}

fn record(producer: u32, number: u64) -> Record {
    let key = PartitionKey::parse(format!("{producer}/{}", number % KEYS_EACH)).unwrap();
    Record { partition_key: key, explicit_hash: None, data: format!("{number}").into() }
}

/// Splits, merges and updates, each behind some puts.
async fn change(store: &Store, seed: u64, puts: &Puts) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut seen = puts.subscribe();
    for _ in 0..CHANGES {
        let until = *seen.borrow() + PUTS_BETWEEN * u64::from(PRODUCERS);
        seen.wait_for(|puts| *puts >= until).await.unwrap();
        let stream = store.stream(&name()).unwrap();
        match change_once(store, &stream, &mut random).await {
            // Somebody who was fenced is just finishing the one before.
            Ok(_) | Err(ReshardError::NotActive { .. }) => {}
            Err(error) => assert!(matches!(error, ReshardError::SplitPoint { .. }), "{error}"),
        }
    }
}

async fn change_once(store: &Store, stream: &Stream, random: &mut StdRng) -> Result<Arc<Stream>, ReshardError> {
    let mut open: Vec<&Shard> = stream.open_shards().collect();
    open.sort_by_key(|shard| shard.range.start);
    let at = random.random_range(0..open.len());
    match random.random_range(0..3) {
        0 if at + 1 < open.len() => store.merge_shards(&name(), open[at].index, open[at + 1].index).await,
        1 => store.update_shard_count(&name(), random.random_range(1..9), Scale::Any).await,
        _ => {
            let range = open[at].range;
            let middle = HashKey(range.start.0 + (range.end.0 - range.start.0) / 2);
            store.split_shard(&name(), open[at].index, middle).await
        }
    }
}

/// All records of each key, in the order in which a reader who finishes parents before children meets them.
async fn by_key(store: &Store, stream: &Stream) -> BTreeMap<String, Vec<(SequenceNumber, u64)>> {
    let mut keys: BTreeMap<String, Vec<(SequenceNumber, u64)>> = BTreeMap::new();
    for shard in &stream.shards {
        let mut from = Bound::START;
        loop {
            let read = store.read(stream, shard.index, from, ALL).await.unwrap();
            for record in &read.records {
                assert!(shard.range.contains(HashKey::of(&record.partition_key)));
                let number = std::str::from_utf8(&record.data).unwrap().parse().unwrap();
                let sequence = SequenceNumber::new(shard, record.position, record.arrival);
                keys.entry(record.partition_key.as_str().to_owned()).or_default().push((sequence, number));
            }
            from = read.next;
            if read.is_at_tip {
                assert_eq!(read.is_at_end, !shard.is_open());
                break;
            }
        }
    }
    keys
}

/// Runs the load on an engine over files. Returns how many records each producer put.
async fn load(seed: u64, engine: Arc<dyn Engine>) -> Vec<u64> {
    let store = Store::open(engine, Clock::system()).await.unwrap();
    store.create_stream(&name(), 3, StreamMode::Provisioned, Duration::from_hours(24)).await.unwrap();
    let (puts, is_done): (Puts, _) = (Arc::new(watch::Sender::new(0)), watch::Sender::new(false));
    let produce = |producer| tokio::spawn(produce(store.clone(), producer, Arc::clone(&puts), is_done.subscribe()));
    let producers: Vec<_> = (0..PRODUCERS).map(produce).collect();
    change(&store, seed, &puts).await;
    is_done.send_replace(true);
    let mut counts = Vec::new();
    for producer in producers {
        counts.push(producer.await.unwrap());
    }
    counts
}

fn judge(counts: &[u64], keys: &BTreeMap<String, Vec<(SequenceNumber, u64)>>) {
    for (producer, count) in counts.iter().enumerate() {
        for rest in 0..KEYS_EACH.min(*count) {
            let key = format!("{producer}/{rest}");
            let numbers: Vec<u64> = keys[&key].iter().map(|(_, number)| *number).collect();
            let wanted: Vec<u64> = (rest..*count).step_by(KEYS_EACH as usize).collect();
            assert_eq!(numbers, wanted, "the records of {key}");
            let sequences: Vec<_> = keys[&key].iter().map(|(sequence, _)| *sequence).collect();
            assert!(sequences.is_sorted_by(|one, other| one < other), "the sequence numbers of {key}: {sequences:?}");
        }
    }
}

/// Runs the load, opens the folder anew, and judges what is there.
#[expect(clippy::print_stderr, reason = "a random test prints its seed")]
async fn check(options: EmbeddedOptions, above: impl Fn(Embedded, u64) -> Arc<dyn Engine>) {
    let seed = rand::random();
    eprintln!("seed: {seed}");
    let folder = tempfile::tempdir().unwrap();
    let open = || Embedded::open(folder.path(), Clock::system(), options.clone()).unwrap();
    let counts = load(seed, above(open(), seed)).await;
    let store = Store::open(Arc::new(open()), Clock::system()).await.unwrap();
    let stream = store.stream(&name()).unwrap();
    assert_eq!(stream.status, StreamStatus::Active);
    assert!(stream.shards.len() > CHANGES, "the map was changed: {} shards", stream.shards.len());
    judge(&counts, &by_key(&store, &stream).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn puts_into_one_log_follow_their_shards() {
    check(EmbeddedOptions::default(), |engine, _| Arc::new(engine)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn puts_into_several_logs_follow_their_shards() {
    let options = EmbeddedOptions { shards_per_log: 4, ..EmbeddedOptions::default() };
    check(options, |engine, _| Arc::new(engine)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn puts_follow_their_shards_through_troubles() {
    for shards_per_log in [4, u32::MAX] {
        let options = EmbeddedOptions { shards_per_log, ..EmbeddedOptions::default() };
        check(options, |engine, seed| {
            Arc::new(Faulty::new(engine, FaultyOptions { seed, ..FaultyOptions::default() }))
        })
        .await;
    }
}
