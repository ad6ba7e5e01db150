//! Subscribers that do not take what they are sent, and many of them.

use std::time::Duration;

use reqwest::{ClientBuilder, Response};
use serde_json::{Value, json};
use tidemill::http::{HttpLimits, Quotas};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::node::{JSON, Node, Setup, base64, http};
use super::server::PATIENCE;
use super::siege::{assert_let_in, narrow, raw_request, with_records};

const SHORT: Duration = Duration::from_millis(50);

/// Registers a consumer; what it asks to be sent all records.
async fn asks(node: &Node, name: &str) -> Value {
    let summary = node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    let arn = &summary["StreamDescriptionSummary"]["StreamARN"];
    let registered = node.ok("RegisterStreamConsumer", json!({ "StreamARN": arn, "ConsumerName": name })).await;
    json!({
        "ConsumerARN": registered["Consumer"]["ConsumerARN"],
        "ShardId": "shardId-000000000000",
        "StartingPosition": { "Type": "TRIM_HORIZON" },
    })
}

async fn subscribe(client: ClientBuilder, node: &Node, asks: &Value) -> Response {
    let request =
        client.build().unwrap().post(node.url("/")).header("x-amz-target", "Kinesis_20131202.SubscribeToShard");
    let answer = request.header("content-type", JSON).body(asks.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer
}

/// Reads until this has come so often.
async fn read(answer: &mut Response, part: &str, count: usize) {
    let (mut kept, mut found) = (Vec::new(), 0);
    while found < count {
        let chunk = timeout(PATIENCE, answer.chunk()).await.unwrap().unwrap();
        kept.extend_from_slice(&chunk.unwrap_or_else(|| panic!("it ended after {found} of {count}")));
        found += kept.windows(part.len()).filter(|window| *window == part.as_bytes()).count();
        // A part may come in two.
        kept.drain(..kept.len().saturating_sub(part.len() - 1));
    }
    assert_eq!(found, count);
}

/// Its event takes room among the answers that are not sent; another, for which there is none, holds nothing and has its
/// turn when the first one is cut off.
#[tokio::test]
async fn a_subscriber_over_http2_that_does_not_read_is_cut_off_and_gives_its_room_back() {
    let limits = HttpLimits { event_timeout: SHORT, answers_bytes_max: 2 << 20, ..HttpLimits::default() };
    let (node, _) = with_records(limits, 3).await;
    let (first, second) = (asks(&node, "first").await, asks(&node, "second").await);
    let mut stalled = subscribe(narrow(), &node, &first).await;
    let mut waits = subscribe(http().http2_prior_knowledge(), &node, &second).await;
    read(&mut waits, "SequenceNumber\":\"", 3 + 3 + 1).await;
    let cut = async {
        while stalled.chunk().await?.is_some() {}
        reqwest::Result::Ok(())
    };
    timeout(PATIENCE, cut).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_subscriber_over_http1_that_does_not_read_is_cut_off() {
    let limits = HttpLimits { write_progress_timeout: SHORT, connections_max: 1, ..HttpLimits::default() };
    let (mut node, _) = with_records(limits, 10).await;
    let body = asks(&node, "stalled").await.to_string();
    node.client = http().build().unwrap();
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(raw_request("SubscribeToShard", &body).as_bytes()).await.unwrap();
    assert_let_in(&node).await;
}

/// Who reads, however slowly events come, is not taken for one who does not.
#[tokio::test]
async fn a_subscriber_that_reads_outlives_the_patience_for_those_who_do_not() {
    let (node, _) =
        with_records(HttpLimits { event_timeout: Duration::from_secs(3), ..HttpLimits::default() }, 1).await;
    let asks = asks(&node, "reader").await;
    let mut reader = subscribe(narrow(), &node, &asks).await;
    // At once, and then every 4.25 s at the earliest: longer than the patience for the first.
    read(&mut reader, "MillisBehindLatest", 3).await;
}

#[tokio::test]
async fn a_stop_ends_subscriptions_in_good_order() {
    let (node, _) = with_records(HttpLimits::default(), 1).await;
    let (first, second) = (asks(&node, "first").await, asks(&node, "second").await);
    let mut readers =
        [subscribe(http().http2_prior_knowledge(), &node, &first).await, subscribe(http(), &node, &second).await];
    for reader in &mut readers {
        read(reader, "MillisBehindLatest", 1).await;
    }
    assert!(node.tasks.stop(PATIENCE).await);
    for reader in &mut readers {
        // An end, and no error.
        while reader.chunk().await.unwrap().is_some() {}
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_subscriber_that_does_not_read() {
    let limits = HttpLimits { drain_timeout: SHORT, ..HttpLimits::default() };
    let (node, _) = with_records(limits, 3).await;
    let asks = asks(&node, "stalled").await;
    let _stalled = subscribe(narrow(), &node, &asks).await;
    assert!(node.tasks.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_hundred_subscribers_of_one_shard_get_every_record() {
    let quotas = Quotas { consumers_max: 100, ..Quotas::default() };
    let node = Node::with(Setup { quotas, ..Setup::default() }).await;
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
    let mut subscribers = Vec::new();
    for number in 0..100 {
        let asks = asks(&node, &format!("c{number}")).await;
        // Half of them each have a connection of their own.
        let client = if number % 2 == 0 { http().http2_prior_knowledge() } else { http() };
        subscribers.push(subscribe(client, &node, &asks).await);
    }
    let summary = node.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    let one_more = json!({ "StreamARN": summary["StreamDescriptionSummary"]["StreamARN"], "ConsumerName": "c100" });
    node.refused("RegisterStreamConsumer", one_more, "LimitExceededException").await;
    let record = |number: usize| json!({ "PartitionKey": "k", "Data": base64(format!("record {number}")) });
    let put = async {
        for number in 0..50 {
            let records: Vec<_> = (0..10).map(|part| record(number * 10 + part)).collect();
            node.ok("PutRecords", json!({ "StreamName": "s", "Records": records })).await;
        }
    };
    let all = async {
        for subscriber in &mut subscribers {
            let mut expected = (0..500).map(|number| format!("\"Data\":\"{}\"", base64(format!("record {number}"))));
            let (mut text, mut next) = (String::new(), expected.next());
            while let Some(part) = &next {
                let chunk = timeout(PATIENCE, subscriber.chunk()).await.unwrap().unwrap().unwrap();
                text.push_str(&String::from_utf8_lossy(&chunk));
                let mut part = part.clone();
                while let Some(at) = text.find(&part) {
                    assert!(!text[..at].contains("\"Data\":\""), "{part} is not the next one");
                    text.drain(..at + part.len());
                    next = expected.next();
                    let Some(further) = &next else { break };
                    part.clone_from(further);
                }
            }
        }
    };
    tokio::join!(put, all);
}
