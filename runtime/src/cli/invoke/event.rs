//! One call, from a file.

mod lambda;

use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::Position;
use tidemill_stream::limits::RECORD_BYTES_MAX;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, StoredRecord};
use tidemill_stream::shard::ShardIndex;

use self::lambda::LambdaEvent;
use super::read_file;
use crate::functions::WindowCall;
use crate::home::Home;
use crate::limits::BATCH_RECORDS_MAX;

/// An event's file. Lambda gives a function at most 6 MB; base64 and JSON make that larger.
const EVENT_BYTES_MAX: u64 = 16 << 20;

/// What a call is made of, as far as the file says it.
#[derive(Debug)]
pub(super) struct Event {
    /// Where the stream is, and its name.
    pub(super) source: Option<(Home, StreamName)>,
    pub(super) shard: ShardIndex,
    pub(super) shard_created: Timestamp,
    pub(super) records: Vec<StoredRecord>,
    pub(super) window: Option<WindowCall>,
}

impl Event {
    /// Records that say nothing of where they come from.
    fn of(records: Vec<StoredRecord>) -> Self {
        Self { source: None, shard: ShardIndex(0), shard_created: Timestamp::default(), records, window: None }
    }

    pub(super) fn read(path: &Path, key: &str, now: Timestamp) -> anyhow::Result<Self> {
        let bytes = read_file(path, EVENT_BYTES_MAX)?;
        let event = match serde_json::from_slice::<LambdaEvent>(&bytes) {
            Ok(event) => event.into_event(now),
            Err(_) => of_lines(&bytes, key, now),
        };
        let event = event.with_context(|| path.display().to_string())?;
        let is_end_of_window = event.window.as_ref().is_some_and(|window| window.is_final);
        let count = event.records.len();
        ensure!(count > 0 || is_end_of_window, "the event has no record");
        ensure!(count <= BATCH_RECORDS_MAX, "{count} records are too many for one call: {BATCH_RECORDS_MAX} at most");
        Ok(event)
    }
}

fn of_lines(bytes: &Bytes, key: &str, now: Timestamp) -> anyhow::Result<Event> {
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.filter(|line| !line.trim_ascii().is_empty()).enumerate();
    let record = |(index, line)| stored(index, key.to_owned(), bytes.slice_ref(line), now);
    Ok(Event::of(lines.map(record).collect::<anyhow::Result<_>>()?))
}

/// A record within its limits, at a place of its own.
fn stored(index: usize, key: String, data: Bytes, arrival: Timestamp) -> anyhow::Result<StoredRecord> {
    let partition_key = PartitionKey::parse(key).with_context(|| format!("record {}", index + 1))?;
    let bytes = data.len() + partition_key.as_str().len();
    ensure!(
        bytes <= RECORD_BYTES_MAX,
        "record {} has {bytes} bytes; a record has at most {RECORD_BYTES_MAX}",
        index + 1
    );
    Ok(StoredRecord { position: Position(index as u64 + 1), arrival, partition_key, explicit_hash: None, data })
}

#[cfg(test)]
#[path = "event/tests.rs"]
mod tests;
