//! Pure: from what the shards of a stream took to what shall be done with them.

use std::collections::HashMap;
use std::time::Duration;

use super::DemandRules;
use crate::clock::Timestamp;
use crate::limits::{ON_DEMAND_SHARDS_MAX, ON_DEMAND_SHARDS_MIN};
use crate::shard::{HashKey, Shard, ShardIndex};
use crate::stream::Stream;
use crate::traffic::Taken;

/// A shard that takes less than this part of what is hot is idle: two of them together are far from hot.
const IDLE_PART: u64 = 10;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Split { shard: ShardIndex, at: HashKey },
    Merge { one: ShardIndex, other: ShardIndex },
}

/// Since when the shards of a stream are hot or idle.
#[derive(Debug, Default)]
pub(super) struct Heat(HashMap<ShardIndex, Since>);

#[derive(Debug, Clone, Copy, Default)]
struct Since {
    hot: Option<Timestamp>,
    idle: Option<Timestamp>,
}

impl Heat {
    /// What each shard took between two looks.
    pub(super) fn note(
        &mut self,
        stream: &Stream,
        taken: &HashMap<ShardIndex, Taken>,
        (since, now): (Timestamp, Timestamp),
        rules: &DemandRules,
    ) {
        self.0.retain(|index, _| stream.shard(*index).is_some_and(Shard::is_open));
        let span = now.since(since);
        for shard in stream.open_shards() {
            let taken = taken.get(&shard.index).copied().unwrap_or_default();
            let (known, begun) = (self.0.entry(shard.index).or_default(), since.max(shard.created));
            known.hot = exceeds(taken, rules, 1, span).then(|| known.hot.unwrap_or(begun));
            known.idle = (!exceeds(taken, rules, IDLE_PART, span)).then(|| known.idle.unwrap_or(begun));
        }
    }

    /// All splits that are due, or else all merges, within the numbers of shards that an on-demand stream has.
    pub(super) fn steps(&self, stream: &Stream, now: Timestamp, rules: &DemandRules) -> Vec<Step> {
        let mut open: Vec<&Shard> = stream.open_shards().collect();
        open.sort_unstable_by_key(|shard| shard.range.start);
        let room = (ON_DEMAND_SHARDS_MAX as usize).saturating_sub(open.len());
        let is_hot = |shard: &&Shard| is_due(self.since(shard).hot, now, rules.split_after);
        let splits: Vec<Step> = open.iter().copied().filter(is_hot).filter_map(split).take(room).collect();
        if !splits.is_empty() {
            return splits;
        }
        let spare = open.len().saturating_sub(ON_DEMAND_SHARDS_MIN as usize);
        let is_idle = |shard: &Shard| is_due(self.since(shard).idle, now, rules.merge_after);
        let mut idle: Option<&Shard> = None;
        let mut merges = Vec::new();
        for shard in open {
            idle = match idle.take() {
                _ if !is_idle(shard) => None,
                None => Some(shard),
                Some(before) => {
                    merges.push(Step::Merge { one: before.index, other: shard.index });
                    None
                }
            };
        }
        merges.truncate(spare);
        merges
    }

    fn since(&self, shard: &Shard) -> Since {
        self.0.get(&shard.index).copied().unwrap_or_default()
    }
}

/// Whether more than a part of what is hot was taken in this span.
fn exceeds(taken: Taken, rules: &DemandRules, part: u64, span: Duration) -> bool {
    let most = |a_second: u64| u128::from(a_second) * span.as_millis();
    let is_over = |taken: u64, a_second: u64| u128::from(taken) * 1000 * u128::from(part) > most(a_second);
    is_over(taken.bytes, rules.hot_bytes) || is_over(taken.records, rules.hot_records)
}

fn is_due(since: Option<Timestamp>, now: Timestamp, after: Duration) -> bool {
    since.is_some_and(|since| now.since(since) >= after)
}

/// In the middle; `None` for a range that is too small for two.
fn split(shard: &Shard) -> Option<Step> {
    let width = shard.range.end.0 - shard.range.start.0;
    (width > 3).then(|| Step::Split { shard: shard.index, at: HashKey(shard.range.start.0 + width / 2 + 1) })
}
