//! What must hold of a shard map, and how it may differ from one that was shown before.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::shard::{HashKey, HashRange, Shard, ShardIndex};
use crate::stream::{Stream, StreamStatus};

/// A change of the shards that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Reshape {
    Split(ShardIndex, HashKey),
    Merge(ShardIndex, ShardIndex),
    Count(u32),
}

/// The open ranges cover the hash space exactly once, and children have what their parents had.
pub(super) fn check_map(stream: &Stream) -> Result<(), String> {
    if stream.status != StreamStatus::Active {
        return Err(format!("it is {:?}", stream.status));
    }
    let mut open: Vec<&Shard> = stream.open_shards().collect();
    open.sort_by_key(|shard| shard.range.start);
    let mut next = Some(0);
    for shard in &open {
        if next != Some(shard.range.start.0) {
            return Err(format!("the open ranges do not cover the space once: {open:?}"));
        }
        next = shard.range.end.0.checked_add(1);
    }
    if next.is_some() {
        return Err(format!("the open ranges end too early: {open:?}"));
    }
    stream.shards.iter().try_for_each(|shard| check_lineage(stream, shard))
}

fn check_lineage(stream: &Stream, shard: &Shard) -> Result<(), String> {
    for parent in shard.parents.iter().filter_map(|parent| stream.shard(*parent)) {
        if parent.is_open() || parent.created.as_secs() >= shard.created.as_secs() {
            return Err(format!("{parent:?} is the parent of {shard:?}"));
        }
    }
    let children: Vec<&Shard> = stream.children(shard.index).collect();
    let HashRange { start, end } = shard.range;
    let is_right = match (shard.is_open(), &children[..]) {
        (true, []) => true,
        (false, [one]) => match one.parents[..] {
            [first, second] if first == shard.index => one.range.start == start && second != first,
            [_, second] => second == shard.index && one.range.end == end,
            _ => false,
        },
        (false, [left, right]) => {
            let is_alone = left.parents.len() == 1 && right.parents.len() == 1;
            let touches = left.range.end.0.checked_add(1) == Some(right.range.start.0);
            is_alone && touches && (left.range.start, right.range.end) == (start, end)
        }
        _ => false,
    };
    if is_right { Ok(()) } else { Err(format!("the children of {shard:?} are {children:?}")) }
}

/// What was shown is there, but for closed shards that have expired; what is new was asked for.
pub(super) fn check_follows(
    known: &Stream,
    found: &Stream,
    asked: &[Reshape],
    gone_before: Timestamp,
) -> Result<(), String> {
    if (known.id, known.created) != (found.id, found.created) {
        return Err(format!("it is another stream: {:?}, not {:?}", found.id, known.id));
    }
    for before in &known.shards {
        let Some(now) = found.shard(before.index) else {
            match before.closed {
                Some(closed) if closed.at >= gone_before => return Err(format!("{before:?} is not listed any more")),
                // One that was open may have been closed by what nobody was answered, and have expired since.
                Some(_) | None => continue,
            }
        };
        let is_same = *before == Shard { closed: before.closed, ..now.clone() };
        if !is_same || (before.closed.is_some() && before.closed != now.closed) {
            return Err(format!("{before:?} became {now:?}"));
        }
    }
    let new = found.shards.iter().filter(|shard| known.shard(shard.index).is_none());
    for shard in new {
        // A parent that has expired meanwhile does not tell its range any more.
        let parents: Option<Vec<&Shard>> = shard.parents.iter().map(|parent| found.shard(*parent)).collect();
        let Some(parents) = parents else { continue };
        if !asked.iter().any(|reshape| reshape.explains(shard, &parents)) {
            return Err(format!("nobody asked for {shard:?}"));
        }
    }
    Ok(())
}

impl Reshape {
    fn explains(self, child: &Shard, parents: &[&Shard]) -> bool {
        match (self, parents) {
            (Self::Split(shard, key), [parent]) => {
                parent.index == shard && (child.range.start == key || child.range.end.0.checked_add(1) == Some(key.0))
            }
            (Self::Merge(one, other), [first, second]) => (one, other) == (first.index, second.index),
            (Self::Count(target), [parent]) => {
                let starts = starts(target);
                let begins = child.range.start != parent.range.start && starts.contains(&child.range.start.0);
                let ends = child.range.end.0.checked_add(1).is_some_and(|next| starts.contains(&next));
                begins || (child.range.end != parent.range.end && ends)
            }
            (Self::Count(target), [_, second]) => !starts(target).contains(&second.range.start.0),
            _ => false,
        }
    }
}

fn starts(target: u32) -> BTreeSet<u128> {
    HashRange::uniform(target).into_iter().map(|range| range.start.0).collect()
}
