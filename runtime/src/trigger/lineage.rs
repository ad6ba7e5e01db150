//! Parents before children: which shards a trigger may begin with.
//!
//! Promises that a shard is begun only when its trigger has read every parent to its end, so that the records of a key
//! stay in order across splits and merges. A parent that the stream does not list any more counts as read: nothing of it
//! is left. Where a trigger stands in a shard is its cursor's to say: one that begins behind a parent's last record has
//! read it. This module must not know how a shard is read.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_stream::shard::{Shard, ShardIndex};
use tidemill_stream::stream::Stream;
use tokio::sync::watch;

/// The shards that one trigger has read to their end since its pollers were started. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    read: Arc<Mutex<BTreeSet<ShardIndex>>>,
    changes: watch::Sender<u64>,
}

impl Ends {
    /// None yet; `changes` moves with every one.
    pub(super) fn new(changes: &watch::Sender<u64>) -> Self {
        Self { read: Arc::default(), changes: changes.clone() }
    }

    /// The shard is closed, and all of it is processed.
    pub(super) fn reached(&self, shard: ShardIndex) {
        self.read.lock().insert(shard);
        self.changes.send_modify(|count| *count += 1);
    }

    fn include(&self, shard: ShardIndex) -> bool {
        self.read.lock().contains(&shard)
    }

    /// The shards that are not begun and may be.
    pub(super) fn ready<'s>(&self, stream: &'s Stream, begun: &BTreeSet<ShardIndex>) -> Vec<&'s Shard> {
        let is_read = |parent: &ShardIndex| stream.shard(*parent).is_none() || self.include(*parent);
        let is_ready = |shard: &&Shard| !begun.contains(&shard.index) && shard.parents.iter().all(is_read);
        stream.shards.iter().filter(is_ready).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidemill_stream::clock::Clock;
    use tidemill_stream::engine::memory::Memory;
    use tidemill_stream::name::StreamName;
    use tidemill_stream::reshard::Scale;
    use tidemill_stream::store::Store;
    use tidemill_stream::stream::StreamMode;

    use super::*;

    /// Two shards, merged into one, which was split in two.
    async fn three_generations() -> Stream {
        let store = Store::open(Arc::new(Memory::new(Clock::system())), Clock::system()).await.unwrap();
        let name = StreamName::parse("s").unwrap();
        store.create_stream(&name, 2, StreamMode::Provisioned, Duration::from_hours(24)).await.unwrap();
        store.update_shard_count(&name, 1, Scale::Any).await.unwrap();
        Stream::clone(&*store.update_shard_count(&name, 2, Scale::Any).await.unwrap())
    }

    fn ready(ends: &Ends, stream: &Stream, begun: &[u32]) -> Vec<u32> {
        let begun = begun.iter().copied().map(ShardIndex).collect();
        ends.ready(stream, &begun).iter().map(|shard| shard.index.0).collect()
    }

    #[tokio::test]
    async fn a_shard_is_ready_when_all_its_parents_are_read() {
        let stream = three_generations().await;
        let changes = watch::Sender::new(0);
        let ends = Ends::new(&changes);
        assert_eq!(ready(&ends, &stream, &[]), [0, 1]);
        ends.reached(ShardIndex(0));
        assert_eq!(ready(&ends, &stream, &[0, 1]), [0; 0]);
        ends.reached(ShardIndex(1));
        assert_eq!(ready(&ends, &stream, &[0, 1]), [2]);
        ends.reached(ShardIndex(2));
        assert_eq!(ready(&ends, &stream, &[0, 1, 2]), [3, 4]);
        assert_eq!(*changes.borrow(), 3);
    }

    #[tokio::test]
    async fn a_parent_that_is_not_listed_any_more_counts_as_read() {
        let mut stream = three_generations().await;
        stream.shards.remove(0);
        let ends = Ends::new(&watch::Sender::new(0));
        ends.reached(ShardIndex(1));
        assert_eq!(ready(&ends, &stream, &[1]), [2]);
        stream.shards.retain(|shard| shard.index.0 > 2);
        assert_eq!(ready(&ends, &stream, &[]), [3, 4]);
    }
}
