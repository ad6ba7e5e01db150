//! The document that says which records were given up: pure.
//!
//! Promises the JSON that AWS Lambda sends to the on-failure destination of a Kinesis event source mapping, member by member in
//! its order (AWS: "Retain discarded batch records for a Kinesis Data Streams event source in Lambda"). It must not know where
//! it goes.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{HashKey, HashRange, Shard};

use super::Letter;
use super::identity::as_uuid;
use crate::functions::{Invocation, event_json};
use crate::trigger::policy::Condition;

/// Whether the records themselves are in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// As the event that the function got: what Lambda writes to S3.
    Event,
    /// What Lambda sends to a queue or a topic; and of an encrypted stream, whose records may not lie about in the clear.
    LeftOut,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext>,
    version: &'static str,
    timestamp: String,
    #[serde(rename = "KinesisBatchInfo", skip_serializing_if = "Option::is_none")]
    batch: Option<BatchInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: String,
    function_arn: &'a str,
    condition: &'static str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    executed_version: &'static str,
    function_error: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo<'a> {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    approximate_arrival_of_first_record: String,
    approximate_arrival_of_last_record: String,
    batch_size: usize,
    stream_arn: &'a str,
}

/// The document of a letter, as JSON on one line.
pub(super) fn write(letter: &Letter<'_>, payload: Payload) -> Bytes {
    let Letter { invocation, condition, invoke_count, at, .. } = letter;
    let document = Document {
        request_context: RequestContext {
            request_id: as_uuid(&invocation.request_id),
            function_arn: &invocation.arns.function,
            condition: condition.as_str(),
            approximate_invoke_count: *invoke_count,
        },
        response_context: response_of(letter),
        version: "1.0",
        timestamp: written(*at),
        batch: batch_of(invocation),
        payload: event_of(invocation, payload),
    };
    serde_json::to_vec(&document).map(Bytes::from).unwrap_or_default()
}

/// None of records that were too old, whether or not there was a call before. A call that reported failures went well itself.
fn response_of(letter: &Letter<'_>) -> Option<ResponseContext> {
    match letter.condition {
        Condition::RecordAgeExceeded => None,
        Condition::RetryAttemptsExhausted => Some(ResponseContext {
            status_code: 200,
            executed_version: "$LATEST",
            function_error: letter.has_failed.then_some("Unhandled"),
        }),
    }
}

fn batch_of(invocation: &Invocation) -> Option<BatchInfo<'_>> {
    let Invocation { shard: index, shard_created, records, arns, .. } = invocation;
    let (first, last) = (records.first()?, records.last()?);
    let range = HashRange { start: HashKey(0), end: HashKey(u128::MAX) }; // no part of a sequence number
    let shard = Shard { index: *index, range, created: *shard_created, parents: Vec::new(), closed: None };
    let number = |record: &StoredRecord| SequenceNumber::new(&shard, record.position, record.arrival).to_string();
    Some(BatchInfo {
        shard_id: index.to_string(),
        start_sequence_number: number(first),
        end_sequence_number: number(last),
        approximate_arrival_of_first_record: written(first.arrival),
        approximate_arrival_of_last_record: written(last.arrival),
        batch_size: records.len(),
        stream_arn: &arns.stream,
    })
}

fn event_of(invocation: &Invocation, payload: Payload) -> Option<Box<RawValue>> {
    match payload {
        Payload::LeftOut => None,
        Payload::Event => {
            let event = String::from_utf8(event_json(invocation)).ok()?;
            RawValue::from_string(event).ok()
        }
    }
}

/// `2019-11-14T00:38:06.021Z`
fn written(time: Timestamp) -> String {
    format!("{:.3}", moment(time))
}

/// A time of the calendar; one beyond it is its last.
pub(super) fn moment(time: Timestamp) -> jiff::Timestamp {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
#[path = "document/tests.rs"]
mod tests;
