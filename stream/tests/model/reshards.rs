//! Splits, merges, updates of the number of shards, and modes: the steps.

use std::sync::Arc;

use tidemill_stream::name::StreamName;
use tidemill_stream::reshard::{ReshardError, Scale};
use tidemill_stream::shard::{HashKey, HashRange, Shard, ShardIndex};
use tidemill_stream::stream::{Stream, StreamMode};

use super::map::{Child, Refusal, ShardMap};
use super::records::Kept;
use super::steps::{Cut, Pair, Target, Which};
use super::tally::Kind;
use super::world::World;

impl Kept {
    /// What the model says to a change of its shards, which only the user of a provisioned stream may make.
    fn if_provisioned<T>(&self, said: Result<T, Refusal>) -> Result<T, Refusal> {
        match self.mode {
            StreamMode::Provisioned => said,
            StreamMode::OnDemand => Err(Refusal::OnDemand),
        }
    }
}

impl World {
    pub(crate) async fn split(&mut self, target: Target, which: Which, cut: Cut) {
        let name = self.target(target);
        let Some(kept) = self.streams.get(&name) else {
            let split = self.store().split_shard(&name, ShardIndex(0), HashKey(9)).await;
            return self.expect_no_stream(split, Kind::Split);
        };
        let shard = pick(&kept.map, which);
        let key = key_of(kept.map.get(shard).map(|shard| shard.range), cut);
        let said = kept.if_provisioned(kept.map.split(shard, key));
        let split = self.store().split_shard(&name, shard, key).await;
        self.expect_children(&name, split, said, Kind::Split);
    }

    pub(crate) async fn merge(&mut self, target: Target, nth: usize, pair: Pair) {
        let name = self.target(target);
        let Some(kept) = self.streams.get(&name) else {
            let merged = self.store().merge_shards(&name, ShardIndex(0), ShardIndex(1)).await;
            return self.expect_no_stream(merged, Kind::Merge);
        };
        let (one, other) = pick_two(&kept.map, nth, pair);
        let said = kept.if_provisioned(kept.map.merge(one, other));
        let merged = self.store().merge_shards(&name, one, other).await;
        self.expect_children(&name, merged, said, Kind::Merge);
    }

    pub(crate) async fn update_count(&mut self, target: Target, shards: u32, scale: Scale) {
        let name = self.target(target);
        let updated = self.store().update_shard_count(&name, shards, scale).await;
        let now = self.clock.now();
        let Some(kept) = self.streams.get_mut(&name) else { return self.expect_no_stream(updated, Kind::CountUp) };
        let before = kept.map.clone();
        if let Err(refusal) = kept.if_provisioned(before.update(shards, scale)) {
            return self.expect_refusal(&name, updated, &refusal);
        }
        let answered = updated.unwrap();
        kept.map.follow(&answered.shards, now);
        kept.adopt(answered);
        let wanted = HashRange::uniform(shards);
        let ranges: Vec<HashRange> = kept.map.open().iter().map(|shard| shard.range).collect();
        assert_eq!(ranges, wanted, "{shards} equal shares");
        let is_right = |shard: &&&Shard| wanted.contains(&shard.range);
        for left_alone in before.open().iter().filter(is_right) {
            assert_eq!(kept.map.get(left_alone.index), Some(*left_alone), "there was nothing to do to it");
        }
        match shards as usize {
            count if count > before.open().len() => self.tally.succeeded(Kind::CountUp),
            count if count < before.open().len() => self.tally.succeeded(Kind::CountDown),
            _ => self.tally.in_vain(Kind::CountUp),
        }
    }

    pub(crate) async fn set_mode(&mut self, target: Target, mode: StreamMode) {
        let name = self.target(target);
        let set = self.store().set_mode(&name, mode).await;
        let Some(kept) = self.streams.get_mut(&name) else { return self.expect_no_stream(set, Kind::SetMode) };
        let is_new = kept.mode != mode;
        kept.mode = mode;
        kept.adopt(set.unwrap());
        if is_new { self.tally.succeeded(Kind::SetMode) } else { self.tally.in_vain(Kind::SetMode) }
    }

    fn expect_no_stream(&mut self, answer: Result<Arc<Stream>, ReshardError>, kind: Kind) {
        assert_eq!(Refusal::of(answer.unwrap_err()), Refusal::NoStream);
        self.tally.in_vain(kind);
    }

    /// One change of the map: what the model says is opened, or refused.
    fn expect_children(
        &mut self,
        name: &StreamName,
        answer: Result<Arc<Stream>, ReshardError>,
        said: Result<Vec<Child>, Refusal>,
        kind: Kind,
    ) {
        let children = match said {
            Ok(children) => children,
            Err(refusal) => return self.expect_refusal(name, answer, &refusal),
        };
        let (answered, now) = (answer.unwrap(), self.clock.now());
        let kept = self.streams.get_mut(name).unwrap();
        assert_eq!(kept.map.follow(&answered.shards, now), children);
        kept.adopt(answered);
        self.tally.succeeded(kind);
    }

    /// The change is refused as the model says, and nothing of the stream has changed.
    fn expect_refusal(&mut self, name: &StreamName, answer: Result<Arc<Stream>, ReshardError>, refusal: &Refusal) {
        match answer {
            Ok(answered) => panic!("must be refused: {refusal:?}, and became {answered:?}"),
            Err(error) => assert_eq!(&Refusal::of(error), refusal),
        }
        assert_eq!(self.store().stream(name).unwrap(), self.streams[name].stream);
        self.tally.succeeded(match refusal {
            Refusal::NoStream => unreachable!("the stream is there"),
            Refusal::NoShard(_) => Kind::RefusedAbsent,
            Refusal::OnDemand => Kind::RefusedOnDemand,
            Refusal::Closed(_) => Kind::RefusedClosed,
            Refusal::SplitPoint { .. } => Kind::RefusedSplitPoint,
            Refusal::NotAdjacent { .. } => Kind::RefusedNotAdjacent,
            Refusal::ShardCount(_) => Kind::RefusedCount,
            Refusal::Scale { .. } => Kind::RefusedScale,
        });
    }
}

fn pick(map: &ShardMap, which: Which) -> ShardIndex {
    let nth = |shards: Vec<&Shard>, nth: usize| nth.checked_rem(shards.len()).map(|nth| shards[nth].index);
    match which {
        Which::Open(number) => nth(map.open(), number).unwrap(),
        Which::Closed(number) => nth(map.closed(), number).unwrap_or_else(|| map.absent()),
        Which::Absent => map.absent(),
    }
}

/// The key at which a shard of this range is to be split.
fn key_of(range: Option<HashRange>, cut: Cut) -> HashKey {
    let HashRange { start, end } = range.unwrap_or(HashRange { start: HashKey(0), end: HashKey(u128::MAX) });
    HashKey(match cut {
        Cut::Inside(fraction) => start.0 + (end.0 - start.0) / 65_536 * u128::from(fraction),
        Cut::AtStart(by) => start.0.saturating_add(u128::from(by)),
        Cut::AtEnd(by) => end.0.saturating_sub(u128::from(by)),
        Cut::Before => start.0.saturating_sub(1),
        Cut::Behind => end.0.saturating_add(1),
    })
}

fn pick_two(map: &ShardMap, nth: usize, pair: Pair) -> (ShardIndex, ShardIndex) {
    let open = map.open();
    let at = |nth: usize| open[nth % open.len()].index;
    let closed = pick(map, Which::Closed(nth));
    match pair {
        Pair::Neighbours => {
            // Of two that are there, if there are two: the last has none behind it.
            let nth = nth % open.len().saturating_sub(1).max(1);
            (at(nth), at(nth + 1))
        }
        Pair::Swapped => (at(nth + 1), at(nth)),
        Pair::Apart => (at(nth), at(nth + 2)),
        Pair::Itself => (at(nth), at(nth)),
        Pair::FirstClosed => (closed, at(nth)),
        Pair::SecondClosed => (at(nth), closed),
        Pair::SecondAbsent => (at(nth), map.absent()),
    }
}
