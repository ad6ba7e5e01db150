//! What a trigger has done in a shard since the node started.

use serde::{Deserialize, Serialize};

/// Counts, none of which ever falls. Aggregated records count as their user records, where they are taken apart. Those that
/// Lambda has metrics of name them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Calls of the function, failed ones included.
    pub invocations: u64,
    /// Records that were processed.
    pub records: u64,
    /// Calls that did not take all of their records, or whose outputs could not be put.
    pub failures: u64,
    /// Records that the function put on other streams.
    pub emitted: u64,
    /// Records that were read for delivery (`PolledEventCount`).
    pub polled: u64,
    /// Those of them that the filter did not let pass (`FilteredOutEventCount`).
    pub filtered: u64,
    /// Those of them that are no JSON, though the filter asks for some.
    pub not_json: u64,
    /// Records that the function was called with; one that is delivered twice counts twice (`InvokedEventCount`).
    pub invoked_records: u64,
    /// Records of calls that failed, and records that the function reported (`FailedInvokeEventCount`).
    pub failed_records: u64,
    /// Records that were given up, and the destination knows of it (`OnFailureDestinationDeliveredEventCount`).
    pub set_aside: u64,
    /// Records that were given up, and no destination knows of it (`DroppedEventCount`).
    pub dropped: u64,
    /// Times that the destination could not be told (`DestinationDeliveryFailures`).
    pub destination_failures: u64,
    /// Times that records had expired before they were delivered.
    pub skips: u64,
    /// Records that begin as aggregates and are none; they were delivered as they are.
    pub malformed: u64,
    /// User records of aggregates that belong to another shard, in part or as a whole; they were delivered.
    pub misplaced: u64,
}
