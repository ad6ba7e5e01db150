//! The trigger: every record at least once, and a shard only when all of its parents are delivered.

use std::collections::{BTreeMap, HashSet};

use super::{Violation, first_met};
use crate::history::{History, Met};

pub(super) fn judge(history: &History, found: &mut Vec<Violation>) {
    let delivered: HashSet<&Met> = history.delivered.iter().collect();
    let undelivered = history.all_kept().filter(|kept| !delivered.contains(&kept.met));
    found.extend(undelivered.map(|kept| Violation::Undelivered(kept.met.clone())));
    judge_lineage(history, found);
}

fn judge_lineage(history: &History, found: &mut Vec<Violation>) {
    let mut firsts: BTreeMap<&str, (usize, &Met)> = BTreeMap::new();
    let mut lasts: BTreeMap<&str, (usize, &Met)> = BTreeMap::new();
    for (at, met) in first_met(&history.delivered).enumerate() {
        firsts.entry(&met.shard).or_insert((at, met));
        lasts.insert(&met.shard, (at, met));
    }
    for (id, shard) in &history.kept {
        let Some((first, child)) = firsts.get(id.as_str()) else { continue };
        let parents = shard.parents.iter().filter_map(|parent| lasts.get(parent.as_str()));
        let late = parents.filter(|(last, _)| last > first);
        found.extend(
            late.map(|(_, parent)| Violation::ChildFirst { parent: (*parent).clone(), child: (*child).clone() }),
        );
    }
}
