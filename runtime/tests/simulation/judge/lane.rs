//! What a lane does next, as Lambda's rules say: a model of its own.

use std::collections::BTreeSet;

use super::{Court, LaneId, Law};
use crate::history::{LARGE, Number, Outcome, Rules};

/// The wait behind the first failure is at most so long; each failure that follows doubles it.
const WAIT_MS: u64 = 100;
const WAIT_MS_MAX: u64 = 10_000;
/// Timers have milliseconds.
const WAIT_SLACK_MS: u64 = 2;

/// A lane of a shard in one run of its trigger.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// What is left of the batch that is in work; the last is next.
    pub(super) parts: Vec<Part>,
    pub(super) window: Option<Open>,
    /// Done with, for good when the window closes.
    pub(super) held: Vec<Number>,
    /// Done with in this run.
    pub(super) done: BTreeSet<Number>,
    /// Calls that failed one after another.
    pub(super) in_row: u32,
    /// The next call comes no later than this.
    pub(super) due_ms: Option<u64>,
    /// The part that is next has failed too often: it must be given up.
    pub(super) is_exhausted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) records: Vec<Number>,
    pub(super) calls: u32,
    pub(super) failures: u32,
}

impl Part {
    pub(super) fn new(records: Vec<Number>) -> Self {
        Self { records, calls: 0, failures: 0 }
    }
}

/// A tumbling window that is open.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) state: String,
    /// Last calls that failed.
    pub(super) final_failures: u32,
}

impl Lane {
    /// Another call that failed: the next one comes in time.
    pub(super) fn wait(&mut self, now_ms: u64) {
        self.due_ms = Some(now_ms + bound_ms(self.in_row) + WAIT_SLACK_MS);
        self.in_row += 1;
    }

    /// What follows from the end of a call; the records that are done with.
    fn follow(&mut self, outcome: Outcome, rules: &Rules, now_ms: u64) -> Vec<Number> {
        let Some(mut part) = self.parts.pop() else { return Vec::new() };
        match outcome {
            Outcome::Taken => {
                self.in_row = 0;
                return part.records;
            }
            Outcome::TookSome(taken) if taken > 0 => {
                let rest = part.records.split_off(taken.min(part.records.len()));
                self.parts.push(Part::new(rest));
                self.wait(now_ms);
                return part.records;
            }
            Outcome::Failed if rules.bisects && part.records.len() > 1 => {
                let second = part.records.split_off(part.records.len() / 2);
                let half = |records| Part { records, ..part.clone() };
                let halves = [half(second), half(part.records.clone())];
                self.parts.extend(halves);
            }
            Outcome::TookSome(_) | Outcome::Failed => {
                part.failures += 1;
                self.is_exhausted = rules.retries_max.is_some_and(|retries| part.failures > retries);
                self.parts.push(part);
            }
            Outcome::Unreached => self.parts.push(part),
        }
        self.wait(now_ms);
        Vec::new()
    }
}

pub(super) fn bound_ms(failures: u32) -> u64 {
    WAIT_MS.saturating_mul(1 << failures.min(20)).min(WAIT_MS_MAX)
}

impl Court<'_> {
    pub(super) fn end(&mut self, call: u32, outcome: Outcome, state: Option<&String>, emits: &[Number]) {
        let Some((call, id)) = self.in_work.remove(&call) else { return };
        if outcome != Outcome::Unreached {
            self.emitted.extend(emits.iter().map(|number| (id.0, *number)));
        }
        if call.records.is_empty() {
            return self.end_final(call, id, outcome);
        }
        let (rules, now_ms) = (self.rules_of(id), self.now_ms);
        let lane = self.lanes.entry(id).or_default();
        // A batch that comes again as a whole finds the state that it found.
        let is_kept = matches!(outcome, Outcome::Taken | Outcome::TookSome(1..));
        if let (Some(window), Some(state), true) = (&mut lane.window, state, is_kept) {
            window.state.clone_from(state);
        }
        let done = lane.follow(outcome, rules, now_ms);
        // The window ends early, in a call whose own failures take their time.
        if state.is_some_and(|state| state.starts_with(LARGE)) {
            lane.due_ms = None;
        }
        *self.taken.entry((id.0, id.1, id.2)).or_default() += done.len();
        self.settle(id, &done);
    }

    /// The call comes in time, and not in place of a letter.
    pub(super) fn is_due(&mut self, id: LaneId) {
        let now_ms = self.now_ms;
        let lane = self.lanes.entry(id).or_default();
        let (due_ms, is_exhausted) = (lane.due_ms.take(), std::mem::take(&mut lane.is_exhausted));
        self.must(due_ms.is_none_or(|due_ms| now_ms <= due_ms), Law::WaitsEnd, || format!("{id:?}, due {due_ms:?}"));
        self.must(!is_exhausted, Law::RetriesEnd, || format!("{id:?} is called again"));
    }
}
