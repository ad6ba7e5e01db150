//! Records that are given up.

use tidemill_stream::engine::Position;

use super::{Court, LaneId, Law, ShardRun};
use crate::history::{Kept, Number, Why};

impl<'h> Court<'h> {
    pub(super) fn give_up(&mut self, (trigger, run, shard): ShardRun, first: u64, count: usize, why: Why) {
        let rules = self.rules_of((trigger, run, shard, 0));
        let records = self.history.shards.get(&shard).map_or(&[][..], |shard| &shard.records);
        let Some(kept) = records.iter().find(|kept| kept.position == first) else {
            return self.must(false, Law::BatchOfOneShard, || format!("position {first} of shard {shard}"));
        };
        let id = (trigger, run, shard, self.lane_of(&kept.key, rules));
        let given_up: Vec<&Kept> = self.given_up_records(id, first, count);
        let numbers: Vec<Number> = given_up.iter().map(|kept| kept.number).collect();
        *self.given_up.entry((trigger, run, shard)).or_default() += count;
        let is_right = match why {
            Why::Retries => self.is_exhausted(id, &numbers),
            Why::Age => self.are_too_old(id, &given_up),
        };
        let is_whole = numbers.len() == count && given_up.first().is_some_and(|kept| kept.position == first);
        self.must(is_right && is_whole, Law::GivenUpByRule, || format!("{id:?}: {numbers:?} {why:?}"));
        given_up.iter().for_each(|kept| self.meet(trigger, shard, kept));
        if let Some(length_ms) = rules.window_ms {
            self.open_window(id, kept, length_ms);
        }
        self.settle(id, &numbers);
    }

    /// Those of the part that is next, or of a batch that was not delivered yet.
    fn given_up_records(&self, id: LaneId, first: u64, count: usize) -> Vec<&'h Kept> {
        let part = self.lanes.get(&id).and_then(|lane| lane.parts.last());
        if let Some(part) = part {
            part.records.iter().take(count).filter_map(|number| self.kept(*number)).collect()
        } else {
            let rest = self.records_of(id).filter(|kept| kept.position >= first && !self.is_done(id, kept));
            rest.take(count).collect()
        }
    }

    /// In this run or, as far as it is known, before it.
    fn is_done(&self, id: LaneId, kept: &Kept) -> bool {
        let is_done = self.lanes.get(&id).is_some_and(|lane| lane.done.contains(&kept.number));
        let cursor = self.cursors.get(&(id.0, id.2));
        let is_passed = cursor.is_some_and(|cursor| cursor.includes(&self.keys[&*kept.key], Position(kept.position)));
        is_done || is_passed || self.is_firm(id, kept.number)
    }

    fn is_exhausted(&mut self, id: LaneId, numbers: &[Number]) -> bool {
        let lane = self.lanes.entry(id).or_default();
        lane.due_ms = None;
        let is_exhausted = std::mem::take(&mut lane.is_exhausted);
        let part = lane.parts.pop();
        is_exhausted && part.is_some_and(|part| part.records == numbers)
    }

    fn are_too_old(&mut self, id: LaneId, given_up: &[&Kept]) -> bool {
        let (age_max_ms, now_ms) = (self.rules_of(id).age_max_ms, self.now_ms);
        let numbers: Vec<Number> = given_up.iter().map(|kept| kept.number).collect();
        let lane = self.lanes.entry(id).or_default();
        lane.due_ms = None;
        if let Some(part) = lane.parts.last_mut() {
            part.records.retain(|number| !numbers.contains(number));
            if part.records.is_empty() {
                lane.parts.pop();
            }
        } else {
            self.begin_batch(&numbers, id);
            self.lanes.entry(id).or_default().parts.clear();
        }
        let is_too_old = |kept: &&Kept| age_max_ms.is_some_and(|age_max_ms| kept.arrival_ms + age_max_ms < now_ms);
        given_up.iter().all(is_too_old)
    }
}
