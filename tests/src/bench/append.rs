//! How fast the store appends, beside plain synced writes of as many bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use tidemill_stream::clock::Clock;
use tidemill_stream::engine::embedded::{Embedded, EmbeddedOptions};
use tidemill_stream::limits::RETENTION_DEFAULT;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::store::Store;
use tidemill_stream::stream::StreamMode;

use super::disk::Prepared;
use super::figure::{Bar, Figure};
use super::rounds::{Pairs, micros, percentile, rounds};
use super::{MB, PUT_RECORDS, RECORD_BYTES, ROUNDS};

const SHARDS: u32 = 4;
/// Bytes that bring a log to its largest segments, so that rounds do not differ in them.
const WARM_UP_BYTES: usize = 96 << 20;

/// What is put.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// Puts of 500 records of 1 KiB: the throughput counts.
    Many,
    /// Puts of one record of 100 bytes: the time of each counts.
    One,
}

impl Load {
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Many => &["store.append.500x1KiB"],
            Self::One => &["store.append.1x100B.p50"],
        }
    }

    fn records(self) -> usize {
        match self {
            Self::Many => PUT_RECORDS,
            Self::One => 1,
        }
    }

    fn record_bytes(self) -> usize {
        match self {
            Self::Many => RECORD_BYTES,
            Self::One => 100,
        }
    }

    fn put_bytes(self) -> usize {
        self.records() * self.record_bytes()
    }

    /// Puts of one round.
    fn puts(self) -> usize {
        match self {
            Self::Many => 128,
            Self::One => 1000,
        }
    }

    /// A round's figure, of the time of each of its commits.
    fn figure(self, times: &[Duration]) -> Result<f64> {
        match self {
            Self::Many => {
                let total: Duration = times.iter().sum();
                Ok((self.put_bytes() * times.len()) as f64 / MB / total.as_secs_f64())
            }
            Self::One => percentile(&times.iter().copied().map(micros).collect::<Vec<_>>(), 50),
        }
    }

    fn describe(self, name: &'static str, value: f64, limit: f64) -> Figure {
        match self {
            Self::Many => Figure::new(name, value, "MB/s").with_limit(limit).with_bar(Bar::AtLeast(0.5)),
            Self::One => Figure::new(name, value, "us").with_limit(limit).with_bar(Bar::AtMost(1.5)),
        }
    }
}

/// Measures one load.
pub(super) async fn run(load: Load, folder: &Path) -> Result<Vec<Figure>> {
    let (store, stream) = open(&folder.join("data"), SHARDS).await?;
    let puts: Vec<Vec<Record>> = (0..load.puts()).map(|put| records(load, put)).collect::<Result<_>>()?;
    let warm_up = WARM_UP_BYTES.div_ceil(PUT_RECORDS * RECORD_BYTES);
    for put in 0..warm_up {
        put_all(&store, &stream, records(Load::Many, put)?).await?;
    }
    let mut pairs = Pairs::default();
    for name in load.names() {
        for _ in rounds(name, ROUNDS) {
            let limit = load.figure(&plain_round(load, folder)?)?;
            pairs.note(limit, load.figure(&store_round(&store, &stream, &puts).await?)?);
        }
    }
    let figure = |name: &&'static str| Ok(load.describe(name, pairs.value()?, pairs.limit()?));
    load.names().iter().map(figure).collect()
}

/// A store over the embedded engine with one stream.
pub(super) async fn open(folder: &Path, shards: u32) -> Result<(Store, StreamName)> {
    let clock = Clock::system();
    let engine = Embedded::open(folder, clock.clone(), EmbeddedOptions::default())?;
    let store = Store::open(Arc::new(engine), clock).await?;
    let name = StreamName::parse("orders")?;
    store.create_stream(&name, shards, StreamMode::Provisioned, RETENTION_DEFAULT).await?;
    Ok((store, name))
}

/// The records of the put of this number. Every record has a key of its own.
fn records(load: Load, put: usize) -> Result<Vec<Record>> {
    let record = |index: usize| record(put * load.records() + index, load.record_bytes());
    (0..load.records()).map(record).collect()
}

/// A record of so many bytes, key and data together; the data is random.
pub(super) fn record(number: usize, bytes: usize) -> Result<Record> {
    let key = format!("key-{number:08}");
    let mut data = vec![0; bytes.saturating_sub(key.len())];
    rand::fill(data.as_mut_slice());
    Ok(Record { partition_key: PartitionKey::parse(key)?, explicit_hash: None, data: Bytes::from(data) })
}

async fn put_all(store: &Store, stream: &StreamName, records: Vec<Record>) -> Result<()> {
    let placed = store.put(stream, records).await?;
    ensure!(placed.iter().all(Result::is_ok), "a record was not appended: {placed:?}");
    Ok(())
}

async fn store_round(store: &Store, stream: &StreamName, puts: &[Vec<Record>]) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(puts.len());
    for records in puts {
        let records = records.clone();
        let start = Instant::now();
        put_all(store, stream, records).await?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn plain_round(load: Load, folder: &Path) -> Result<Vec<Duration>> {
    let mut bytes = vec![0; load.put_bytes()];
    rand::fill(bytes.as_mut_slice());
    let mut file = Prepared::new(folder, bytes.len() * load.puts())?;
    (0..load.puts()).map(|_| file.commit(&bytes)).collect()
}
