//! The model of a stream's shards: a plain map, the rules by which it may change, and the refusals of all else.

use std::collections::BTreeMap;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::reshard::{ReshardError, Scale};
use tidemill_stream::shard::{Closed, HashKey, HashRange, Shard, ShardIndex};

/// Open shards of one stream that can be asked for (Kinesis).
const SHARDS_MAX: u32 = 10_000;

/// All shards of a stream that are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardMap(BTreeMap<ShardIndex, Shard>);

/// A shard that a change opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) range: HashRange,
    pub(crate) parents: Vec<ShardIndex>,
}

/// Why a change must be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoStream,
    NoShard(ShardIndex),
    OnDemand,
    Closed(ShardIndex),
    SplitPoint { shard: ShardIndex, given: HashKey, range: HashRange },
    NotAdjacent { one: ShardIndex, other: ShardIndex },
    ShardCount(u32),
    Scale { current: usize, target: u32 },
}

impl Refusal {
    /// The refusal that an error stands for; whatever else went wrong is no refusal.
    pub(crate) fn of(error: ReshardError) -> Self {
        match error {
            ReshardError::NoStream(_) => Self::NoStream,
            ReshardError::NoShard(error) => Self::NoShard(error.shard),
            ReshardError::OnDemand { .. } => Self::OnDemand,
            ReshardError::Closed { shard } => Self::Closed(shard),
            ReshardError::SplitPoint { shard, given, range } => Self::SplitPoint { shard, given, range },
            ReshardError::NotAdjacent { one, other } => Self::NotAdjacent { one, other },
            ReshardError::ShardCount { given, .. } => Self::ShardCount(given),
            ReshardError::Scale { current, target } => Self::Scale { current, target },
            ReshardError::NotActive { .. } | ReshardError::TooManyListed { .. } | ReshardError::Store(_) => {
                panic!("no step is refused so: {error}")
            }
        }
    }
}

impl ShardMap {
    /// The map of a new stream: equal shares of the hash space.
    pub(crate) fn new(shards: u32, created: Timestamp) -> Self {
        let shard = |(index, range)| (index, Shard { index, range, created, parents: Vec::new(), closed: None });
        Self((0..shards).map(ShardIndex).zip(HashRange::uniform(shards)).map(shard).collect())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Shard> {
        self.0.values()
    }

    pub(crate) fn get(&self, index: ShardIndex) -> Option<&Shard> {
        self.0.get(&index)
    }

    /// The shards that take records, in the order of their ranges.
    pub(crate) fn open(&self) -> Vec<&Shard> {
        let mut open: Vec<&Shard> = self.0.values().filter(|shard| shard.closed.is_none()).collect();
        open.sort_by_key(|shard| shard.range.start);
        open
    }

    pub(crate) fn closed(&self) -> Vec<&Shard> {
        self.0.values().filter(|shard| shard.closed.is_some()).collect()
    }

    /// A number that no shard of the stream has or ever had.
    pub(crate) fn absent(&self) -> ShardIndex {
        ShardIndex(self.0.keys().last().unwrap().0 + 1)
    }

    /// The open shard that takes this key.
    pub(crate) fn route(&self, key: HashKey) -> &Shard {
        let mut takers = self.0.values().filter(|shard| shard.closed.is_none() && shard.range.contains(key));
        let shard = takers.next().unwrap();
        assert_eq!(takers.next(), None, "two shards take {key}");
        shard
    }

    pub(crate) fn remove(&mut self, index: ShardIndex) {
        assert!(self.0.remove(&index).unwrap().closed.is_some(), "{index} takes records");
    }

    /// What a split opens. More than one hash key must be on each side (AWS).
    pub(crate) fn split(&self, shard: ShardIndex, given: HashKey) -> Result<Vec<Child>, Refusal> {
        let range = self.open_shard(shard)?.range;
        let (left, right) = (given.0.checked_sub(range.start.0), range.end.0.checked_sub(given.0));
        if left.is_none_or(|keys| keys < 2) || right.is_none_or(|keys| keys < 1) {
            return Err(Refusal::SplitPoint { shard, given, range });
        }
        let child = |start, end| Child { range: HashRange { start, end }, parents: vec![shard] };
        Ok(vec![child(range.start, HashKey(given.0 - 1)), child(given, range.end)])
    }

    /// What a merge opens.
    pub(crate) fn merge(&self, one: ShardIndex, other: ShardIndex) -> Result<Vec<Child>, Refusal> {
        let (first, second) = (self.open_shard(one)?.range, self.open_shard(other)?.range);
        if first.end.0 == u128::MAX || first.end.0 + 1 != second.start.0 {
            return Err(Refusal::NotAdjacent { one, other });
        }
        let range = HashRange { start: first.start, end: second.end };
        Ok(vec![Child { range, parents: vec![one, other] }])
    }

    /// Whether this number of shards may be asked for.
    pub(crate) fn update(&self, target: u32, scale: Scale) -> Result<(), Refusal> {
        let current = self.open().len();
        if target == 0 || target > SHARDS_MAX {
            return Err(Refusal::ShardCount(target));
        }
        let wanted = target as usize;
        if scale == Scale::Twofold && (wanted > 2 * current || 2 * wanted < current) {
            return Err(Refusal::Scale { current, target });
        }
        Ok(())
    }

    fn open_shard(&self, index: ShardIndex) -> Result<&Shard, Refusal> {
        let shard = self.0.get(&index).ok_or(Refusal::NoShard(index))?;
        if shard.closed.is_some() { Err(Refusal::Closed(index)) } else { Ok(shard) }
    }

    /// Takes over what a change has answered, if it may be: what was there is there, what was closed is as it was, and
    /// what was opened has taken over from what was closed. Returns what was opened.
    pub(crate) fn follow(&mut self, answered: &[Shard], now: Timestamp) -> Vec<Child> {
        let after: BTreeMap<ShardIndex, Shard> = answered.iter().map(|shard| (shard.index, shard.clone())).collect();
        assert_eq!(after.len(), answered.len(), "a number was given twice: {answered:?}");
        let next = self.absent();
        for (index, before) in &self.0 {
            let is_same = |shard: &Shard| before == &Shard { closed: before.closed, ..shard.clone() };
            let found = after.get(index).unwrap_or_else(|| panic!("{index} is not listed any more"));
            assert!(is_same(found), "{before:?} became {found:?}");
            assert!(before.closed.is_none() || before.closed == found.closed, "{before:?} was closed again: {found:?}");
        }
        let opened: Vec<&Shard> = after.values().filter(|shard| !self.0.contains_key(&shard.index)).collect();
        let numbers: Vec<u32> = opened.iter().map(|shard| shard.index.0).collect();
        assert_eq!(numbers, (next.0..).take(opened.len()).collect::<Vec<_>>(), "new shards are numbered in turn");
        for child in &opened {
            check_born(child, &after, now);
        }
        let closed = after.values().filter(|shard| shard.closed.is_some());
        let closed_now = closed.filter(|shard| self.0.get(&shard.index).is_none_or(|before| before.closed.is_none()));
        closed_now.for_each(|parent| check_taken_over(parent, &after));
        let child = |shard: &&Shard| Child { range: shard.range, parents: shard.parents.clone() };
        let children = opened.iter().map(child).collect();
        self.0 = after;
        self.check_cover();
        children
    }

    /// The open ranges cover the hash space exactly once.
    pub(crate) fn check_cover(&self) {
        let open = self.open();
        assert_eq!(open.first().unwrap().range.start, HashKey(0));
        assert_eq!(open.last().unwrap().range.end, HashKey(u128::MAX));
        for pair in open.windows(2) {
            assert_eq!(pair[0].range.end.0.checked_add(1), Some(pair[1].range.start.0), "{pair:?}");
        }
    }
}

/// A child begins when its parents end, in a later second than they began: so its numbers sort behind theirs.
fn check_born(child: &Shard, shards: &BTreeMap<ShardIndex, Shard>, now: Timestamp) {
    let parents: Vec<&Shard> = child.parents.iter().map(|parent| &shards[parent]).collect();
    let latest = parents.iter().map(|parent| parent.created.as_secs()).max().unwrap();
    assert!(
        child.created >= now.max(Timestamp::from_millis((latest + 1) * 1000)),
        "{child:?} of {parents:?} at {now:?}"
    );
    for parent in parents {
        assert!(parent.index < child.index);
        assert_eq!(parent.closed.map(|Closed { at, .. }| at), Some(child.created), "{parent:?} of {child:?}");
    }
}

/// The children of a closed shard have its whole range, and nothing else but that of a second parent.
fn check_taken_over(parent: &Shard, shards: &BTreeMap<ShardIndex, Shard>) {
    let children: Vec<&Shard> = shards.values().filter(|shard| shard.parents.contains(&parent.index)).collect();
    match children[..] {
        [one] => {
            let [first, second] = one.parents[..] else { panic!("{one:?} is the only child of {parent:?}") };
            let (first, second) = (shards[&first].range, shards[&second].range);
            assert_eq!(first.end.0.checked_add(1), Some(second.start.0), "{one:?} is of shards that are no neighbours");
            assert_eq!(one.range, HashRange { start: first.start, end: second.end });
        }
        [left, right] => {
            let parents = vec![parent.index];
            assert_eq!((&left.parents, &right.parents), (&parents, &parents));
            assert_eq!((left.range.start, right.range.end), (parent.range.start, parent.range.end));
            assert_eq!(left.range.end.0.checked_add(1), Some(right.range.start.0), "{left:?} {right:?}");
        }
        _ => panic!("{parent:?} is closed, and its children are {children:?}"),
    }
}
