//! A lane: the records of one shard whose keys fall to it, as they wait for their batch.
//!
//! Promises that records leave in the order in which they came, that a batch keeps to its limits, and that a cursor only
//! ever stands between two Kinesis records: the user records of one come in one batch or, where one has no room for them,
//! in several. It must not know of functions, stores and clocks.

use std::collections::VecDeque;
use std::sync::Arc;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::{Bound, Position};
use tidemill_stream::record::StoredRecord;

use super::room::{Held, Room};
use super::size::Sizes;
use super::window;
use crate::deploy::TriggerRules;
use crate::limits::{LANE_AHEAD_BYTES, LANE_AHEAD_RECORDS, LANE_BYTES_SHORT};

/// A record that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) record: StoredRecord,
    /// Whether it is the lane's last of its Kinesis record.
    pub(super) ends_record: bool,
    /// What it takes of the node's memory, bytes.
    pub(super) weight: usize,
}

impl Item {
    /// What a record takes beside its key and its data: itself, and two allocations.
    pub(super) const OVERHEAD_BYTES: usize = size_of::<Self>() + 64;

    /// A record with memory of its own.
    pub(super) fn new(record: StoredRecord, ends_record: bool) -> Self {
        let weight = Self::OVERHEAD_BYTES + record.size_bytes();
        Self { record, ends_record, weight }
    }
}

/// What a batch keeps to.
#[derive(Debug, Clone)]
pub(super) struct BatchLimits {
    pub(super) records_max: usize,
    pub(super) bytes_max: usize,
    pub(super) sizes: Sizes,
    /// Milliseconds of a tumbling window: the records of a batch lie in one.
    pub(super) window_ms: Option<u64>,
}

impl BatchLimits {
    pub(super) fn of(rules: &TriggerRules, sizes: Sizes) -> Self {
        let window_ms = rules.tumbling_window.map(window::millis);
        Self { records_max: rules.batch_records_max, bytes_max: sizes.bytes_max(), sizes, window_ms }
    }

    fn lie_in_one_window(&self, first: Timestamp, other: Timestamp) -> bool {
        self.window_ms.is_none_or(|length_ms| window::start(first, length_ms) == window::start(other, length_ms))
    }
}

/// The records of one call, or of several where it fails.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Arc<[StoredRecord]>,
    ends_record: bool,
    _held: Held,
}

impl Batch {
    /// Where the lane stands that is done with so many of its records.
    pub(super) fn bound_behind(&self, count: usize) -> Option<Bound> {
        let last = self.records.get(count.checked_sub(1)?)?.position;
        let goes_on = match self.records.get(count) {
            Some(next) => next.position == last,
            None => !self.ends_record,
        };
        Some(if goes_on { Bound::at(last) } else { Bound::after(last) })
    }
}

/// One lane.
#[derive(Debug)]
pub(super) struct Lane {
    items: VecDeque<Item>,
    /// Bytes of what waits, as a batch counts them.
    bytes: usize,
    /// What that takes of the node's memory.
    held: Held,
    /// What lies before it was taken in.
    taken: Bound,
    /// It takes no more of the read that is being taken in.
    is_closed: bool,
    /// When the first of those arrived that have left and are not processed.
    in_work_since: Option<Timestamp>,
}

impl Lane {
    /// Empty, of what lies behind a bound.
    pub(super) fn new(from: Bound, room: &Room) -> Self {
        let held = room.hold(0);
        Self { items: VecDeque::new(), bytes: 0, held, taken: from, is_closed: false, in_work_since: None }
    }

    /// What lies before it was taken in.
    pub(super) fn taken(&self) -> Bound {
        self.taken
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// When the oldest arrived that waits or is in work.
    pub(super) fn waits_since(&self) -> Option<Timestamp> {
        self.in_work_since.or_else(|| self.items.front().map(|item| item.record.arrival))
    }

    /// Whether it takes more in: up to a whole batch, and some records beyond a small one, so that they need not be read one
    /// batch at a time. Where memory is short it is no more than a share.
    pub(super) fn has_room(&self, limits: &BatchLimits) -> bool {
        if self.held.is_short() {
            return self.held.bytes() < LANE_BYTES_SHORT
                && self.items.len() < limits.records_max.max(LANE_AHEAD_RECORDS);
        }
        !self.has_batch(limits) || (self.items.len() < LANE_AHEAD_RECORDS && self.held.bytes() < LANE_AHEAD_BYTES)
    }

    /// Whether it has room for so much that a read is worth while.
    pub(super) fn is_low(&self, limits: &BatchLimits) -> bool {
        let is_low = self.items.len() < LANE_AHEAD_RECORDS / 2 && self.held.bytes() < LANE_AHEAD_BYTES / 2;
        self.has_room(limits) && (is_low || !self.has_batch(limits))
    }

    fn has_batch(&self, limits: &BatchLimits) -> bool {
        self.items.len() >= limits.records_max || self.bytes >= limits.bytes_max
    }

    /// Whether a batch would leave that no later record can join.
    pub(super) fn is_full(&self, limits: &BatchLimits) -> bool {
        let (first, last) = (self.items.front(), self.items.back());
        let arrival = |item: &Item| item.record.arrival;
        let crosses =
            first.zip(last).is_some_and(|(first, last)| !limits.lie_in_one_window(arrival(first), arrival(last)));
        crosses || self.has_batch(limits) || !self.has_room(limits)
    }

    /// A read begins here: does the lane take part in it?
    pub(super) fn opens_for(&mut self, from: Bound) {
        self.is_closed = self.taken < from;
    }

    /// Whether the lane takes part in the read, and a record of this place is new to it.
    pub(super) fn is_open_at(&self, position: Position) -> bool {
        !self.is_closed && self.taken.admits(position)
    }

    /// Whether the records of this place are new to the lane and have room; those of one Kinesis record come together. One that
    /// has no room is where the lane goes on next time.
    pub(super) fn admits(&mut self, position: Position, limits: &BatchLimits) -> bool {
        if !self.is_open_at(position) {
            return false;
        }
        let goes_on = self.items.back().is_some_and(|last| last.record.position == position);
        if !goes_on && !self.has_room(limits) {
            self.is_closed = true;
            self.taken = Bound::at(position);
        }
        !self.is_closed
    }

    /// A record that it [admits](Self::admits).
    pub(super) fn push(&mut self, item: Item, limits: &BatchLimits) {
        self.bytes += limits.sizes.of(&item.record);
        self.held.add(item.weight);
        self.items.push_back(item);
    }

    /// The read that is being taken in ends here.
    pub(super) fn closes_at(&mut self, next: Bound) {
        if !self.is_closed {
            self.taken = self.taken.max(next);
        }
    }

    /// The next batch, if there are records.
    pub(super) fn form(&mut self, limits: &BatchLimits) -> Option<Batch> {
        let Size { count, bytes, weight } = self.next_size(limits);
        let last = self.items.get(count.checked_sub(1)?)?;
        let ends_record = last.ends_record;
        let records: Arc<[StoredRecord]> = self.items.drain(..count).map(|item| item.record).collect();
        self.bytes -= bytes;
        let held = self.held.part(weight);
        self.in_work_since = records.first().map(|record| record.arrival);
        Some(Batch { records, ends_record, _held: held })
    }

    /// Nothing is in work any more.
    pub(super) fn is_back(&mut self) {
        self.in_work_since = None;
    }

    /// How large the next batch is: no Kinesis record is cut that has room in a batch of its own.
    fn next_size(&self, limits: &BatchLimits) -> Size {
        let Some(first) = self.items.front() else { return Size::default() };
        let (mut size, mut whole) = (Size::default(), Size::default());
        for item in self.items.iter().take(limits.records_max) {
            let bytes = size.bytes + limits.sizes.of(&item.record);
            let fits = bytes <= limits.bytes_max && limits.lie_in_one_window(first.record.arrival, item.record.arrival);
            if size.count > 0 && !fits {
                break;
            }
            size = Size { count: size.count + 1, bytes, weight: size.weight + item.weight };
            if item.ends_record {
                whole = size;
            }
        }
        if whole.count > 0 { whole } else { size }
    }
}

/// How large a batch is: records, bytes as it counts them, and bytes of memory.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    count: usize,
    bytes: usize,
    weight: usize,
}

#[cfg(test)]
#[path = "lane/tests.rs"]
mod tests;
