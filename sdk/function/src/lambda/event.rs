//! The event of a Kinesis stream, with the names of the crate `aws_lambda_events`.

use serde::{Deserialize, Serialize};

use super::base64::Base64Data;

/// Records of one shard, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KinesisEvent {
    /// At least one, at most 10,000.
    #[serde(rename = "Records")]
    pub records: Vec<KinesisEventRecord>,
}

/// A record, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KinesisEventRecord {
    /// The record.
    pub kinesis: KinesisRecord,
    /// `aws:kinesis`.
    pub event_source: String,
    /// `1.0`.
    pub event_version: String,
    /// The shard's id, a colon and the sequence number.
    #[serde(rename = "eventID")]
    pub event_id: String,
    /// `aws:kinesis:record`.
    pub event_name: String,
    /// A role of the function's name; nothing is done with its rights.
    pub invoke_identity_arn: String,
    /// The node's region.
    pub aws_region: String,
    /// The stream.
    #[serde(rename = "eventSourceARN")]
    pub event_source_arn: String,
}

/// A record as it was put.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KinesisRecord {
    /// `1.0`.
    pub kinesis_schema_version: String,
    /// The producer's key: records of one key come in the order they were put.
    pub partition_key: String,
    /// Decimal digits, more than a `u64` holds.
    pub sequence_number: String,
    /// The payload.
    pub data: Base64Data,
    /// When the node stored it: seconds since 1970, UTC, to the millisecond.
    pub approximate_arrival_timestamp: f64,
}

/// Records of one shard that arrived in one tumbling window.
///
/// A window's first event has the state `{}`, so a struct for it has defaults: `#[derive(Default)]`, `#[serde(default)]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KinesisTimeWindowEvent<State> {
    /// At most 10,000; none in the window's final event.
    #[serde(rename = "Records")]
    pub records: Vec<KinesisEventRecord>,
    /// The window.
    pub window: Window,
    /// What the handler returned for the event before this one.
    pub state: State,
    /// The shard's id.
    pub shard_id: String,
    /// The stream.
    #[serde(rename = "eventSourceARN")]
    pub event_source_arn: String,
    /// Whether it is the window's last event: what becomes of its state, the handler must do now.
    pub is_final_invoke_for_window: bool,
    /// Whether the window ends early because its state has become too large.
    pub is_window_terminated_early: bool,
}

/// A stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Where it begins: `2020-12-09T07:04:00Z`.
    pub start: String,
    /// Where it ends; what arrives then is in the next one.
    pub end: String,
}
