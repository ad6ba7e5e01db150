//! What is decided by the partition key, by data that is no JSON, and by several patterns.

use crate::pattern::{Event, Filter, PATTERNS_MAX, Verdict};

use super::{FILTERED, NOT_JSON, PASSES, verdict};

#[test]
fn rules_for_data_that_is_no_json() {
    let on_data = r#"{"data": {"a": [1]}}"#;
    let on_key = r#"{"partitionKey": ["key"]}"#;
    let other_key = r#"{"partitionKey": ["other"]}"#;
    let on_both = r#"{"partitionKey": ["key"], "data": {"a": [1]}}"#;
    let other_key_and_data = r#"{"partitionKey": ["other"], "data": {"a": [1]}}"#;
    for (pattern, data, expected) in [
        (on_data, r#"{"a": 1}"#, PASSES),
        (on_data, r#"{"a": 2}"#, FILTERED),
        (on_data, "plain", NOT_JSON),
        (on_data, "", NOT_JSON),
        (on_key, r#"{"a": 1}"#, PASSES),
        (on_key, "plain", PASSES),
        (on_key, "", PASSES),
        (other_key, r#"{"a": 1}"#, FILTERED),
        (other_key, "plain", FILTERED),
        (on_both, r#"{"a": 1}"#, PASSES),
        (on_both, r#"{"a": 2}"#, FILTERED),
        (on_both, "plain", NOT_JSON),
        (other_key_and_data, r#"{"a": 1}"#, FILTERED),
        (other_key_and_data, "plain", FILTERED),
        (r#"{"data": {"a": [{"exists": false}]}}"#, "plain", NOT_JSON),
    ] {
        assert_eq!(verdict(pattern, data), expected, "{pattern} on {data}");
    }
}

#[test]
fn the_partition_key_is_a_string() {
    for (values, expected) in [
        (r#"["key"]"#, PASSES),
        (r#"["a", "key"]"#, PASSES),
        (r#"["KEY"]"#, FILTERED),
        (r#"[{"prefix": "k"}]"#, PASSES),
        (r#"[{"suffix": "k"}]"#, FILTERED),
        (r#"[{"equals-ignore-case": "KEY"}]"#, PASSES),
        (r#"[{"anything-but": "key"}]"#, FILTERED),
        (r#"[{"exists": true}]"#, PASSES),
        (r#"[{"exists": false}]"#, FILTERED),
        ("[1, null, true]", FILTERED),
    ] {
        assert_eq!(verdict(&format!(r#"{{"partitionKey": {values}}}"#), "x"), expected, "{values}");
    }
}

#[test]
fn or_of_partition_key_and_data() {
    let pattern = r#"{"$or": [{"partitionKey": ["other", {"prefix": "vip"}]}, {"data": {"a": [1]}}]}"#;
    let filter = Filter::parse([pattern]).unwrap();
    for (partition_key, data, expected) in [
        ("other", "plain", PASSES),
        ("vip-1", "plain", PASSES),
        ("key", "plain", NOT_JSON),
        ("key", r#"{"a": 1}"#, PASSES),
        ("key", r#"{"a": 2}"#, FILTERED),
    ] {
        let event = Event { data: data.as_bytes(), partition_key };
        assert_eq!(filter.verdict(&event), expected, "{partition_key} {data}");
    }
}

#[test]
fn one_of_several_patterns_is_enough() {
    let filter = Filter::parse([
        r#"{"data": {"a": [1]}}"#,
        r#"{"data": {"a": {"b": [2]}, "c": [3]}}"#,
        r#"{"partitionKey": ["first"]}"#,
    ])
    .unwrap();
    let verdict = |partition_key, data: &str| filter.verdict(&Event { data: data.as_bytes(), partition_key });
    assert_eq!(verdict("k", r#"{"a": 1}"#), PASSES);
    assert_eq!(verdict("k", r#"{"c": 3, "a": {"b": 2}}"#), PASSES);
    assert_eq!(verdict("k", r#"{"c": 3, "a": {"b": 1}}"#), FILTERED);
    assert_eq!(verdict("k", "plain"), NOT_JSON);
    assert_eq!(verdict("first", "plain"), PASSES);
}

#[test]
fn garbage_is_no_json() {
    let on_data = r#"{"data": {"a": [1]}}"#;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for garbage in [
        &b"\xff\xfe"[..],
        b"{\"a\": \"\xc3\x28\"}",
        b"{\"a\": 1",
        b"{\"a\": 1}}",
        b"{\"a\": 1} x",
        b"{\"a\" 1}",
        b"{'a': 1}",
        b"{\"a\": 01}",
        b"{\"a\": +1}",
        b"{\"a\": 1.}",
        b"{\"a\": .5}",
        b"{\"a\": 1e}",
        b"{\"a\": NaN}",
        b"{\"a\": 1,}",
        b"[1,]",
        b"[1 2]",
        b"{\"a\": \"\x01\"}",
        b"{\"a\": \"\\x\"}",
        b"{\"a\": \"\\u12g4\"}",
        b"{\"a\": \"\\ud800\"}",
        b"{\"a\": \"\\ud800\\u0041\"}",
        b"{\"a\": \"\\udc00\"}",
        b"{\"a\": \"\\u00",
        b"{\"a\": \"",
        b"{\"a\": \"\\",
        b"tru",
        b"truer",
        b"\xef\xbb\xbf{\"a\": 1}",
        b"{\"a\": 1}\0",
        &[0x1f, 0x8b, 8, 0, 0, 0],
        deep(128).as_bytes(),
        "[".repeat(1_000_000).as_bytes(),
        "{\"a\":".repeat(1_000_000).as_bytes(),
    ] {
        let start = String::from_utf8_lossy(garbage.get(..30).unwrap_or(garbage));
        assert_eq!(verdict(on_data, garbage), NOT_JSON, "{start}");
    }
    assert_eq!(verdict(on_data, deep(127)), FILTERED);
    assert_eq!(verdict(on_data, " \t\r\n{ \"a\" \n:\t1\r} \n"), PASSES);
    assert_eq!(verdict(on_data, r#"{"skipped": [{"x": "\ud800"}], "a": 1}"#), NOT_JSON);
}

#[test]
fn a_deep_pattern_meets_deep_data() {
    let nest = |inner: &str, depth: usize| format!("{}{inner}{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let pattern = format!(r#"{{"data": {}}}"#, nest("[1]", 120));
    assert_eq!(verdict(&pattern, nest("1", 120)), PASSES);
    assert_eq!(verdict(&pattern, nest("2", 120)), FILTERED);
    assert_eq!(verdict(&pattern, nest("1", 119)), FILTERED);
}

#[test]
fn needs_json_if_a_pattern_asks_for_data() {
    let needs = |patterns: &[&str]| Filter::parse(patterns.iter().copied()).unwrap().needs_data_json();
    assert!(needs(&[r#"{"data": {"a": [1]}}"#]));
    assert!(!needs(&[r#"{"partitionKey": ["a"]}"#]));
    assert!(needs(&[r#"{"partitionKey": ["a"]}"#, r#"{"data": {"a": [1]}}"#]));
    assert!(needs(&[r#"{"$or": [{"partitionKey": ["a"]}, {"data": {"a": [1]}}]}"#]));
}

#[test]
fn filters_are_equal_whose_texts_are() {
    let text = r#"{"data": {"a": [1]}}"#;
    let filter = Filter::parse([text]).unwrap();
    assert_eq!(filter, Filter::parse(vec![text.to_owned()]).unwrap());
    assert_ne!(filter, Filter::parse([r#"{"data":{"a":[1]}}"#]).unwrap());
    assert_eq!(filter.clone().patterns(), [text]);
    assert_eq!(format!("{filter:?}"), r#"Filter(["{\"data\": {\"a\": [1]}}"])"#);
}

#[test]
fn ten_long_patterns_are_taken() {
    let long = |index: usize| {
        let values: Vec<String> = (0..450).map(|value| format!(r#""{:04}""#, value * 10 + index)).collect();
        format!(r#"{{"data": {{"a": [{}]}}}}"#, values.join(", "))
    };
    let filter = Filter::parse((0..PATTERNS_MAX).map(long)).unwrap();
    let verdict = |data: &str| filter.verdict(&Event { data: data.as_bytes(), partition_key: "k" });
    assert_eq!(verdict(r#"{"a": "4499"}"#), PASSES);
    assert_eq!(verdict(r#"{"a": "4500"}"#), Verdict::Filtered);
}
