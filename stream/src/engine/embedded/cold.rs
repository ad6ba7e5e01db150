//! Which shards of a log are being read from disk now.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::shard::ShardIndex;

/// The shards, each with the number of its readers.
#[derive(Debug, Default)]
pub(super) struct ColdReads(Mutex<HashMap<ShardIndex, usize>>);

/// A read; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    all: &'a ColdReads,
    shard: ShardIndex,
}

impl ColdReads {
    pub(super) fn begin(&self, shard: ShardIndex) -> Reading<'_> {
        *self.0.lock().entry(shard).or_default() += 1;
        Reading { all: self, shard }
    }
}

impl Reading<'_> {
    /// Whether at least half of the log's shards are being read.
    pub(super) fn is_crowded(&self, shards: usize) -> bool {
        let reading = self.all.0.lock().len();
        reading > 1 && reading * 2 >= shards
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        if let Some(readers) = all.get_mut(&self.shard) {
            *readers -= 1;
            if *readers == 0 {
                all.remove(&self.shard);
            }
        }
    }
}
