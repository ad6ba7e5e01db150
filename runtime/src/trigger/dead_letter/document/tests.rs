use serde_json::Value;

use super::*;
use crate::trigger::dead_letter::tests::{invocation, letter, record};

/// By the layout of sequence numbers, of positions 0 and 7.
const NUMBERS: [&str; 2] = [
    "49601336550041268829873965192332861088868555605432860690",
    "49601336550041268829873965192341323569605858009655803922",
];

fn written_document(letter: &Letter<'_>) -> String {
    String::from_utf8(write(letter, Payload::LeftOut).to_vec()).unwrap()
}

fn batch() -> Invocation {
    invocation(vec![record(0, "k", "a"), record(1, "k", "b"), record(7, "l", "c")])
}

/// The letter's document is this, whose `BATCH` stands for that of [`batch`].
fn check(letter: &Letter<'_>, expected: &str) {
    let [first, last] = NUMBERS;
    let batch = format!(
        r#""KinesisBatchInfo":{{"shardId":"shardId-000000000001","startSequenceNumber":"{first}","endSequenceNumber":"{last}","approximateArrivalOfFirstRecord":"2019-11-14T00:38:04.835Z","approximateArrivalOfLastRecord":"2019-11-14T00:38:04.842Z","batchSize":3,"streamArn":"arn:aws:kinesis:us-east-1:000000000000:stream/orders"}}"#
    );
    assert_eq!(written_document(letter), expected.replace("BATCH", &batch));
}

#[test]
fn a_failed_batch_is_told_as_lambda_tells_it() {
    check(
        &letter(&batch()),
        r#"{"requestContext":{"requestId":"01234567-89ab-cdef-0123-456789abcdef","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:score","condition":"RetryAttemptsExhausted","approximateInvokeCount":3},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"version":"1.0","timestamp":"2019-11-14T00:38:06.021Z",BATCH}"#,
    );
}

#[test]
fn a_call_that_reported_failures_has_no_error_of_its_own() {
    check(
        &Letter { has_failed: false, invoke_count: 4, ..letter(&batch()) },
        r#"{"requestContext":{"requestId":"01234567-89ab-cdef-0123-456789abcdef","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:score","condition":"RetryAttemptsExhausted","approximateInvokeCount":4},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":null},"version":"1.0","timestamp":"2019-11-14T00:38:06.021Z",BATCH}"#,
    );
}

#[test]
fn records_that_were_too_old_have_no_response() {
    for has_failed in [true, false] {
        check(
            &Letter {
                condition: Condition::RecordAgeExceeded,
                has_failed,
                invoke_count: 1,
                at: Timestamp::from_millis(1_573_691_886_000),
                ..letter(&batch())
            },
            r#"{"requestContext":{"requestId":"01234567-89ab-cdef-0123-456789abcdef","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:score","condition":"RecordAgeExceeded","approximateInvokeCount":1},"version":"1.0","timestamp":"2019-11-14T00:38:06.000Z",BATCH}"#,
        );
    }
}

#[test]
fn the_sequence_numbers_are_those_of_the_records() {
    let document: Value = serde_json::from_str(&written_document(&letter(&batch()))).unwrap();
    for (name, position) in [("startSequenceNumber", 0), ("endSequenceNumber", 7)] {
        let number = SequenceNumber::parse(document["KinesisBatchInfo"][name].as_str().unwrap()).unwrap();
        assert_eq!((number.shard(), number.position().0), (batch().shard, position));
        assert_eq!((number.shard_created_secs(), number.arrival_secs()), (1_573_600_000, 1_573_691_884));
    }
}

#[test]
fn with_its_payload_it_is_the_same_and_the_event_behind_it() {
    let batch = batch();
    let without = written_document(&letter(&batch));
    let event = String::from_utf8(event_json(&batch)).unwrap();
    let with = write(&letter(&batch), Payload::Event);
    assert_eq!(with, format!("{},\"payload\":{event}}}", without.strip_suffix('}').unwrap()));
    let document: Value = serde_json::from_slice(&with).unwrap();
    assert_eq!(document["payload"]["Records"][2]["kinesis"]["data"], "Yw==");
}

#[test]
fn times_have_milliseconds_whatever_they_are() {
    for (millis, expected) in
        [(0, "1970-01-01T00:00:00.000Z"), (1_000, "1970-01-01T00:00:01.000Z"), (u64::MAX, "9999-12-30T22:00:00.999Z")]
    {
        assert_eq!(written(Timestamp::from_millis(millis)), expected);
    }
}

/// The page has the document of the first test here.
#[test]
fn the_page_shows_this_document() {
    let page = include_str!("../../../../../docs/failures.md");
    let shown = page.split("```json\n").nth(1).and_then(|behind| behind.split("```").next()).unwrap();
    let told: String = shown.lines().map(|line| line.trim_start().replacen("\": ", "\":", 1)).collect();
    assert_eq!(told, written_document(&letter(&batch())));
}
