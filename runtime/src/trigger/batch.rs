//! From the records of one read to the batches of a function's calls.
//!
//! Aggregated records are taken apart here, unless the trigger wants them as they were put. Promises that user records
//! come in order, that a batch keeps to its limits, and that a cursor only ever stands between two Kinesis records: the
//! user records of one come in one batch, or, where one has no room for them, in several of which only the last moves the
//! cursor. A payload that only begins as an aggregate is a record like any other. An aggregate with a user record of
//! another shard is left out whole, as Kinesis's own consumers do: it was routed by an older shard map, and its producer
//! puts such records again. This file must not know of functions or stores.

use std::vec;

use tidemill_stream::aggregated::{self, Malformed, UserRecords};
use tidemill_stream::engine::{Bound, Position};
use tidemill_stream::read::Read;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::HashRange;

use crate::deploy::Semantics;

/// What one call may be given, and how records become that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) semantics: Semantics,
    /// The hash keys of the shard.
    pub(super) range: HashRange,
    pub(super) records_max: usize,
    /// Data and partition keys; a record that is larger comes alone.
    pub(super) bytes_max: usize,
}

/// The records of one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// None where all that was read was left out, or nothing was.
    pub(super) records: Vec<StoredRecord>,
    /// Where the cursor moves behind it; none within an aggregate.
    pub(super) cursor: Option<Bound>,
    /// What happened to aggregates on the way.
    pub(super) found: Found,
    bytes: usize,
}

/// Aggregates that were not taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Records that begin as aggregates and are none; the last of them, and what is wrong with it.
    pub(super) malformed: u64,
    pub(super) last_malformed: Option<(Position, Malformed)>,
    /// User records of aggregates that were left out; the last of these aggregates.
    pub(super) misplaced: u64,
    pub(super) last_misplaced: Option<Position>,
}

/// The batches of one read. They are made one by one: an aggregate is taken apart when its turn has come.
#[derive(Debug)]
pub(super) struct Batches {
    rules: Rules,
    records: vec::IntoIter<StoredRecord>,
    /// What had no room in the batch before.
    carried: Option<Unit>,
    next: Bound,
    is_done: bool,
}

/// The user records of one Kinesis record.
#[derive(Debug)]
enum Unit {
    Plain(StoredRecord),
    Apart { user_records: UserRecords, len: usize, bytes: usize },
}

impl Batches {
    pub(super) fn of(read: Read, rules: Rules) -> Self {
        Self { rules, records: read.records.into_iter(), carried: None, next: read.next, is_done: false }
    }

    /// What a record is made of; nothing if it is left out.
    fn unit(&self, record: StoredRecord, found: &mut Found) -> Option<Unit> {
        if self.rules.semantics == Semantics::Lambda {
            return Some(Unit::Plain(record));
        }
        match aggregated::read(&record.data) {
            Ok(None) => Some(Unit::Plain(record)),
            Ok(Some(aggregate)) if aggregate.fits(self.rules.range) => {
                let (len, bytes) = (aggregate.len(), aggregate.size_bytes());
                Some(Unit::Apart { user_records: aggregate.into_user_records(&record), len, bytes })
            }
            Ok(Some(aggregate)) => {
                found.misplaced += aggregate.len() as u64;
                found.last_misplaced = Some(record.position);
                None
            }
            Err(malformed) => {
                found.malformed += 1;
                found.last_malformed = Some((record.position, malformed));
                Some(Unit::Plain(record))
            }
        }
    }

    fn has_room(&self, batch: &Batch, records: usize, bytes: usize) -> bool {
        let records_fit = batch.records.len().saturating_add(records) <= self.rules.records_max;
        records_fit && batch.bytes.saturating_add(bytes) <= self.rules.bytes_max
    }

    /// Adds what has room; gives back the rest of an aggregate that has none.
    fn fill(&self, batch: &mut Batch, unit: Unit) -> Option<Unit> {
        match unit {
            Unit::Plain(record) => {
                batch.cursor = Some(Bound::after(record.position));
                batch.push(record);
                None
            }
            Unit::Apart { mut user_records, mut len, mut bytes } => {
                batch.cursor = None;
                while let Some(next_bytes) = user_records.next_size_bytes() {
                    if !batch.records.is_empty() && !self.has_room(batch, 1, next_bytes) {
                        return Some(Unit::Apart { user_records, len, bytes });
                    }
                    user_records.next().into_iter().for_each(|record| batch.push(record));
                    (len, bytes) = (len.saturating_sub(1), bytes.saturating_sub(next_bytes));
                }
                batch.cursor = Some(Bound::after(user_records.position()));
                None
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.is_done {
            return None;
        }
        let mut batch = Batch::default();
        if let Some(rest) = self.carried.take() {
            self.carried = self.fill(&mut batch, rest);
        }
        while self.carried.is_none() {
            let Some(record) = self.records.next() else {
                self.is_done = true;
                batch.cursor = Some(self.next);
                break;
            };
            let Some(unit) = self.unit(record, &mut batch.found) else { continue };
            if batch.records.is_empty() || self.has_room(&batch, unit.len(), unit.size_bytes()) {
                self.carried = self.fill(&mut batch, unit);
            } else {
                self.carried = Some(unit);
            }
        }
        Some(batch)
    }
}

impl Batch {
    fn push(&mut self, record: StoredRecord) {
        self.bytes += record.size_bytes();
        self.records.push(record);
    }
}

impl Unit {
    fn len(&self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Apart { len, .. } => *len,
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Plain(record) => record.size_bytes(),
            Self::Apart { bytes, .. } => *bytes,
        }
    }
}

#[cfg(test)]
#[path = "batch/tests.rs"]
mod tests;
