//! The judge: a history in, what is wrong with it out. It knows nothing of the node that made the history.

mod kept;
mod ranges;
mod reader;
mod trigger;

use std::collections::{HashMap, HashSet};

use super::history::{Child, History, Met, Number, Range, ShardId, Told};

/// Who met a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// By number, from 0.
    Reader(usize),
    Trigger,
}

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// An acknowledged record is not where it was said to be.
    LostAck(Met),
    /// A record is there twice; this is the second place.
    Twice(Met),
    /// Nobody gave away what is there, or was read or delivered.
    Invented(Met),
    /// A number is not above the one before.
    NumberStepsBack { shard: ShardId, before: Number, number: Number },
    /// The records of a key, by their numbers, are not in the order of their puts.
    KeyOutOfOrder { before: Told, record: Told },
    /// The hash of the key is not of the shard's range.
    WrongShard(Met),
    /// The open shards do not cover the hash space exactly once.
    NotCovered(Vec<Range>),
    /// The children of a closed shard do not cover its range exactly once.
    NotInherited { shard: ShardId, children: Vec<Range> },
    /// Somebody met what is not there in the end.
    Vanished { who: Who, met: Met },
    /// Somebody met the records of a key for the first time in another order than that of their puts.
    KeyStepsBack { who: Who, before: Told, record: Told },
    /// A reader saw something else than what comes next in its shard.
    ReadOutOfOrder { reader: usize, expected: Option<Met>, met: Met },
    /// A reader did not see what it should have.
    Missed { reader: usize, met: Met },
    /// A reader that began behind the newest record saw one that was acknowledged before.
    TooOld { reader: usize, met: Met },
    /// A closed shard was not read to its end.
    NoEnd { reader: usize, shard: ShardId },
    /// A shard came to an end for a reader, and is open.
    EndOfOpen { reader: usize, shard: ShardId },
    /// The children that a shard's end names are not those that it has, or do not cover its range.
    WrongChildren { reader: usize, shard: ShardId, children: Vec<Child> },
    /// The trigger never got this.
    Undelivered(Met),
    /// A record of a child was delivered before the last one of its parent.
    ChildFirst { parent: Met, child: Met },
}

/// All that is wrong, or nothing.
pub(crate) fn judge(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    kept::judge(history, &mut found);
    ranges::judge(history, &mut found);
    let kept: HashSet<&Met> = history.all_kept().map(|kept| &kept.met).collect();
    for (index, reader) in history.readers.iter().enumerate() {
        judge_met(Who::Reader(index), &reader.seen, history, &kept, &mut found);
        reader::judge(index, reader, history, &mut found);
    }
    judge_met(Who::Trigger, &history.delivered, history, &kept, &mut found);
    trigger::judge(history, &mut found);
    found
}

/// Whatever was met is there, and each key's records were first met in the order of their puts.
fn judge_met(who: Who, met: &[Met], history: &History, kept: &HashSet<&Met>, found: &mut Vec<Violation>) {
    for met in met.iter().filter(|met| !kept.contains(met)) {
        found.push(if history.submitted.contains_key(&met.record) {
            Violation::Vanished { who, met: met.clone() }
        } else {
            Violation::Invented(met.clone())
        });
    }
    let mut last: HashMap<&str, &Told> = HashMap::new();
    for record in first_met(met).map(|met| &met.record) {
        if let Some(before) = last.insert(&record.key, record).filter(|before| before.count > record.count) {
            found.push(Violation::KeyStepsBack { who, before: before.clone(), record: record.clone() });
        }
    }
}

/// Without what came again.
fn first_met(met: &[Met]) -> impl Iterator<Item = &Met> {
    let mut known = HashSet::new();
    met.iter().filter(move |met| known.insert(&met.record))
}
