//! Listings that come in pages.

use std::time::Duration;

use serde_json::{Value, json};

use super::node::{Node, START};

fn ids(answer: &Value) -> Vec<u32> {
    let shards = answer.as_array().unwrap().iter().map(|shard| shard["ShardId"].as_str().unwrap());
    shards.map(|id| id.strip_prefix("shardId-").unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn shards_are_described_in_pages_of_100() {
    let node = Node::with_stream(250).await;
    let mut seen = Vec::new();
    let mut body = json!({ "StreamName": "s", "Limit": 10_000 });
    for more in [true, true, false] {
        let answer = node.ok("DescribeStream", body.clone()).await;
        let page = ids(&answer["StreamDescription"]["Shards"]);
        assert!(page.len() <= 100);
        assert_eq!(answer["StreamDescription"]["HasMoreShards"], more);
        body["ExclusiveStartShardId"] = json!(format!("shardId-{:012}", page.last().unwrap()));
        seen.extend(page);
    }
    assert_eq!(seen, (0..250).collect::<Vec<u32>>());
    let answer = node.ok("DescribeStream", json!({ "StreamName": "s", "Limit": 1 })).await;
    assert_eq!(ids(&answer["StreamDescription"]["Shards"]), [0]);
}

#[tokio::test]
async fn shards_are_listed_in_pages() {
    let node = Node::with_stream(7).await;
    let mut seen = Vec::new();
    let mut body = json!({ "StreamName": "s", "MaxResults": 3 });
    loop {
        let answer = node.ok("ListShards", body).await;
        seen.push(ids(&answer["Shards"]));
        match answer["NextToken"].as_str() {
            Some(token) => body = json!({ "NextToken": token, "MaxResults": 3 }),
            None => break,
        }
    }
    assert_eq!(seen, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
}

#[tokio::test]
async fn shards_are_filtered() {
    let node = Node::with_stream(3).await;
    node.pass(Duration::from_mins(1));
    let now = START as f64 / 1000.0 + 60.0;
    for (filter, expected) in [
        (json!({ "Type": "AT_LATEST" }), &[0, 1, 2][..]),
        (json!({ "Type": "AT_TRIM_HORIZON" }), &[0, 1, 2]),
        (json!({ "Type": "FROM_TRIM_HORIZON" }), &[0, 1, 2]),
        (json!({ "Type": "AT_TIMESTAMP", "Timestamp": now }), &[0, 1, 2]),
        (json!({ "Type": "FROM_TIMESTAMP", "Timestamp": now - 1.0 }), &[0, 1, 2]),
        (json!({ "Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000000" }), &[1, 2]),
    ] {
        let answer = node.ok("ListShards", json!({ "StreamName": "s", "ShardFilter": filter })).await;
        assert_eq!(ids(&answer["Shards"]), expected, "{filter}");
    }
    let start = json!({ "StreamName": "s", "ExclusiveStartShardId": "shardId-000000000001" });
    assert_eq!(ids(&node.ok("ListShards", start).await["Shards"]), [2]);
}

#[tokio::test]
async fn a_filter_that_lacks_its_member_is_an_invalid_argument() {
    let node = Node::with_stream(1).await;
    let future = START as f64 / 1000.0 + 1.0;
    for filter in [
        json!({ "Type": "AFTER_SHARD_ID" }),
        json!({ "Type": "AT_TIMESTAMP" }),
        json!({ "Type": "FROM_TIMESTAMP" }),
        json!({ "Type": "AT_TIMESTAMP", "Timestamp": future }),
        json!({ "Type": "AFTER_SHARD_ID", "ShardId": "no-shard" }),
    ] {
        let body = json!({ "StreamName": "s", "ShardFilter": filter });
        node.refused("ListShards", body, "InvalidArgumentException").await;
    }
    node.refused("ListShards", json!({ "StreamName": "s", "ShardFilter": {} }), "ValidationException").await;
}

#[tokio::test]
async fn a_listing_token_stands_alone_and_expires() {
    let node = Node::with_stream(2).await;
    let answer = node.ok("ListShards", json!({ "StreamName": "s", "MaxResults": 1 })).await;
    let token = answer["NextToken"].as_str().unwrap();
    for (member, value) in [
        ("StreamName", json!("s")),
        ("ExclusiveStartShardId", json!("shardId-000000000000")),
        ("StreamCreationTimestamp", json!(1)),
        ("ShardFilter", json!({ "Type": "AT_LATEST" })),
    ] {
        let body = json!({ "NextToken": token, member: value });
        let message = node.refused("ListShards", body, "InvalidArgumentException").await;
        assert!(message.contains(member), "{message}");
    }
    let iterator = node.iterator("LATEST", json!({})).await;
    node.refused("ListShards", json!({ "NextToken": iterator }), "InvalidArgumentException").await;
    node.refused("GetRecords", json!({ "ShardIterator": token }), "InvalidArgumentException").await;
    node.pass(Duration::from_secs(301));
    node.refused("ListShards", json!({ "NextToken": token }), "ExpiredNextTokenException").await;
}

#[tokio::test]
async fn the_creation_time_tells_a_stream_from_an_earlier_one() {
    let node = Node::with_stream(1).await;
    let now = START as f64 / 1000.0;
    node.ok("ListShards", json!({ "StreamName": "s", "StreamCreationTimestamp": now })).await;
    let other = json!({ "StreamName": "s", "StreamCreationTimestamp": now - 5.0 });
    node.refused("ListShards", other, "ResourceNotFoundException").await;
}

#[tokio::test]
async fn streams_are_listed_by_name_in_pages() {
    let node = Node::start().await;
    assert_eq!(node.ok("ListStreams", json!({})).await["StreamNames"], json!([]));
    for n in [3, 1, 2, 0, 4] {
        node.ok("CreateStream", json!({ "StreamName": format!("s{n}"), "ShardCount": 1 })).await;
    }
    let mut seen = Vec::new();
    let mut body = json!({ "Limit": 2 });
    loop {
        let answer = node.ok("ListStreams", body).await;
        let names = answer["StreamNames"].as_array().unwrap().clone();
        let summaries = answer["StreamSummaries"].as_array().unwrap();
        assert_eq!(summaries.iter().map(|summary| summary["StreamName"].clone()).collect::<Vec<_>>(), names);
        assert_eq!(summaries[0]["StreamStatus"], "ACTIVE");
        seen.extend(names);
        assert_eq!(answer["HasMoreStreams"], answer["NextToken"].is_string());
        match answer["NextToken"].as_str() {
            Some(token) => body = json!({ "Limit": 2, "NextToken": token }),
            None => break,
        }
    }
    assert_eq!(seen, ["s0", "s1", "s2", "s3", "s4"]);
    let answer = node.ok("ListStreams", json!({ "ExclusiveStartStreamName": "s2" })).await;
    assert_eq!(answer["StreamNames"], json!(["s3", "s4"]));
    assert_eq!(answer["HasMoreStreams"], false);
}
