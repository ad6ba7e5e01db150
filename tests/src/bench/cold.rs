//! How fast a stream is read that is not in memory, and how much of the disk one shard of it costs.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tidemill_stream::shard::ShardIndex;
use tokio::task::JoinSet;

use super::dataset::{self, PUT_BYTES, SHARDS};
use super::figure::{Bar, Figure};
use super::process_io::{ProcessIo, files, forget_pages};
use super::rounds::{Pairs, median, rounds};
use super::store::{self, Opened, read_shard};
use super::{MB, PUT_RECORDS, ROUNDS};

pub(super) const NAMES: [&str; 2] = ["store.read.cold", "store.read.cold.1of8"];

/// About 1 GB.
const PUTS: usize = 2000;
const BYTES: usize = PUTS * PUT_BYTES;
/// Buffers of the plain reader; the faster one counts.
const BUFFER_BYTES: [usize; 2] = [1 << 20, 8 << 20];

/// Fills a store, and reads it again and again: always opened anew, and with no page of it in memory.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let data = folder.join("data");
    let opened = Opened::open(&data).await?;
    dataset::fill(&opened, PUTS).await?;
    opened.close();
    let [all, one] = NAMES;
    let mut pairs = Pairs::default();
    for _ in rounds(all, ROUNDS) {
        let limit = plain_round(&data)?;
        pairs.note(limit, all_shards(&data).await?);
    }
    let mut shares = Vec::new();
    for shard in rounds(one, SHARDS as usize) {
        shares.push(one_shard(&data, ShardIndex(shard as u32 - 1)).await?);
    }
    let all = Figure::new(all, pairs.value()?, "MB/s").with_limit(pairs.limit()?).with_bar(Bar::AtLeast(0.7));
    let one = Figure::new(one, median(&shares)?, "B/B").with_limit(1.0).with_bar(Bar::AtMost(1.5));
    Ok(vec![all, one])
}

/// MB/s of 8 readers, one a shard.
async fn all_shards(data: &Path) -> Result<f64> {
    let opened = Opened::open(data).await?;
    let stream = dataset::stream(&opened).await?;
    forget_pages(data)?;
    let (before, start, mut readers) = (ProcessIo::now()?, Instant::now(), JoinSet::new());
    for shard in &stream.shards {
        readers.spawn(read_shard(opened.store.clone(), stream.clone(), shard.index));
    }
    let amounts = store::join_all(readers).await?;
    let (time, io) = (start.elapsed(), ProcessIo::since(before)?);
    opened.close();
    let records: usize = amounts.iter().map(|amount| amount.records).sum();
    let bytes: usize = amounts.iter().map(|amount| amount.bytes).sum();
    ensure!((records, bytes) == (PUTS * PUT_RECORDS, BYTES), "{records} records with {bytes} bytes were read");
    ensure_cold(io, bytes)?;
    Ok(bytes as f64 / MB / time.as_secs_f64())
}

/// Bytes that come from the disk for each byte that is returned.
async fn one_shard(data: &Path, shard: ShardIndex) -> Result<f64> {
    let opened = Opened::open(data).await?;
    let stream = dataset::stream(&opened).await?;
    forget_pages(data)?;
    let before = ProcessIo::now()?;
    let amount = read_shard(opened.store.clone(), stream, shard).await?;
    let io = ProcessIo::since(before)?;
    opened.close();
    ensure_cold(io, amount.bytes)?;
    Ok(io.disk_bytes as f64 / amount.bytes as f64)
}

/// MB/s of reading the same files, one after another.
fn plain_round(data: &Path) -> Result<f64> {
    let segments = files(&data.join("logs"))?;
    let rates: Vec<f64> =
        BUFFER_BYTES.into_iter().map(|buffer| plain_read(data, &segments, buffer)).collect::<Result<_>>()?;
    rates.into_iter().reduce(f64::max).context("nothing was read")
}

fn plain_read(data: &Path, segments: &[PathBuf], buffer_bytes: usize) -> Result<f64> {
    forget_pages(data)?;
    let (mut buffer, mut bytes) = (vec![0; buffer_bytes], 0);
    let (before, start) = (ProcessIo::now()?, Instant::now());
    for path in segments {
        let mut file = File::open(path)?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => bytes += read,
            }
        }
    }
    let time = start.elapsed();
    ensure!(bytes >= BYTES, "the segments hold {bytes} bytes, less than was put");
    ensure_cold(ProcessIo::since(before)?, bytes)?;
    Ok(bytes as f64 / MB / time.as_secs_f64())
}

/// What was read came from the disk, and not from pages that stayed in memory.
fn ensure_cold(io: ProcessIo, bytes: usize) -> Result<()> {
    let disk = io.disk_bytes;
    ensure!(disk as f64 >= 0.95 * bytes as f64, "of {bytes} bytes {disk} came from the disk: the cache was not cold");
    Ok(())
}
