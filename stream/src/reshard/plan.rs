//! Pure: what is asked for becomes the next change of a shard map.
//!
//! Promises that every change keeps the open ranges covering the hash space exactly once, that a child takes the range
//! of its parents or a part of it, and that steps toward a number of shards end there wherever they began.

use std::collections::BTreeSet;

use crate::error::NoShard;
use crate::limits::{SHARDS_LISTED_MAX, SHARDS_PER_STREAM_MAX};
use crate::shard::{HashKey, HashRange, Shard, ShardIndex};
use crate::stream::Stream;

use super::{Opening, Reshard, ReshardError, Scale};

/// One shard becomes two; the second begins at `new_start`.
pub(crate) fn split(stream: &Stream, shard: ShardIndex, new_start: HashKey) -> Result<Reshard, ReshardError> {
    let parent = open_shard(stream, shard)?;
    let HashRange { start, end } = parent.range;
    // AWS wants more than one hash key on each side.
    if new_start.0 <= start.0.saturating_add(1) || new_start >= end {
        return Err(ReshardError::SplitPoint { shard, given: new_start, range: parent.range });
    }
    check_count(stream, stream.open_shards().count() + 1, 2)?;
    Ok(Reshard { open: halves(parent, new_start).into(), target: None })
}

/// Two neighbours become one; the range of the second begins where that of the first ends.
pub(crate) fn merge(stream: &Stream, one: ShardIndex, other: ShardIndex) -> Result<Reshard, ReshardError> {
    let (one, other) = (open_shard(stream, one)?, open_shard(stream, other)?);
    if one.range.end.0.checked_add(1) != Some(other.range.start.0) {
        return Err(ReshardError::NotAdjacent { one: one.index, other: other.index });
    }
    check_count(stream, stream.open_shards().count().saturating_sub(1), 1)?;
    Ok(Reshard { open: vec![merged(one, other)], target: None })
}

/// The first step toward equal shares of the hash space; `None` where there is nothing to do.
pub(super) fn update(stream: &Stream, target: u32, scale: Scale) -> Result<Option<Reshard>, ReshardError> {
    let current = stream.open_shards().count();
    if !(1..=SHARDS_PER_STREAM_MAX).contains(&target) {
        return Err(ReshardError::ShardCount { given: target, max: SHARDS_PER_STREAM_MAX });
    }
    let is_within = target as usize <= current * 2 && target as usize * 2 >= current;
    if scale == Scale::Twofold && !is_within {
        return Err(ReshardError::Scale { current, target });
    }
    // No step opens more than two shards for each that is there or shall be.
    check_count(stream, target as usize, 2 * (current + target as usize))?;
    Ok(toward(&stream.shards, target))
}

/// All that can be done at once on the way to `target` equal shares: each shard that lies in several of them is split,
/// and neighbours that lie in the same one are merged, two by two.
pub(super) fn toward(shards: &[Shard], target: u32) -> Option<Reshard> {
    let starts: BTreeSet<HashKey> = HashRange::uniform(target).into_iter().map(|range| range.start).collect();
    let mut open: Vec<&Shard> = shards.iter().filter(|shard| shard.is_open()).collect();
    open.sort_unstable_by_key(|shard| shard.range.start);
    let mut openings = Vec::new();
    let mut waiting: Option<&Shard> = None;
    for shard in open {
        if let Some(cut) = middle_cut(&starts, shard.range) {
            openings.extend(halves(shard, cut));
            waiting = None;
            continue;
        }
        let before = waiting.take().filter(|_| !starts.contains(&shard.range.start));
        match before {
            Some(before) => openings.push(merged(before, shard)),
            None => waiting = Some(shard),
        }
    }
    (!openings.is_empty()).then_some(Reshard { open: openings, target: Some(target) })
}

/// The middle one of the starts that lie inside a range.
fn middle_cut(starts: &BTreeSet<HashKey>, range: HashRange) -> Option<HashKey> {
    if range.start == range.end {
        return None;
    }
    let inside = || starts.range((std::ops::Bound::Excluded(range.start), std::ops::Bound::Included(range.end)));
    inside().nth(inside().count() / 2).copied()
}

fn halves(parent: &Shard, cut: HashKey) -> [Opening; 2] {
    let HashRange { start, end } = parent.range;
    let before = HashRange { start, end: HashKey(cut.0.saturating_sub(1)) };
    [before, HashRange { start: cut, end }].map(|range| Opening { range, parents: vec![parent.index] })
}

fn merged(one: &Shard, other: &Shard) -> Opening {
    let range = HashRange { start: one.range.start, end: other.range.end };
    Opening { range, parents: vec![one.index, other.index] }
}

fn open_shard(stream: &Stream, index: ShardIndex) -> Result<&Shard, ReshardError> {
    let shard = stream.shard(index).ok_or_else(|| NoShard { stream: stream.name.clone(), shard: index })?;
    if shard.is_open() { Ok(shard) } else { Err(ReshardError::Closed { shard: index }) }
}

fn check_count(stream: &Stream, open: usize, opened: usize) -> Result<(), ReshardError> {
    if open > SHARDS_PER_STREAM_MAX as usize {
        let given = u32::try_from(open).unwrap_or(u32::MAX);
        return Err(ReshardError::ShardCount { given, max: SHARDS_PER_STREAM_MAX });
    }
    let listed = stream.shards.len() + opened;
    if listed > SHARDS_LISTED_MAX {
        return Err(ReshardError::TooManyListed { listed, max: SHARDS_LISTED_MAX });
    }
    Ok(())
}
