use super::*;

fn read(text: &str) -> anyhow::Result<Event> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Event::read(file.path(), "key", Timestamp::from_millis(7))
}

#[test]
fn lines_are_records_with_one_key() {
    let event = read("{\"a\": 1}\r\n\n \nplain\n").unwrap();
    let seen: Vec<_> = event.records.iter().map(|record| (record.partition_key.as_str(), &record.data[..])).collect();
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
    assert_eq!(event.source.unwrap().1.as_str(), "lambda-stream");
    let [record] = &event.records[..] else { panic!("one record") };
    assert_eq!((&record.data[..], record.partition_key.as_str()), (&b"Hello"[..], "1"));
    assert_eq!((record.arrival, record.position), (Timestamp::from_millis(1_545_084_650_987), Position(1)));
}

/// What a function of the world `lambda` gets is what stood in the file.
#[test]
fn an_event_of_lambda_comes_out_as_it_went_in() {
    let window = include_str!("../../../../tests/golden/lambda_window_event.json");
    let last = r#"{"Records":[],"window":{"start":"2018-12-17T22:10:00Z","end":"2018-12-17T22:12:00Z"},"state":{"a": [1]},"shardId":"shardId-000000000006","eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream","isFinalInvokeForWindow":true,"isWindowTerminatedEarly":true}"#;
    for text in [include_str!("../../../../tests/golden/lambda_event.json"), window, last] {
        let event = read(text).unwrap();
        let name = StreamName::parse("test").unwrap();
        let function = crate::functions::FunctionName::parse("lambda-role").unwrap();
        let invocation = super::super::invocation(event, name, &function, 1);
        let made = String::from_utf8(crate::functions::event_json(&invocation)).unwrap();
        assert_eq!(made, text.trim_end());
    }
}

#[test]
fn what_cannot_be_a_record_is_named() {
    let error = read(r#"{"Records": [{"kinesis": {"partitionKey": "1", "data": "%"}}]}"#).unwrap_err();
    assert!(format!("{error:#}").contains("record 1 is no base64"), "{error:#}");
    let error = read(&"x".repeat(RECORD_BYTES_MAX)).unwrap_err();
    assert!(format!("{error:#}").contains("record 1 has"), "{error:#}");
    assert_eq!(read(r#"{"Records": []}"#).unwrap_err().to_string(), "the event has no record");
}
