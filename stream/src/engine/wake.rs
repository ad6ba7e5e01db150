//! Waking readers: a courtesy. A wake-up that is lost costs a reader its time-out, never a record.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::shard::ShardIndex;

/// Who waits for which shard of one log.
#[derive(Debug, Default)]
pub(super) struct Wakes(Mutex<HashMap<ShardIndex, Arc<Notify>>>);

impl Wakes {
    /// What to await for this shard.
    pub(super) fn of(&self, shard: ShardIndex) -> Arc<Notify> {
        Arc::clone(self.0.lock().entry(shard).or_default())
    }

    /// Wakes those who wait for these shards, and forgets the shards that nobody waits for.
    pub(super) fn wake(&self, shards: impl IntoIterator<Item = ShardIndex>) {
        let mut waiting = self.0.lock();
        for shard in shards {
            if let Some(notify) = waiting.remove(&shard) {
                notify.notify_waiters();
            }
        }
    }

    /// Wakes everybody: the log has changed as a whole, or is gone.
    pub(super) fn wake_all(&self) {
        for (_, notify) in self.0.lock().drain() {
            notify.notify_waiters();
        }
    }
}
