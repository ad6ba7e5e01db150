//! The judge is judged: histories that are right, and copies of them that each break one law, and no other.
//!
//! In the plain one shard 0 was split; its first batch fails once, its second one until it is given up. In the other one
//! the trigger has tumbling windows of a second.

use std::collections::BTreeSet;

use tidemill_stream::cursor::Progress;
use tidemill_stream::engine::{Bound, Position};

use super::history::{Call, Change, Event, History, How, Kept, Number, Outcome, Rules, Shard, What, Why, Window};
use super::judge::{Law, judge};

fn rules() -> Rules {
    Rules {
        batch_max: 2,
        lanes: 1,
        retries_max: Some(1),
        age_max_ms: None,
        bisects: false,
        reports: false,
        keys: None,
        window_ms: None,
    }
}

fn kept(number: Number, position: u64, key: &str, arrival_ms: u64) -> Kept {
    Kept { number, position, key: key.to_owned(), arrival_ms }
}

fn ordered(run: u32, rules: Rules) -> What {
    What::Ordered { trigger: 0, run, rules, change: Change::Start }
}

fn call(call: u32, shard: u32, attempt: u32, records: &[Number]) -> Call {
    Call { call, trigger: 0, run: 0, shard, lane: 0, attempt, records: records.to_vec(), window: None }
}

fn begin(number: u32, shard: u32, attempt: u32, records: &[Number]) -> What {
    What::Begin(call(number, shard, attempt, records))
}

fn end(call: u32, outcome: Outcome) -> What {
    What::End { call, outcome, how: How::Succeeded, state: None, emits: Vec::new() }
}

fn cursor(shard: u32, behind: u64) -> What {
    What::Cursor { trigger: 0, shard, progress: Progress::from(Bound::after(Position(behind))) }
}

fn in_time(whats: Vec<What>) -> Vec<Event> {
    (1..).zip(whats).map(|(count, what)| Event { at_ms: 2000 + count * 10, what }).collect()
}

fn plain() -> History {
    let events = in_time(vec![
        What::Put { number: 0, shard: 0, position: 1 },
        ordered(0, rules()),
        begin(1, 0, 1, &[0, 1]),
        end(1, Outcome::Failed),
        begin(2, 0, 2, &[0, 1]),
        end(2, Outcome::Taken),
        cursor(0, 2),
        begin(3, 0, 1, &[2]),
        end(3, Outcome::Failed),
        begin(4, 0, 2, &[2]),
        end(4, Outcome::Failed),
        What::GivenUp { trigger: 0, run: 0, shard: 0, first: 3, count: 1, why: Why::Retries },
        begin(5, 1, 1, &[3]),
        What::End { call: 5, outcome: Outcome::Taken, how: How::Succeeded, state: None, emits: vec![3] },
        cursor(1, 5),
        What::Counted { trigger: 0, run: 0, shard: 0, taken: 2, given_up: 1 },
        What::Stopping { in_work: 0 },
        What::Stopped,
    ]);
    let parent = Shard { parents: vec![], records: vec![kept(0, 1, "a", 0), kept(1, 2, "b", 0), kept(2, 3, "a", 10)] };
    let child = Shard { parents: vec![0], records: vec![kept(3, 5, "a", 20)] };
    History { events, shards: [(0, parent), (1, child)].into(), emitted: vec![(0, 3)] }
}

/// Number, start of the window, records, the state before.
fn in_window(number: u32, start_ms: u64, records: &[Number], state: &str) -> What {
    let state = state.to_owned();
    let window = Window { start_ms, end_ms: start_ms + 1000, state, is_final: records.is_empty(), is_early: false };
    What::Begin(Call { window: Some(window), ..call(number, 0, 1, records) })
}

fn with_state(call: u32, state: &str) -> What {
    What::End { call, outcome: Outcome::Taken, how: How::Succeeded, state: Some(state.to_owned()), emits: Vec::new() }
}

fn windowed() -> History {
    let events = in_time(vec![
        ordered(0, Rules { window_ms: Some(1000), ..rules() }),
        in_window(1, 0, &[0], "{}"),
        with_state(1, "1"),
        in_window(2, 0, &[1], "1"),
        with_state(2, "2"),
        in_window(3, 0, &[], "2"),
        with_state(3, "3"),
        cursor(0, 2),
        in_window(4, 1000, &[2], "{}"),
        with_state(4, "4"),
        in_window(5, 1000, &[], "4"),
        with_state(5, "5"),
    ]);
    let records = vec![kept(0, 1, "a", 0), kept(1, 2, "b", 500), kept(2, 3, "a", 1500)];
    History { events, shards: [(0, Shard { parents: vec![], records })].into(), emitted: vec![] }
}

impl History {
    fn what(&mut self, index: usize) -> &mut What {
        &mut self.events[index].what
    }

    fn call(&mut self, number: u32) -> &mut Call {
        let is_it = |event: &&mut Event| matches!(&event.what, What::Begin(call) if call.call == number);
        match &mut self.events.iter_mut().find(is_it).unwrap().what {
            What::Begin(call) => call,
            _ => unreachable!(),
        }
    }

    fn rules(&mut self) -> &mut Rules {
        let rules = self.events.iter_mut().find_map(|event| match &mut event.what {
            What::Ordered { rules, .. } => Some(rules),
            _ => None,
        });
        rules.unwrap()
    }

    fn count(&mut self, counted: usize, counted_given_up: usize) {
        for event in &mut self.events {
            if let What::Counted { taken, given_up, .. } = &mut event.what {
                (*taken, *given_up) = (counted, counted_given_up);
            }
        }
    }

    fn insert(&mut self, at: usize, whats: Vec<What>) {
        let at_ms = self.events[at - 1].at_ms;
        self.events.splice(at..at, whats.into_iter().map(|what| Event { at_ms, what }));
    }

    fn push(&mut self, whats: Vec<What>) {
        self.insert(self.events.len(), whats);
    }

    /// The call of the child comes before the second batch of its parent.
    fn child_first(&mut self) {
        let child: Vec<What> = self.events.drain(12..15).map(|event| event.what).collect();
        self.insert(7, child);
    }
}

fn doctor(mut history: History, change: impl FnOnce(&mut History)) -> History {
    change(&mut history);
    history
}

/// Where the law is broken, and how.
fn broken(law: Law) -> History {
    let mut plain = plain();
    match law {
        Law::AckIsKept => *plain.what(0) = What::Put { number: 0, shard: 0, position: 2 },
        Law::AllIsTaken => plain.shards.get_mut(&1).unwrap().records.push(kept(4, 6, "a", 30)),
        Law::BatchOfOneShard => plain.call(5).records.push(99),
        Law::BatchPassesFilter => plain.rules().keys = Some(vec!["a".to_owned()]),
        Law::BatchKeepsLimit => plain.rules().batch_max = 1,
        Law::BatchOfOneLane => plain.call(5).lane = 1,
        Law::NothingIsSkipped => {
            plain.call(1).records = vec![1];
            plain.call(2).records = vec![1];
            plain.insert(6, vec![begin(20, 0, 1, &[0]), end(20, Outcome::Taken)]);
        }
        Law::NotAgainInRun => {
            plain.insert(6, vec![begin(20, 0, 1, &[0]), end(20, Outcome::Taken)]);
            plain.count(3, 1);
        }
        Law::NotAgainAfterStop => {
            let again = What::Begin(Call { run: 1, ..call(20, 1, 1, &[3]) });
            plain.push(vec![ordered(1, rules()), again, end(20, Outcome::Taken)]);
        }
        Law::RestComesAgain => {
            plain.call(2).records = vec![0];
            plain.call(2).attempt = 1;
            plain.insert(6, vec![begin(20, 0, 1, &[1]), end(20, Outcome::Taken)]);
        }
        Law::AttemptCounts => plain.call(2).attempt = 1,
        Law::RetriesEnd => {
            plain.events.splice(11..12, in_time(vec![begin(20, 0, 3, &[2]), end(20, Outcome::Taken)]));
            plain.count(3, 0);
        }
        Law::WaitsEnd => plain.events.iter_mut().skip(4).for_each(|event| event.at_ms += 60_000),
        Law::GivenUpByRule => plain.rules().retries_max = Some(5),
        Law::KeyInOrder => {
            plain.shards.get_mut(&1).unwrap().parents.clear();
            plain.child_first();
        }
        Law::ParentFirst => {
            plain.shards.get_mut(&1).unwrap().records[0].key = "c".to_owned();
            plain.child_first();
        }
        Law::KeyOnceAtATime => {
            plain.shards.get_mut(&1).unwrap().parents.clear();
            plain.events.swap(10, 12);
            plain.events.swap(11, 12);
        }
        Law::CursorBehind => plain.insert(5, vec![cursor(0, 1)]),
        Law::OldRunIsOver => plain.insert(12, vec![What::Stopped]),
        Law::EmittedIsKept => plain.emitted.clear(),
        Law::CountsAreRight => plain.count(2, 0),
        Law::NothingIsEndless => plain.push(vec![What::Endless]),
        Law::BatchOfOneWindow | Law::StateIsHandedOn | Law::WindowCloses | Law::LaneOnceAtATime => {
            return broken_windowed(law);
        }
    }
    plain
}

fn broken_windowed(law: Law) -> History {
    let mut windowed = windowed();
    match law {
        Law::BatchOfOneWindow => {
            windowed.call(2).records = vec![1, 2];
            windowed.events.truncate(8);
        }
        Law::StateIsHandedOn => windowed.call(2).window.as_mut().unwrap().state = "{}".to_owned(),
        Law::WindowCloses => drop(windowed.events.drain(5..8)),
        // Two last calls at once, of a window that ends early.
        _ => {
            *windowed.what(2) = with_state(1, "large");
            windowed.call(2).window.as_mut().unwrap().state = "{}".to_owned();
            windowed.insert(3, vec![early(20), early(21), with_state(20, "{}"), with_state(21, "{}")]);
        }
    }
    windowed
}

fn early(number: u32) -> What {
    let state = "large".to_owned();
    let window = Window { start_ms: 0, end_ms: 1000, state, is_final: true, is_early: true };
    What::Begin(Call { window: Some(window), ..call(number, 0, 1, &[]) })
}

#[test]
fn good_histories_are_good() {
    assert_eq!(judge(&plain()), []);
    assert_eq!(judge(&windowed()), []);
}

#[test]
fn of_each_law_a_history_that_breaks_it_is_found_and_no_other_law_is_named() {
    for law in Law::ALL {
        let found: BTreeSet<Law> = judge(&broken(law)).into_iter().map(|violation| violation.law).collect();
        assert_eq!(found, [law].into(), "{law:?}");
    }
    assert_eq!(BTreeSet::from(Law::ALL).len(), Law::ALL.len(), "each law once");
}

#[test]
fn records_are_not_too_old_before_their_time() {
    let aged = |age_max_ms| {
        doctor(plain(), |history| {
            history.rules().age_max_ms = Some(age_max_ms);
            *history.what(11) = What::GivenUp { trigger: 0, run: 0, shard: 0, first: 3, count: 1, why: Why::Age };
            history.events.drain(7..11);
        })
    };
    assert_eq!(judge(&aged(2000)), []);
    assert_eq!(judge(&aged(5000)).first().map(|violation| violation.law), Some(Law::GivenUpByRule));
}

#[test]
fn what_a_call_settled_that_was_cut_off_may_come_again() {
    let history = doctor(plain(), |history| {
        let again = What::Begin(Call { run: 1, ..call(21, 1, 1, &[3]) });
        history.shards.get_mut(&1).unwrap().records.push(kept(4, 6, "a", 30));
        history.insert(14, vec![begin(20, 1, 1, &[4]), What::Cut { call: 20 }]);
        let other = What::Begin(Call { run: 1, ..call(22, 1, 1, &[4]) });
        history.push(vec![ordered(1, rules()), again, end(21, Outcome::Taken), other, end(22, Outcome::Taken)]);
    });
    assert_eq!(judge(&history), []);
}
