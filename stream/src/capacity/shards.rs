//! The allowances of all shards that have limits and were asked lately.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::{Allowance, Load};
use crate::clock::Timestamp;
use crate::engine::StreamId;
use crate::limits::ALLOWANCES_SWEEP_MIN;
use crate::shard::ShardIndex;

/// By stream; one that is deleted takes its own with it.
#[derive(Debug, Default)]
pub(crate) struct Shards(RwLock<HashMap<StreamId, Arc<Mutex<OfStream>>>>);

/// A shard that is not listed has all of its allowance.
#[derive(Debug, Default)]
struct OfStream {
    shards: HashMap<ShardIndex, Allowance>,
    /// From so many on those that are full are taken out.
    sweep_at: usize,
}

impl OfStream {
    fn of(&mut self, shard: ShardIndex, now: Timestamp) -> &mut Allowance {
        if self.shards.len() >= self.sweep_at.max(ALLOWANCES_SWEEP_MIN) && !self.shards.contains_key(&shard) {
            self.shards.retain(|_, allowance| !allowance.is_full(now));
            self.sweep_at = self.shards.len() * 2;
        }
        let allowance = self.shards.entry(shard).or_insert_with(|| Allowance::full(now));
        allowance.fill(now);
        allowance
    }
}

impl Shards {
    pub(super) fn with<T>(
        &self,
        stream: StreamId,
        shard: ShardIndex,
        now: Timestamp,
        work: impl FnOnce(&mut Allowance, Timestamp) -> T,
    ) -> T {
        work(self.of(stream).lock().of(shard, now), now)
    }

    pub(super) fn take_each(
        &self,
        stream: StreamId,
        parts: &[(ShardIndex, Load)],
        now: Timestamp,
    ) -> Vec<Option<Duration>> {
        let shards = self.of(stream);
        let (mut shards, mut closed) = (shards.lock(), HashSet::new());
        let mut take = |(shard, load): &(ShardIndex, Load)| {
            let allowance = shards.of(*shard, now);
            let wait = allowance.wait_to_take(*load, now);
            if wait.is_zero() && !closed.contains(shard) {
                allowance.take(*load, now);
                return None;
            }
            closed.insert(*shard);
            Some(wait)
        };
        parts.iter().map(&mut take).collect()
    }

    pub(super) fn take_all(
        &self,
        stream: StreamId,
        parts: &[(ShardIndex, Load)],
        now: Timestamp,
    ) -> Result<(), (ShardIndex, Duration)> {
        let mut loads: HashMap<ShardIndex, Load> = HashMap::new();
        for (shard, load) in parts {
            let sum = loads.entry(*shard).or_default();
            *sum = sum.plus(*load);
        }
        let shards = self.of(stream);
        let mut shards = shards.lock();
        let waits = loads.iter().map(|(shard, load)| (*shard, shards.of(*shard, now).wait_to_take(*load, now)));
        if let Some((shard, wait)) = waits.max_by_key(|(_, wait)| *wait).filter(|(_, wait)| !wait.is_zero()) {
            return Err((shard, wait));
        }
        for (shard, load) in loads {
            shards.of(shard, now).take(load, now);
        }
        Ok(())
    }

    fn of(&self, stream: StreamId) -> Arc<Mutex<OfStream>> {
        let known = self.0.read().get(&stream).cloned();
        known.unwrap_or_else(|| Arc::clone(self.0.write().entry(stream).or_default()))
    }

    /// Of how many shards of a stream something is known.
    #[cfg(test)]
    pub(super) fn count(&self, stream: StreamId) -> usize {
        self.0.read().get(&stream).map_or(0, |known| known.lock().shards.len())
    }

    pub(crate) fn forget(&self, stream: StreamId) {
        self.0.write().remove(&stream);
    }
}
