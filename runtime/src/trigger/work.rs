//! What there is to do in one shard for one trigger, as its poller and its runners share it.

use std::collections::HashMap;
use std::sync::Arc;

use tidemill_stream::record::StoredRecord;
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::Shard;
use tidemill_stream::store::Store;
use tidemill_stream::stream::Stream;
use tokio_util::sync::CancellationToken;

use super::Targets;
use super::dead_letter::Destination;
use super::room::Room;
use crate::deploy::TriggerRules;
use crate::functions::FunctionName;
use crate::home::Arns;
use crate::status::Row;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) store: Store,
    pub(super) stream: Arc<Stream>,
    pub(super) shard: Shard,
    pub(super) function: FunctionName,
    pub(super) rules: Arc<TriggerRules>,
    pub(super) arns: Arc<Arns>,
    pub(super) targets: Targets,
    pub(super) destination: Option<Destination>,
    pub(super) row: Row,
    pub(super) room: Room,
    pub(super) stopping: CancellationToken,
}

impl Work {
    /// The sequence number of a record of the shard.
    pub(super) fn number_of(&self, record: &StoredRecord) -> SequenceNumber {
        self.stream.sequence_number(&self.shard, record.position, record.arrival)
    }

    /// Where records stand in their batch, by sequence number. User records of one record have one number: the first counts.
    pub(super) fn places_of(&self, records: &[StoredRecord]) -> HashMap<String, usize> {
        let mut places = HashMap::with_capacity(records.len());
        for (place, record) in records.iter().enumerate() {
            places.entry(self.number_of(record).to_string()).or_insert(place);
        }
        places
    }
}
