//! How fast the store appends, beside plain synced writes of as many bytes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use tidemill_stream::name::StreamName;
use tidemill_stream::store::Store;
use tokio::task::JoinSet;

use super::disk::Prepared;
use super::figure::{Bar, Figure};
use super::process_io::forget_pages;
use super::rounds::{Pairs, micros, percentile, rounds};
use super::store;
use super::{MB, PUT_RECORDS, RECORD_BYTES, ROUNDS};

pub(super) const SHARDS: u32 = 4;
/// Those who put at the same time, where throughput counts.
const APPENDERS: usize = 4;
/// Puts of each of them in a round.
const PUTS: usize = 64;
const PUT_BYTES: usize = PUT_RECORDS * RECORD_BYTES;
/// Bytes of the records of which the time of each append counts.
pub(super) const SMALL_BYTES: usize = 100;
/// Small appends of a round, one after another.
const SMALL_PUTS: usize = 1000;
/// Bytes that bring a log to its largest segments, so that rounds do not differ in them.
const WARM_UP_BYTES: usize = 96 << 20;

/// What is put.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// Puts of 500 records of 1 KiB by several at once: the throughput counts.
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

    fn describe(self, name: &'static str, value: f64, limit: f64) -> Figure {
        match self {
            Self::Many => Figure::new(name, value, "MB/s").with_limit(limit).with_bar(Bar::AtLeast(0.7)),
            Self::One => Figure::new(name, value, "us").with_limit(limit).with_bar(Bar::AtMost(1.2)),
        }
    }

    async fn store_round(self, store: &Store, stream: &StreamName) -> Result<f64> {
        match self {
            Self::Many => many_round(store, stream).await,
            Self::One => one_round(store, stream).await,
        }
    }

    fn plain_round(self, folder: &Path) -> Result<f64> {
        match self {
            Self::Many => Ok(plain_throughput(folder, 1)?.max(plain_throughput(folder, APPENDERS)?)),
            Self::One => plain_latency(folder),
        }
    }
}

/// Measures one load.
pub(super) async fn run(load: Load, folder: &Path) -> Result<Vec<Figure>> {
    let (store, stream) = warm(folder).await?;
    let mut pairs = Pairs::default();
    for name in load.names() {
        for _ in rounds(name, ROUNDS) {
            let limit = load.plain_round(folder)?;
            // What a round wrote makes room for the next, or it would be of other memory: in a virtual machine memory that
            // is new to it is ten times as slow.
            forget_pages(folder)?;
            let value = load.store_round(&store, &stream).await?;
            forget_pages(folder)?;
            pairs.note(limit, value);
        }
    }
    let figure = |name: &&'static str| Ok(load.describe(name, pairs.value()?, pairs.limit()?));
    load.names().iter().map(figure).collect()
}

/// A store with a stream whose log has come to its largest segments.
pub(super) async fn warm(folder: &Path) -> Result<(Store, StreamName)> {
    let (store, stream) = store::open(&folder.join("data"), SHARDS).await?;
    let puts = store::puts(WARM_UP_BYTES.div_ceil(PUT_BYTES), PUT_RECORDS, RECORD_BYTES)?;
    store::put_each(store.clone(), stream.clone(), puts).await?;
    Ok((store, stream))
}

/// MB/s of all appenders together.
async fn many_round(store: &Store, stream: &StreamName) -> Result<f64> {
    let puts = store::puts(PUTS, PUT_RECORDS, RECORD_BYTES)?;
    let shares: Vec<_> = (0..APPENDERS).map(|_| puts.clone()).collect();
    let (mut appenders, start) = (JoinSet::new(), Instant::now());
    for puts in shares {
        appenders.spawn(store::put_each(store.clone(), stream.clone(), puts));
    }
    store::join_all(appenders).await?;
    Ok((APPENDERS * PUTS * PUT_BYTES) as f64 / MB / start.elapsed().as_secs_f64())
}

/// MB/s of one writer that commits the same bytes, those of `puts_joined` puts at a time.
///
/// What four appenders are held against is the faster of two writers: one that syncs each put, and one that syncs four
/// puts at once, as a perfect group commit of four appenders that all wait would do. More than four puts never wait.
fn plain_throughput(folder: &Path, puts_joined: usize) -> Result<f64> {
    let (bytes, commits) = (random(PUT_BYTES * puts_joined), APPENDERS * PUTS / puts_joined);
    let mut file = Prepared::new(folder, bytes.len() * commits)?;
    let time = (0..commits).map(|_| file.commit(&bytes)).sum::<Result<Duration>>()?;
    Ok((bytes.len() * commits) as f64 / MB / time.as_secs_f64())
}

/// The median time of an append, microseconds.
async fn one_round(store: &Store, stream: &StreamName) -> Result<f64> {
    let mut times = Vec::with_capacity(SMALL_PUTS);
    for records in store::puts(SMALL_PUTS, 1, SMALL_BYTES)? {
        let start = Instant::now();
        store::put(store, stream, records).await?;
        times.push(micros(start.elapsed()));
    }
    percentile(&times, 50)
}

fn plain_latency(folder: &Path) -> Result<f64> {
    let bytes = random(SMALL_BYTES);
    let mut file = Prepared::new(folder, bytes.len() * SMALL_PUTS)?;
    let times: Vec<f64> = (0..SMALL_PUTS).map(|_| file.commit(&bytes).map(micros)).collect::<Result<_>>()?;
    percentile(&times, 50)
}

pub(super) fn random(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    rand::fill(random.as_mut_slice());
    random
}
