//! The lines of a function as others read them: the JSON of `GET /functions/NAME/log`.

use serde::{Deserialize, Serialize};

use crate::functions::{LogLine, LogPage};

/// Some lines of a function, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// The lines.
    pub lines: Vec<LogLineReport>,
    /// The number to ask on from.
    pub last: u64,
    /// Lines that were not kept long enough to be in here.
    pub missed: u64,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLineReport {
    /// Counts the function's lines from 1 since the node started.
    pub number: u64,
    /// When it was said: milliseconds since 1970.
    pub at_ms: u64,
    /// `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`.
    pub level: String,
    /// The stream that the call's records came from.
    pub stream: String,
    /// Their shard.
    pub shard: String,
    /// What names the call.
    pub request_id: String,
    /// What was said.
    pub text: String,
}

impl LogReport {
    /// Of a page.
    pub fn of(LogPage { lines, last, missed }: LogPage) -> Self {
        Self { lines: lines.into_iter().map(LogLineReport::of).collect(), last, missed }
    }
}

impl LogLineReport {
    /// Of a line.
    pub fn of(LogLine { number, at, level, call, text }: LogLine) -> Self {
        Self {
            number,
            at_ms: at.as_millis(),
            level: level.to_string(),
            stream: call.stream.clone(),
            shard: call.shard.clone(),
            request_id: call.request_id.clone(),
            text,
        }
    }
}
