//! Violations of the service model, in the words of AWS.

use serde_json::{Value, json};

use super::node::{Node, base64};

/// Each case: the members of a request beside the stream's name, what violates, and which rule.
async fn check(operation: &str, cases: &[(Value, &str, &str)]) {
    let node = Node::with_stream(1).await;
    for (members, violator, rule) in cases {
        let mut body = json!({ "StreamName": "s" });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let message = node.refused(operation, body, "ValidationException").await;
        let expected = format!("{violator} failed to satisfy constraint: Member must {rule}");
        assert!(message.contains(&expected), "{message}");
    }
}

#[tokio::test]
async fn of_a_put() {
    let large = base64(vec![0; (10 << 20) + 1]);
    let hash = r"satisfy regular expression pattern: 0|([1-9]\d{0,38})";
    let cases = [
        (
            json!({ "PartitionKey": "", "Data": "" }),
            "Value '' at 'partitionKey'",
            "have length greater than or equal to 1",
        ),
        (
            json!({ "PartitionKey": "ä".repeat(257), "Data": "" }),
            "at 'partitionKey'",
            "have length less than or equal to 256",
        ),
        (
            json!({ "PartitionKey": "k", "Data": large }),
            "Value at 'data'",
            "have length less than or equal to 10485760",
        ),
        (json!({ "PartitionKey": "k" }), "Value null at 'data'", "not be null"),
        (json!({ "PartitionKey": "k", "Data": "", "ExplicitHashKey": "01" }), "Value '01' at 'explicitHashKey'", hash),
    ];
    check("PutRecord", &cases).await;
}

#[tokio::test]
async fn of_a_put_of_several() {
    let good = json!({ "PartitionKey": "k", "Data": "" });
    let many = vec![good.clone(); 501];
    let empty_key = json!({ "PartitionKey": "", "Data": "" });
    let cases = [
        (json!({ "Records": many }), "Value at 'records'", "have length less than or equal to 500"),
        (json!({ "Records": [] }), "Value at 'records'", "have length greater than or equal to 1"),
        (json!({}), "Value null at 'records'", "not be null"),
        (
            json!({ "Records": [good, empty_key] }),
            "'records.2.member.partitionKey'",
            "have length greater than or equal to 1",
        ),
        (json!({ "Records": [{ "Data": "" }] }), "Value null at 'records.1.member.partitionKey'", "not be null"),
        (
            json!({ "Records": [{ "PartitionKey": "k", "Data": null }] }),
            "Value null at 'records.1.member.data'",
            "not be null",
        ),
    ];
    check("PutRecords", &cases).await;
}

#[tokio::test]
async fn of_a_creation() {
    let modes = "satisfy enum value set: [PROVISIONED, ON_DEMAND]";
    let mode = json!({ "ShardCount": 1, "StreamModeDetails": { "StreamMode": "X" } });
    let name = "satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
    let cases = [
        (json!({}), "Value null at 'shardCount'", "not be null"),
        (json!({ "ShardCount": 0 }), "Value '0' at 'shardCount'", "have value greater than or equal to 1"),
        (json!({ "ShardCount": 1, "StreamName": null }), "Value null at 'streamName'", "not be null"),
        (json!({ "ShardCount": 1, "StreamName": "s/2" }), "Value 's/2' at 'streamName'", name),
        (mode, "Value 'X' at 'streamModeDetails.streamMode'", modes),
    ];
    check("CreateStream", &cases).await;
}

#[tokio::test]
async fn of_a_description() {
    let arn = r"satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+";
    let cases = [
        (json!({ "Limit": 0 }), "Value '0' at 'limit'", "have value greater than or equal to 1"),
        (json!({ "StreamARN": "s" }), "Value 's' at 'streamARN'", arn),
    ];
    check("DescribeStream", &cases).await;
    let cases =
        [(json!({ "MaxResults": 10_001 }), "Value '10001' at 'maxResults'", "have value less than or equal to 10000")];
    check("ListShards", &cases).await;
}

#[tokio::test]
async fn of_a_read() {
    let kind = json!({ "ShardId": "shardId-000000000000", "ShardIteratorType": "OLDEST" });
    let kinds =
        "satisfy enum value set: [AFTER_SEQUENCE_NUMBER, AT_SEQUENCE_NUMBER, AT_TIMESTAMP, LATEST, TRIM_HORIZON]";
    let cases = [
        (json!({}), "2 validation errors detected: Value null at 'shardId'", "not be null"),
        (kind, "Value 'OLDEST' at 'shardIteratorType'", kinds),
    ];
    check("GetShardIterator", &cases).await;
    let long = "x".repeat(513);
    let cases = [
        (json!({}), "Value null at 'shardIterator'", "not be null"),
        (json!({ "ShardIterator": long }), "at 'shardIterator'", "have length less than or equal to 512"),
        (
            json!({ "ShardIterator": "x", "Limit": 10_001 }),
            "Value '10001' at 'limit'",
            "have value less than or equal to 10000",
        ),
    ];
    check("GetRecords", &cases).await;
}
