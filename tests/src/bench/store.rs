//! A store over the embedded engine, as the benches use it, and records for it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use tidemill_stream::clock::Clock;
use tidemill_stream::engine::embedded::{Embedded, EmbeddedOptions};
use tidemill_stream::engine::{Bound, ReadLimits};
use tidemill_stream::limits::{READ_BYTES_MAX, READ_RECORDS_MAX, RETENTION_DEFAULT};
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record, StoredRecord};
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tidemill_stream::stream::{Stream, StreamMode};
use tokio::task::JoinSet;

/// The most that one read returns.
pub(super) const READ_ALL: ReadLimits = ReadLimits { records_max: READ_RECORDS_MAX, bytes_max: READ_BYTES_MAX };

/// A store, and the engine under it, so that it can be closed.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Store,
    engine: Arc<Embedded>,
}

impl Opened {
    pub(super) async fn open(folder: &Path) -> Result<Self> {
        let clock = Clock::system();
        let engine = Arc::new(Embedded::open(folder, clock.clone(), EmbeddedOptions::default())?);
        let store = Store::open(Arc::clone(&engine) as Arc<_>, clock).await?;
        Ok(Self { store, engine })
    }

    /// Ends in good order.
    pub(super) fn close(self) {
        self.engine.close();
    }
}

/// A store with one stream.
pub(super) async fn open(folder: &Path, shards: u32) -> Result<(Store, StreamName)> {
    let store = Opened::open(folder).await?.store;
    let stream = create(&store, "orders", shards).await?;
    Ok((store, stream.name.clone()))
}

pub(super) async fn create(store: &Store, name: &str, shards: u32) -> Result<Arc<Stream>> {
    let name = StreamName::parse(name)?;
    Ok(store.create_stream(&name, shards, StreamMode::Provisioned, RETENTION_DEFAULT).await?)
}

/// A record of so many bytes, key and data together; the data is random.
pub(super) fn record(number: usize, bytes: usize) -> Result<Record> {
    let key = format!("key-{number:08}");
    let mut data = vec![0; bytes.saturating_sub(key.len())];
    rand::fill(data.as_mut_slice());
    Ok(Record { partition_key: PartitionKey::parse(key)?, explicit_hash: None, data: Bytes::from(data) })
}

/// Puts of `records` records each. Every record has a key of its own.
pub(super) fn puts(count: usize, records: usize, record_bytes: usize) -> Result<Vec<Vec<Record>>> {
    let put = |put: usize| (0..records).map(|index| record(put * records + index, record_bytes)).collect();
    (0..count).map(put).collect()
}

pub(super) async fn put(store: &Store, stream: &StreamName, records: Vec<Record>) -> Result<()> {
    let placed = store.put(stream, records).await?;
    ensure!(placed.iter().all(Result::is_ok), "a record was not appended: {placed:?}");
    Ok(())
}

/// Makes these puts, one after another.
pub(super) async fn put_each(store: Store, stream: StreamName, puts: Vec<Vec<Record>>) -> Result<()> {
    for records in puts {
        put(&store, &stream, records).await?;
    }
    Ok(())
}

/// Records, and the bytes of their data and keys.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// Reads a shard from its beginning to its tip.
pub(super) async fn read_shard(store: Store, stream: Arc<Stream>, shard: ShardIndex) -> Result<Amount> {
    let (mut from, mut amount) = (Bound::START, Amount::default());
    loop {
        let read = store.read(&stream, shard, from, READ_ALL).await?;
        amount.records += read.records.len();
        amount.bytes += read.records.iter().map(StoredRecord::size_bytes).sum::<usize>();
        from = read.next;
        if read.is_at_tip {
            return Ok(amount);
        }
    }
}

/// Waits for all of them; the first error ends it.
pub(super) async fn join_all<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut done = Vec::with_capacity(tasks.len());
    while let Some(task) = tasks.join_next().await {
        done.push(task??);
    }
    Ok(done)
}
