//! The records of one call, from a file.

use std::path::Path;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::Position;
use tidemill_stream::limits::RECORD_BYTES_MAX;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, StoredRecord};

use super::read_file;
use crate::limits::BATCH_RECORDS_MAX;

/// An event's file. Lambda gives a function at most 6 MB; base64 and JSON make that larger.
const EVENT_BYTES_MAX: u64 = 16 << 20;

/// Records, and where they come from if they say so.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) stream: Option<StreamName>,
    pub(super) records: Vec<StoredRecord>,
}

/// An event as AWS Lambda gives it to a function that a Kinesis stream feeds
/// (<https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html>), as far as a function here sees it.
#[derive(Deserialize)]
struct LambdaEvent {
    #[serde(rename = "Records")]
    records: Vec<LambdaRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LambdaRecord {
    kinesis: LambdaPayload,
    #[serde(rename = "eventSourceARN")]
    source: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LambdaPayload {
    partition_key: String,
    data: String,
    approximate_arrival_timestamp: Option<tidemill_wire::Timestamp>,
}

impl Event {
    pub(super) fn read(path: &Path, key: &str, now: Timestamp) -> anyhow::Result<Self> {
        let bytes = read_file(path, EVENT_BYTES_MAX)?;
        let event = match serde_json::from_slice::<LambdaEvent>(&bytes) {
            Ok(event) => of_lambda(event, now),
            Err(_) => of_lines(&bytes, key, now),
        };
        let event = event.with_context(|| path.display().to_string())?;
        let count = event.records.len();
        ensure!(count <= BATCH_RECORDS_MAX, "{count} records are too many for one call: {BATCH_RECORDS_MAX} at most");
        Ok(event)
    }
}

fn of_lambda(event: LambdaEvent, now: Timestamp) -> anyhow::Result<Event> {
    let arn = event.records.first().and_then(|record| record.source.as_deref());
    let stream = arn.and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| StreamName::parse(name)).transpose()?;
    let record = |(index, record): (usize, LambdaRecord)| {
        let LambdaPayload { partition_key, data, approximate_arrival_timestamp: arrival } = record.kinesis;
        let data = STANDARD.decode(data).with_context(|| format!("the data of record {} is no base64", index + 1))?;
        let arrived =
            |arrival: tidemill_wire::Timestamp| u64::try_from(arrival.millis).ok().map(Timestamp::from_millis);
        let arrival = arrival.and_then(arrived).unwrap_or(now);
        stored(index, partition_key, data.into(), arrival)
    };
    let records = event.records.into_iter().enumerate().map(record).collect::<anyhow::Result<_>>()?;
    Ok(Event { stream, records })
}

fn of_lines(bytes: &Bytes, key: &str, now: Timestamp) -> anyhow::Result<Event> {
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.filter(|line| !line.trim_ascii().is_empty()).enumerate();
    let record = |(index, line)| stored(index, key.to_owned(), bytes.slice_ref(line), now);
    Ok(Event { stream: None, records: lines.map(record).collect::<anyhow::Result<_>>()? })
}

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
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Event> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Event::read(file.path(), "key", Timestamp::from_millis(7))
    }

    #[test]
    fn lines_are_records_with_one_key() {
        let event = read("{\"a\": 1}\r\n\n \nplain\n").unwrap();
        let seen: Vec<_> =
            event.records.iter().map(|record| (record.partition_key.as_str(), &record.data[..])).collect();
        assert_eq!(seen, [("key", &b"{\"a\": 1}"[..]), ("key", b"plain")]);
        assert_eq!(event.records[1].arrival, Timestamp::from_millis(7));
    }

    #[test]
    fn an_event_of_lambda_is_read_as_it_is() {
        let event = read(
            r#"{"Records": [{"kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "1", "sequenceNumber": "4959",
                "data": "SGVsbG8=", "approximateArrivalTimestamp": 1545084650.987}, "eventSource": "aws:kinesis",
                "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"}]}"#,
        )
        .unwrap();
        assert_eq!(event.stream.unwrap().as_str(), "lambda-stream");
        let [record] = &event.records[..] else { panic!("one record") };
        assert_eq!((&record.data[..], record.partition_key.as_str()), (&b"Hello"[..], "1"));
        assert_eq!(record.arrival, Timestamp::from_millis(1_545_084_650_987));
    }

    #[test]
    fn what_cannot_be_a_record_is_named() {
        let error = read(r#"{"Records": [{"kinesis": {"partitionKey": "1", "data": "%"}}]}"#).unwrap_err();
        assert!(format!("{error:#}").contains("record 1 is no base64"), "{error:#}");
        let error = read(&"x".repeat(RECORD_BYTES_MAX)).unwrap_err();
        assert!(format!("{error:#}").contains("record 1 has"), "{error:#}");
    }
}
