//! What the owner of a stream or of the account sets, and what it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill::http::Quotas;

use super::node::{Node, START, base64};

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

async fn on_demand(more: Value) -> Node {
    let node = Node::start().await;
    let mut body = json!({ "StreamName": "s", "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    node.ok("CreateStream", body).await;
    node
}

async fn summary(node: &Node) -> Value {
    node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await["StreamDescriptionSummary"].take()
}

#[tokio::test]
async fn a_record_has_the_size_that_its_stream_allows() {
    let node = Node::with_stream(1).await;
    let put = |bytes: usize| json!({ "StreamName": "s", "PartitionKey": "k", "Data": base64(vec![7; bytes - 1]) });
    node.ok("PutRecord", put(1 << 20)).await;
    let message = node.refused("PutRecord", put((1 << 20) + 1), "InvalidArgumentException").await;
    assert!(message.contains("1048577 bytes") && message.contains("limit of 1048576"), "{message}");
    node.ok("UpdateMaxRecordSize", json!({ "StreamARN": ARN, "MaxRecordSizeInKiB": 10_240 })).await;
    assert_eq!(summary(&node).await["MaxRecordSizeInKiB"], 10_240);
    node.ok("PutRecord", put(10 << 20)).await;
    node.refused("PutRecord", put((10 << 20) + 1), "InvalidArgumentException").await;
    node.ok("UpdateMaxRecordSize", json!({ "StreamARN": ARN, "MaxRecordSizeInKiB": 1024 })).await;
    node.refused("PutRecord", put(10 << 20), "InvalidArgumentException").await;
    let first = node.read(&node.iterator("TRIM_HORIZON", json!({})).await).await;
    assert_eq!(first["Records"].as_array().unwrap().len(), 1);
    let second = node.read(first["NextShardIterator"].as_str().unwrap()).await;
    assert_eq!(second["Records"][0]["Data"].as_str().unwrap().len(), ((10 << 20) - 1usize).div_ceil(3) * 4);
}

#[tokio::test]
async fn records_that_are_distributed_evenly_need_no_key() {
    let node = on_demand(json!({ "RecordDistributionStrategy": "AUTO" })).await;
    assert_eq!(summary(&node).await["RecordDistributionStrategy"], "AUTO");
    let keyed = json!({ "Data": "", "PartitionKey": "k", "ExplicitHashKey": "0" });
    let records: Vec<Value> =
        (0..200).map(|n| if n % 2 == 0 { json!({ "Data": "" }) } else { keyed.clone() }).collect();
    let answer = node.ok("PutRecords", json!({ "StreamName": "s", "Records": records })).await;
    let mut shards: BTreeMap<&str, usize> = BTreeMap::new();
    for record in answer["Records"].as_array().unwrap() {
        *shards.entry(record["ShardId"].as_str().unwrap()).or_default() += 1;
    }
    assert!(shards.len() == 4 && shards.values().all(|count| (40..=60).contains(count)), "{shards:?}");
    node.ok("PutRecord", json!({ "StreamName": "s", "Data": "" })).await;
    let strategy = |word: &str| json!({ "StreamARN": ARN, "RecordDistributionStrategy": word });
    node.ok("UpdateStreamRecordDistributionStrategy", strategy("USER_PARTITION_KEY")).await;
    node.refused("PutRecord", json!({ "StreamName": "s", "Data": "" }), "ValidationException").await;
    node.ok("UpdateStreamRecordDistributionStrategy", strategy("AUTO")).await;
    let mode = json!({ "StreamARN": ARN, "StreamModeDetails": { "StreamMode": "PROVISIONED" } });
    node.ok("UpdateStreamMode", mode).await;
    node.refused("PutRecord", json!({ "StreamName": "s", "Data": "" }), "ValidationException").await;
    node.refused("UpdateStreamRecordDistributionStrategy", strategy("AUTO"), "InvalidArgumentException").await;
}

#[tokio::test]
async fn metrics_of_shards_are_switched_on_and_off() {
    let node = Node::with_stream(1).await;
    let ask = |metrics: Value| json!({ "StreamName": "s", "ShardLevelMetrics": metrics });
    let on = node.ok("EnableEnhancedMonitoring", ask(json!(["OutgoingBytes", "IncomingBytes"]))).await;
    let expected = json!({
        "StreamName": "s", "StreamARN": ARN, "CurrentShardLevelMetrics": [],
        "DesiredShardLevelMetrics": ["IncomingBytes", "OutgoingBytes"],
    });
    assert_eq!(on, expected);
    assert_eq!(
        summary(&node).await["EnhancedMonitoring"][0]["ShardLevelMetrics"],
        expected["DesiredShardLevelMetrics"]
    );
    let all = node.ok("EnableEnhancedMonitoring", ask(json!(["ALL"]))).await;
    assert_eq!(all["DesiredShardLevelMetrics"].as_array().unwrap().len(), 7);
    let off = node.ok("DisableEnhancedMonitoring", ask(json!(["ALL"]))).await;
    assert_eq!(off["DesiredShardLevelMetrics"], json!([]));
}

#[tokio::test]
async fn a_commitment_ends_a_day_after_it_was_made_at_the_earliest() {
    let node = Node::start().await;
    let set = |status: &str| json!({ "MinimumThroughputBillingCommitment": { "Status": status } });
    let describe =
        || async { node.ok("DescribeAccountSettings", json!({})).await["MinimumThroughputBillingCommitment"].take() };
    assert_eq!(describe().await, json!({ "Status": "DISABLED" }));
    node.ok("UpdateAccountSettings", set("ENABLED")).await;
    let (start, end) = (START as f64 / 1000.0, START as f64 / 1000.0 + 86_400.0);
    let expected = |status: &str| json!({ "Status": status, "StartedAt": start, "EarliestAllowedEndAt": end });
    assert_eq!(describe().await, expected("ENABLED"));
    node.ok("UpdateAccountSettings", set("DISABLED")).await;
    assert_eq!(describe().await, expected("ENABLED_UNTIL_EARLIEST_ALLOWED_END"));
    node.ok("UpdateAccountSettings", set("ENABLED")).await;
    assert_eq!(describe().await, expected("ENABLED"));
    node.ok("UpdateAccountSettings", set("DISABLED")).await;
    node.pass(Duration::from_hours(24));
    let mut ended = expected("DISABLED");
    ended["EndedAt"] = json!(end);
    assert_eq!(describe().await, ended);
}

#[tokio::test]
async fn warm_throughput_is_for_on_demand_streams_of_a_committed_account() {
    let node = on_demand(json!({})).await;
    node.ok("CreateStream", json!({ "StreamName": "p", "ShardCount": 1 })).await;
    let warm = |name: &str, mibps: u32| json!({ "StreamName": name, "WarmThroughputMiBps": mibps });
    node.refused("UpdateStreamWarmThroughput", warm("s", 9), "ValidationException").await;
    let commitment = json!({ "MinimumThroughputBillingCommitment": { "Status": "ENABLED" } });
    node.ok("UpdateAccountSettings", commitment).await;
    node.refused("UpdateStreamWarmThroughput", warm("p", 9), "ValidationException").await;
    node.refused("UpdateStreamWarmThroughput", warm("s", 10_241), "LimitExceededException").await;
    let answer = node.ok("UpdateStreamWarmThroughput", warm("s", 9)).await;
    assert_eq!(answer["WarmThroughput"], json!({ "TargetMiBps": 9, "CurrentMiBps": 9 }));
    assert_eq!(summary(&node).await["WarmThroughput"], answer["WarmThroughput"]);
}

#[tokio::test]
async fn the_api_makes_no_more_than_the_limits_that_it_tells() {
    let node = Node::with_quotas(Quotas { shards_max: 6, on_demand_streams_max: 1, ..Quotas::default() }).await;
    node.ok("CreateStream", json!({ "StreamName": "p", "ShardCount": 1 })).await;
    let on_demand = |name: &str| json!({ "StreamName": name, "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    node.ok("CreateStream", on_demand("s")).await;
    let told = json!({
        "ShardLimit": 6, "OpenShardCount": 5, "OnDemandStreamCount": 1, "OnDemandStreamCountLimit": 1,
    });
    assert_eq!(node.ok("DescribeLimits", json!({})).await, told);
    node.refused("CreateStream", on_demand("t"), "LimitExceededException").await;
    node.refused("CreateStream", json!({ "StreamName": "t", "ShardCount": 2 }), "LimitExceededException").await;
    let more = |count: u32| json!({ "StreamName": "p", "TargetShardCount": count, "ScalingType": "UNIFORM_SCALING" });
    node.ok("UpdateShardCount", more(2)).await;
    node.refused("UpdateShardCount", more(3), "LimitExceededException").await;
    let split = json!({ "StreamName": "p", "ShardToSplit": "shardId-000000000001", "NewStartingHashKey": "9" });
    node.refused("SplitShard", split, "LimitExceededException").await;
    let arn = ARN.replace("/s", "/p");
    let mode = json!({ "StreamARN": arn, "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    node.refused("UpdateStreamMode", mode, "LimitExceededException").await;
}
