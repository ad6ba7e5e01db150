//! Splitting and merging shards, and reading along what becomes of them.

use std::time::Duration;

use serde_json::{Value, json};
use tidemill_stream::engine::faulty::{Fault, Faulty, FaultyOptions};
use tidemill_stream::engine::memory::Memory;

use super::node::{Node, payloads};

const HALF: u128 = 1 << 127;
const FIRST: &str = "shardId-000000000000";

async fn split(node: &Node, shard: &str, at: u128) -> Value {
    let body = json!({ "StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": at.to_string() });
    node.ok("SplitShard", body).await
}

async fn merge(node: &Node, one: &str, other: &str) -> Value {
    let body = json!({ "StreamName": "s", "ShardToMerge": one, "AdjacentShardToMerge": other });
    node.ok("MergeShards", body).await
}

async fn shards(node: &Node, filter: &str) -> Vec<Value> {
    let body = json!({ "StreamName": "s", "ShardFilter": { "Type": filter } });
    node.ok("ListShards", body).await["Shards"].as_array().unwrap().clone()
}

async fn put_at(node: &Node, hash: u128, data: &str) -> String {
    let data = super::node::base64(data);
    let body = json!({ "StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": hash.to_string(), "Data": data });
    node.ok("PutRecord", body).await["ShardId"].as_str().unwrap().to_owned()
}

fn id(number: u32) -> String {
    format!("shardId-{number:012}")
}

#[tokio::test]
async fn a_split_shard_is_closed_and_says_who_its_children_are() {
    let node = Node::with_stream(1).await;
    put_at(&node, 7, "before").await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    assert_eq!(split(&node, FIRST, HALF).await, Value::Null);
    assert_eq!(put_at(&node, 7, "low").await, id(1));
    assert_eq!(put_at(&node, HALF, "high").await, id(2));
    let listed = shards(&node, "FROM_TRIM_HORIZON").await;
    let said = |shard: &Value| {
        let ending = shard["SequenceNumberRange"]["EndingSequenceNumber"].is_string();
        (shard["ShardId"].clone(), shard["ParentShardId"].clone(), shard["AdjacentParentShardId"].clone(), ending)
    };
    let wanted = [
        (json!(FIRST), Value::Null, Value::Null, true),
        (json!(id(1)), json!(FIRST), Value::Null, false),
        (json!(id(2)), json!(FIRST), Value::Null, false),
    ];
    assert_eq!(listed.iter().map(said).collect::<Vec<_>>(), wanted);
    let described = node.ok("DescribeStream", json!({ "StreamName": "s" })).await;
    assert_eq!(described["StreamDescription"]["Shards"], json!(listed));
    assert_eq!(described["StreamDescription"]["StreamStatus"], "ACTIVE");
    let answer = node.read(&iterator).await;
    assert_eq!(payloads(&answer), ["before"]);
    assert!(answer["NextShardIterator"].is_null(), "{answer}");
    let child = |number, start: u128, end: u128| {
        let range = json!({ "StartingHashKey": start.to_string(), "EndingHashKey": end.to_string() });
        json!({ "ShardId": id(number), "ParentShards": [FIRST], "HashKeyRange": range })
    };
    assert_eq!(answer["ChildShards"], json!([child(1, 0, HALF - 1), child(2, HALF, u128::MAX)]));
}

#[tokio::test]
async fn merged_shards_have_one_child_with_two_parents() {
    let node = Node::with_stream(2).await;
    put_at(&node, 0, "low").await;
    assert_eq!(merge(&node, FIRST, &id(1)).await, Value::Null);
    let listed = shards(&node, "AT_LATEST").await;
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["ParentShardId"], &listed[0]["AdjacentParentShardId"]), (&json!(FIRST), &json!(id(1))));
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    let answer = node.read(&iterator).await;
    assert_eq!(payloads(&answer), ["low"]);
    assert_eq!(answer["ChildShards"][0]["ParentShards"], json!([FIRST, id(1)]));
    let empty = node.iterator("TRIM_HORIZON", json!({ "ShardId": id(1) })).await;
    let answer = node.read(&empty).await;
    assert!(
        answer["NextShardIterator"].is_null() && answer["ChildShards"].is_array(),
        "an empty one ends too: {answer}"
    );
}

#[tokio::test]
async fn an_iterator_at_the_tip_of_a_shard_that_is_closed_meets_its_end() {
    let node = Node::with_stream(1).await;
    put_at(&node, 0, "1").await;
    let latest = node.iterator("LATEST", json!({})).await;
    split(&node, FIRST, HALF).await;
    let answer = node.read(&latest).await;
    assert!(payloads(&answer).is_empty() && answer["NextShardIterator"].is_null(), "{answer}");
    assert_eq!(answer["ChildShards"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn sequence_numbers_of_children_sort_behind_those_of_their_parents() {
    let node = Node::with_stream(1).await;
    let mut numbers = vec![node.put("k", "0").await];
    let mut open = FIRST.to_owned();
    for round in 0..3 {
        split(&node, &open, HALF).await;
        merge(&node, &id(3 * round + 1), &id(3 * round + 2)).await;
        open = id(3 * round + 3);
        numbers.push(node.put("k", "x").await);
    }
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
}

#[tokio::test]
async fn the_number_of_shards_is_updated_by_up_to_twofold() {
    let node = Node::with_stream(2).await;
    let body = |target: u64| json!({ "StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING" });
    let answer = node.ok("UpdateShardCount", body(4)).await;
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let wanted = json!({ "StreamName": "s", "CurrentShardCount": 2, "TargetShardCount": 4, "StreamARN": arn });
    assert_eq!(answer, wanted);
    assert_eq!(shards(&node, "AT_LATEST").await.len(), 4);
    let message = node.refused("UpdateShardCount", body(9), "LimitExceededException").await;
    assert!(message.contains("up over double") && message.contains("count: 4, Target shard count: 9"), "{message}");
    let message = node.refused("UpdateShardCount", body(1), "LimitExceededException").await;
    assert!(message.contains("down below half"), "{message}");
    node.ok("UpdateShardCount", body(3)).await;
    let open = shards(&node, "AT_LATEST").await;
    let summary = node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    assert_eq!((open.len(), &summary["StreamDescriptionSummary"]["OpenShardCount"]), (3, &json!(3)));
    node.refused("UpdateShardCount", body(0), "ValidationException").await;
    let other = json!({ "StreamName": "s", "TargetShardCount": 3, "ScalingType": "OTHER" });
    node.refused("UpdateShardCount", other, "ValidationException").await;
}

/// One shard a log, and an engine that lets others go first at every call: an update is many turns of the only thread.
#[tokio::test]
async fn a_stream_is_updating_while_its_shards_are_changed() {
    let node = Node::over(|clock| {
        let options = FaultyOptions { per_mille: [(Fault::Pause, 1000)].into(), ..FaultyOptions::default() };
        Faulty::new(Memory::with_shards_per_log(clock, 1), options)
    })
    .await;
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 64 })).await;
    let status = async || {
        let summary = node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
        summary["StreamDescriptionSummary"]["StreamStatus"].as_str().unwrap().to_owned()
    };
    let update = json!({ "StreamName": "s", "TargetShardCount": 96, "ScalingType": "UNIFORM_SCALING" });
    let mut update = std::pin::pin!(node.ok("UpdateShardCount", update));
    let mut statuses = vec![status().await];
    loop {
        tokio::select! {
            biased;
            _ = &mut update => break,
            status = status() => statuses.push(status),
        }
    }
    statuses.push(status().await);
    statuses.dedup();
    assert_eq!(statuses, ["ACTIVE", "UPDATING", "ACTIVE"]);
    assert_eq!(shards(&node, "AT_LATEST").await.len(), 96);
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_as_aws_does() {
    let node = Node::with_stream(3).await;
    let split = |shard: &str, at: &str| json!({ "StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": at });
    let merge =
        |one: &str, other: &str| json!({ "StreamName": "s", "ShardToMerge": one, "AdjacentShardToMerge": other });
    for at in ["0", "1", &u128::MAX.to_string(), "999999999999999999999999999999999999999"] {
        node.refused("SplitShard", split(FIRST, at), "InvalidArgumentException").await;
    }
    node.refused("SplitShard", split(FIRST, "x"), "ValidationException").await;
    for shard in [id(3), "nonsense".to_owned()] {
        node.refused("SplitShard", split(&shard, "9"), "ResourceNotFoundException").await;
        node.refused("MergeShards", merge(FIRST, &shard), "ResourceNotFoundException").await;
    }
    for (one, other) in [(0, 2), (1, 0), (1, 1)] {
        let message = node.refused("MergeShards", merge(&id(one), &id(other)), "InvalidArgumentException").await;
        assert!(message.ends_with("are not an adjacent pair of shards eligible for merging"), "{message}");
    }
    node.ok("MergeShards", merge(&id(0), &id(1))).await;
    let message = node.refused("SplitShard", split(FIRST, "9"), "InvalidArgumentException").await;
    assert!(message.contains("has already been merged or split"), "{message}");
    let nowhere = json!({ "StreamName": "t", "ShardToSplit": FIRST, "NewStartingHashKey": "9" });
    node.refused("SplitShard", nowhere, "ResourceNotFoundException").await;
    let message = node.refused("SplitShard", json!({ "StreamName": "s" }), "ValidationException").await;
    assert!(message.starts_with("2 validation errors"), "{message}");
    let on_demand = json!({ "StreamName": "o", "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    node.ok("CreateStream", on_demand).await;
    let body = json!({ "StreamName": "o", "TargetShardCount": 5, "ScalingType": "UNIFORM_SCALING" });
    node.refused("UpdateShardCount", body, "ValidationException").await;
}

#[tokio::test]
async fn the_filters_know_when_a_shard_was_open() {
    let node = Node::with_stream(1).await;
    let created = node.clock.now();
    node.pass(Duration::from_mins(1));
    split(&node, FIRST, HALF).await;
    node.pass(Duration::from_mins(1));
    let ids = async |filter: Value| {
        let answer = node.ok("ListShards", json!({ "StreamName": "s", "ShardFilter": filter })).await;
        answer["Shards"].as_array().unwrap().iter().map(|shard| shard["ShardId"].clone()).collect::<Vec<_>>()
    };
    let at = |secs: u64| created.plus(Duration::from_secs(secs)).as_secs();
    assert_eq!(ids(json!({ "Type": "AT_TIMESTAMP", "Timestamp": at(30) })).await, [FIRST]);
    assert_eq!(ids(json!({ "Type": "AT_TIMESTAMP", "Timestamp": at(90) })).await, [id(1), id(2)]);
    assert_eq!(ids(json!({ "Type": "FROM_TIMESTAMP", "Timestamp": at(90) })).await, [id(1), id(2)]);
    assert_eq!(ids(json!({ "Type": "AT_LATEST" })).await, [id(1), id(2)]);
    assert_eq!(ids(json!({ "Type": "AFTER_SHARD_ID", "ShardId": FIRST })).await, [id(1), id(2)]);
    assert_eq!(ids(json!({ "Type": "FROM_TRIM_HORIZON" })).await, [json!(FIRST), json!(id(1)), json!(id(2))]);
}

#[tokio::test]
async fn the_mode_is_updated() {
    let node = Node::with_stream(2).await;
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let body = |mode: &str| json!({ "StreamARN": arn, "StreamModeDetails": { "StreamMode": mode } });
    let update = json!({ "StreamName": "s", "TargetShardCount": 3, "ScalingType": "UNIFORM_SCALING" });
    node.ok("UpdateStreamMode", body("ON_DEMAND")).await;
    let summary = node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    let summary = &summary["StreamDescriptionSummary"];
    assert_eq!(
        (&summary["StreamModeDetails"]["StreamMode"], &summary["OpenShardCount"]),
        (&json!("ON_DEMAND"), &json!(2))
    );
    node.refused("UpdateShardCount", update.clone(), "ValidationException").await;
    node.ok("UpdateStreamMode", body("PROVISIONED")).await;
    node.ok("UpdateShardCount", update).await;
    node.refused("UpdateStreamMode", body("OTHER"), "ValidationException").await;
    node.refused("UpdateStreamMode", json!({ "StreamARN": arn }), "ValidationException").await;
    let nowhere = json!({ "StreamARN": format!("{arn}x"), "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    node.refused("UpdateStreamMode", nowhere, "ResourceNotFoundException").await;
}
