//! How many records each stream has taken since the store was opened.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::engine::StreamId;
use crate::shard::ShardIndex;

/// What a stream has taken since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records.
    pub records: u64,
    /// Their data and partition keys, bytes.
    pub bytes: u64,
}

/// The counts of all streams that have taken anything; a stream that is deleted takes its counts with it.
#[derive(Debug, Default)]
pub(crate) struct Traffic(RwLock<HashMap<StreamId, Arc<Counts>>>);

#[derive(Debug, Default)]
struct Counts {
    records: AtomicU64,
    bytes: AtomicU64,
    /// Of an on-demand stream, since they were taken last: as many entries as it has shards.
    shards: Mutex<HashMap<ShardIndex, Taken>>,
}

impl Traffic {
    pub(crate) fn count(&self, stream: StreamId, Taken { records, bytes }: Taken) {
        let counts = self.of(stream);
        counts.records.fetch_add(records, Ordering::Relaxed);
        counts.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts what each shard took of what [`Traffic::count`] counts.
    pub(crate) fn count_shards(&self, stream: StreamId, taken: impl IntoIterator<Item = (ShardIndex, u64)>) {
        let counts = self.of(stream);
        let mut shards = counts.shards.lock();
        for (shard, bytes) in taken {
            let known = shards.entry(shard).or_default();
            known.records += 1;
            known.bytes += bytes;
        }
    }

    /// What each shard took since this was asked last.
    pub(crate) fn take_shards(&self, stream: StreamId) -> HashMap<ShardIndex, Taken> {
        self.0.read().get(&stream).map(|counts| std::mem::take(&mut *counts.shards.lock())).unwrap_or_default()
    }

    fn of(&self, stream: StreamId) -> Arc<Counts> {
        let known = self.0.read().get(&stream).cloned();
        known.unwrap_or_else(|| Arc::clone(self.0.write().entry(stream).or_default()))
    }

    pub(crate) fn taken(&self, stream: StreamId) -> Taken {
        let counts = self.0.read();
        let Some(counts) = counts.get(&stream) else { return Taken::default() };
        Taken { records: counts.records.load(Ordering::Relaxed), bytes: counts.bytes.load(Ordering::Relaxed) }
    }

    pub(crate) fn forget(&self, stream: StreamId) {
        self.0.write().remove(&stream);
    }
}
