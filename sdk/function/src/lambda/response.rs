//! What a handler says of an event, with the names of the crate `aws_lambda_events`.

use serde::{Deserialize, Serialize};

/// Which records were not taken, for a trigger with `report_failures`: none by default.
///
/// Everything from the earliest of them on comes again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KinesisEventResponse {
    /// Those that were not taken.
    pub batch_item_failures: Vec<KinesisBatchItemFailure>,
}

/// A record that was not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KinesisBatchItemFailure {
    /// Its sequence number.
    pub item_identifier: String,
}

/// The state of a tumbling window for its next event, and which records were not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KinesisTimeWindowEventResponse<State> {
    /// At most 1 MiB of JSON.
    pub state: State,
    /// Those that were not taken.
    pub batch_item_failures: Vec<KinesisBatchItemFailure>,
}

impl KinesisEventResponse {
    /// One more record that was not taken.
    pub fn add_failure(&mut self, sequence_number: impl Into<String>) {
        self.batch_item_failures.push(failure(sequence_number));
    }
}

impl<State> KinesisTimeWindowEventResponse<State> {
    /// All records were taken.
    pub fn new(state: State) -> Self {
        Self { state, batch_item_failures: Vec::new() }
    }

    /// One more record that was not taken.
    pub fn add_failure(&mut self, sequence_number: impl Into<String>) {
        self.batch_item_failures.push(failure(sequence_number));
    }
}

fn failure(sequence_number: impl Into<String>) -> KinesisBatchItemFailure {
    KinesisBatchItemFailure { item_identifier: sequence_number.into() }
}
