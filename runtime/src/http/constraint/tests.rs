//! What is told of a request that is wrong.

use tidemill_stream::attached::{ConsumerRef, Holder};
use tidemill_stream::name::{ConsumerName, StreamName};

use super::resource::stream_in;
use super::*;

fn named<'a>(name: Option<&'a str>, arn: Option<&'a str>) -> StreamRef<'a> {
    StreamRef { name, arn, id: None }
}

fn refusal(work: impl FnOnce(&mut Check)) -> ApiError {
    let mut check = Check::default();
    work(&mut check);
    check.finish(Some(())).unwrap_err()
}

#[test]
fn all_violations_are_told_at_once_in_the_words_of_aws() {
    let long = "a".repeat(129);
    let error = refusal(|check| {
        check.stream(named(Some(""), None));
        check.required_text(At::Member("shardId"), None, &SHARD_ID);
        check.text(At::Member("shardId"), Some(&long), &SHARD_ID);
        check.integer(At::Member("limit"), Some(0), 1..=10);
        check.word(At::Member("type"), Some("X"), &[("A", 1), ("B", 2)]);
        check.length(At::Member("records"), 501, 1..=500);
    });
    assert_eq!(error.kind, ErrorKind::Validation);
    let expected = format!(
        "7 validation errors detected: \
         Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; \
         Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1; \
         Value null at 'shardId' failed to satisfy constraint: Member must not be null; \
         Value '{long}' at 'shardId' failed to satisfy constraint: Member must have length less than or equal to 128; \
         Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; \
         Value 'X' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [A, B]; \
         Value at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"
    );
    assert_eq!(error.message, expected);
}

#[test]
fn violations_and_what_they_repeat_are_bounded() {
    let error = refusal(|check| {
        for index in 0..500 {
            check.text(At::Record(index, "explicitHashKey"), Some(&"x".repeat(9999)), &HASH_KEY);
        }
    });
    assert!(error.message.starts_with("500 validation errors detected: Value 'xxx"));
    assert!(error.message.contains("'records.10.member.explicitHashKey'"));
    assert!(!error.message.contains("'records.11.member.explicitHashKey'"));
    assert!(error.message.len() < 5000, "{}", error.message.len());
}

#[test]
fn a_stream_is_found_by_name_or_arn() {
    let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/s";
    for (name, arn) in [(Some("s"), None), (None, Some(arn)), (Some("s"), Some(arn))] {
        let mut check = Check::default();
        let stream = check.stream(named(name, arn));
        assert_eq!(check.finish(stream).unwrap().as_str(), "s");
    }
}

#[test]
fn a_stream_that_is_not_clear_is_an_invalid_argument() {
    let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/s";
    let unnamable = "arn:aws:kinesis:eu-west-1:123456789012:stream/s/t";
    for (name, arn) in [(None, None), (Some("other"), Some(arn)), (None, Some(unnamable))] {
        assert_eq!(
            refusal(|check| drop(check.stream(named(name, arn)))).kind,
            ErrorKind::InvalidArgument,
            "{name:?} {arn:?}"
        );
    }
}

#[test]
fn patterns_are_those_of_the_model() {
    for (text, matches) in [("0", true), ("10", true), ("", false), ("01", false), ("+1", false), ("1x", false)] {
        assert_eq!(is_decimal(text, 39), matches, "{text}");
    }
    assert!(!is_decimal(&"1".repeat(40), 39));
    for bad in ["", "s", "arn:aws:kinesis:eu:1:stream/s", "arn:aws:sqs:eu:123456789012:stream/s"] {
        assert_eq!(stream_in(bad), None, "{bad}");
    }
    assert_eq!(stream_in("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s"), Some("s"));
}

#[test]
fn a_consumer_is_found_by_its_arn_or_by_name_and_stream() {
    let stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s";
    let arn = format!("{stream}/consumer/c:17");
    let meant = |stream, name, arn| {
        let mut check = Check::default();
        let consumer = check.consumer(StreamRef { arn: stream, ..StreamRef::default() }, name, arn);
        check.finish(consumer).map(|(stream, consumer)| format!("{stream} {consumer}"))
    };
    for (stream, name) in [(None, None), (Some(stream), None), (None, Some("c")), (Some(stream), Some("c"))] {
        assert_eq!(meant(stream, name, Some(&*arn)).unwrap(), "s c:17");
    }
    assert_eq!(meant(Some(stream), Some("c"), None).unwrap(), "s c");
    let other = "arn:aws:kinesis:eu-west-1:123456789012:stream/t";
    for (stream, name, arn) in [
        (Some(other), None, Some(&*arn)),
        (None, Some("d"), Some(&*arn)),
        (Some(stream), None, None),
        (None, Some("c"), None),
        (None, None, None),
    ] {
        assert_eq!(
            meant(stream, name, arn).unwrap_err().kind,
            ErrorKind::InvalidArgument,
            "{stream:?} {name:?} {arn:?}"
        );
    }
}

#[test]
fn a_resource_is_a_stream_or_a_consumer() {
    let start = "arn:aws:kinesis:eu-west-1:123456789012:";
    let meant = |rest: &str| {
        let mut check = Check::default();
        let resource = check.resource(Some(&format!("{start}{rest}")), None);
        check.finish(resource).map_err(|error| error.kind)
    };
    let stream = StreamName::parse("s").unwrap();
    assert_eq!(meant("stream/s").unwrap(), Resource { stream: stream.clone(), holder: Holder::Stream });
    let holder = Holder::Consumer(ConsumerRef { name: ConsumerName::parse("c").unwrap(), created_secs: Some(17) });
    assert_eq!(meant("stream/s/consumer/c:17").unwrap(), Resource { stream, holder });
    for rest in ["channel/c", "queue/q", "stream/s/consumer/c", "stream/s/t"] {
        assert_eq!(meant(rest), Err(ErrorKind::InvalidArgument), "{rest}");
    }
    for rest in ["", "stream/", "table/t"] {
        assert_eq!(meant(rest), Err(ErrorKind::Validation), "{rest}");
    }
}
