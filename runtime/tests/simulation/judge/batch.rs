//! A call begins: its records, and whether it is their turn.

use super::lane::Part;
use super::{Court, LaneId, Law};
use crate::history::{Call, Kept, Number};

impl<'h> Court<'h> {
    pub(super) fn begin(&mut self, call: &'h Call) {
        let newest = self.newest_run.entry(call.trigger).or_default();
        *newest = call.run.max(*newest);
        let is_of_now = call.run == *newest && !self.is_stopped;
        self.must(is_of_now, Law::OldRunIsOver, || format!("call {} of run {}", call.call, call.run));
        let id = (call.trigger, call.run, call.shard, call.lane);
        let is_alone = self.in_work.values().all(|(_, other)| *other != id);
        self.must(is_alone, Law::LaneOnceAtATime, || format!("{id:?}"));
        if call.records.is_empty() {
            self.begin_final(call, id);
        } else {
            self.check_batch(call, id);
            self.check_keys(call);
            self.check_parents(call);
            self.is_due(id);
            self.begin_part(call, id);
            self.check_window(call, id);
        }
        self.in_work.insert(call.call, (call, id));
    }

    pub(super) fn kept(&self, number: Number) -> Option<&'h Kept> {
        self.places.get(&number).map(|(_, kept)| *kept)
    }

    fn check_batch(&mut self, call: &Call, id: LaneId) {
        let rules = self.rules_of(id);
        let text = || format!("call {} of {:?}", call.call, call.records);
        self.must(call.records.len() <= rules.batch_max, Law::BatchKeepsLimit, text);
        let places: Vec<_> = call.records.iter().map(|number| self.places.get(number).copied()).collect();
        let is_of_shard = places.iter().all(|place| place.is_some_and(|(shard, _)| shard == call.shard));
        let kept: Vec<_> = places.into_iter().flatten().map(|(_, kept)| kept).collect();
        let is_in_order = kept.is_sorted_by(|one, other| one.position < other.position);
        self.must(is_of_shard && is_in_order, Law::BatchOfOneShard, text);
        self.must(kept.iter().all(|kept| rules.passes(&kept.key)), Law::BatchPassesFilter, text);
        let is_of_lane = kept.iter().all(|kept| self.lane_of(&kept.key, rules) == id.3);
        self.must(is_of_lane, Law::BatchOfOneLane, text);
    }

    /// Of each key one call at a time and, at first, one record after another.
    fn check_keys(&mut self, call: &'h Call) {
        for kept in call.records.iter().filter_map(|number| self.kept(*number)).collect::<Vec<_>>() {
            let has_key = |number: &Number| self.kept(*number).is_some_and(|other| other.key == kept.key);
            let mut others = self.in_work.values().filter(|(other, _)| other.trigger == call.trigger);
            let is_alone = others.all(|(other, _)| !other.records.iter().any(has_key));
            self.must(is_alone, Law::KeyOnceAtATime, || format!("{} in call {}", kept.key, call.call));
            self.meet(call.trigger, call.shard, kept);
        }
    }

    pub(super) fn meet(&mut self, trigger: usize, shard: u32, kept: &'h Kept) {
        if !self.known.insert((trigger, kept.number)) {
            return;
        }
        let place = (shard, kept.position);
        let before = self.met.insert((trigger, &kept.key), place);
        let is_later = before.is_none_or(|before| before < place);
        self.must(is_later, Law::KeyInOrder, || format!("t{trigger} met record {} late", kept.number));
    }

    fn check_parents(&mut self, call: &Call) {
        let rules = self.rules_of((call.trigger, call.run, 0, 0));
        let Some(shard) = self.history.shards.get(&call.shard) else { return };
        let parents = shard.parents.iter().filter_map(|parent| self.history.shards.get(parent));
        let records = parents.flat_map(|parent| &parent.records).filter(|kept| rules.passes(&kept.key));
        let open: Vec<_> = records
            .map(|kept| kept.number)
            .filter(|number| !self.settled.contains_key(&(call.trigger, *number)))
            .collect();
        self.must(open.is_empty(), Law::ParentFirst, || format!("call {} before {open:?}", call.call));
    }

    fn begin_part(&mut self, call: &Call, id: LaneId) {
        match self.lanes.entry(id).or_default().parts.last() {
            None => self.begin_batch(&call.records, id),
            Some(part) if part.records == call.records => {}
            Some(part) => {
                let expected = part.records.clone();
                self.must(false, Law::RestComesAgain, || format!("{id:?}: {:?}, not {expected:?}", call.records));
                let lane = self.lanes.entry(id).or_default();
                lane.parts.clear();
                self.begin_batch(&call.records, id);
            }
        }
        let Some(part) = self.lanes.entry(id).or_default().parts.last_mut() else { return };
        part.calls += 1;
        let calls = part.calls;
        self.must(call.attempt == calls, Law::AttemptCounts, || {
            format!("{id:?} {:?} is attempt {calls}, not {}", call.records, call.attempt)
        });
    }

    /// A new batch has the next records of its lane, none of which is done with.
    pub(super) fn begin_batch(&mut self, records: &[Number], id: LaneId) {
        let lane = &self.lanes[&id];
        let again: Vec<_> = records.iter().copied().filter(|number| lane.done.contains(number)).collect();
        let firm: Vec<_> = records.iter().copied().filter(|number| self.is_firm(id, *number)).collect();
        let last = records.last().and_then(|number| self.kept(*number)).map_or(0, |kept| kept.position);
        let is_open = |number: Number| !lane.done.contains(&number) && !self.settled.contains_key(&(id.0, number));
        let before = self.records_of(id).filter(|kept| kept.position < last && !records.contains(&kept.number));
        let skipped: Vec<_> = before.map(|kept| kept.number).filter(|number| is_open(*number)).collect();
        self.must(again.is_empty(), Law::NotAgainInRun, || format!("{id:?}: {again:?}"));
        self.must(firm.is_empty(), Law::NotAgainAfterStop, || format!("{id:?}: {firm:?}"));
        self.must(skipped.is_empty(), Law::NothingIsSkipped, || format!("{id:?}: {skipped:?} before {records:?}"));
        self.lanes.entry(id).or_default().parts = vec![Part::new(records.to_vec())];
    }

    /// It was settled in an earlier run that was not cut short.
    pub(super) fn is_firm(&self, id: LaneId, number: Number) -> bool {
        let run = self.settled.get(&(id.0, number)).filter(|run| **run < id.1);
        run.is_some_and(|run| !self.cut.contains(&(id.0, *run, id.2)))
    }
}
