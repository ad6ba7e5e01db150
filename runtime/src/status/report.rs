//! The status as others read it: the JSON of `GET /status` and of `tidemill status --json`.

use serde::{Deserialize, Serialize};
use tidemill_stream::clock::Timestamp;
use tidemill_stream::stream::{Stream, StreamStatus};
use tidemill_stream::traffic::Taken;

use super::{LastError, TriggerStatus};

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
    /// `finished` or `stopped`.
    pub state: String,
    /// How long the oldest record that is known to wait has waited, milliseconds.
    pub behind_ms: u64,
    /// The last thing that went wrong; it stays after a success.
    pub last_error: Option<LastErrorReport>,
    /// The last record that was processed since the node started.
    pub last_sequence_number: Option<String>,
    /// Calls of the function since the node started, failed ones included.
    pub invocations: u64,
    /// Records that were processed since the node started.
    pub records: u64,
    /// Calls that failed, or whose outputs could not be put, since the node started.
    pub failures: u64,
    /// Records that the function put on other streams since the node started.
    #[serde(default)]
    pub emitted: u64,
    /// Times that records had expired before they were delivered, since the node started.
    #[serde(default)]
    pub skips: u64,
    /// Records that begin as aggregates and are none, since the node started; they were delivered as they are.
    #[serde(default)]
    pub malformed: u64,
    /// User records that were left out with their aggregate, as one of it belongs to another shard, since the node started.
    #[serde(default)]
    pub misplaced: u64,
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
        let behind_ms = u64::try_from(row.status.behind(now).as_millis()).unwrap_or(u64::MAX);
        Self {
            trigger: row.key.trigger,
            stream: row.stream,
            function: row.function,
            shard: row.key.shard.map(|shard| shard.to_string()),
            state: row.status.state.as_str().to_owned(),
            behind_ms,
            last_error: row.status.last_error.map(LastErrorReport::from),
            last_sequence_number: row.status.last_sequence_number.map(|number| number.to_string()),
            invocations: row.status.invocations,
            records: row.status.records,
            failures: row.status.failures,
            emitted: row.status.emitted,
            skips: row.status.skips,
            malformed: row.status.malformed,
            misplaced: row.status.misplaced,
        }
    }
}

impl From<LastError> for LastErrorReport {
    fn from(error: LastError) -> Self {
        Self { message: error.message, attempt: error.attempt, at_ms: error.at.as_millis() }
    }
}
