//! One reader: of each shard a piece of its order without a gap, from where it began; then every child, wholly.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, ranges};
use crate::history::{Child, History, Kept, Met, Range, Reader, Shard, ShardId, Start};

pub(super) fn judge(index: usize, reader: &Reader, history: &History, found: &mut Vec<Violation>) {
    let mut seen: BTreeMap<&str, Vec<&Met>> = BTreeMap::new();
    for met in &reader.seen {
        seen.entry(&met.shard).or_default().push(met);
    }
    let begun = begun(reader, history);
    for (id, shard) in &history.kept {
        let seen = seen.remove(id.as_str()).unwrap_or_default();
        let wanted = if begun.contains(id.as_str()) {
            judge_end(index, reader, (id, shard), history, found);
            match reader.starts.get(id) {
                Some(start) => &shard.records[first_of(start, shard, &seen)..],
                None => &shard.records[..],
            }
        } else {
            &[]
        };
        judge_seen(index, wanted, &seen, found);
    }
    for (id, start) in &reader.starts {
        judge_start(index, (id, start), history, reader, &begun, found);
    }
}

/// Where it began, and every shard all of whose parents are among these.
fn begun<'h>(reader: &'h Reader, history: &'h History) -> BTreeSet<&'h str> {
    let mut begun: BTreeSet<&str> = reader.starts.keys().map(String::as_str).collect();
    // By number: parents come before their children.
    for (id, shard) in &history.kept {
        if !shard.parents.is_empty() && shard.parents.iter().all(|parent| begun.contains(parent.as_str())) {
            begun.insert(id);
        }
    }
    begun
}

fn first_of(start: &Start, shard: &Shard, seen: &[&Met]) -> usize {
    let behind = |is_before: &dyn Fn(&Kept) -> bool| shard.records.partition_point(is_before);
    match start {
        Start::Horizon => 0,
        Start::At(number) => behind(&|kept| kept.met.number < *number),
        Start::After(number) => behind(&|kept| kept.met.number <= *number),
        Start::TimeMs(time) => behind(&|kept| kept.arrival_ms < *time),
        Start::Latest { .. } => {
            let first = seen.first().and_then(|first| shard.records.iter().position(|kept| kept.met == **first));
            first.unwrap_or(shard.records.len())
        }
    }
}

fn judge_seen(reader: usize, wanted: &[Kept], seen: &[&Met], found: &mut Vec<Violation>) {
    let mut expected = wanted.iter().map(|kept| &kept.met);
    for met in seen {
        let next = expected.next();
        if next != Some(met) {
            found.push(Violation::ReadOutOfOrder { reader, expected: next.cloned(), met: (*met).clone() });
            return;
        }
    }
    found.extend(expected.map(|met| Violation::Missed { reader, met: met.clone() }));
}

fn judge_end(
    index: usize,
    reader: &Reader,
    (id, shard): (&ShardId, &Shard),
    history: &History,
    found: &mut Vec<Violation>,
) {
    match reader.ends.get(id) {
        Some(_) if shard.is_open => found.push(Violation::EndOfOpen { reader: index, shard: id.clone() }),
        Some(children) => {
            let ranges: Vec<Range> = children.iter().map(|child| child.range).collect();
            let child = |(id, child): (&ShardId, &Shard)| Child {
                id: id.clone(),
                parents: child.parents.clone(),
                range: child.range,
            };
            let is_right = children.iter().cloned().eq(history.children(id).map(child));
            if !is_right || !ranges::cover(&ranges, shard.range) {
                let children = children.clone();
                found.push(Violation::WrongChildren { reader: index, shard: id.clone(), children });
            }
        }
        None if shard.is_open => {}
        None => found.push(Violation::NoEnd { reader: index, shard: id.clone() }),
    }
}

/// What follows from where a reader began and is not said by the order of the shard.
fn judge_start(
    index: usize,
    (id, start): (&ShardId, &Start),
    history: &History,
    reader: &Reader,
    begun: &BTreeSet<&str>,
    found: &mut Vec<Violation>,
) {
    let missed = |met: &Met| Violation::Missed { reader: index, met: met.clone() };
    match start {
        Start::Horizon | Start::At(_) | Start::After(_) => {}
        Start::TimeMs(time) => {
            let others = history.all_kept().filter(|kept| !begun.contains(kept.met.shard.as_str()));
            found.extend(others.filter(|kept| kept.arrival_ms >= *time).map(|kept| missed(&kept.met)));
        }
        Start::Latest { asked, answered } => {
            let seen: BTreeSet<&Met> = reader.seen.iter().filter(|met| met.shard == *id).collect();
            let is_old = |met: &&&Met| history.acked.get(**met).is_some_and(|acked| acked < asked);
            let old = seen.iter().filter(is_old).map(|met| Violation::TooOld { reader: index, met: (*met).clone() });
            found.extend(old);
            let kept = history.kept.get(id).map(|shard| shard.records.as_slice()).unwrap_or_default();
            let is_new = |kept: &&Kept| history.submitted.get(&kept.met.record).is_some_and(|at| at > answered);
            let first = kept.iter().find(is_new).map(|kept| &kept.met);
            // Those behind it are the order's to judge, unless nothing was seen.
            found.extend(first.filter(|met| !seen.contains(met)).map(missed));
        }
    }
}
