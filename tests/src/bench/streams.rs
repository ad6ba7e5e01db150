//! How many commits a second a thousand streams make, beside as many synced writes to files of their own.

use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidemill_stream::name::StreamName;
use tidemill_stream::store::Store;
use tokio::task::JoinSet;

use super::ROUNDS;
use super::append::{SMALL_BYTES, random};
use super::disk::Prepared;
use super::figure::{Bar, Figure};
use super::rounds::{Pairs, per_second, rounds};
use super::store::{self, Opened};

pub(super) const NAMES: [&str; 1] = ["store.append.streams1000"];

const STREAMS: usize = 1000;
/// Appends to each stream in a round.
const APPENDS: usize = 5;
/// Threads that write and sync, as many as the store's.
const THREADS: usize = 16;
/// A file for each stream, one for each plain writer, and some for everything else.
const OPEN_FILES: u64 = 4 * STREAMS as u64;

/// Every stream has a producer of its own, which waits for each acknowledgement before it puts its next record: so all
/// streams are in flight at once, and no commit joins two records.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    allow_open_files(OPEN_FILES)?;
    let store = Opened::open(&folder.join("data")).await?.store;
    let mut streams = Vec::with_capacity(STREAMS);
    for index in 0..STREAMS {
        streams.push(store::create(&store, &format!("stream-{index:04}"), 1).await?.name.clone());
    }
    let mut files: Vec<Prepared> = (0..STREAMS).map(|_| Prepared::small(folder)).collect::<Result<_>>()?;
    plain_round(&mut files)?; // warms up, and so does the next: a stream's first append allocates
    store_round(&store, &streams).await?;
    let mut pairs = Pairs::default();
    for name in NAMES {
        for _ in rounds(name, ROUNDS) {
            let limit = plain_round(&mut files)?;
            pairs.note(limit, store_round(&store, &streams).await?);
        }
    }
    let figure = |name| Ok(Figure::new(name, pairs.value()?, "commits/s").with_limit(pairs.limit()?));
    NAMES.into_iter().map(|name| figure(name).map(|figure| figure.with_bar(Bar::AtLeast(0.6)))).collect()
}

async fn store_round(store: &Store, streams: &[StreamName]) -> Result<f64> {
    let shares: Vec<_> = streams.iter().map(|_| store::puts(APPENDS, 1, SMALL_BYTES)).collect::<Result<_>>()?;
    let (mut producers, start) = (JoinSet::new(), Instant::now());
    for (stream, puts) in streams.iter().zip(shares) {
        producers.spawn(store::put_each(store.clone(), stream.clone(), puts));
    }
    store::join_all(producers).await?;
    Ok(per_second(streams.len() * APPENDS, start))
}

/// Each thread has files of its own, and goes through them in turn.
fn plain_round(files: &mut [Prepared]) -> Result<f64> {
    let (bytes, commits, start) = (random(SMALL_BYTES), files.len() * APPENDS, Instant::now());
    thread::scope(|scope| {
        let share = files.len().div_ceil(THREADS);
        let writer = |files: &mut [Prepared]| commit_each(files, &bytes);
        let spawn = |files| scope.spawn(move || writer(files));
        let writers: Vec<_> = files.chunks_mut(share).map(spawn).collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?)
    })?;
    Ok(per_second(commits, start))
}

fn commit_each(files: &mut [Prepared], bytes: &[u8]) -> Result<()> {
    for _ in 0..APPENDS {
        for file in &mut *files {
            file.commit(bytes)?;
        }
    }
    Ok(())
}

/// Raises the limit of open files of this process, if it is lower, as far as that needs no rights.
pub(super) fn allow_open_files(count: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(count), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).with_context(|| format!("this needs {count} open files"))
}
