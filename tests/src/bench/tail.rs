//! How fast records at the tip are read, and that their payload is not copied for it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stats_alloc::INSTRUMENTED_SYSTEM;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tidemill_stream::stream::Stream;

use super::figure::{Bar, Figure};
use super::process_io::ProcessIo;
use super::rounds::{median, per_second, rounds};
use super::store::{self, Amount, Opened, read_shard};
use super::{PUT_RECORDS, ROUNDS};

pub(super) const NAMES: [&str; 3] =
    ["store.read.tail", "store.read.tail.allocated", "store.read.tail.payload_allocated"];

/// Bytes of a record; the larger ones show by how much more is allocated for more payload.
const SMALL_BYTES: usize = 100;
const LARGE_BYTES: usize = 1000;
/// As many as stay in memory whole, the large ones too.
const RECORDS: usize = 50_000;
/// How long a round reads.
const ROUND: Duration = Duration::from_millis(500);
/// What is asked of one reader.
const RATE_LIMIT: f64 = 5e6;
/// The smallest vector of records that fits may have almost twice the room that it needs.
const STRUCT_BAR: f64 = 2.0;
/// Bytes that are lost in the noise of other threads.
const PAYLOAD_BAR: f64 = 0.001;

/// A stream whose records all lie in memory.
struct Tail {
    store: Store,
    stream: Arc<Stream>,
    bytes: usize,
}

/// Measures the rate of one reader, and what it allocates for each record.
///
/// The reader of small records and that of large ones do the same calls for the same number of records, so what the
/// second allocates more than the first is payload. A reader that copies would come to the difference of their sizes.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let small = Tail::fill(&folder.join("small"), SMALL_BYTES).await?;
    let large = Tail::fill(&folder.join("large"), LARGE_BYTES).await?;
    let (mut rates, mut structs, mut payloads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in rounds("store.read.tail", ROUNDS) {
        rates.push(small.rate().await?);
        let (for_small, for_large) = (small.allocated().await?, large.allocated().await?);
        structs.push(for_small);
        payloads.push((for_large - for_small).abs());
    }
    let [rate, allocated, payload] = NAMES;
    let (record, copied) = (size_of::<StoredRecord>() as f64, (LARGE_BYTES - SMALL_BYTES) as f64);
    let figure = |name, values: &[f64], unit, limit: f64, bar| {
        Ok(Figure::new(name, median(values)?, unit).with_limit(limit).with_bar(bar))
    };
    [
        figure(rate, &rates, "records/s", RATE_LIMIT, Bar::AtLeast(1.0)),
        figure(allocated, &structs, "B/record", record, Bar::AtMost(STRUCT_BAR)),
        figure(payload, &payloads, "B/record", copied, Bar::AtMost(PAYLOAD_BAR)),
    ]
    .into_iter()
    .collect()
}

impl Tail {
    async fn fill(folder: &Path, record_bytes: usize) -> Result<Self> {
        let store = Opened::open(folder).await?.store;
        let stream = store::create(&store, "orders", 1).await?;
        let puts = store::puts(RECORDS / PUT_RECORDS, PUT_RECORDS, record_bytes)?;
        store::put_each(store.clone(), stream.name.clone(), puts).await?;
        Ok(Self { store, stream, bytes: RECORDS * record_bytes })
    }

    /// Records a second of one reader, which begins at the oldest record again whenever it has come to the tip.
    async fn rate(&self) -> Result<f64> {
        let (io, start, mut records) = (ProcessIo::now()?, Instant::now(), 0);
        while start.elapsed() < ROUND {
            records += self.read().await?.records;
        }
        let rate = per_second(records, start);
        let asked = ProcessIo::since(io)?.asked_bytes;
        ensure!(asked < self.bytes as u64 / 2, "{asked} bytes were read from files: this was not the tail in memory");
        Ok(rate)
    }

    /// Bytes that are allocated for each record read.
    async fn allocated(&self) -> Result<f64> {
        let before = INSTRUMENTED_SYSTEM.stats();
        let amount = self.read().await?;
        let allocated = (INSTRUMENTED_SYSTEM.stats() - before).bytes_allocated;
        let least = amount.records * size_of::<StoredRecord>();
        ensure!(
            allocated >= least,
            "{allocated} bytes were counted, less than the records: the allocator does not count"
        );
        Ok(allocated as f64 / amount.records as f64)
    }

    async fn read(&self) -> Result<Amount> {
        let shard = self.stream.shards.first().map_or(ShardIndex(0), |shard| shard.index);
        let amount = read_shard(self.store.clone(), Arc::clone(&self.stream), shard).await?;
        ensure!(amount == Amount { records: RECORDS, bytes: self.bytes }, "{amount:?} was read");
        Ok(amount)
    }
}
