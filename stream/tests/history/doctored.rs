//! The judge is judged: a history that is right, and copies of it that are each wrong in one way.

use super::judge::{Acked, History, Number, Reader, Seen, Shard, Start, Told, Violation, judge};

const SHARD: Shard = 3;

fn number(n: u64) -> Number {
    format!("{n:04}")
}

/// The n-th record of the shard: of two producers by turns, each with one key.
fn seen(n: u64) -> Seen {
    let producer = (n % 2) as u32;
    Seen { number: number(n), record: Told { producer, key: format!("key {producer}"), count: n } }
}

fn reader(start: Start, seen: Vec<Seen>) -> Reader {
    Reader { shard: SHARD, start, seen }
}

/// Ten records, all acknowledged, and a reader of each kind.
fn good() -> History {
    let records: Vec<Seen> = (0..10).map(seen).collect();
    let from = |n: usize| records[n..].to_vec();
    History {
        submitted: records.iter().map(|seen| seen.record.clone()).collect(),
        acked: records.iter().map(|seen| Acked { shard: SHARD, seen: seen.clone() }).collect(),
        readers: vec![
            reader(Start::Horizon, from(0)),
            reader(Start::Latest, from(6)),
            reader(Start::Latest, Vec::new()),
            reader(Start::At(number(4)), from(4)),
            reader(Start::After(number(4)), from(5)),
        ],
        durable: [(SHARD, records.clone())].into(),
    }
}

/// Doctors a good history, and expects the judge to find this first.
fn check(doctor: impl Fn(&mut History), expected: &Violation) {
    let mut history = good();
    doctor(&mut history);
    let found = judge(&history);
    assert_eq!(found.first(), Some(expected), "{found:?}");
}

fn durable(history: &mut History) -> &mut Vec<Seen> {
    history.durable.get_mut(&SHARD).unwrap()
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(judge(&good()), []);
}

#[test]
fn a_record_that_was_never_answered_may_be_there_or_not() {
    let mut history = good();
    history.acked.remove(9);
    history.submitted.insert(Told { producer: 1, key: "key 1".to_owned(), count: 11 });
    assert_eq!(judge(&history), []);
}

#[test]
fn an_acknowledged_record_that_is_gone_is_found() {
    let gone = |history: &mut History| {
        durable(history).remove(9);
        for reader in &mut history.readers {
            reader.seen.retain(|seen| seen.number != number(9));
        }
    };
    check(gone, &Violation::LostAck(Acked { shard: SHARD, seen: seen(9) }));
}

#[test]
fn an_acknowledged_number_that_is_not_the_records_own_is_found() {
    let acked = Acked { shard: SHARD, seen: Seen { number: number(77), ..seen(9) } };
    check(|history| history.acked[9] = acked.clone(), &Violation::LostAck(acked.clone()));
}

#[test]
fn an_acknowledged_shard_that_is_not_the_records_own_is_found() {
    let acked = Acked { shard: 4, seen: seen(9) };
    check(|history| history.acked[9] = acked.clone(), &Violation::LostAck(acked.clone()));
}

#[test]
fn a_record_that_is_there_twice_is_found() {
    let again = Seen { number: number(10), ..seen(9) };
    let twice = |history: &mut History| durable(history).push(again.clone());
    check(twice, &Violation::Twice { shard: SHARD, record: seen(9).record });
}

#[test]
fn a_record_that_is_in_two_shards_is_found() {
    let twice = |history: &mut History| drop(history.durable.insert(SHARD + 1, vec![seen(9)]));
    check(twice, &Violation::Twice { shard: SHARD + 1, record: seen(9).record });
}

#[test]
fn a_number_that_steps_back_is_found() {
    let (before, number) = (number(4), number(3));
    check(|history| durable(history).swap(3, 4), &Violation::NumberStepsBack { shard: SHARD, before, number });
}

#[test]
fn a_number_that_is_there_twice_is_found() {
    let same = |history: &mut History| durable(history)[5].number = number(4);
    check(same, &Violation::NumberStepsBack { shard: SHARD, before: number(4), number: number(4) });
}

#[test]
fn a_keys_records_that_change_places_are_found() {
    let swap = |history: &mut History| {
        let records = durable(history);
        (records[2].record, records[4].record) = (seen(4).record, seen(2).record);
    };
    let (before, record) = (seen(4).record, seen(2).record);
    check(swap, &Violation::KeyOutOfOrder { shard: SHARD, before, record });
}

#[test]
fn a_record_that_nobody_submitted_is_found() {
    let invention = Told { producer: 7, key: "no such key".to_owned(), count: 0 };
    let invented = Seen { number: number(10), record: invention.clone() };
    let kept = |history: &mut History| durable(history).push(invented.clone());
    check(kept, &Violation::Invented { shard: SHARD, record: invention.clone() });
    let read = |history: &mut History| history.readers[0].seen.push(invented.clone());
    check(read, &Violation::Invented { shard: SHARD, record: invention.clone() });
}

#[test]
fn a_read_that_is_gone_after_the_crash_is_found() {
    let vanished = |history: &mut History| {
        history.acked.pop();
        durable(history).pop();
    };
    check(vanished, &Violation::Vanished { shard: SHARD, seen: seen(9) });
}

#[test]
fn a_read_that_has_another_number_after_the_crash_is_found() {
    let other = Seen { number: number(88), ..seen(9) };
    let moved = |history: &mut History| history.readers[0].seen[9] = other.clone();
    check(moved, &Violation::Vanished { shard: SHARD, seen: other.clone() });
}

#[test]
fn two_readers_that_saw_two_orders_are_found() {
    let swap = |history: &mut History| history.readers[0].seen.swap(3, 4);
    check(swap, &Violation::OutOfOrder { shard: SHARD, expected: Some(seen(3)), seen: seen(4) });
}

#[test]
fn a_gap_in_what_a_reader_saw_is_found() {
    for reader in 0..2 {
        let gap = |history: &mut History| drop(history.readers[reader].seen.remove(2));
        let missing = if reader == 0 { 2 } else { 8 };
        let (expected, next) = (Some(seen(missing)), seen(missing + 1));
        check(gap, &Violation::OutOfOrder { shard: SHARD, expected, seen: next });
    }
}

#[test]
fn a_record_that_a_reader_saw_twice_is_found() {
    let repeat = |history: &mut History| history.readers[1].seen.insert(1, seen(6));
    check(repeat, &Violation::OutOfOrder { shard: SHARD, expected: Some(seen(7)), seen: seen(6) });
}

#[test]
fn a_reader_that_began_too_late_or_ended_too_early_is_found() {
    let late = |history: &mut History| drop(history.readers[3].seen.remove(0));
    check(late, &Violation::OutOfOrder { shard: SHARD, expected: Some(seen(4)), seen: seen(5) });
    let early = |history: &mut History| drop(history.readers[0].seen.pop());
    check(early, &Violation::Missed { shard: SHARD, record: seen(9).record });
}
