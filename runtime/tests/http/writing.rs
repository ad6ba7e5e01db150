//! Putting records.

use serde_json::{Value, json};

use super::node::{Node, base64, payloads};

#[tokio::test]
async fn results_are_in_the_order_of_the_records() {
    let node = Node::with_stream(4).await;
    let records: Vec<Value> =
        (0..500).map(|n| json!({ "PartitionKey": format!("key-{n}"), "Data": base64(n.to_string()) })).collect();
    let answer = node.ok("PutRecords", json!({ "StreamName": "s", "Records": records })).await;
    assert_eq!(answer["FailedRecordCount"], 0);
    let results = answer["Records"].as_array().unwrap();
    assert_eq!(results.len(), 500);
    let mut found = 0;
    for shard in 0..4 {
        let shard = format!("shardId-{shard:012}");
        let iterator = node.iterator("TRIM_HORIZON", json!({ "ShardId": shard })).await;
        let read = node.read(&iterator).await;
        for (record, data) in read["Records"].as_array().unwrap().iter().zip(payloads(&read)) {
            let result = &results[data.parse::<usize>().unwrap()];
            assert_eq!((&result["ShardId"], &result["SequenceNumber"]), (&json!(shard), &record["SequenceNumber"]));
            assert_eq!(record["PartitionKey"], format!("key-{data}"));
            found += 1;
        }
    }
    assert_eq!(found, 500);
    assert!(!answer.to_string().contains("null"));
}

#[tokio::test]
async fn an_explicit_hash_key_decides_the_shard() {
    let node = Node::with_stream(2).await;
    for (hash, shard) in [("0", 0), ("170141183460469231731687303715884105727", 0), (&u128::MAX.to_string(), 1)] {
        let body = json!({ "StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": hash, "Data": "" });
        let answer = node.ok("PutRecord", body).await;
        assert_eq!(answer["ShardId"], format!("shardId-{shard:012}"), "{hash}");
    }
}

#[tokio::test]
async fn a_stream_is_written_by_arn_and_by_both() {
    let node = Node::with_stream(1).await;
    let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/s";
    node.ok("PutRecord", json!({ "StreamARN": arn, "PartitionKey": "k", "Data": base64("a") })).await;
    let records = json!([{ "PartitionKey": "k", "Data": base64("b") }]);
    node.ok("PutRecords", json!({ "StreamName": "s", "StreamARN": arn, "Records": records })).await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    assert_eq!(node.payloads(&iterator).await, ["a", "b"]);
}

#[tokio::test]
async fn sequence_numbers_grow() {
    let node = Node::with_stream(1).await;
    let (first, second) = (node.put("a", "1").await, node.put("b", "2").await);
    assert!(first.len() == 56 && first < second, "{first} {second}");
    let body = json!({ "StreamName": "s", "PartitionKey": "k", "Data": "", "SequenceNumberForOrdering": second });
    let third = node.ok("PutRecord", body).await["SequenceNumber"].as_str().unwrap().to_owned();
    assert!(second < third);
}

#[tokio::test]
async fn keys_and_payloads_of_any_kind_come_back_as_they_were() {
    let node = Node::with_stream(1).await;
    let key = "ключ \"\\/\u{1f980}\n";
    let body = json!({ "StreamName": "s", "PartitionKey": key, "Data": base64([]), "Unknown": { "a": [1] } });
    node.ok("PutRecord", body).await;
    let largest = "x".repeat((1 << 20) - 1);
    node.put("k", &largest).await;
    let longest = "k".repeat(256);
    node.put(&longest, "z").await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    let read = node.read(&iterator).await;
    let keys: Vec<&Value> = read["Records"].as_array().unwrap().iter().map(|record| &record["PartitionKey"]).collect();
    assert_eq!(keys, [key, "k", &longest]);
    assert_eq!(payloads(&read), ["", &largest, "z"]);
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let node = Node::with_stream(1).await;
    let record = json!({ "StreamName": "s", "PartitionKey": "k", "Data": "", "DryRun": true });
    node.refused("PutRecord", record, "DryRunOperationException").await;
    let records = json!({ "StreamName": "s", "Records": [{ "PartitionKey": "k", "Data": "" }], "DryRun": true });
    node.refused("PutRecords", records, "DryRunOperationException").await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    assert_eq!(node.payloads(&iterator).await, [""; 0]);
}
