//! How many records each stream has taken since the store was opened.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::engine::StreamId;

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
}

impl Traffic {
    pub(crate) fn count(&self, stream: StreamId, Taken { records, bytes }: Taken) {
        let known = self.0.read().get(&stream).cloned();
        let counts = known.unwrap_or_else(|| Arc::clone(self.0.write().entry(stream).or_default()));
        counts.records.fetch_add(records, Ordering::Relaxed);
        counts.bytes.fetch_add(bytes, Ordering::Relaxed);
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
