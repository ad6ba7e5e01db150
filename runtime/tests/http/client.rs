//! The house's own client against a node, and against a server that refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::post;
use serde_json::{Value, json};
use tidemill::tasks::Tasks;
use tidemill_client::{Client, ClientError, PutRecord, Start};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::node::{Node, START};

fn records(count: usize) -> Vec<PutRecord> {
    let record =
        |n: usize| PutRecord { partition_key: "k".into(), explicit_hash_key: None, data: n.to_string().into() };
    (0..count).map(record).collect()
}

#[tokio::test]
async fn what_the_client_puts_it_reads_back_in_order() {
    let node = Node::start().await;
    let client = Client::new(&node.url("/")).unwrap();
    client.create_stream("s", 1).await.unwrap();
    assert_eq!(client.describe("s").await.unwrap().open_shard_count, 1);
    let given = records(1201);
    let placed = client.put_records("s", &given).await.unwrap();
    assert_eq!(placed.len(), 1201);
    let shards = client.list_shards("s").await.unwrap();
    let iterator = client.get_shard_iterator("s", &shards[0].shard_id, Start::TrimHorizon).await.unwrap();
    let read = client.get_records(&iterator, None).await.unwrap();
    assert_eq!(read.records.len(), 1201);
    for ((given, placed), read) in given.iter().zip(&placed).zip(&read.records) {
        assert_eq!((&given.data, &placed.sequence_number), (&read.data, &read.sequence_number));
        assert_eq!((read.partition_key.as_str(), read.arrival_ms), ("k", START.cast_signed()));
    }
    let first = &placed[0].sequence_number;
    for (start, expected) in [
        (Start::Latest, 0),
        (Start::Timestamp(START), 1201),
        (Start::At(first.clone()), 1201),
        (Start::After(first.clone()), 1200),
    ] {
        let iterator = client.get_shard_iterator("s", &shards[0].shard_id, start.clone()).await.unwrap();
        let read = client.get_records(&iterator, Some(10_000)).await.unwrap();
        assert_eq!((read.records.len(), read.behind_ms, read.next.is_some()), (expected, 0, true), "{start:?}");
    }
    assert_eq!(client.status().await.unwrap(), json!({ "triggers": [] }));
}

#[tokio::test]
async fn an_error_of_the_node_is_told_by_its_name() {
    let node = Node::start().await;
    let client = Client::new(&node.url("")).unwrap();
    let error = client.describe("none").await.unwrap_err();
    let expected = "Stream none under account 000000000000 not found.";
    assert!(
        matches!(&error, ClientError::Api { kind, message, status: 400 } if kind == "ResourceNotFoundException" && message == expected),
        "{error}"
    );
    let error = client.put_records("none", &records(2)).await.unwrap_err();
    assert_eq!(error.placed, [None, None]);
    assert!(matches!(error.source, ClientError::Api { .. }), "{error}");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_a_transport_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(&format!("http://{address}")).unwrap();
    assert!(matches!(client.describe("s").await, Err(ClientError::Transport(_))));
}

/// Takes every second record of a request and refuses the others; keeps the payloads of each request.
async fn refusing() -> (String, Arc<Mutex<Vec<Vec<String>>>>, Tasks) {
    let requests: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let kept = Arc::clone(&requests);
    let count = Arc::new(AtomicUsize::new(0));
    let answer = move |body: String| {
        let (kept, count) = (Arc::clone(&kept), Arc::clone(&count));
        async move {
            let body: Value = serde_json::from_str(&body).unwrap();
            let records = body["Records"].as_array().unwrap();
            kept.lock().await.push(records.iter().map(|record| record["Data"].as_str().unwrap().to_owned()).collect());
            let result = |(index, _): (usize, &Value)| match index % 2 {
                0 => {
                    json!({ "ShardId": "shardId-0", "SequenceNumber": count.fetch_add(1, Ordering::SeqCst).to_string() })
                }
                _ => json!({ "ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow" }),
            };
            let results: Vec<Value> = records.iter().enumerate().map(result).collect();
            json!({ "FailedRecordCount": records.len() / 2, "Records": results }).to_string()
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let tasks = Tasks::new();
    let router = axum::Router::new().route("/", post(answer));
    tasks.spawn("refusing", async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            hyper::server::conn::http1::Builder::new().serve_connection(io, service).await.unwrap();
        }
    });
    (url, requests, tasks)
}

#[tokio::test]
async fn only_the_records_that_were_refused_are_sent_again() {
    let (url, requests, _tasks) = refusing().await;
    let placed = Client::new(&url).unwrap().put_records("s", &records(4)).await.unwrap();
    let numbers: Vec<&str> = placed.iter().map(|placed| placed.sequence_number.as_str()).collect();
    assert_eq!(numbers, ["0", "2", "1", "3"]);
    let [a, b, c, d] = ["0", "1", "2", "3"].map(super::node::base64);
    let expected = [vec![a, b.clone(), c, d.clone()], vec![b, d.clone()], vec![d]];
    assert_eq!(*requests.lock().await, expected);
}
