//! Which records of a put find room where shards have limits. Records that are routed anew were counted before.

use super::{PutFailure, PutOutcome};
use crate::capacity::{Capacity, Load, OverCapacity};
use crate::record::Record;
use crate::shard::{HashKey, ShardIndex};
use crate::store::Store;
use crate::stream::Stream;

/// What becomes of a put for which a shard has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// The records that find none are refused.
    Each,
    /// All of it is refused.
    Whole,
    /// It is made: it comes from the house, and limits are for those outside.
    Free,
}

impl Store {
    /// Counts records against the limits of their shards. Returns the outcomes of those that are refused.
    pub(super) fn admit(
        &self,
        stream: &Stream,
        records: &[Record],
        hashes: &[HashKey],
        admission: Admission,
    ) -> Vec<Option<PutOutcome>> {
        if self.capacity(stream) == Capacity::Unlimited || admission == Admission::Free {
            return vec![None; records.len()];
        }
        let parts = parts(stream, records, hashes);
        let refused = |over: OverCapacity| Some(Err(PutFailure::from(over)));
        if admission == Admission::Whole {
            let over = self.take_all(stream, &parts).err();
            return vec![over.and_then(refused); records.len()];
        }
        let waits = self.take_each(stream, &parts).into_iter().zip(&parts);
        let over = |(wait, (shard, _)): (Option<_>, &(ShardIndex, Load))| {
            wait.map(|wait| OverCapacity { stream: stream.name.clone(), shard: *shard, wait })
        };
        waits.map(|part| over(part).and_then(refused)).collect()
    }
}

/// A record that no shard takes is left to the routing, which refuses it.
fn parts(stream: &Stream, records: &[Record], hashes: &[HashKey]) -> Vec<(ShardIndex, Load)> {
    let part = |(record, hash): (&Record, &HashKey)| match stream.route(*hash) {
        Some(shard) => (shard.index, Load { records: 1, bytes: record.size_bytes() as u64 }),
        None => (ShardIndex(0), Load::default()),
    };
    records.iter().zip(hashes).map(part).collect()
}
