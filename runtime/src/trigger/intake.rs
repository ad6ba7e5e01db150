//! From what was read of a shard to what its lanes get.
//!
//! Aggregated records are taken apart here, unless the trigger wants them as they were put, and what the trigger's filter
//! does not let pass ends here. Promises that every record that passes comes to the lane of its key, in order. A payload that
//! only begins as an aggregate is a record like any other. A user record that belongs to another shard is delivered too: it
//! was routed by an older shard map, and its producer may put it again. This file must not know of functions or stores.

use tidemill_stream::aggregated::{self, Aggregate, Malformed};
use tidemill_stream::cursor::lane_of;
use tidemill_stream::engine::Position;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::HashRange;

use super::lane::Item;
use crate::deploy::{Semantics, TriggerRules};
use crate::pattern::{Event, Filter, Verdict};

/// How a trigger takes records in.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    semantics: Semantics,
    filter: Option<Filter>,
    /// The hash keys of the shard.
    range: HashRange,
    lanes: usize,
    /// Not all that is read goes to one lane.
    is_divided: bool,
}

/// A record for a lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) lane: usize,
    pub(super) position: Position,
    pub(super) what: Offered,
}

/// What the filter said of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It passes.
    Item(Item),
    /// It does not.
    Filtered,
    /// It does not, as it is no JSON.
    NotJson,
}

/// What was met on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Records that begin as aggregates and are none; the last of them, and what is wrong with it.
    pub(super) malformed: u64,
    pub(super) last_malformed: Option<(Position, Malformed)>,
    /// User records of aggregates that belong to another shard, in part or as a whole.
    pub(super) misplaced: u64,
}

impl Intake {
    /// `is_alone`: the stream has no other shard.
    pub(super) fn new(rules: &TriggerRules, range: HashRange, is_alone: bool) -> Self {
        let TriggerRules { semantics, filter, parallelization, .. } = rules;
        let is_divided = filter.is_some() || *parallelization > 1 || !is_alone;
        Self { semantics: *semantics, filter: filter.clone(), range, lanes: *parallelization, is_divided }
    }

    /// What records are made of, in order. `wants` says whether a lane takes records of a place: what it does not take is not
    /// looked at.
    pub(super) fn sort(
        &self,
        records: Vec<StoredRecord>,
        wants: impl Fn(usize, Position) -> bool,
    ) -> (Vec<Offer>, Found) {
        let (mut offers, mut found) = (Vec::with_capacity(records.len()), Found::default());
        for record in records {
            // What waits apart from the records that it was read with must not keep their memory.
            let begins = self.is_divided && aggregated::begins(&record.data);
            let record = if begins { record.detached() } else { record };
            match self.apart(&record, &mut found) {
                None if self.is_divided => offers.extend(self.offer(record, true, &wants).map(Offer::detached)),
                None => offers.extend(self.offer(record, true, &wants)),
                Some(aggregate) => {
                    let first = offers.len();
                    let position = record.position;
                    if !aggregate.fits(self.range) && (0..self.lanes).any(|lane| wants(lane, position)) {
                        found.misplaced += aggregate.len() as u64;
                    }
                    let record_bytes = record.data.len();
                    let records = aggregate.into_user_records(&record);
                    offers.extend(records.filter_map(|record| self.offer(record, false, &wants)));
                    let of_record = offers.get_mut(first..).unwrap_or_default();
                    mark_ends(of_record, self.lanes);
                    share_weight(of_record, record_bytes);
                }
            }
        }
        (offers, found)
    }

    /// The record as an aggregate, if it is one to be taken apart.
    fn apart(&self, record: &StoredRecord, found: &mut Found) -> Option<Aggregate> {
        if self.semantics == Semantics::Lambda {
            return None;
        }
        aggregated::read(&record.data).unwrap_or_else(|malformed| {
            found.malformed += 1;
            found.last_malformed = Some((record.position, malformed));
            None
        })
    }

    fn offer(&self, record: StoredRecord, ends_record: bool, wants: impl Fn(usize, Position) -> bool) -> Option<Offer> {
        let (lane, position) = (lane_of(&record.partition_key, self.lanes), record.position);
        wants(lane, position).then(|| {
            let event = Event { data: &record.data, partition_key: record.partition_key.as_str() };
            let what = match self.filter.as_ref().map_or(Verdict::Passes, |filter| filter.verdict(&event)) {
                Verdict::Passes => Offered::Item(Item::new(record, ends_record)),
                Verdict::Filtered => Offered::Filtered,
                Verdict::NotJson => Offered::NotJson,
            };
            Offer { lane, position, what }
        })
    }
}

impl Offer {
    fn detached(self) -> Self {
        let what = match self.what {
            Offered::Item(item) => Offered::Item(Item { record: item.record.detached(), ..item }),
            other @ (Offered::Filtered | Offered::NotJson) => other,
        };
        Self { what, ..self }
    }
}

/// Those that pass keep their Kinesis record in memory, however few they are.
fn share_weight(offers: &mut [Offer], record_bytes: usize) {
    let items = offers.iter_mut().filter_map(|offer| match &mut offer.what {
        Offered::Item(item) => Some(item),
        Offered::Filtered | Offered::NotJson => None,
    });
    let items: Vec<&mut Item> = items.collect();
    let share = record_bytes / items.len().max(1);
    for item in items {
        item.weight = Item::OVERHEAD_BYTES + share;
    }
}

/// The last item of each lane is its last of their Kinesis record.
fn mark_ends(offers: &mut [Offer], lanes: usize) {
    let mut is_marked = vec![false; lanes];
    for Offer { lane, what, .. } in offers.iter_mut().rev() {
        let Offered::Item(item) = what else { continue };
        if let Some(is_marked) = is_marked.get_mut(*lane).filter(|is_marked| !**is_marked) {
            *is_marked = true;
            item.ends_record = true;
        }
    }
}

#[cfg(test)]
#[path = "intake/tests.rs"]
mod tests;
