//! Calls and records that fail on purpose: as often as was said, and without doing anything.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::node::{Node, SEED, Setup, base64};

/// A node with a stream `s` that does this wrong.
async fn failing(errors: &[&str]) -> Node {
    let errors = errors.iter().map(|error| error.parse().unwrap()).collect();
    let node = Node::with(Setup { errors, ..Setup::default() }).await;
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
    node
}

fn record(data: usize) -> Value {
    json!({ "PartitionKey": "k", "Data": base64(data.to_string()) })
}

/// The payloads in the stream.
async fn there(node: &Node) -> Vec<usize> {
    let payloads = node.payloads(&node.iterator("TRIM_HORIZON", json!({})).await).await;
    payloads.iter().map(|data| data.parse().unwrap()).collect()
}

#[tokio::test]
async fn records_fail_one_by_one_the_others_are_put_and_all_are_there_once_after_enough_tries() {
    for (error, code) in [
        ("ProvisionedThroughputExceededException", "ProvisionedThroughputExceededException"),
        ("InternalFailure", "InternalFailure"),
    ] {
        let node = failing(&[&format!("PutRecords=0.3:{error}")]).await;
        let mut wanted: Vec<usize> = (0..500).collect();
        let mut tries = 0;
        while !wanted.is_empty() {
            let records: Vec<Value> = wanted.iter().map(|number| record(*number)).collect();
            let answer = node.ok("PutRecords", json!({ "StreamName": "s", "Records": records })).await;
            let results = answer["Records"].as_array().unwrap();
            assert_eq!(results.len(), wanted.len());
            let is_failed = |result: &Value| result["ErrorCode"] == code && result["SequenceNumber"].is_null();
            let failed = wanted.iter().zip(results).filter(|(_, result)| is_failed(result)).map(|(number, _)| *number);
            let failed: Vec<usize> = failed.collect();
            assert_eq!(answer["FailedRecordCount"], failed.len(), "seed {SEED}");
            if tries == 0 {
                assert!((100..200).contains(&failed.len()), "{} of 500 failed with seed {SEED}", failed.len());
                let placed: BTreeSet<usize> = there(&node).await.into_iter().collect();
                assert!(failed.iter().all(|number| !placed.contains(number)), "what failed was put: seed {SEED}");
            }
            wanted = failed;
            tries += 1;
        }
        let mut there = there(&node).await;
        there.sort_unstable();
        assert_eq!(there, (0..500).collect::<Vec<usize>>(), "each once, after {tries} tries with seed {SEED}");
    }
}

#[tokio::test]
async fn a_call_that_fails_does_nothing_and_says_why() {
    let node = failing(&[
        "PutRecord=1:ProvisionedThroughputExceededException",
        "PutRecords=1",
        "DeleteStream=1:LimitExceededException",
        "GetRecords=0:ServiceUnavailable",
    ])
    .await;
    let one = json!({ "StreamName": "s", "PartitionKey": "k", "Data": base64("1") });
    let message = node.refused("PutRecord", one, "ProvisionedThroughputExceededException").await;
    let option = "--inject-errors PutRecord=1:ProvisionedThroughputExceededException";
    assert_eq!(message, format!("Injected by {option}: nothing was done."));
    let answer = node.ask("PutRecords", json!({ "StreamName": "s", "Records": [record(1)] })).await;
    assert_eq!((answer.status, answer.error().as_str()), (500, "InternalFailureException"));
    node.refused("DeleteStream", json!({ "StreamName": "s" }), "LimitExceededException").await;
    assert_eq!(there(&node).await, Vec::<usize>::new());
}

#[tokio::test]
async fn every_record_may_fail() {
    let node = failing(&["PutRecords=1:InternalFailure"]).await;
    let answer = node.ok("PutRecords", json!({ "StreamName": "s", "Records": [record(1), record(2)] })).await;
    assert_eq!(answer["FailedRecordCount"], 2);
    assert_eq!(there(&node).await, Vec::<usize>::new());
}
