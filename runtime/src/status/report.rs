//! The status as others read it: the JSON of `GET /status` and of `tidemill status --json`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_stream::clock::Timestamp;
use tidemill_stream::stream::{Stream, StreamStatus};
use tidemill_stream::traffic::Taken;

use super::{Blocked, Counts, LastError, TriggerStatus};

/// All that a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The node's version.
    pub version: String,
    /// What is wrong with it on purpose, as it is written on the command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub testing_aids: Vec<String>,
    /// Streams, by name.
    pub streams: Vec<StreamReport>,
    /// Functions, by name.
    pub functions: Vec<FunctionReport>,
    /// Triggers, by name and shard.
    pub triggers: Vec<TriggerReport>,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamReport {
    /// Its name.
    pub name: String,
    /// As Kinesis says it: `ACTIVE` and so on.
    pub status: String,
    /// Shards that take records.
    pub open_shards: usize,
    /// How long it keeps records, hours.
    pub retention_hours: u64,
    /// Records that it has taken since the node started.
    #[serde(default)]
    pub records: u64,
    /// Their data and partition keys, bytes.
    #[serde(default)]
    pub bytes: u64,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionReport {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its wasm, hexadecimal.
    pub version: String,
}

/// A trigger in one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerReport {
    /// Its name.
    pub trigger: String,
    /// Its stream.
    pub stream: String,
    /// Its function.
    pub function: String,
    /// The shard's id; none while the stream or the function is not there.
    pub shard: Option<String>,
    /// `running`, `retrying`, `waiting for stream`, `waiting for function`, `waiting for parents`,
    /// `finished`, `stopped` or `disabled`.
    pub state: String,
    /// How long the oldest record that is known to wait has waited, milliseconds.
    pub behind_ms: u64,
    /// The last thing that went wrong; it stays after a success.
    pub last_error: Option<LastErrorReport>,
    /// The last record that was processed since the node started.
    pub last_sequence_number: Option<String>,
    /// In which phase of its life the trigger is, in Lambda's words: `Creating`, `Enabling`, `Enabled`, `Disabling`, `Disabled`,
    /// `Updating` or `Deleting`.
    #[serde(default)]
    pub phase: String,
    /// How old the last record of the last call was when it was made, milliseconds.
    #[serde(default)]
    pub iterator_age_ms: u64,
    /// What its lanes cannot get past.
    #[serde(default)]
    pub blocked: Vec<BlockedReport>,
    /// What has happened since the node started.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A batch that a lane cannot get past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedReport {
    /// The lane, from 0.
    pub lane: usize,
    /// The sequence number of its first record.
    pub first_sequence_number: String,
    /// The sequence number of its last record.
    pub last_sequence_number: String,
    /// How many records it has.
    pub records: usize,
    /// When the first of them arrived: milliseconds since 1970.
    pub since_ms: u64,
    /// How often it was delivered.
    pub attempt: u32,
    /// When it is delivered again: milliseconds since 1970.
    pub next_at_ms: u64,
}

/// The last thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastErrorReport {
    /// What.
    pub message: String,
    /// At which attempt of the same batch, from 1.
    pub attempt: u32,
    /// When: milliseconds since 1970.
    pub at_ms: u64,
}

impl StreamReport {
    /// Of a stream, and what it has taken.
    pub fn of(stream: &Stream, taken: Taken) -> Self {
        let status = match stream.status {
            StreamStatus::Creating => "CREATING",
            StreamStatus::Deleting => "DELETING",
            StreamStatus::Active => "ACTIVE",
            StreamStatus::Updating => "UPDATING",
        };
        Self {
            name: stream.name.qualified(),
            status: status.to_owned(),
            open_shards: stream.open_shards().count(),
            retention_hours: stream.retention.as_secs() / 3600,
            records: taken.records,
            bytes: taken.bytes,
        }
    }
}

impl TriggerReport {
    /// Of a row, as of now.
    pub fn of(row: TriggerStatus, now: Timestamp) -> Self {
        Self {
            trigger: row.key.trigger,
            stream: row.stream,
            function: row.function,
            shard: row.key.shard.map(|shard| shard.to_string()),
            state: row.status.state.as_str().to_owned(),
            behind_ms: millis(row.status.behind(now)),
            last_error: row.status.last_error.map(LastErrorReport::from),
            last_sequence_number: row.status.last_sequence_number.map(|number| number.to_string()),
            phase: row.phase.as_str().to_owned(),
            iterator_age_ms: millis(row.status.iterator_age),
            blocked: row.status.blocked.into_iter().map(BlockedReport::from).collect(),
            counts: row.status.counts,
        }
    }
}

impl From<LastError> for LastErrorReport {
    fn from(error: LastError) -> Self {
        Self { message: error.message, attempt: error.attempt, at_ms: error.at.as_millis() }
    }
}

impl From<(usize, Blocked)> for BlockedReport {
    fn from((lane, blocked): (usize, Blocked)) -> Self {
        Self {
            lane,
            first_sequence_number: blocked.first.to_string(),
            last_sequence_number: blocked.last.to_string(),
            records: blocked.records,
            since_ms: blocked.since.as_millis(),
            attempt: blocked.attempt,
            next_at_ms: blocked.next_at.as_millis(),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
