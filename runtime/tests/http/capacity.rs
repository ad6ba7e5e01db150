//! Streams whose shards take and give what those of AWS do, by a clock in hand.

use std::time::Duration;

use serde_json::{Value, json};
use tidemill_stream::capacity::Capacity;

use super::node::{Answer, Node, Setup, base64, payloads};

const SECOND: Duration = Duration::from_secs(1);
/// The least hash key of each of two shards.
const SHARDS: [&str; 2] = ["0", "170141183460469231731687303715884105728"];

/// A node with a stream `s` whose shards have limits.
async fn limited(shards: u32) -> Node {
    let node = Node::with(Setup { capacity: Capacity::Provisioned, ..Setup::default() }).await;
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": shards })).await;
    node
}

/// A record for one of two shards.
fn record(shard: usize, data: &str) -> Value {
    json!({ "PartitionKey": "k", "ExplicitHashKey": SHARDS[shard], "Data": base64(data) })
}

async fn put(node: &Node, records: &[Value]) -> Value {
    node.ok("PutRecords", json!({ "StreamName": "s", "Records": records })).await
}

fn exceeded(shard: usize) -> String {
    format!("Rate exceeded for shard shardId-{shard:012} in stream s under account 000000000000.")
}

#[tokio::test]
async fn put_records_fails_the_records_of_a_full_shard_alone_and_they_may_be_sent_again() {
    let node = limited(2).await;
    for _ in 0..2 {
        assert_eq!(put(&node, &vec![record(0, "x"); 500]).await["FailedRecordCount"], 0);
    }
    let mixed: Vec<Value> = (0..6).map(|number| record(number % 2, &format!("{number}"))).collect();
    let answer = put(&node, &mixed).await;
    assert_eq!(answer["FailedRecordCount"], 3);
    for (index, result) in answer["Records"].as_array().unwrap().iter().enumerate() {
        if index % 2 == 0 {
            let code = "ProvisionedThroughputExceededException";
            assert_eq!(*result, json!({ "ErrorCode": code, "ErrorMessage": exceeded(0) }));
        } else {
            assert_eq!(result["ShardId"], "shardId-000000000001");
        }
    }
    node.pass(Duration::from_millis(3));
    let failed: Vec<Value> = mixed.into_iter().step_by(2).collect();
    assert_eq!(put(&node, &failed).await["FailedRecordCount"], 0);
    let all = node.payloads(&node.iterator("TRIM_HORIZON", json!({})).await).await;
    assert_eq!((all.len(), &all[1000..]), (1003, ["0", "2", "4"].map(str::to_owned).as_slice()));
    let iterator = node.iterator("TRIM_HORIZON", json!({ "ShardId": "shardId-000000000001" })).await;
    assert_eq!(node.payloads(&iterator).await, ["1", "3", "5"]);
}

#[tokio::test]
async fn put_record_is_refused_in_awss_words_until_there_is_room() {
    let node = limited(1).await;
    let one = |bytes: usize| json!({ "StreamName": "s", "PartitionKey": "k", "Data": base64("x".repeat(bytes - 1)) });
    node.ok("PutRecord", one(1 << 20)).await;
    let message = node.refused("PutRecord", one(2), "ProvisionedThroughputExceededException").await;
    assert_eq!(message, exceeded(0));
    node.pass(SECOND);
    node.ok("PutRecord", one(1 << 20)).await;
}

#[tokio::test]
async fn get_records_is_refused_from_the_sixth_call_on_and_while_what_it_gave_is_not_paid_for() {
    let node = limited(1).await;
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    let ask = json!({ "ShardIterator": iterator });
    for _ in 0..5 {
        node.ok("GetRecords", ask.clone()).await;
    }
    node.refused("GetRecords", json!({ "ShardIterator": iterator, "Limit": 0 }), "ValidationException").await;
    let message = node.refused("GetRecords", ask.clone(), "ProvisionedThroughputExceededException").await;
    assert_eq!(message, exceeded(0));
    for _ in 0..10 {
        node.pass(SECOND);
        put(&node, &[record(0, &"x".repeat((1 << 20) - 1))]).await;
    }
    node.pass(SECOND);
    assert_eq!(payloads(&node.ok("GetRecords", ask.clone()).await).len(), 10);
    node.pass(Duration::from_millis(4999));
    node.refused("GetRecords", ask.clone(), "ProvisionedThroughputExceededException").await;
    node.pass(Duration::from_millis(1));
    assert_eq!(payloads(&node.ok("GetRecords", ask).await).len(), 10);
}

#[tokio::test]
async fn plain_http_is_told_to_wait_and_puts_all_or_nothing() {
    let node = limited(1).await;
    let ask = |body: String| {
        let request = node.client.post(node.url("/streams/s/records")).header("content-type", "application/json");
        async { Answer::of(request.body(body).send().await.unwrap()).await }
    };
    let big = format!("\"{}\"", "x".repeat(1_048_000));
    assert_eq!(ask(format!("[{big},{big},{big}]")).await.status, 200);
    let answer = ask("[1,2]".to_owned()).await;
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (429, "2"), "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["error"], "over_capacity");
    let message = body["message"].as_str().unwrap();
    assert!(message.starts_with("the shard shardId-000000000000 of the stream 's' is at the limit"), "{message}");
    assert_eq!(node.payloads(&node.iterator("TRIM_HORIZON", json!({})).await).await.len(), 3);
    node.pass(SECOND * 2);
    assert_eq!(ask("[1,2]".to_owned()).await.status, 200);
}

#[tokio::test]
async fn a_stream_without_limits_is_not_asked() {
    let node = Node::with_stream(1).await;
    for _ in 0..3 {
        assert_eq!(put(&node, &vec![record(0, "x"); 500]).await["FailedRecordCount"], 0);
    }
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    for _ in 0..20 {
        node.read(&iterator).await;
    }
}
