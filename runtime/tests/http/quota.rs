//! A node whose records may take so much of the disk: who puts too much is told, and so is the operator.

use serde_json::{Value, json};
use tidemill::node::{NodeOptions, Place};

use super::node::{Node, base64};

const QUOTA_BYTES: u64 = 8 << 20;
const RECORD_BYTES: usize = 500_000;

fn record(stream: &str) -> Value {
    json!({ "StreamName": stream, "PartitionKey": "k", "Data": base64("x".repeat(RECORD_BYTES)) })
}

fn gauge(metrics: &str, name: &str) -> u64 {
    let found = metrics.lines().find_map(|line| line.strip_prefix(&format!("tidemill_{name} ")));
    found.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[tokio::test]
async fn puts_beyond_the_quota_are_refused_until_a_stream_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Folder(folder.path().to_owned());
    let options = NodeOptions { place, disk_quota_bytes: Some(QUOTA_BYTES), ..NodeOptions::in_memory() };
    let running = tidemill::node::Node::start(options).await.unwrap();
    let node = Node::at(running.address());
    for stream in ["one", "other"] {
        node.ok("CreateStream", json!({ "StreamName": stream, "ShardCount": 1 })).await;
    }
    let mut puts = 0;
    let refused = loop {
        let answer = node.ask("PutRecord", record("one")).await;
        if answer.status != 200 {
            break answer;
        }
        puts += 1;
        assert!(puts * RECORD_BYTES < QUOTA_BYTES as usize, "{puts} records are more than the quota");
    };
    assert!(puts * RECORD_BYTES > QUOTA_BYTES as usize / 2, "only {puts} records found room");
    assert_eq!((refused.status, refused.error().as_str()), (500, "InternalFailureException"));
    assert!(refused.message().contains("the disk quota is used up"), "{}", refused.message());
    let health = node.get("/health").await;
    assert!(health.status == 503 && health.body.contains("the disk quota is used up"), "{}", health.body);
    let metrics = node.get("/metrics").await.body;
    let (used, quota) = (gauge(&metrics, "disk_bytes"), gauge(&metrics, "disk_quota_bytes"));
    assert!(quota == QUOTA_BYTES && (quota / 2..=quota).contains(&used), "{used} of {quota}");

    node.ok("DeleteStream", json!({ "StreamName": "one" })).await;
    node.ok("PutRecord", record("other")).await;
    assert_eq!(node.get("/health").await.status, 200);
    running.stop().await;
}
