//! The event that AWS Lambda gives to a function that a Kinesis stream feeds, as JSON: pure.
//!
//! This file promises the fields, their order and their spelling as AWS documents them
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html>, "Example event" and "Tumbling windows"), without white
//! space. Every record of a trigger with Lambda's semantics passes here, so the event is written into one allocation. It
//! must not know who takes it.

use base64_simd::STANDARD;
use serde::Serialize;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::sequence::SequenceNumber;

use super::invoke::{Invocation, WindowCall};
use crate::home::Arns;

/// Bytes of an event beside its records and the state of a tumbling window, at most.
pub(crate) const EVENT_FIELDS_BYTES: usize = 512;
/// Bytes of a record in an event beside its data, its key and its names: field names, a sequence number twice, a shard's id, a
/// time to the millisecond, and the comma before it.
const RECORD_FIELDS_BYTES: usize = 422;

/// What each record of an event has of the names of its stream and function, bytes.
pub(crate) fn names_bytes(arns: &Arns) -> usize {
    arns.stream.len() + arns.role.len() + arns.region.len()
}

/// What a record takes in an event, bytes of JSON: at least, and hardly more. `names_bytes` are those of [`names_bytes`].
pub(crate) fn record_bytes(record: &StoredRecord, names_bytes: usize) -> usize {
    let key: usize = record.partition_key.as_str().bytes().map(json_bytes).sum();
    STANDARD.encoded_length(record.data.len()) + key + names_bytes + RECORD_FIELDS_BYTES
}

/// What a byte of a text takes in JSON.
fn json_bytes(byte: u8) -> usize {
    match byte {
        // Quotes, and the control characters that have a letter: backspace, tab, line feed, form feed, carriage return.
        b'"' | b'\\' | 0x08..=0x0a | 0x0c..=0x0d => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// The event of a call, UTF-8 JSON: `{"Records":[..]}`, and with a tumbling window `window`, `state`, `shardId`,
/// `eventSourceARN`, `isFinalInvokeForWindow` and `isWindowTerminatedEarly` behind it.
///
/// Arrival times are seconds with up to three decimals. Sequence numbers are decimal texts. The state is put in as it is.
pub fn event_json(invocation: &Invocation) -> Vec<u8> {
    let common = Common::of(invocation);
    let mut out = Vec::with_capacity(capacity(invocation));
    out.extend_from_slice(b"{\"Records\":[");
    for (index, record) in invocation.records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_record(&mut out, invocation, record, &common);
    }
    out.push(b']');
    if let Some(window) = &invocation.window {
        write_window(&mut out, invocation, window);
    }
    out.push(b'}');
    out
}

/// What is the same in all records of an event.
struct Common {
    /// From a record's arrival time to its sequence number's second place.
    middle: Vec<u8>,
    /// Behind that number.
    end: Vec<u8>,
}

impl Common {
    fn of(Invocation { shard, arns, .. }: &Invocation) -> Self {
        let middle = format!(r#"}},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"{shard}:"#);
        let mut end = br#"","eventName":"aws:kinesis:record","invokeIdentityArn":"#.to_vec();
        write_json(&mut end, &arns.role);
        end.extend_from_slice(br#","awsRegion":"#);
        write_json(&mut end, &arns.region);
        end.extend_from_slice(br#","eventSourceARN":"#);
        write_json(&mut end, &arns.stream);
        end.push(b'}');
        Self { middle: middle.into_bytes(), end }
    }
}

/// Enough for all of it.
fn capacity(invocation: &Invocation) -> usize {
    let names = names_bytes(&invocation.arns);
    let state = invocation.window.as_ref().map_or(0, |window| window.state.len());
    invocation.records.iter().map(|record| record_bytes(record, names)).sum::<usize>() + state + EVENT_FIELDS_BYTES
}

fn write_record(out: &mut Vec<u8>, invocation: &Invocation, record: &StoredRecord, common: &Common) {
    let Invocation { shard, shard_created, .. } = invocation;
    let number = SequenceNumber::of(*shard, *shard_created, record.position, record.arrival).digits();
    out.extend_from_slice(br#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"#);
    write_json(out, record.partition_key.as_str());
    out.extend_from_slice(br#","sequenceNumber":""#);
    out.extend_from_slice(&number);
    out.extend_from_slice(br#"","data":""#);
    STANDARD.encode_append(&record.data, out);
    out.extend_from_slice(br#"","approximateArrivalTimestamp":"#);
    write_seconds(out, record.arrival);
    out.extend_from_slice(&common.middle);
    out.extend_from_slice(&number);
    out.extend_from_slice(&common.end);
}

fn write_window(out: &mut Vec<u8>, Invocation { shard, arns, .. }: &Invocation, window: &WindowCall) {
    let WindowCall { start, end, state, is_final, is_terminated_early } = window;
    let (start, end) = (instant(*start), instant(*end));
    out.extend_from_slice(format!(r#","window":{{"start":"{start}","end":"{end}"}},"state":"#).as_bytes());
    out.extend_from_slice(state);
    out.extend_from_slice(format!(r#","shardId":"{shard}","eventSourceARN":"#).as_bytes());
    write_json(out, &arns.stream);
    let flags = format!(r#","isFinalInvokeForWindow":{is_final},"isWindowTerminatedEarly":{is_terminated_early}"#);
    out.extend_from_slice(flags.as_bytes());
}

/// `1545084650.987`; zeros at the end are left out.
fn write_seconds(out: &mut Vec<u8>, time: Timestamp) {
    write_json(out, time.as_secs());
    let millis = (time.as_millis() % 1000) as u16;
    if millis == 0 {
        return;
    }
    let digits = [millis / 100, millis / 10 % 10, millis % 10].map(|digit| b'0' + digit as u8);
    let shown = match digits {
        [_, b'0', b'0'] => 1,
        [_, _, b'0'] => 2,
        _ => 3,
    };
    out.push(b'.');
    out.extend(digits.iter().take(shown));
}

/// RFC 3339 in UTC: `2020-12-09T07:04:00Z`.
fn instant(time: Timestamp) -> jiff::Timestamp {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}

#[expect(clippy::expect_used, reason = "writing into memory has no way to fail")]
fn write_json(out: &mut Vec<u8>, value: impl Serialize) {
    serde_json::to_writer(out, &value).expect("memory takes every byte");
}

#[cfg(test)]
#[path = "event/tests.rs"]
mod tests;
