//! What the shards of a stream take and give in a second, where they have AWS's limits.
//!
//! Promises that a shard takes and gives no more than its limits over any length of time, but for what one request may
//! bring or fetch at once: that leaves a debt, and nothing goes until it is paid. A stream without limits pays nothing. What
//! is kept is bounded by the shards of streams with limits. It must not know what is put or read, nor who asks.

mod bucket;
mod shards;

use std::sync::Arc;
use std::time::Duration;

use minicbor::{Decode, Encode};

pub(crate) use self::shards::Shards;
use crate::clock::Timestamp;
use crate::limits::{SHARD_IN_BYTES_PER_S, SHARD_IN_RECORDS_PER_S, SHARD_OUT_BYTES_PER_S, SHARD_OUT_READS_PER_S};
use crate::name::StreamName;
use crate::reshard::ReshardError;
use crate::shard::ShardIndex;
use crate::store::Store;
use crate::stream::Stream;

use self::bucket::Bucket;

/// What the shards of a stream take and give in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Capacity {
    /// As much as the disk does.
    #[n(0)]
    #[default]
    Unlimited,
    /// What a shard of AWS takes and gives.
    #[n(1)]
    Provisioned,
}

impl Capacity {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Unlimited, Self::Provisioned];

    /// How users write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlimited => "unlimited",
            Self::Provisioned => "provisioned",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capacity| capacity.name() == name)
    }
}

/// A shard takes, or gives, nothing more for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the shard {shard} of the stream '{stream}' is at the limit of its throughput for another {} ms", .wait.as_millis())]
pub struct OverCapacity {
    /// The stream.
    pub stream: StreamName,
    /// The shard.
    pub shard: ShardIndex,
    /// When the same would be taken, if nothing else is meanwhile.
    pub wait: Duration,
}

/// What a put, or a part of it, brings to a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Load {
    pub(crate) records: u64,
    /// Of data and partition keys.
    pub(crate) bytes: u64,
}

impl Load {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }
}

/// What one shard may still take and give.
#[derive(Debug, Clone)]
struct Allowance {
    records_in: Bucket,
    bytes_in: Bucket,
    reads_out: Bucket,
    bytes_out: Bucket,
}

impl Allowance {
    fn full(now: Timestamp) -> Self {
        Self {
            records_in: Bucket::full(SHARD_IN_RECORDS_PER_S, now),
            bytes_in: Bucket::full(SHARD_IN_BYTES_PER_S, now),
            reads_out: Bucket::full(SHARD_OUT_READS_PER_S, now),
            bytes_out: Bucket::full(SHARD_OUT_BYTES_PER_S, now),
        }
    }

    /// Puts in what came until now.
    fn fill(&mut self, now: Timestamp) {
        for bucket in [&mut self.records_in, &mut self.bytes_in, &mut self.reads_out, &mut self.bytes_out] {
            bucket.fill(now);
        }
    }

    fn is_full(&self, now: Timestamp) -> bool {
        [&self.records_in, &self.bytes_in, &self.reads_out, &self.bytes_out].iter().all(|bucket| bucket.is_full(now))
    }

    /// How long it is until this is taken; zero: now.
    fn wait_to_take(&self, load: Load, now: Timestamp) -> Duration {
        self.records_in.wait(load.records, now).max(self.bytes_in.wait(load.bytes, now))
    }

    fn take(&mut self, load: Load, now: Timestamp) {
        self.records_in.take(load.records, now);
        self.bytes_in.take(load.bytes, now);
    }

    /// Begins a read, or says how long it is until one may.
    fn begin_read(&mut self, now: Timestamp) -> Result<(), Duration> {
        let wait = self.reads_out.wait(1, now).max(self.bytes_out.wait_while_in_debt(now));
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.reads_out.take(1, now);
        Ok(())
    }
}

impl Store {
    /// The capacity of a stream: its own, or that of streams that say nothing.
    pub fn capacity(&self, stream: &Stream) -> Capacity {
        stream.capacity.unwrap_or(self.capacity_default())
    }

    /// Changes the capacity of a stream; `None`: that of streams that say nothing. It holds when this returns.
    pub async fn set_capacity(
        &self,
        name: &StreamName,
        capacity: Option<Capacity>,
    ) -> Result<Arc<Stream>, ReshardError> {
        let (store, name) = (self.clone(), name.clone());
        let change = move |stream: &Stream| Stream { capacity, ..stream.clone() };
        self.to_the_end(async move { store.change_in_turn(&name, change).await.map(|(_, stream)| stream) }).await
    }

    /// Counts a read of this shard against its limits, before it is made.
    pub fn begin_read(&self, stream: &Stream, shard: ShardIndex) -> Result<(), OverCapacity> {
        match self.capacity(stream) {
            Capacity::Unlimited => Ok(()),
            Capacity::Provisioned => {
                let begun = self.limited().with(stream.id, shard, self.clock().now(), Allowance::begin_read);
                begun.map_err(|wait| OverCapacity { stream: stream.name.clone(), shard, wait })
            }
        }
    }

    /// Counts what a read that was begun has given; it may be more than there was room for.
    pub fn count_read(&self, stream: &Stream, shard: ShardIndex, bytes: usize) {
        match self.capacity(stream) {
            Capacity::Unlimited => {}
            Capacity::Provisioned => {
                let given = |allowance: &mut Allowance, now| allowance.bytes_out.take(bytes as u64, now);
                self.limited().with(stream.id, shard, self.clock().now(), given);
            }
        }
    }

    /// Counts parts of a put, each of one shard: as many of the first as find room. Returns, of each that finds none, how
    /// long it would be. Behind one that finds none no other of its shard does, so that those of a key keep their order.
    pub(crate) fn take_each(&self, stream: &Stream, parts: &[(ShardIndex, Load)]) -> Vec<Option<Duration>> {
        let now = self.clock().now();
        self.limited().take_each(stream.id, parts, now)
    }

    /// Counts all of a put, or nothing of it.
    pub(crate) fn take_all(&self, stream: &Stream, parts: &[(ShardIndex, Load)]) -> Result<(), OverCapacity> {
        let taken = self.limited().take_all(stream.id, parts, self.clock().now());
        taken.map_err(|(shard, wait)| OverCapacity { stream: stream.name.clone(), shard, wait })
    }
}

#[cfg(test)]
mod tests;
