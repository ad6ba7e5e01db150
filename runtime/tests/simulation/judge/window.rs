//! Tumbling windows.

use super::lane::{Open, bound_ms};
use super::{Court, LaneId, Law};
use crate::history::{Call, Kept, LARGE, Outcome};

pub(super) const NO_STATE: &str = "{}";

impl Court<'_> {
    /// A call with records lies in the window that is open, or opens one.
    pub(super) fn check_window(&mut self, call: &Call, id: LaneId) {
        let Some(length_ms) = self.rules_of(id).window_ms else {
            return self.must(call.window.is_none(), Law::BatchOfOneWindow, || format!("call {}", call.call));
        };
        let kept: Vec<_> = call.records.iter().filter_map(|number| self.kept(*number)).collect();
        let Some(first) = kept.first() else { return };
        let open = self.open_window(id, first, length_ms);
        let lies_in_it = |kept: &&Kept| (open.start_ms..open.end_ms).contains(&kept.arrival_ms);
        let has_it = call
            .window
            .as_ref()
            .is_some_and(|window| !window.is_final && (window.start_ms, window.end_ms) == (open.start_ms, open.end_ms));
        self.must(kept.iter().all(lies_in_it) && has_it, Law::BatchOfOneWindow, || format!("call {}", call.call));
        let state = call.window.as_ref().map(|window| window.state.clone()).unwrap_or_default();
        self.must(state == open.state, Law::StateIsHandedOn, || {
            format!("call {} has {state}, not {}", call.call, open.state)
        });
    }

    /// The window that is open when this record is delivered or given up.
    pub(super) fn open_window(&mut self, id: LaneId, first: &Kept, length_ms: u64) -> Open {
        let start_ms = first.arrival_ms - first.arrival_ms % length_ms;
        let fresh = Open { start_ms, end_ms: start_ms + length_ms, state: NO_STATE.to_owned(), final_failures: 0 };
        let window = &mut self.lanes.entry(id).or_default().window;
        let open = window.get_or_insert_with(|| fresh.clone()).clone();
        if open.start_ms != start_ms {
            *window = Some(fresh.clone());
            self.must(false, Law::WindowCloses, || format!("{id:?}: record {} lies in another one", first.number));
            return fresh;
        }
        open
    }

    pub(super) fn begin_final(&mut self, call: &Call, id: LaneId) {
        let now_ms = self.now_ms;
        let lane = self.lanes.entry(id).or_default();
        let (open, parts, due_ms) = (lane.window.clone(), lane.parts.len(), lane.due_ms.take());
        self.must(due_ms.is_none_or(|due_ms| now_ms <= due_ms), Law::WaitsEnd, || format!("{id:?}, due {due_ms:?}"));
        let (Some(open), Some(window)) = (open, &call.window) else {
            return self.must(false, Law::WindowCloses, || format!("call {} has no window", call.call));
        };
        let is_early = open.state.starts_with(LARGE);
        let is_it = window.is_final && window.start_ms == open.start_ms && window.is_early == is_early;
        self.must(is_it && (is_early || parts == 0), Law::WindowCloses, || format!("call {}", call.call));
        self.must(window.state == open.state, Law::StateIsHandedOn, || format!("call {}", call.call));
        self.must(call.attempt == open.final_failures + 1, Law::AttemptCounts, || format!("call {}", call.call));
        if is_early {
            return;
        }
        let lies_in_it = |kept: &&Kept| (open.start_ms..open.end_ms).contains(&kept.arrival_ms);
        let is_open = |kept: &&Kept| {
            !self.lanes[&id].done.contains(&kept.number) && !self.settled.contains_key(&(id.0, kept.number))
        };
        let missed: Vec<_> = self.records_of(id).filter(lies_in_it).filter(is_open).map(|kept| kept.number).collect();
        self.must(missed.is_empty(), Law::WindowCloses, || format!("call {} before {missed:?}", call.call));
    }

    pub(super) fn end_final(&mut self, call: &Call, id: LaneId, outcome: Outcome) {
        let now_ms = self.now_ms;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(open) = &mut lane.window else { return };
        let is_early = call.window.as_ref().is_some_and(|window| window.is_early);
        if outcome != Outcome::Taken {
            lane.due_ms = Some(now_ms + bound_ms(open.final_failures) + 2);
            open.final_failures += 1;
        } else if is_early {
            open.state = NO_STATE.to_owned();
            open.final_failures = 0;
        } else {
            lane.window = None;
            let held = std::mem::take(&mut lane.held);
            self.settled.extend(held.into_iter().map(|number| ((id.0, number), id.1)));
        }
    }
}
