//! Streams that show CREATING, UPDATING and DELETING for a while, by a clock in hand.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill::http::DelayTimes;
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::engine::Engine;
use tidemill_stream::engine::memory::Memory;

use super::node::{Node, START, Setup, base64};

const DELAY: Duration = Duration::from_secs(10);
const ALMOST: Duration = Duration::from_millis(9_999);
const MILLI: Duration = Duration::from_millis(1);

fn s() -> Value {
    json!({ "StreamName": "s" })
}

fn one() -> Value {
    json!({ "StreamName": "s", "PartitionKey": "k", "Data": base64("1") })
}

fn split() -> Value {
    json!({ "StreamName": "s", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "7" })
}

async fn create(node: &Node) {
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
}

fn setup() -> Setup {
    let delays = DelayTimes { creating: DELAY, updating: DELAY, deleting: DELAY };
    Setup { delays, ..Setup::default() }
}

/// A node with a stream `s` that is ready.
async fn ready() -> Node {
    let node = Node::with(setup()).await;
    create(&node).await;
    node.pass(DELAY);
    node
}

/// The status of `s`, which all who tell it agree on; `None` when it is gone.
async fn status(node: &Node) -> Option<String> {
    let list = node.ok("ListStreams", json!({})).await;
    if list["StreamNames"] == json!([]) {
        node.refused("DescribeStream", s(), "ResourceNotFoundException").await;
        node.refused("DescribeStreamSummary", s(), "ResourceNotFoundException").await;
        return None;
    }
    let listed = list["StreamSummaries"][0]["StreamStatus"].as_str().unwrap().to_owned();
    let described = node.ok("DescribeStream", s()).await;
    let summary = node.ok("DescribeStreamSummary", s()).await;
    assert_eq!(described["StreamDescription"]["StreamStatus"], listed);
    assert_eq!(summary["StreamDescriptionSummary"]["StreamStatus"], listed);
    Some(listed)
}

#[tokio::test]
async fn a_new_stream_is_creating_and_takes_nothing_until_it_is_active() {
    let node = Node::with(setup()).await;
    create(&node).await;
    for pass in [Duration::ZERO, ALMOST] {
        node.pass(pass);
        assert_eq!(status(&node).await.unwrap(), "CREATING");
        assert_eq!(node.ok("DescribeStream", s()).await["StreamDescription"]["Shards"], json!([]));
        let message = node.refused("PutRecord", one(), "ResourceNotFoundException").await;
        assert_eq!(message, "Stream s under account 000000000000 not found.");
        let records = json!({ "StreamName": "s", "Records": [{ "PartitionKey": "k", "Data": base64("1") }] });
        node.refused("PutRecords", records, "ResourceNotFoundException").await;
        for (operation, body) in [("SplitShard", split()), ("DeleteStream", s()), ("ListShards", s())] {
            let message = node.refused(operation, body, "ResourceInUseException").await;
            assert_eq!(message, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING");
        }
        let again = json!({ "StreamName": "s", "ShardCount": 1 });
        node.refused("CreateStream", again, "ResourceInUseException").await;
    }
    node.pass(MILLI);
    assert_eq!(status(&node).await.unwrap(), "ACTIVE");
    node.ok("PutRecord", one()).await;
    assert_eq!(node.payloads(&node.iterator("TRIM_HORIZON", json!({})).await).await, ["1"]);
}

#[tokio::test]
async fn a_stream_that_was_changed_is_updating_and_goes_on() {
    let node = ready().await;
    let longer = json!({ "StreamName": "s", "RetentionPeriodHours": 48 });
    let monitored = json!({ "StreamName": "s", "ShardLevelMetrics": ["ALL"] });
    let larger = json!({ "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "MaxRecordSizeInKiB": 2048 });
    for (operation, body) in [
        ("IncreaseStreamRetentionPeriod", longer.clone()),
        ("EnableEnhancedMonitoring", monitored),
        ("UpdateMaxRecordSize", larger),
        ("SplitShard", split()),
    ] {
        node.ok(operation, body).await;
        for pass in [Duration::ZERO, ALMOST] {
            node.pass(pass);
            assert_eq!(status(&node).await.unwrap(), "UPDATING", "{operation}");
            node.ok("PutRecord", one()).await;
            node.read(&node.iterator("TRIM_HORIZON", json!({})).await).await;
            node.refused("IncreaseStreamRetentionPeriod", longer.clone(), "ResourceInUseException").await;
        }
        node.pass(MILLI);
        assert_eq!(status(&node).await.unwrap(), "ACTIVE", "{operation}");
    }
    let shorter = json!({ "StreamName": "s", "RetentionPeriodHours": 24 });
    node.refused("IncreaseStreamRetentionPeriod", shorter, "InvalidArgumentException").await;
    node.ok("AddTagsToStream", json!({ "StreamName": "s", "Tags": { "a": "b" } })).await;
    assert_eq!(status(&node).await.unwrap(), "ACTIVE", "nothing was changed");
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_deleting_and_then_gone() {
    let node = ready().await;
    node.ok("DeleteStream", s()).await;
    for pass in [Duration::ZERO, ALMOST] {
        node.pass(pass);
        assert_eq!(status(&node).await.unwrap(), "DELETING");
        node.refused("PutRecord", one(), "ResourceNotFoundException").await;
        node.refused("DeleteStream", s(), "ResourceInUseException").await;
        let again = json!({ "StreamName": "s", "ShardCount": 1 });
        let message = node.refused("CreateStream", again, "ResourceInUseException").await;
        assert_eq!(message, "Stream s under account 000000000000 already exists.");
    }
    node.pass(MILLI);
    assert_eq!(status(&node).await, None);
    create(&node).await;
    assert_eq!(status(&node).await.unwrap(), "CREATING");
}

#[tokio::test]
async fn a_restart_in_the_middle_ends_well() {
    let clock = Clock::manual(Timestamp::from_millis(START));
    let engine: Arc<dyn Engine> = Arc::new(Memory::new(clock.clone()));
    let again = || Node::serving(Arc::clone(&engine), clock.clone(), setup());
    let node = again().await;
    create(&node).await;
    node.pass(DELAY / 2);
    let node = again().await;
    assert_eq!(status(&node).await.unwrap(), "CREATING");
    node.pass(DELAY / 2);
    assert_eq!(status(&node).await.unwrap(), "ACTIVE");
    node.ok("IncreaseStreamRetentionPeriod", json!({ "StreamName": "s", "RetentionPeriodHours": 48 })).await;
    assert_eq!(status(&node).await.unwrap(), "UPDATING");
    let node = again().await;
    assert_eq!(status(&node).await.unwrap(), "ACTIVE");
    node.ok("DeleteStream", s()).await;
    assert_eq!(status(&node).await.unwrap(), "DELETING");
    let node = again().await;
    assert_eq!(status(&node).await, None);
    create(&node).await;
}

#[tokio::test]
async fn a_clock_that_steps_back_ends_a_delay() {
    let node = Node::with(setup()).await;
    create(&node).await;
    node.clock.set(Timestamp::from_millis(START - 1));
    assert_eq!(status(&node).await.unwrap(), "ACTIVE");
}
