//! Iterators and reads.

use std::time::Duration;

use serde_json::json;

use super::node::{Node, START, payloads};

#[tokio::test]
async fn a_record_is_read_as_aws_writes_it() {
    let node = Node::with_stream(1).await;
    let number = node.put("k", "hello").await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    let answer = node.read(&iterator).await;
    let expected = json!([{
        "SequenceNumber": number,
        "ApproximateArrivalTimestamp": START as f64 / 1000.0,
        "Data": "aGVsbG8=",
        "PartitionKey": "k",
    }]);
    assert_eq!(answer["Records"], expected);
    assert_eq!(answer["MillisBehindLatest"], 0);
    assert_eq!(answer.as_object().unwrap().len(), 3, "{answer}");
}

#[tokio::test]
async fn after_a_sequence_number_never_returns_it_and_at_does() {
    let node = Node::with_stream(1).await;
    let first = node.put("k", "1").await;
    node.put("k", "2").await;
    let at = node.iterator("AT_SEQUENCE_NUMBER", json!({ "StartingSequenceNumber": first })).await;
    assert_eq!(node.payloads(&at).await, ["1", "2"]);
    let after = node.iterator("AFTER_SEQUENCE_NUMBER", json!({ "StartingSequenceNumber": first })).await;
    assert_eq!(node.payloads(&after).await, ["2"]);
}

#[tokio::test]
async fn the_start_of_a_shard_is_a_legal_place() {
    let node = Node::with_stream(1).await;
    node.put("k", "1").await;
    let shards = node.ok("ListShards", json!({ "StreamName": "s" })).await;
    let start = &shards["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"];
    for kind in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] {
        let iterator = node.iterator(kind, json!({ "StartingSequenceNumber": start })).await;
        assert_eq!(node.payloads(&iterator).await, ["1"], "{kind}");
    }
}

#[tokio::test]
async fn latest_is_fixed_when_the_iterator_is_made() {
    let node = Node::with_stream(1).await;
    node.put("k", "before").await;
    let latest = node.iterator("LATEST", json!({})).await;
    node.put("k", "after").await;
    assert_eq!(node.payloads(&latest).await, ["after"]);
    assert_eq!(node.payloads(&latest).await, ["after"], "an iterator can be used again");
}

#[tokio::test]
async fn a_timestamp_finds_the_first_record_of_then_or_later() {
    let node = Node::with_stream(1).await;
    for data in ["1", "2", "3"] {
        node.put("k", data).await;
        node.pass(Duration::from_secs(10));
    }
    for (seconds, expected) in [(-1.0, &["1", "2", "3"][..]), (10.0, &["2", "3"]), (10.001, &["3"]), (30.0, &[])] {
        let time = json!({ "Timestamp": START as f64 / 1000.0 + seconds });
        let iterator = node.iterator("AT_TIMESTAMP", time).await;
        assert_eq!(node.payloads(&iterator).await, expected, "{seconds}");
    }
}

#[tokio::test]
async fn a_reader_pages_through_a_shard_with_a_new_iterator_each_time() {
    let node = Node::with_stream(1).await;
    for n in 0..5 {
        node.put("k", &n.to_string()).await;
    }
    node.pass(Duration::from_secs(7));
    let mut iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    let mut seen = Vec::new();
    let mut behind = Vec::new();
    for _ in 0..4 {
        assert!(iterator.len() <= 512);
        let answer = node.ok("GetRecords", json!({ "ShardIterator": iterator, "Limit": 2 })).await;
        seen.extend(payloads(&answer));
        behind.push(answer["MillisBehindLatest"].as_u64().unwrap());
        let next = answer["NextShardIterator"].as_str().unwrap().to_owned();
        assert_ne!(next, iterator);
        iterator = next;
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
    assert_eq!(behind, [7000, 7000, 0, 0]);
}

#[tokio::test]
async fn an_iterator_expires_after_300_seconds() {
    let node = Node::with_stream(1).await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    node.pass(Duration::from_mins(5));
    node.read(&iterator).await;
    node.pass(Duration::from_millis(1));
    node.refused("GetRecords", json!({ "ShardIterator": iterator }), "ExpiredIteratorException").await;
}

#[tokio::test]
async fn an_iterator_of_the_longest_name_has_at_most_512_characters() {
    let node = Node::start().await;
    let name = "n".repeat(128);
    node.ok("CreateStream", json!({ "StreamName": name, "ShardCount": 1 })).await;
    let iterator = node.iterator("LATEST", json!({ "StreamName": name })).await;
    assert!((1..=512).contains(&iterator.len()), "{}", iterator.len());
    node.read(&iterator).await;
}
