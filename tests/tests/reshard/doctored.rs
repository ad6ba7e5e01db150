//! The judge is judged: a history that is right, and copies of it that are each wrong in one way.
//!
//! Shard 0 was split in two, and these were merged into shard 3. The MD5 of the key `a` lies in the lower half of the
//! hash space, that of `b` in the upper one.

use super::history::{Child, History, Kept, Met, Range, Reader, Shard, Start, Tick, Told};
use super::judge::{Violation, Who, judge};

const HALF: u128 = 1 << 127;
const LOW: Range = Range { start: 0, end: HALF - 1 };
const HIGH: Range = Range { start: HALF, end: u128::MAX };

fn id(shard: u32) -> String {
    format!("shard {shard}")
}

fn told(key: &str, count: u64) -> Told {
    Told { key: key.to_owned(), count }
}

/// The n-th record of the stream, by its number.
fn met(shard: u32, number: u64, key: &str, count: u64) -> Met {
    Met { shard: id(shard), number: format!("{number:04}"), record: told(key, count) }
}

/// Of each shard, in the order of numbers.
fn records() -> [Met; 12] {
    [
        met(0, 0, "a", 0),
        met(0, 1, "b", 0),
        met(0, 2, "a", 1),
        met(0, 3, "b", 1),
        met(1, 10, "a", 2),
        met(1, 11, "a", 3),
        met(2, 10, "b", 2),
        met(2, 11, "b", 3),
        met(3, 20, "a", 4),
        met(3, 21, "b", 4),
        met(3, 22, "a", 5),
        met(3, 23, "b", 5),
    ]
}

/// Puts are made one after another: each record is given away at an even tick, and answered at the next.
fn given_at(index: usize) -> Tick {
    Tick(index as u64 * 2)
}

fn shard(number: u32, range: Range, parents: &[u32]) -> (String, Shard) {
    let kept = |(index, met): (usize, Met)| Kept { met, arrival_ms: given_at(index).0 };
    let records = records().into_iter().enumerate().filter(|(_, met)| met.shard == id(number)).map(kept).collect();
    let parents = parents.iter().copied().map(id).collect();
    (id(number), Shard { range, parents, is_open: number == 3, records })
}

fn child(number: u32, range: Range, parents: &[u32]) -> Child {
    Child { id: id(number), parents: parents.iter().copied().map(id).collect(), range }
}

fn reader(starts: &[(u32, Start)], seen: &[Met]) -> Reader {
    let halves = vec![child(1, LOW, &[0]), child(2, HIGH, &[0])];
    let whole = vec![child(3, Range::ALL, &[1, 2])];
    let mut ends = [(id(0), halves), (id(1), whole.clone()), (id(2), whole)].into();
    let starts: std::collections::BTreeMap<_, _> = starts.iter().map(|(shard, at)| (id(*shard), at.clone())).collect();
    if !starts.contains_key(&id(0)) {
        std::collections::BTreeMap::remove(&mut ends, &id(0));
    }
    Reader { starts, seen: seen.to_vec(), ends }
}

/// All acknowledged and delivered, one of them twice; and a reader of each kind.
fn good() -> History {
    let records = records();
    let latest = Start::Latest { asked: Tick(4), answered: Tick(5) };
    let (at, after) = (Start::At("0011".to_owned()), Start::After("0010".to_owned()));
    let mut delivered = records.to_vec();
    delivered.insert(6, records[4].clone());
    History {
        submitted: records.iter().enumerate().map(|(index, met)| (met.record.clone(), given_at(index))).collect(),
        acked: records.iter().enumerate().map(|(index, met)| (met.clone(), Tick(given_at(index).0 + 1))).collect(),
        listings: vec![vec![Range::ALL], vec![HIGH, LOW]],
        readers: vec![
            reader(&[(0, Start::Horizon)], &records),
            reader(&[(0, latest)], &records[3..]),
            reader(&[(1, at), (2, after)], &[&records[5..6], &records[7..]].concat()),
            reader(&[(0, Start::TimeMs(4))], &records[2..]),
        ],
        delivered,
        kept: [shard(0, Range::ALL, &[]), shard(1, LOW, &[0]), shard(2, HIGH, &[0]), shard(3, Range::ALL, &[1, 2])]
            .into(),
    }
}

/// Doctors a good history, and expects the judge to find this among what it finds.
fn check(doctor: impl Fn(&mut History), expected: &Violation) {
    let mut history = good();
    doctor(&mut history);
    let found = judge(&history);
    assert!(found.contains(expected), "{expected:?} is not among {found:?}");
}

fn kept(history: &mut History, shard: u32) -> &mut Vec<Kept> {
    &mut history.kept.get_mut(&id(shard)).unwrap().records
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(judge(&good()), []);
}

#[test]
fn a_record_that_was_never_answered_may_be_there_or_not() {
    let mut history = good();
    history.acked.remove(&records()[11]);
    history.submitted.insert(told("b", 6), Tick(40));
    assert_eq!(judge(&history), []);
}

#[test]
fn an_acknowledged_record_that_is_gone_or_elsewhere_is_found() {
    let [.., last] = records();
    check(|history| drop(kept(history, 3).pop()), &Violation::LostAck(last.clone()));
    for other in [Met { shard: id(2), ..last.clone() }, Met { number: "0077".to_owned(), ..last.clone() }] {
        let say = |history: &mut History| {
            history.acked.insert(other.clone(), Tick(99));
        };
        check(say, &Violation::LostAck(other.clone()));
    }
}

#[test]
fn a_record_that_is_in_parent_and_child_is_found() {
    let again = Met { shard: id(1), number: "0012".to_owned(), record: told("a", 1) };
    let twice = |history: &mut History| kept(history, 1).push(Kept { met: again.clone(), arrival_ms: 9 });
    check(twice, &Violation::Twice(again.clone()));
    check(twice, &Violation::KeyOutOfOrder { before: told("a", 3), record: told("a", 1) });
}

#[test]
fn what_nobody_gave_away_is_found() {
    let invented = met(3, 30, "c", 0);
    let there = |history: &mut History| kept(history, 3).push(Kept { met: invented.clone(), arrival_ms: 99 });
    check(there, &Violation::Invented(invented.clone()));
    check(|history| history.readers[0].seen.push(invented.clone()), &Violation::Invented(invented.clone()));
    check(|history| history.delivered.push(invented.clone()), &Violation::Invented(invented.clone()));
}

#[test]
fn a_number_that_steps_back_is_found() {
    let (shard, before, number) = (id(3), "0021".to_owned(), "0020".to_owned());
    check(|history| kept(history, 3).swap(0, 1), &Violation::NumberStepsBack { shard, before, number });
}

#[test]
fn keys_that_change_places_within_a_shard_or_across_are_found() {
    let swap = |history: &mut History, one: (u32, usize), other: (u32, usize)| {
        let (first, second) = (kept(history, one.0)[one.1].clone(), kept(history, other.0)[other.1].clone());
        kept(history, one.0)[one.1].met.record = second.met.record;
        kept(history, other.0)[other.1].met.record = first.met.record;
    };
    let (before, record) = (told("a", 5), told("a", 4));
    check(|history| swap(history, (3, 0), (3, 2)), &Violation::KeyOutOfOrder { before, record });
    let (before, record) = (told("a", 4), told("a", 3));
    check(|history| swap(history, (1, 1), (3, 0)), &Violation::KeyOutOfOrder { before, record });
}

#[test]
fn a_key_in_a_shard_that_has_not_its_hash_is_found() {
    let strange = met(1, 12, "b", 4);
    let stray = |history: &mut History| kept(history, 1).push(Kept { met: strange.clone(), arrival_ms: 9 });
    check(stray, &Violation::WrongShard(strange.clone()));
}

#[test]
fn a_moment_at_which_ranges_leave_a_gap_or_overlap_is_found() {
    let shorter = Range { end: HALF - 2, ..LOW };
    let longer = Range { end: HALF, ..LOW };
    let early_end = Range { end: u128::MAX - 1, ..HIGH };
    for listed in [vec![], vec![LOW], vec![HIGH], vec![shorter, HIGH], vec![longer, HIGH], vec![LOW, early_end]] {
        check(|history| history.listings.push(listed.clone()), &Violation::NotCovered(listed.clone()));
    }
}

#[test]
fn children_that_do_not_cover_their_parent_are_found() {
    let gone = |history: &mut History| drop(history.kept.remove(&id(2)));
    check(gone, &Violation::NotInherited { shard: id(0), children: vec![LOW] });
}

#[test]
fn a_read_or_a_delivery_that_is_not_there_is_found() {
    let moved = Met { number: "0024".to_owned(), ..records()[11].clone() };
    let read = |history: &mut History| *history.readers[0].seen.last_mut().unwrap() = moved.clone();
    check(read, &Violation::Vanished { who: Who::Reader(0), met: moved.clone() });
    let delivered = |history: &mut History| history.delivered.push(moved.clone());
    check(delivered, &Violation::Vanished { who: Who::Trigger, met: moved.clone() });
}

#[test]
fn a_child_that_is_read_before_its_parent_is_found() {
    let early = |history: &mut History| history.readers[0].seen[2..6].rotate_left(2);
    let violation = Violation::KeyStepsBack { who: Who::Reader(0), before: told("a", 3), record: told("a", 1) };
    check(early, &violation);
}

#[test]
fn a_gap_a_repetition_and_another_order_of_a_reader_are_found() {
    let out_of_order = |reader, expected: usize, met: usize| Violation::ReadOutOfOrder {
        reader,
        expected: Some(records()[expected].clone()),
        met: records()[met].clone(),
    };
    check(|history| drop(history.readers[0].seen.remove(2)), &out_of_order(0, 2, 3));
    check(|history| history.readers[0].seen.insert(9, records()[8].clone()), &out_of_order(0, 9, 8));
    check(|history| history.readers[0].seen.swap(8, 9), &out_of_order(0, 8, 9));
    check(|history| drop(history.readers[2].seen.remove(2)), &out_of_order(2, 8, 9));
}

#[test]
fn a_reader_that_misses_the_end_of_a_shard_is_found() {
    for (reader, at, missing) in [(0, 3, 3), (0, 11, 11), (1, 2, 5), (2, 0, 5), (3, 1, 3)] {
        let met = records()[missing].clone();
        check(|history| drop(history.readers[reader].seen.remove(at)), &Violation::Missed { reader, met });
    }
}

#[test]
fn a_reader_that_began_at_the_wrong_place_is_found() {
    let later = |history: &mut History| drop(history.readers[1].seen.remove(0));
    check(later, &Violation::Missed { reader: 1, met: records()[3].clone() });
    let sooner = |history: &mut History| history.readers[1].seen.insert(0, records()[1].clone());
    check(sooner, &Violation::TooOld { reader: 1, met: records()[1].clone() });
    let after_time = |history: &mut History| {
        history.readers[3] = reader(&[(1, Start::TimeMs(4)), (2, Start::Horizon)], &records()[4..]);
    };
    check(after_time, &Violation::Missed { reader: 3, met: records()[2].clone() });
}

#[test]
fn an_end_that_is_missing_or_was_none_is_found() {
    let no_end = |history: &mut History| drop(history.readers[0].ends.remove(&id(1)));
    check(no_end, &Violation::NoEnd { reader: 0, shard: id(1) });
    let open = |history: &mut History| drop(history.readers[0].ends.insert(id(3), Vec::new()));
    check(open, &Violation::EndOfOpen { reader: 0, shard: id(3) });
}

#[test]
fn an_end_that_names_other_children_is_found() {
    let short = Range { end: HALF - 2, ..LOW };
    let (low, high) = (child(1, LOW, &[0]), child(2, HIGH, &[0]));
    for children in [
        vec![],
        vec![low.clone()],
        vec![low.clone(), child(4, HIGH, &[0])],
        vec![child(1, short, &[0]), high.clone()],
        vec![low, child(2, HIGH, &[0, 7])],
    ] {
        let name = |history: &mut History| drop(history.readers[0].ends.insert(id(0), children.clone()));
        check(name, &Violation::WrongChildren { reader: 0, shard: id(0), children: children.clone() });
    }
}

#[test]
fn a_record_that_is_never_delivered_is_found() {
    check(|history| drop(history.delivered.pop()), &Violation::Undelivered(records()[11].clone()));
}

#[test]
fn a_key_that_is_delivered_out_of_order_is_found() {
    let violation = Violation::KeyStepsBack { who: Who::Trigger, before: told("a", 5), record: told("a", 4) };
    check(|history| history.delivered.swap(9, 11), &violation);
}

#[test]
fn a_child_that_is_delivered_before_its_second_parent_is_found() {
    // Its keys are in order: the records of the second parent are of another key.
    let early = |history: &mut History| {
        let mut delivered = records().to_vec();
        delivered.swap(7, 8);
        history.delivered = delivered;
    };
    let (parent, child) = (records()[7].clone(), records()[8].clone());
    check(early, &Violation::ChildFirst { parent, child });
}
