//! The load: producers and readers at once on one stream, each with a list of what it did and saw.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidemill_stream::clock::Clock;
use tidemill_stream::engine::embedded::{Embedded, EmbeddedOptions};
use tidemill_stream::engine::{Bound, Engine, ReadLimits};
use tidemill_stream::name::StreamName;
use tidemill_stream::read::StartAt;
use tidemill_stream::record::{PartitionKey, Record, StoredRecord};
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{Shard, ShardIndex};
use tidemill_stream::store::Store;
use tidemill_stream::stream::{Stream, StreamMode};
use tokio::sync::watch;

use super::judge::{Acked, History, Reader, Seen, Start, Told};

const SHARDS: u32 = 4;
const PRODUCERS: u32 = 8;
const READERS: u32 = 8;
const RECORDS_EACH: u64 = 600;
/// All that is put in one run.
pub(crate) const RECORDS: usize = (PRODUCERS as u64 * RECORDS_EACH) as usize;
const KEYS_EACH: u64 = 5;
const PUT_RECORDS_MAX: u64 = 6;
/// Together they are more than a first segment takes.
const PADDING_BYTES: usize = 400;
const DAY: Duration = Duration::from_hours(24);
/// A courtesy that is lost costs so much.
const WAIT_MAX: Duration = Duration::from_secs(1);
const WHOLE: ReadLimits = ReadLimits { records_max: 1_000, bytes_max: 10 << 20 };

/// What the tasks of a run share.
#[derive(Debug)]
struct Load {
    store: Store,
    stream: Arc<Stream>,
    /// The newest acknowledged number of each shard, for readers that begin at one.
    newest: Mutex<BTreeMap<ShardIndex, SequenceNumber>>,
    /// Records that are acknowledged.
    acked: watch::Sender<u64>,
    is_done: watch::Sender<bool>,
}

/// Runs the load in a new folder, drops the engine without closing it, and reads all again.
pub(crate) async fn run(options: EmbeddedOptions) -> History {
    let folder = tempfile::tempdir().unwrap();
    let (engine, store) = open(folder.path(), options.clone()).await;
    let name = StreamName::parse("load").unwrap();
    let stream = store.create_stream(&name, SHARDS, StreamMode::Provisioned, DAY).await.unwrap();
    let (acked, is_done) = (watch::Sender::new(0), watch::Sender::new(false));
    let load = Arc::new(Load { store, stream, newest: Mutex::default(), acked, is_done });
    let mut history = History::default();
    let readers: Vec<_> = (0..READERS).map(|index| tokio::spawn(Arc::clone(&load).follow(index))).collect();
    let producers: Vec<_> = (0..PRODUCERS).map(|index| tokio::spawn(Arc::clone(&load).produce(index))).collect();
    for producer in producers {
        let (submitted, acked) = producer.await.unwrap();
        history.submitted.extend(submitted);
        history.acked.extend(acked);
    }
    load.is_done.send_replace(true);
    for reader in readers {
        history.readers.push(reader.await.unwrap());
    }
    drop(Arc::into_inner(load).unwrap());
    drop(Arc::into_inner(engine).unwrap());
    history.durable = read_wholly(folder.path(), options, &name).await;
    history
}

async fn open(folder: &Path, options: EmbeddedOptions) -> (Arc<Embedded>, Store) {
    let engine = Arc::new(Embedded::open(folder, Clock::system(), options).unwrap());
    let shared: Arc<dyn Engine> = engine.clone();
    (engine, Store::open(shared, Clock::system()).await.unwrap())
}

async fn read_wholly(folder: &Path, options: EmbeddedOptions, name: &StreamName) -> BTreeMap<u32, Vec<Seen>> {
    let (_engine, store) = open(folder, options).await;
    let stream = store.stream(name).unwrap();
    let mut shards = BTreeMap::new();
    for shard in stream.open_shards() {
        let mut bound = Bound::START;
        let records: &mut Vec<Seen> = shards.entry(shard.index.0).or_default();
        loop {
            let page = store.read(&stream, shard.index, bound, WHOLE).await.unwrap();
            records.extend(page.records.iter().map(|record| seen(shard, record)));
            bound = page.next;
            if page.is_at_tip {
                break;
            }
        }
    }
    shards
}

impl Load {
    /// Puts records, some at a time. Returns what was submitted, and what was acknowledged.
    async fn produce(self: Arc<Self>, producer: u32) -> (Vec<Told>, Vec<Acked>) {
        let (mut submitted, mut acked) = (Vec::new(), Vec::new());
        let mut count = 0;
        while count < RECORDS_EACH {
            let until = RECORDS_EACH.min(count + 1 + count % PUT_RECORDS_MAX);
            let told: Vec<Told> = (count..until).map(|count| record_of(producer, count)).collect();
            count = until;
            submitted.extend(told.clone());
            let records = told.iter().map(written).collect();
            let outcomes = self.store.put(&self.stream.name, records).await.unwrap();
            for (record, placed) in told.into_iter().zip(outcomes) {
                let Ok(placed) = placed else { continue };
                self.newest.lock().insert(placed.shard, placed.sequence);
                self.acked.send_modify(|acked| *acked += 1);
                let seen = Seen { number: placed.sequence.to_string(), record };
                acked.push(Acked { shard: placed.shard.0, seen });
            }
        }
        (submitted, acked)
    }

    /// Reads a shard from some place until all is put and read.
    async fn follow(self: Arc<Self>, index: u32) -> Reader {
        let shard = self.stream.shard(ShardIndex(index % SHARDS)).unwrap();
        let (start, mut bound) = self.begin(index, shard).await;
        let limits = ReadLimits { records_max: [1_000, 3, 40, 7][(index / 2) as usize % 4], bytes_max: 1 << 20 };
        let mut records = Vec::new();
        let mut is_done = self.is_done.subscribe();
        loop {
            // Asked first: what was put before is then read.
            let was_done = *is_done.borrow();
            let page = self.store.read(&self.stream, shard.index, bound, limits).await.unwrap();
            records.extend(page.records.iter().map(|record| seen(shard, record)));
            bound = page.next;
            match (page.is_at_tip, was_done) {
                (true, true) => return Reader { shard: shard.index.0, start, seen: records },
                (true, false) => tokio::select! {
                    () = self.store.wait(&self.stream, shard.index, bound, WAIT_MAX) => {}
                    _ = is_done.changed() => {}
                },
                (false, _) => {}
            }
        }
    }

    /// Readers begin at different places, and at different times.
    async fn begin(&self, index: u32, shard: &Shard) -> (Start, Bound) {
        let acked_before = (RECORDS as u64 / 2) * u64::from(index % 3) / 2;
        self.acked.subscribe().wait_for(|acked| *acked >= acked_before).await.unwrap();
        let position = async |at| self.store.position(&self.stream, shard.index, at).await.unwrap();
        if index < SHARDS {
            return (Start::Horizon, position(StartAt::TrimHorizon).await);
        }
        match (index % 3, self.newest_of(shard.index)) {
            (1, Some(number)) => (Start::At(number.to_string()), position(StartAt::AtSequence(number)).await),
            (2, Some(number)) => (Start::After(number.to_string()), position(StartAt::AfterSequence(number)).await),
            _ => (Start::Latest, position(StartAt::Latest).await),
        }
    }

    fn newest_of(&self, shard: ShardIndex) -> Option<SequenceNumber> {
        self.newest.lock().get(&shard).copied()
    }
}

fn record_of(producer: u32, count: u64) -> Told {
    Told { producer, key: format!("key {} of {producer}", count % KEYS_EACH), count }
}

/// A record that tells whose it is.
fn written(told: &Told) -> Record {
    let data = format!("{} {} {}", told.producer, told.count, ".".repeat(PADDING_BYTES));
    Record { partition_key: PartitionKey::parse(told.key.clone()).unwrap(), explicit_hash: None, data: data.into() }
}

fn seen(shard: &Shard, record: &StoredRecord) -> Seen {
    let text = std::str::from_utf8(&record.data).unwrap();
    let mut words = text.split(' ');
    let producer = words.next().unwrap().parse().unwrap();
    let count = words.next().unwrap().parse().unwrap();
    assert_eq!(words.next().map(str::len), Some(PADDING_BYTES));
    let key = record.partition_key.as_str().to_owned();
    let number = SequenceNumber::new(shard, record.position, record.arrival).to_string();
    Seen { number, record: Told { producer, key, count } }
}
