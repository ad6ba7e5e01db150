use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::Position;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, StoredRecord};
use tidemill_stream::shard::ShardIndex;

use super::*;
use crate::home::Home;

/// The sample event of Lambda's guide without white space; the second record with another time, for the guide's is two seconds
/// off the one in its sequence number.
const EVENT: &str = include_str!("../../../tests/golden/lambda_event.json");
/// The same of the guide's sample with a tumbling window.
const WINDOW_EVENT: &str = include_str!("../../../tests/golden/lambda_window_event.json");

fn record(position: u64, arrival_ms: u64, key: &str, data: &[u8]) -> StoredRecord {
    let (partition_key, data) = (PartitionKey::parse(key.to_owned()).unwrap(), Bytes::copy_from_slice(data));
    let arrival = Timestamp::from_millis(arrival_ms);
    StoredRecord { position: Position(position), arrival, partition_key, explicit_hash: None, data }
}

/// A call as that of the guide's samples.
fn call(records: Vec<StoredRecord>) -> Invocation {
    let home = Home { account: "123456789012".to_owned(), region: "us-east-2".to_owned() };
    let stream = StreamName::parse("lambda-stream").unwrap();
    Invocation {
        request_id: "request".to_owned(),
        shard: ShardIndex(6),
        shard_created: Timestamp::from_millis(1_542_776_258_000),
        attempt: 1,
        records: records.into(),
        arns: Arc::new(home.arns(&stream, "lambda-role")),
        window: None,
        stream,
    }
}

fn first() -> StoredRecord {
    record(1_734_642_199, 1_545_084_650_987, "1", b"Hello, this is a test.")
}

fn window(state: &'static str) -> WindowCall {
    let (start, end) = (Timestamp::from_millis(1_545_084_600_000), Timestamp::from_millis(1_545_084_720_000));
    WindowCall { start, end, state: Bytes::from_static(state.as_bytes()), is_final: false, is_terminated_early: false }
}

fn text(invocation: &Invocation) -> String {
    String::from_utf8(event_json(invocation)).unwrap()
}

#[test]
fn an_event_is_that_of_the_guide() {
    let second = record(1_734_644_320, 1_545_084_709_166, "1", b"This is only a test.");
    assert_eq!(text(&call(vec![first(), second])), EVENT.trim_end());
}

#[test]
fn an_event_of_a_window_is_that_of_the_guide() {
    let window = Some(window(r#"{"1":282,"2":715}"#));
    assert_eq!(text(&Invocation { window, ..call(vec![first()]) }), WINDOW_EVENT.trim_end());
}

#[test]
fn the_last_event_of_a_window_has_no_records() {
    let window = Some(WindowCall { is_final: true, is_terminated_early: true, ..window("{}") });
    let event = text(&Invocation { window, ..call(vec![]) });
    assert!(event.starts_with(r#"{"Records":[],"window":{"start":"2018-12-17T22:10:00Z","#), "{event}");
    assert!(event.ends_with(r#","isFinalInvokeForWindow":true,"isWindowTerminatedEarly":true}"#), "{event}");
}

#[track_caller]
fn time(millis: u64, expected: &str) {
    let event = text(&call(vec![record(1, millis, "1", b"")]));
    assert!(event.contains(&format!(r#""data":"","approximateArrivalTimestamp":{expected}}},"#)), "{event}");
}

#[test]
fn times_have_the_decimals_that_they_need() {
    time(0, "0");
    time(1_545_084_650_000, "1545084650");
    time(1_545_084_650_100, "1545084650.1");
    time(1_545_084_650_120, "1545084650.12");
    time(1_545_084_650_007, "1545084650.007");
    time(1_545_084_650_070, "1545084650.07");
}

#[test]
fn keys_are_escaped() {
    let event = text(&call(vec![record(1, 0, "a\"b\\c\n\u{1}/é\u{1f30a}", b"")]));
    assert!(event.contains(r#""partitionKey":"a\"b\\c\n\u0001/é🌊","sequenceNumber""#), "{event}");
}

proptest! {
    #[test]
    fn every_event_is_json_with_what_it_was_made_of(
        records in prop::collection::vec((1..1_u64 << 40, 0..1_u64 << 43, "\\PC{1,20}|[\\x00-\\x7f]{1,20}", prop::collection::vec(any::<u8>(), 0..200)), 0..5)
    ) {
        let stored = records.iter().map(|(position, arrival, key, data)| record(*position, *arrival, key, data));
        let invocation = call(stored.collect());
        let event: Value = serde_json::from_slice(&event_json(&invocation)).unwrap();
        let read: Vec<_> = event["Records"].as_array().unwrap().iter().map(|record| {
            let kinesis = &record["kinesis"];
            let data = STANDARD.decode_to_vec(kinesis["data"].as_str().unwrap()).unwrap();
            let millis = kinesis["approximateArrivalTimestamp"].as_f64().unwrap() * 1000.0;
            let millis: u64 = format!("{millis:.0}").parse().unwrap();
            let number = SequenceNumber::parse(kinesis["sequenceNumber"].as_str().unwrap()).unwrap();
            prop_assert_eq!(&record["eventID"], &json!(format!("shardId-000000000006:{number}")));
            Ok((number.position().0, millis, kinesis["partitionKey"].as_str().unwrap().to_owned(), data))
        }).collect::<Result<_, _>>()?;
        prop_assert_eq!(read, records);
    }

    #[test]
    fn the_buffer_is_large_enough_at_once(data in prop::collection::vec(any::<u8>(), 0..200), count in 0..20_usize, is_windowed: bool) {
        let window = is_windowed.then(|| window(r#"{"1":282,"2":715}"#));
        let invocation = Invocation { window, ..call(vec![record(u64::MAX >> 1, 1_545_084_650_987, "key", &data); count]) };
        let planned = capacity(&invocation);
        let event = event_json(&invocation);
        prop_assert!(event.len() <= planned && event.capacity() == planned, "{} of {planned}", event.len());
    }
}
