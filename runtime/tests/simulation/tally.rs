//! How often each kind of event was met.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tidemill_stream::engine::faulty::{Counts, Fault};

use super::history::{Call, Change, History, How, Outcome, Rules, What};

/// Each kind is met so often at least.
const MIN: u64 = 200;

/// What is counted, by name.
const KINDS: [&str; 36] = [
    "put",
    "call: Succeeded",
    "call: Stalled",
    "call: Failed",
    "call: Trapped",
    "call: TimedOut",
    "call: Nonsense",
    "call: UnknownRecord",
    "call: Reported",
    "call: Unavailable",
    "call cut off",
    "outputs put",
    "outputs not put",
    "partial progress",
    "batch bisected",
    "given up: Retries",
    "given up: Age",
    "came again after a cut",
    "window closed by record",
    "window closed by time",
    "window closed by shard end",
    "window ended early",
    "last call failed",
    "split",
    "merge",
    "call in a child",
    "new version",
    "restart at rest",
    "restart with calls that end",
    "restart that cuts calls off",
    "change: Start",
    "change: Lanes",
    "change: BatchSize",
    "change: Enabled",
    "change: Disabled",
    "cursor looked at",
];

#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, u64>);

/// The troubles that a world can meet: nobody there waits for documents to change.
fn faults() -> impl Iterator<Item = Fault> {
    Fault::ALL.into_iter().filter(|fault| *fault != Fault::LostWatch)
}

impl Tally {
    pub(crate) fn add(&mut self, history: &History, counts: &Counts) {
        for fault in faults() {
            *self.0.entry(format!("trouble: {fault:?}")).or_default() += counts.of(fault);
        }
        let mut reader = Reader::new(history);
        for event in &history.events {
            for kind in reader.kinds(event.at_ms, &event.what) {
                *self.0.entry(kind).or_default() += 1;
            }
        }
    }

    /// A test that meets nothing often enough shows nothing.
    pub(crate) fn judge(&self) {
        let faults = faults().map(|fault| format!("trouble: {fault:?}"));
        let expected = KINDS.into_iter().map(str::to_owned).chain(faults);
        let count = |kind: &String| self.0.get(kind).copied().unwrap_or(0);
        let rare: Vec<_> = expected.map(|kind| (count(&kind), kind)).filter(|(count, _)| *count < MIN).collect();
        assert!(rare.is_empty(), "met fewer than {MIN} times: {rare:?}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(kind, count)| writeln!(f, "{count:>9} {kind}"))
    }
}

/// What must be remembered to tell the kinds.
struct Reader<'h> {
    history: &'h History,
    rules: BTreeMap<(usize, u32), &'h Rules>,
    calls: BTreeMap<u32, &'h Call>,
    not_put: BTreeSet<u32>,
    cut: BTreeSet<(usize, u32)>,
    cut_in_stop: bool,
    in_work: usize,
}

impl<'h> Reader<'h> {
    fn new(history: &'h History) -> Self {
        let not_put = history.events.iter().filter_map(|event| match &event.what {
            What::NotPut { call } => Some(*call),
            _ => None,
        });
        Self {
            history,
            rules: BTreeMap::new(),
            calls: BTreeMap::new(),
            not_put: not_put.collect(),
            cut: BTreeSet::new(),
            cut_in_stop: false,
            in_work: 0,
        }
    }

    fn kinds(&mut self, at_ms: u64, what: &'h What) -> Vec<String> {
        let kind = match what {
            What::Put { .. } => "put",
            What::Cursor { .. } => "cursor looked at",
            What::Split => "split",
            What::Merge => "merge",
            What::Version => "new version",
            What::Ordered { trigger, run, rules, change } => {
                self.rules.insert((*trigger, *run), rules);
                let is_first = *run == 0 && *change == Change::Start;
                return if is_first { Vec::new() } else { vec![format!("change: {change:?}")] };
            }
            What::Begin(call) => return self.begin(call),
            What::End { call, outcome, how, emits, .. } => return self.end(at_ms, *call, *outcome, *how, emits.len()),
            What::Cut { call } => {
                let call = self.calls[call];
                self.cut.extend(call.records.iter().map(|number| (call.trigger, *number)));
                self.cut_in_stop = true;
                "call cut off"
            }
            What::GivenUp { why, .. } => return vec![format!("given up: {why:?}")],
            What::Stopping { in_work } => {
                (self.in_work, self.cut_in_stop) = (*in_work, false);
                return Vec::new();
            }
            What::Stopped if self.cut_in_stop => "restart that cuts calls off",
            What::Stopped if self.in_work > 0 => "restart with calls that end",
            What::Stopped => "restart at rest",
            What::NotPut { .. } | What::Counted { .. } | What::Endless => return Vec::new(),
        };
        vec![kind.to_owned()]
    }

    fn begin(&mut self, call: &'h Call) -> Vec<String> {
        self.calls.insert(call.call, call);
        let mut kinds = Vec::new();
        if call.records.iter().any(|number| self.cut.remove(&(call.trigger, *number))) {
            kinds.push("came again after a cut");
        }
        if self.history.shards.get(&call.shard).is_some_and(|shard| !shard.parents.is_empty()) {
            kinds.push("call in a child");
        }
        kinds.into_iter().map(str::to_owned).collect()
    }

    fn end(&self, at_ms: u64, call: u32, outcome: Outcome, how: How, emits: usize) -> Vec<String> {
        let (call, is_put) = (self.calls[&call], !self.not_put.contains(&call));
        let rules = self.rules[&(call.trigger, call.run)];
        let mut kinds = vec![format!("call: {how:?}")];
        if emits > 0 {
            kinds.push(if is_put { "outputs put" } else { "outputs not put" }.to_owned());
        }
        if call.window.as_ref().is_some_and(|window| window.is_final) {
            kinds.push(self.closed(at_ms, call, outcome).to_owned());
        } else if outcome == Outcome::Failed && rules.bisects && call.records.len() > 1 {
            kinds.push("batch bisected".to_owned());
        } else if matches!(outcome, Outcome::TookSome(taken) if taken > 0) {
            kinds.push("partial progress".to_owned());
        }
        kinds
    }

    /// Why a window was closed: what has come behind it tells.
    fn closed(&self, at_ms: u64, call: &Call, outcome: Outcome) -> &'static str {
        let Some(window) = call.window.as_ref().filter(|_| outcome == Outcome::Taken) else {
            return "last call failed";
        };
        let records = self.history.shards.get(&call.shard).map_or(&[][..], |shard| &shard.records);
        let has_come = |arrival_ms: u64| (window.end_ms..at_ms).contains(&arrival_ms);
        if window.is_early {
            "window ended early"
        } else if at_ms < window.end_ms {
            "window closed by shard end"
        } else if records.iter().any(|kept| has_come(kept.arrival_ms)) {
            "window closed by record"
        } else {
            "window closed by time"
        }
    }
}
