//! How long a put waits at most while the shards under it are split.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tidemill_stream::name::StreamName;
use tidemill_stream::shard::{HashKey, Shard};
use tidemill_stream::store::Store;
use tokio::task::JoinSet;

use super::ROUNDS;
use super::figure::{Bar, Figure};
use super::rounds::{median, rounds};
use super::store::{self, Opened};

pub(super) const NAMES: [&str; 1] = ["reshard.pause"];

/// Those who put at the same time, without a pause.
const PRODUCERS: usize = 8;
/// Records of a put: with keys of their own, so that every put goes to the shard that is split too.
const PUT_RECORDS: usize = 20;
const RECORD_BYTES: usize = 200;
const SHARDS: u32 = 4;
/// Splits of a round.
const SPLITS: usize = 8;

/// The longest put of a round; the median of the rounds.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let store = Opened::open(&folder.join("data")).await?.store;
    let mut pauses = Vec::new();
    for round in rounds("reshard.pause", ROUNDS) {
        let stream = store::create(&store, &format!("orders-{round}"), SHARDS).await?.name.clone();
        pauses.push(longest_put(&store, &stream).await?.as_secs_f64() * 1e3);
        store.delete_stream(&stream).await?;
    }
    let figure = |name| Ok(Figure::new(name, median(&pauses)?, "ms").with_limit(50.0).with_bar(Bar::AtMost(1.0)));
    NAMES.into_iter().map(figure).collect()
}

async fn longest_put(store: &Store, stream: &StreamName) -> Result<Duration> {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut producers = JoinSet::new();
    for _ in 0..PRODUCERS {
        producers.spawn(produce(store.clone(), stream.clone(), Arc::clone(&is_over)));
    }
    for _ in 0..SPLITS {
        let known = store.stream(stream)?;
        let widest = known.open_shards().max_by_key(|shard| width(shard));
        let Some(widest) = widest else { break };
        let middle = HashKey(widest.range.start.0 + width(widest) / 2);
        store.split_shard(stream, widest.index, middle).await?;
    }
    is_over.store(true, Ordering::Relaxed);
    Ok(store::join_all(producers).await?.into_iter().max().unwrap_or_default())
}

fn width(shard: &Shard) -> u128 {
    shard.range.end.0 - shard.range.start.0
}

/// Puts until it is over; the longest time that a put took.
async fn produce(store: Store, stream: StreamName, is_over: Arc<AtomicBool>) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let records = store::puts(1, PUT_RECORDS, RECORD_BYTES)?.pop().unwrap_or_default();
        let start = Instant::now();
        store::put(&store, &stream, records).await?;
        longest = longest.max(start.elapsed());
    }
    Ok(longest)
}
