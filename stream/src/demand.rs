//! On-demand streams: what their shards take decides how many there are.
//!
//! Promises that a shard which is hot for long enough is split, that two neighbours which are idle for long enough become
//! one, and that one which was merged is far from being split again. This module must not know who looks, nor how often.

mod heat;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use self::heat::{Heat, Step};
use crate::clock::Timestamp;
use crate::engine::StreamId;
use crate::reshard::plan;
use crate::store::Store;
use crate::stream::{Stream, StreamMode, StreamStatus};

/// When shards of on-demand streams are split and merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemandRules {
    /// A shard that takes more bytes a second is hot.
    pub hot_bytes: u64,
    /// A shard that takes more records a second is hot.
    pub hot_records: u64,
    /// A shard that is hot for so long is split.
    pub split_after: Duration,
    /// Two neighbours that take less than a tenth of what is hot for so long become one.
    pub merge_after: Duration,
}

/// Half of what a shard of Kinesis takes: 1 MiB and 1,000 records a second.
impl Default for DemandRules {
    fn default() -> Self {
        Self {
            hot_bytes: (1 << 20) / 2,
            hot_records: 500,
            split_after: Duration::from_mins(1),
            merge_after: Duration::from_hours(1),
        }
    }
}

/// What was seen of all on-demand streams, look by look. A restart begins anew.
#[derive(Debug)]
pub struct Demand {
    store: Store,
    rules: DemandRules,
    looked: Timestamp,
    heats: HashMap<StreamId, Heat>,
}

impl Demand {
    /// Nothing was seen yet.
    pub fn new(store: Store, rules: DemandRules) -> Self {
        let looked = store.clock().now();
        Self { store, rules, looked, heats: HashMap::new() }
    }

    /// Looks at what the shards took since the last look, and splits and merges. A step that fails is told in the log; the
    /// next look tries again.
    pub async fn look(&mut self) {
        let (since, now) = (self.looked, self.store.clock().now());
        self.looked = now;
        let streams = self.store.streams();
        let on_demand: Vec<Arc<Stream>> = streams.into_iter().filter(|stream| is_scaled(stream)).collect();
        self.heats.retain(|id, _| on_demand.iter().any(|stream| stream.id == *id));
        for stream in on_demand {
            let taken = self.store.traffic().take_shards(stream.id);
            let heat = self.heats.entry(stream.id).or_default();
            heat.note(&stream, &taken, (since, now), &self.rules);
            for step in heat.steps(&stream, now, &self.rules) {
                take(&self.store, &stream, step).await;
            }
        }
    }
}

fn is_scaled(stream: &Stream) -> bool {
    stream.mode == StreamMode::OnDemand && stream.status == StreamStatus::Active
}

async fn take(store: &Store, stream: &Stream, step: Step) {
    let plan = move |stream: &Stream| match step {
        Step::Split { shard, at } => plan::split(stream, shard, at).map(Some),
        Step::Merge { one, other } => plan::merge(stream, one, other).map(Some),
    };
    match (store.reshard(&stream.name, StreamMode::OnDemand, plan).await, step) {
        (Ok(_), Step::Split { shard, .. }) => info!(stream = %stream.name, %shard, "a shard was hot and is split"),
        (Ok(_), Step::Merge { one, other }) => {
            info!(stream = %stream.name, %one, %other, "two neighbours were idle and are one shard now");
        }
        (Err(error), _) => warn!(stream = %stream.name, %error, "an on-demand stream keeps its shards for now"),
    }
}
