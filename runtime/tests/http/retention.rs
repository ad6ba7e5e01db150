//! How long records are kept: changing it, and what is read afterwards.

use std::time::Duration;

use serde_json::{Value, json};

use super::node::Node;

const HOUR: Duration = Duration::from_hours(1);

async fn change(node: &Node, way: &str, hours: u32) -> Value {
    let body = json!({ "StreamName": "s", "RetentionPeriodHours": hours });
    node.ok(&format!("{way}StreamRetentionPeriod"), body).await
}

async fn refused(node: &Node, way: &str, hours: i64) -> String {
    let body = json!({ "StreamName": "s", "RetentionPeriodHours": hours });
    node.refused(&format!("{way}StreamRetentionPeriod"), body, "InvalidArgumentException").await
}

async fn hours(node: &Node) -> (Value, Value) {
    let stream = node.ok("DescribeStream", json!({ "StreamName": "s" })).await;
    let summary = node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    let of = |description: &Value| description["RetentionPeriodHours"].clone();
    (of(&stream["StreamDescription"]), of(&summary["StreamDescriptionSummary"]))
}

#[tokio::test]
async fn a_retention_is_changed_in_the_way_that_is_asked_for() {
    let node = Node::with_stream(2).await;
    for (way, to) in [("Increase", 48), ("Increase", 48), ("Increase", 8760), ("Decrease", 8760), ("Decrease", 24)] {
        assert_eq!(change(&node, way, to).await, Value::Null);
        assert_eq!(hours(&node).await, (json!(to), json!(to)));
    }
    change(&node, "Increase", 100).await;
    for (way, to, reason) in [
        ("Increase", 99, "100 h, and 99 h is no increase"),
        ("Decrease", 101, "100 h, and 101 h is no decrease"),
        ("Decrease", 23, "23 is too short: the least is 24 hours"),
        ("Decrease", 0, "0 is too short"),
        ("Decrease", -1, "-1 is too short"),
        ("Increase", 8761, "8761 is too long: the most is 8760 hours"),
    ] {
        let message = refused(&node, way, to).await;
        assert!(message.contains(reason), "{message}");
    }
    assert_eq!(hours(&node).await, (json!(100), json!(100)));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_its_name() {
    let node = Node::with_stream(1).await;
    for way in ["IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod"] {
        let body = json!({ "StreamName": "none", "RetentionPeriodHours": 48 });
        node.refused(way, body, "ResourceNotFoundException").await;
        let message = node.refused(way, json!({ "StreamName": "s" }), "ValidationException").await;
        assert!(message.contains("retentionPeriodHours"), "{message}");
        let by_arn =
            json!({ "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "RetentionPeriodHours": 24 });
        node.ok(way, by_arn).await;
    }
}

#[tokio::test]
async fn expired_records_are_not_read_and_every_iterator_goes_on_at_the_horizon() {
    let node = Node::with_stream(1).await;
    let old = node.put("k", "old").await;
    node.pass(HOUR * 20);
    node.put("k", "new").await;
    let number = || json!({ "StartingSequenceNumber": old });
    let at_time = json!({ "Timestamp": super::node::START as f64 / 1000.0 });
    node.pass(HOUR * 5);
    for (kind, more) in [
        ("TRIM_HORIZON", json!({})),
        ("AT_SEQUENCE_NUMBER", number()),
        ("AFTER_SEQUENCE_NUMBER", number()),
        ("AT_TIMESTAMP", at_time),
    ] {
        let iterator = node.iterator(kind, more).await;
        assert_eq!(node.payloads(&iterator).await, ["new"], "{kind}");
    }
    change(&node, "Increase", 8760).await;
    let horizon = node.iterator("TRIM_HORIZON", json!({})).await;
    assert_eq!(node.payloads(&horizon).await, ["new"], "what has expired does not come back");
    node.pass(HOUR * 100);
    let later = node.iterator("TRIM_HORIZON", json!({})).await;
    assert_eq!(node.payloads(&later).await, ["new"], "and what had not is kept for longer");
    change(&node, "Decrease", 24).await;
    let none = node.iterator("TRIM_HORIZON", json!({})).await;
    assert_eq!(node.payloads(&none).await, [""; 0]);
}
