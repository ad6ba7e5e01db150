//! What the stream holds in the end: all that was acknowledged, once, in order, where its key belongs.

use std::collections::{HashMap, HashSet};

use md5::{Digest as _, Md5};

use super::Violation;
use crate::history::{History, Kept, Met, Told};

pub(super) fn judge(history: &History, found: &mut Vec<Violation>) {
    judge_numbers(history, found);
    judge_keys(history, found);
    let mut known = HashSet::new();
    for (shard, Kept { met, .. }) in
        history.kept.values().flat_map(|shard| shard.records.iter().map(move |r| (shard, r)))
    {
        if !known.insert(&met.record) {
            found.push(Violation::Twice(met.clone()));
        }
        if !history.submitted.contains_key(&met.record) {
            found.push(Violation::Invented(met.clone()));
        }
        let hash = hash(&met.record.key);
        if hash < shard.range.start || hash > shard.range.end {
            found.push(Violation::WrongShard(met.clone()));
        }
    }
    let kept: HashSet<&Met> = history.all_kept().map(|kept| &kept.met).collect();
    let lost = history.acked.keys().filter(|met| !kept.contains(met));
    found.extend(lost.cloned().map(Violation::LostAck));
}

/// The hash key of a partition key.
fn hash(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
}

fn judge_numbers(history: &History, found: &mut Vec<Violation>) {
    for (id, shard) in &history.kept {
        for pair in shard.records.windows(2) {
            let (before, number) = (pair[0].met.number.clone(), pair[1].met.number.clone());
            if number <= before {
                found.push(Violation::NumberStepsBack { shard: id.clone(), before, number });
            }
        }
    }
}

/// Along all shards of a key: the numbers of children are above those of their parents.
fn judge_keys(history: &History, found: &mut Vec<Violation>) {
    let mut by_number: Vec<&Met> = history.all_kept().map(|kept| &kept.met).collect();
    by_number.sort_by_key(|met| &met.number);
    let mut last: HashMap<&str, &Told> = HashMap::new();
    for record in by_number.into_iter().map(|met| &met.record) {
        if let Some(before) = last.insert(&record.key, record).filter(|before| before.count >= record.count) {
            found.push(Violation::KeyOutOfOrder { before: before.clone(), record: record.clone() });
        }
    }
}
