//! Waking readers: a courtesy. A wake-up that is lost costs a reader its time-out, never a record.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::shard::ShardIndex;

/// Who waits for which shard of one log. In order: who is woken first does not change from run to run.
#[derive(Debug, Default)]
pub(super) struct Wakes(Mutex<BTreeMap<ShardIndex, Arc<Notify>>>);

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
        for notify in std::mem::take(&mut *self.0.lock()).into_values() {
            notify.notify_waiters();
        }
    }
}
