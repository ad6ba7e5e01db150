//! The judge: a history in, what is wrong with it out. It knows nothing of the node that made the history; what a lane must
//! do next it knows from Lambda's rules alone.

mod batch;
mod given_up;
mod lane;
mod last;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use tidemill_stream::cursor::{Progress, lane_of};
use tidemill_stream::engine::Position;
use tidemill_stream::record::PartitionKey;

use self::lane::Lane;
use super::history::{Call, History, Kept, Number, Outcome, Rules, What};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Law {
    /// An acknowledged record is where it was said to be.
    AckIsKept,
    /// Every record that the filter lets pass was taken or given up.
    AllIsTaken,
    /// The records of a batch are those of its shard, in order.
    BatchOfOneShard,
    BatchPassesFilter,
    BatchKeepsLimit,
    /// The keys of a batch fall to its lane.
    BatchOfOneLane,
    BatchOfOneWindow,
    /// A batch has the next records of its lane: none is skipped.
    NothingIsSkipped,
    /// What was settled does not come again in the same run.
    NotAgainInRun,
    /// Nor after a stop that cut off no call of its shard.
    NotAgainAfterStop,
    /// What failed comes again as the rules say: whole, in halves, or from the first on that was not taken.
    RestComesAgain,
    /// The attempts of a part are counted.
    AttemptCounts,
    /// A part does not fail more often than its rules say.
    RetriesEnd,
    /// The wait behind a failure keeps to its bound.
    WaitsEnd,
    /// Records are given up only if their failures or their age say so.
    GivenUpByRule,
    /// The records of a key are first delivered in order.
    KeyInOrder,
    /// No two calls at once have the same key.
    KeyOnceAtATime,
    /// A lane makes one call at a time.
    LaneOnceAtATime,
    /// A parent is done with before its children begin.
    ParentFirst,
    /// A cursor never passes what is not settled.
    CursorBehind,
    /// The state of a window is handed on, and begins with none.
    StateIsHandedOn,
    /// The last call of a window comes behind all of its records, and before those of a later one.
    WindowCloses,
    /// No call of an earlier run, and none while all is stopped.
    OldRunIsOver,
    /// What was emitted is there.
    EmittedIsKept,
    /// The board counts what happened.
    CountsAreRight,
    /// All waits end.
    NothingIsEndless,
}

impl Law {
    /// All of them.
    pub(crate) const ALL: [Self; Self::NothingIsEndless as usize + 1] = [
        Self::AckIsKept,
        Self::AllIsTaken,
        Self::BatchOfOneShard,
        Self::BatchPassesFilter,
        Self::BatchKeepsLimit,
        Self::BatchOfOneLane,
        Self::BatchOfOneWindow,
        Self::NothingIsSkipped,
        Self::NotAgainInRun,
        Self::NotAgainAfterStop,
        Self::RestComesAgain,
        Self::AttemptCounts,
        Self::RetriesEnd,
        Self::WaitsEnd,
        Self::GivenUpByRule,
        Self::KeyInOrder,
        Self::KeyOnceAtATime,
        Self::LaneOnceAtATime,
        Self::ParentFirst,
        Self::CursorBehind,
        Self::StateIsHandedOn,
        Self::WindowCloses,
        Self::OldRunIsOver,
        Self::EmittedIsKept,
        Self::CountsAreRight,
        Self::NothingIsEndless,
    ];
}

/// A law that was broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) law: Law,
    pub(crate) at_ms: u64,
    pub(crate) what: String,
}

/// All that is wrong, or nothing.
pub(crate) fn judge(history: &History) -> Vec<Violation> {
    let mut court = Court::new(history);
    for event in &history.events {
        court.now_ms = event.at_ms;
        court.hear(&event.what);
    }
    court.conclude();
    court.found
}

/// A lane in one run: trigger, run, shard and number.
type LaneId = (usize, u32, u32, usize);
/// A shard in one run of a trigger.
type ShardRun = (usize, u32, u32);

/// What is known so far.
struct Court<'h> {
    history: &'h History,
    now_ms: u64,
    /// Where each record is kept.
    places: BTreeMap<Number, (u32, &'h Kept)>,
    keys: BTreeMap<&'h str, PartitionKey>,
    /// Calls whose outputs were not put.
    not_put: BTreeSet<u32>,
    rules: BTreeMap<(usize, u32), &'h Rules>,
    newest_run: BTreeMap<usize, u32>,
    is_stopped: bool,
    lanes: BTreeMap<LaneId, Lane>,
    in_work: BTreeMap<u32, (&'h Call, LaneId)>,
    /// What is done with for good, by trigger and record, and the run that did it last.
    settled: BTreeMap<(usize, Number), u32>,
    /// What was first met of each key, by trigger: the highest shard and position.
    met: BTreeMap<(usize, &'h str), (u32, u64)>,
    known: BTreeSet<(usize, Number)>,
    /// A call of it was cut off: what it settled last may not be kept.
    cut: BTreeSet<ShardRun>,
    /// Where cursors were seen last, by trigger and shard.
    cursors: BTreeMap<(usize, u32), &'h Progress>,
    taken: BTreeMap<ShardRun, usize>,
    given_up: BTreeMap<ShardRun, usize>,
    emitted: BTreeSet<(usize, Number)>,
    found: Vec<Violation>,
}

impl<'h> Court<'h> {
    fn new(history: &'h History) -> Self {
        let kept = || history.shards.iter().flat_map(|(id, shard)| shard.records.iter().map(move |kept| (*id, kept)));
        let not_put = history.events.iter().filter_map(|event| match &event.what {
            What::NotPut { call } => Some(*call),
            _ => None,
        });
        Self {
            history,
            now_ms: 0,
            places: kept().map(|(shard, kept)| (kept.number, (shard, kept))).collect(),
            keys: kept().map(|(_, kept)| (&*kept.key, PartitionKey::parse(kept.key.clone()).unwrap())).collect(),
            not_put: not_put.collect(),
            rules: BTreeMap::new(),
            newest_run: BTreeMap::new(),
            is_stopped: false,
            lanes: BTreeMap::new(),
            in_work: BTreeMap::new(),
            settled: BTreeMap::new(),
            met: BTreeMap::new(),
            known: BTreeSet::new(),
            cut: BTreeSet::new(),
            cursors: BTreeMap::new(),
            taken: BTreeMap::new(),
            given_up: BTreeMap::new(),
            emitted: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    fn hear(&mut self, what: &'h What) {
        match what {
            What::Put { number, shard, position } => {
                let is_there =
                    self.places.get(number).is_some_and(|(at, kept)| at == shard && kept.position == *position);
                self.must(is_there, Law::AckIsKept, || format!("record {number} in shard {shard}"));
            }
            What::Ordered { trigger, run, rules, .. } => {
                self.rules.insert((*trigger, *run), rules);
                self.is_stopped = false;
            }
            What::Begin(call) => self.begin(call),
            What::End { call, outcome, state, emits, .. } => {
                let outcome = if self.not_put.contains(call) { Outcome::Unreached } else { *outcome };
                self.end(*call, outcome, state.as_ref(), emits);
            }
            What::Cut { call } => {
                if let Some((call, _)) = self.in_work.remove(call) {
                    self.cut.insert((call.trigger, call.run, call.shard));
                }
            }
            What::GivenUp { trigger, run, shard, first, count, why } => {
                self.give_up((*trigger, *run, *shard), *first, *count, *why);
            }
            What::Cursor { trigger, shard, progress } => self.look_at_cursor(*trigger, *shard, progress),
            What::Counted { trigger, run, shard, taken, given_up } => {
                let counted = |of: &BTreeMap<ShardRun, usize>| of.get(&(*trigger, *run, *shard)).copied().unwrap_or(0);
                let (taken_here, given_up_here) = (counted(&self.taken), counted(&self.given_up));
                let is_right = taken_here == *taken && given_up_here == *given_up;
                let text = || {
                    format!("t{trigger} run {run} shard {shard}: {taken}+{given_up}, not {taken_here}+{given_up_here}")
                };
                self.must(is_right, Law::CountsAreRight, text);
            }
            What::Stopped => {
                self.must(self.in_work.is_empty(), Law::OldRunIsOver, || "a call outlived the stop".to_owned());
                self.is_stopped = true;
            }
            What::Endless => self.must(false, Law::NothingIsEndless, String::new),
            What::NotPut { .. } | What::Split | What::Merge | What::Version | What::Stopping { .. } => {}
        }
    }

    fn must(&mut self, holds: bool, law: Law, what: impl FnOnce() -> String) {
        if !holds {
            let (at_ms, what) = (self.now_ms, what());
            self.found.push(Violation { law, at_ms, what });
        }
    }

    fn rules_of(&self, (trigger, run, ..): LaneId) -> &'h Rules {
        self.rules.get(&(trigger, run)).expect("no run goes on that nobody ordered")
    }

    fn lane_of(&self, key: &str, rules: &Rules) -> usize {
        self.keys.get(key).map_or(0, |key| lane_of(key, rules.lanes))
    }

    /// The records of a lane in its shard, in order.
    fn records_of(&self, lane: LaneId) -> impl Iterator<Item = &'h Kept> + use<'_, 'h> {
        let rules = self.rules_of(lane);
        let records = self.history.shards.get(&lane.2).map_or(&[][..], |shard| &shard.records);
        let is_of_lane = move |kept: &&Kept| rules.passes(&kept.key) && self.lane_of(&kept.key, rules) == lane.3;
        records.iter().filter(is_of_lane)
    }

    /// It is done with: at once or, within a tumbling window, when that closes.
    fn settle(&mut self, lane: LaneId, numbers: &[Number]) {
        let is_windowed = self.rules_of(lane).window_ms.is_some();
        let known = self.lanes.entry(lane).or_default();
        known.done.extend(numbers);
        if is_windowed {
            known.held.extend(numbers);
        } else {
            self.settled.extend(numbers.iter().map(|number| ((lane.0, *number), lane.1)));
        }
    }

    fn look_at_cursor(&mut self, trigger: usize, shard: u32, progress: &'h Progress) {
        self.cursors.insert((trigger, shard), progress);
        let Some((_, rules)) = self.rules.iter().rfind(|((of, _), _)| *of == trigger) else { return };
        let records = self.history.shards.get(&shard).map_or(&[][..], |shard| &shard.records);
        for kept in records.iter().filter(|kept| rules.passes(&kept.key)) {
            let is_passed = progress.includes(&self.keys[&*kept.key], Position(kept.position));
            let is_settled = self.settled.contains_key(&(trigger, kept.number));
            self.must(!is_passed || is_settled, Law::CursorBehind, || {
                format!("t{trigger} shard {shard} has passed record {}", kept.number)
            });
        }
    }
}
