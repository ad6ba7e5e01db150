//! Creating, describing, listing and deleting streams.

use serde_json::{Value, json};

use super::node::{Node, START};

#[tokio::test]
async fn a_stream_is_described_as_it_was_created() {
    let node = Node::with_stream(3).await;
    let answer = node.ok("DescribeStream", json!({ "StreamName": "s" })).await;
    let stream = &answer["StreamDescription"];
    assert_eq!(stream["StreamName"], "s");
    assert_eq!(stream["StreamARN"], "arn:aws:kinesis:us-east-1:000000000000:stream/s");
    assert_eq!(stream["StreamStatus"], "ACTIVE");
    assert_eq!(stream["StreamModeDetails"], json!({ "StreamMode": "PROVISIONED" }));
    assert_eq!(stream["HasMoreShards"], false);
    assert_eq!(stream["RetentionPeriodHours"], 24);
    assert_eq!(stream["StreamCreationTimestamp"].to_string(), "1763859985.123");
    assert_eq!(stream["EnhancedMonitoring"], json!([{ "ShardLevelMetrics": [] }]));
    assert_eq!(stream["EncryptionType"], "NONE");
    let shards = stream["Shards"].as_array().unwrap();
    assert_eq!(shards.len(), 3);
    assert_eq!(shards[0]["HashKeyRange"]["StartingHashKey"], "0");
    assert_eq!(shards[2]["HashKeyRange"]["EndingHashKey"], u128::MAX.to_string());
    assert_eq!(shards[1]["ShardId"], "shardId-000000000001");
    let start = shards[1]["SequenceNumberRange"]["StartingSequenceNumber"].as_str().unwrap();
    assert_eq!(start.len(), 56);
    assert!(!answer.to_string().contains("null"), "{answer}");
}

#[tokio::test]
async fn a_summary_counts_shards_and_consumers() {
    let node = Node::with_stream(3).await;
    let expected = json!({
        "StreamName": "s",
        "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": { "StreamMode": "PROVISIONED" },
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": START as f64 / 1000.0,
        "EnhancedMonitoring": [{ "ShardLevelMetrics": [] }],
        "EncryptionType": "NONE",
        "OpenShardCount": 3,
        "ConsumerCount": 0,
        "MaxRecordSizeInKiB": 1024,
    });
    for body in [json!({ "StreamName": "s" }), json!({ "StreamARN": expected["StreamARN"] })] {
        let answer = node.ok("DescribeStreamSummary", body).await;
        assert_eq!(answer["StreamDescriptionSummary"], expected);
    }
}

#[tokio::test]
async fn an_on_demand_stream_has_four_shards() {
    let node = Node::start().await;
    let body = json!({ "StreamName": "s", "StreamModeDetails": { "StreamMode": "ON_DEMAND" }, "Tags": { "a": "b" } });
    assert_eq!(node.ok("CreateStream", body).await, Value::Null);
    let summary = node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    assert_eq!(summary["StreamDescriptionSummary"]["OpenShardCount"], 4);
    assert_eq!(summary["StreamDescriptionSummary"]["StreamModeDetails"]["StreamMode"], "ON_DEMAND");
}

#[tokio::test]
async fn a_deleted_stream_is_gone_and_its_name_free() {
    let node = Node::with_stream(1).await;
    node.put("k", "old").await;
    let old = node.iterator("TRIM_HORIZON", json!({})).await;
    assert_eq!(node.ok("DeleteStream", json!({ "StreamName": "s" })).await, Value::Null);
    node.refused("DescribeStream", json!({ "StreamName": "s" }), "ResourceNotFoundException").await;
    node.refused("GetRecords", json!({ "ShardIterator": old }), "ResourceNotFoundException").await;
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
    let message = node.refused("GetRecords", json!({ "ShardIterator": old }), "ResourceNotFoundException").await;
    assert_eq!(message, "Stream s under account 000000000000 not found.");
    let new = node.iterator("TRIM_HORIZON", json!({})).await;
    assert_eq!(node.payloads(&new).await, [""; 0]);
}

#[tokio::test]
async fn arns_carry_the_account_and_region_of_the_caller() {
    let node = Node::with_stream(1).await;
    let scope = "AWS4-HMAC-SHA256 Credential=123456789012/20251123/eu-west-3/kinesis/aws4_request, SignedHeaders=host, Signature=0";
    let request = node.request("DescribeStreamSummary").header("authorization", scope);
    let response = request.body(r#"{"StreamName":"s"}"#).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    let arn = "arn:aws:kinesis:eu-west-3:123456789012:stream/s";
    assert_eq!(answer["StreamDescriptionSummary"]["StreamARN"], arn);
}
