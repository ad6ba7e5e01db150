//! Tags, policies and registered consumers, and what becomes of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::node::{Node, START};

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

async fn register(node: &Node, name: &str) -> Value {
    node.ok("RegisterStreamConsumer", json!({ "StreamARN": ARN, "ConsumerName": name })).await["Consumer"].take()
}

fn names(answer: &Value) -> Vec<&str> {
    answer["Consumers"].as_array().unwrap().iter().map(|one| one["ConsumerName"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn tags_are_set_listed_in_pages_and_taken_away() {
    let node = Node::start().await;
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1, "Tags": { "b": "1", "c": "" } })).await;
    node.ok("AddTagsToStream", json!({ "StreamName": "s", "Tags": { "a": "2", "b": "3" } })).await;
    let page = node.ok("ListTagsForStream", json!({ "StreamName": "s", "Limit": 2 })).await;
    assert_eq!(
        page,
        json!({ "Tags": [{ "Key": "a", "Value": "2" }, { "Key": "b", "Value": "3" }], "HasMoreTags": true })
    );
    let rest = node.ok("ListTagsForStream", json!({ "StreamName": "s", "ExclusiveStartTagKey": "b" })).await;
    assert_eq!(rest, json!({ "Tags": [{ "Key": "c", "Value": "" }], "HasMoreTags": false }));
    node.ok("RemoveTagsFromStream", json!({ "StreamName": "s", "TagKeys": ["a", "none"] })).await;
    node.ok("UntagResource", json!({ "ResourceARN": ARN, "TagKeys": ["b"] })).await;
    let left = node.ok("ListTagsForResource", json!({ "ResourceARN": ARN })).await;
    assert_eq!(left, json!({ "Tags": [{ "Key": "c", "Value": "" }] }));
    for tags in [json!({ "a|b": "" }), json!({ "aws:x": "" })] {
        node.refused("TagResource", json!({ "ResourceARN": ARN, "Tags": tags }), "InvalidArgumentException").await;
    }
    let many: serde_json::Map<String, Value> = (0..50).map(|n| (n.to_string(), json!(""))).collect();
    let body = json!({ "StreamName": "s", "Tags": many });
    let message = node.refused("AddTagsToStream", body, "InvalidArgumentException").await;
    assert!(message.contains("more than 50 tags"), "{message}");
}

#[tokio::test]
async fn consumers_are_registered_once_listed_in_pages_and_counted() {
    let node = Node::with_stream(1).await;
    let consumer = register(&node, "b").await;
    let expected = json!({
        "ConsumerName": "b", "ConsumerARN": format!("{ARN}/consumer/b:1763859985"), "ConsumerStatus": "ACTIVE",
        "ConsumerCreationTimestamp": START as f64 / 1000.0,
    });
    assert_eq!(consumer, expected);
    let again = json!({ "StreamARN": ARN, "ConsumerName": "b" });
    node.refused("RegisterStreamConsumer", again, "ResourceInUseException").await;
    register(&node, "a").await;
    register(&node, "c").await;
    let page = node.ok("ListStreamConsumers", json!({ "StreamARN": ARN, "MaxResults": 2 })).await;
    assert_eq!(names(&page), ["a", "b"]);
    let more = json!({ "StreamARN": ARN, "NextToken": page["NextToken"] });
    let rest = node.ok("ListStreamConsumers", more.clone()).await;
    assert_eq!((names(&rest), rest.get("NextToken")), (vec!["c"], None));
    node.ok("CreateStream", json!({ "StreamName": "t", "ShardCount": 1 })).await;
    let foreign = json!({ "StreamARN": ARN.replace("/s", "/t"), "NextToken": page["NextToken"] });
    node.refused("ListStreamConsumers", foreign, "InvalidArgumentException").await;
    let summary = node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    assert_eq!(summary["StreamDescriptionSummary"]["ConsumerCount"], 3);
    node.pass(Duration::from_mins(6));
    node.refused("ListStreamConsumers", more, "ExpiredNextTokenException").await;
}

#[tokio::test]
async fn a_consumer_that_is_gone_is_not_found_and_its_arn_is_not_that_of_the_next() {
    let node = Node::with_stream(1).await;
    let old = register(&node, "c").await["ConsumerARN"].clone();
    node.ok("DeregisterStreamConsumer", json!({ "StreamARN": ARN, "ConsumerName": "c" })).await;
    node.refused("DescribeStreamConsumer", json!({ "ConsumerARN": old }), "ResourceNotFoundException").await;
    node.pass(Duration::from_secs(1));
    let new = register(&node, "c").await["ConsumerARN"].clone();
    for (operation, body) in [
        ("DescribeStreamConsumer", json!({ "ConsumerARN": old })),
        ("DeregisterStreamConsumer", json!({ "ConsumerARN": old })),
        ("ListTagsForResource", json!({ "ResourceARN": old })),
    ] {
        node.refused(operation, body, "ResourceNotFoundException").await;
    }
    let found = node.ok("DescribeStreamConsumer", json!({ "ConsumerARN": new })).await;
    assert_eq!(found["ConsumerDescription"]["StreamARN"], ARN);
}

#[tokio::test]
async fn a_stream_with_consumers_is_deleted_only_with_them() {
    let node = Node::with_stream(1).await;
    register(&node, "c").await;
    for body in [json!({ "StreamName": "s" }), json!({ "StreamName": "s", "EnforceConsumerDeletion": false })] {
        node.refused("DeleteStream", body, "ResourceInUseException").await;
    }
    node.put("k", "still there").await;
    node.ok("DeleteStream", json!({ "StreamName": "s", "EnforceConsumerDeletion": true })).await;
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
    let listed = node.ok("ListStreamConsumers", json!({ "StreamARN": ARN })).await;
    assert_eq!(listed, json!({ "Consumers": [] }));
}

#[tokio::test]
async fn an_on_demand_stream_of_a_committed_account_has_50_consumers_and_others_20() {
    let node = Node::start().await;
    let on_demand = json!({ "StreamName": "s", "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    node.ok("CreateStream", on_demand).await;
    for n in 0..20 {
        register(&node, &format!("c{n}")).await;
    }
    let one = json!({ "StreamARN": ARN, "ConsumerName": "more" });
    let message = node.refused("RegisterStreamConsumer", one.clone(), "LimitExceededException").await;
    assert!(message.contains("has 20 registered consumers"), "{message}");
    let commitment = json!({ "MinimumThroughputBillingCommitment": { "Status": "ENABLED" } });
    node.ok("UpdateAccountSettings", commitment).await;
    for n in 20..50 {
        register(&node, &format!("c{n}")).await;
    }
    node.refused("RegisterStreamConsumer", one, "LimitExceededException").await;
}

#[tokio::test]
async fn a_policy_is_a_json_object_that_is_kept_as_it_was_given() {
    let node = Node::with_stream(1).await;
    let consumer = register(&node, "c").await["ConsumerARN"].clone();
    for arn in [json!(ARN), consumer] {
        node.refused("GetResourcePolicy", json!({ "ResourceARN": arn }), "ResourceNotFoundException").await;
        for bad in ["", "x", "[]", &format!("{{\"a\":\"{}\"}}", "x".repeat(20 << 10))] {
            let body = json!({ "ResourceARN": arn, "Policy": bad });
            node.refused("PutResourcePolicy", body, "InvalidArgumentException").await;
        }
        let policy = "{ \"Statement\" : [] }";
        node.ok("PutResourcePolicy", json!({ "ResourceARN": arn, "Policy": policy })).await;
        let answer = node.ok("GetResourcePolicy", json!({ "ResourceARN": arn })).await;
        assert_eq!(answer, json!({ "Policy": policy }));
        node.ok("DeleteResourcePolicy", json!({ "ResourceARN": arn })).await;
        node.refused("DeleteResourcePolicy", json!({ "ResourceARN": arn }), "ResourceNotFoundException").await;
    }
}
