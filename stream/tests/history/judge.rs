//! The judge: a history in, what is wrong with it out. It knows nothing of the store that made the history.

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(crate) type Shard = u32;
/// Compares as the sequence number does; the judge knows no more of it.
pub(crate) type Number = String;

/// What a record says of itself. No two records of a run are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Told {
    pub(crate) producer: u32,
    pub(crate) key: String,
    /// Rises with each record of the producer.
    pub(crate) count: u64,
}

/// A record where somebody met it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: Number,
    pub(crate) record: Told,
}

/// An acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) shard: Shard,
    pub(crate) seen: Seen,
}

/// Where a reader was when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// Before all records.
    Horizon,
    /// Behind the records that there were: any place.
    Latest,
    /// At this record, or behind it.
    At(Number),
    After(Number),
}

/// What one reader of one shard saw, in the order that it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) shard: Shard,
    pub(crate) start: Start,
    pub(crate) seen: Vec<Seen>,
}

/// All that was written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// What producers gave away, answered or not.
    pub(crate) submitted: BTreeSet<Told>,
    pub(crate) acked: Vec<Acked>,
    pub(crate) readers: Vec<Reader>,
    /// Each shard as it was read after a crash and a new start.
    pub(crate) durable: BTreeMap<Shard, Vec<Seen>>,
}

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// An acknowledged record is not there under its number.
    LostAck(Acked),
    /// A record is there twice.
    Twice { shard: Shard, record: Told },
    /// A number is not above the one before.
    NumberStepsBack { shard: Shard, before: Number, number: Number },
    /// A producer's records of one key are not in the order of their submission.
    KeyOutOfOrder { shard: Shard, before: Told, record: Told },
    /// Nobody submitted what is there, or was read.
    Invented { shard: Shard, record: Told },
    /// A reader saw what is not there.
    Vanished { shard: Shard, seen: Seen },
    /// A reader saw something else than what comes next in the order of the shard.
    OutOfOrder { shard: Shard, expected: Option<Seen>, seen: Seen },
    /// A reader that has come to the end did not see this.
    Missed { shard: Shard, record: Told },
}

/// All that is wrong, or nothing.
pub(crate) fn judge(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for (shard, records) in &history.durable {
        judge_order(*shard, records, &mut found);
        judge_keys(*shard, records, &mut found);
    }
    judge_twice(history, &mut found);
    judge_acks(history, &mut found);
    judge_invented(history, &mut found);
    for reader in &history.readers {
        judge_reader(reader, history.durable.get(&reader.shard).map(Vec::as_slice).unwrap_or_default(), &mut found);
    }
    found
}

fn judge_order(shard: Shard, records: &[Seen], found: &mut Vec<Violation>) {
    for pair in records.windows(2) {
        if pair[1].number <= pair[0].number {
            let (before, number) = (pair[0].number.clone(), pair[1].number.clone());
            found.push(Violation::NumberStepsBack { shard, before, number });
        }
    }
}

fn judge_keys(shard: Shard, records: &[Seen], found: &mut Vec<Violation>) {
    let mut last: HashMap<(u32, &str), &Told> = HashMap::new();
    for Seen { record, .. } in records {
        if let Some(before) = last.insert((record.producer, &record.key), record)
            && before.count > record.count
        {
            found.push(Violation::KeyOutOfOrder { shard, before: before.clone(), record: record.clone() });
        }
    }
}

fn judge_twice(history: &History, found: &mut Vec<Violation>) {
    let mut met = BTreeSet::new();
    for (shard, Seen { record, .. }) in all(history) {
        if !met.insert(record) {
            found.push(Violation::Twice { shard, record: record.clone() });
        }
    }
}

fn judge_acks(history: &History, found: &mut Vec<Violation>) {
    let kept: HashMap<&Told, (Shard, &Number)> =
        all(history).map(|(shard, seen)| (&seen.record, (shard, &seen.number))).collect();
    let is_lost = |acked: &&Acked| kept.get(&acked.seen.record) != Some(&(acked.shard, &acked.seen.number));
    found.extend(history.acked.iter().filter(is_lost).cloned().map(Violation::LostAck));
}

fn judge_invented(history: &History, found: &mut Vec<Violation>) {
    let read = history.readers.iter().flat_map(|reader| reader.seen.iter().map(|seen| (reader.shard, seen)));
    let mut invented = BTreeSet::new();
    for (shard, Seen { record, .. }) in all(history).chain(read) {
        if !history.submitted.contains(record) && invented.insert((shard, record)) {
            found.push(Violation::Invented { shard, record: record.clone() });
        }
    }
}

/// A reader saw a piece of the shard's order without a gap, from its start to the end.
fn judge_reader(reader: &Reader, records: &[Seen], found: &mut Vec<Violation>) {
    let shard = reader.shard;
    let kept: BTreeSet<(&Number, &Told)> = records.iter().map(|seen| (&seen.number, &seen.record)).collect();
    let vanished = reader.seen.iter().filter(|seen| !kept.contains(&(&seen.number, &seen.record)));
    let vanished: Vec<Violation> = vanished.map(|seen| Violation::Vanished { shard, seen: seen.clone() }).collect();
    if !vanished.is_empty() {
        found.extend(vanished);
        return;
    }
    let mut expected = records[first_of(reader, records)..].iter();
    for seen in &reader.seen {
        let next = expected.next();
        if next != Some(seen) {
            found.push(Violation::OutOfOrder { shard, expected: next.cloned(), seen: seen.clone() });
            return;
        }
    }
    // Readers end at the tip when all is put. One that began at the latest record and saw none began at the end.
    if !(reader.start == Start::Latest && reader.seen.is_empty()) {
        found.extend(expected.map(|seen| Violation::Missed { shard, record: seen.record.clone() }));
    }
}

/// Where in the order of its shard a reader began.
fn first_of(reader: &Reader, records: &[Seen]) -> usize {
    match &reader.start {
        Start::Horizon => 0,
        Start::At(number) => records.partition_point(|seen| seen.number < *number),
        Start::After(number) => records.partition_point(|seen| seen.number <= *number),
        Start::Latest => {
            reader.seen.first().and_then(|first| records.iter().position(|seen| seen == first)).unwrap_or(records.len())
        }
    }
}

fn all(history: &History) -> impl Iterator<Item = (Shard, &Seen)> {
    history.durable.iter().flat_map(|(shard, records)| records.iter().map(|seen| (*shard, seen)))
}
