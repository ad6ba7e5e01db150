//! Connections, protocols and limits.

use std::time::Duration;

use serde_json::json;
use tidemill::http::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::node::{Answer, JSON, Node, http};

/// How long a test waits for what never comes in a broken server.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn both_protocols_are_spoken_on_one_port() {
    let node = Node::start().await;
    let first = http().http1_only().build().unwrap();
    let second = http().http2_prior_knowledge().build().unwrap();
    for (client, version) in [(first, reqwest::Version::HTTP_11), (second, reqwest::Version::HTTP_2)] {
        let request = client.post(node.url("/")).header("x-amz-target", "Kinesis_20131202.ListStreams");
        let response = request.header("content-type", JSON).body("{}").send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
    }
}

#[tokio::test]
async fn many_requests_share_one_http2_connection() {
    let limits = HttpLimits { connections_max: 1, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let client = http().http2_prior_knowledge().build().unwrap();
    let ask = || async {
        let request = client.post(node.url("/")).header("x-amz-target", "Kinesis_20131202.ListStreams");
        request.header("content-type", JSON).body("{}").send().await.unwrap().status()
    };
    ask().await;
    let answers = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask());
    assert!([answers.0, answers.3, answers.7].iter().all(reqwest::StatusCode::is_success));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let limits = HttpLimits { body_bytes_max: 1000, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let body = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
    assert_eq!(node.raw("ListStreams", body(1000)).await.status, 200);
    let announced = node.raw("ListStreams", body(1001)).await;
    assert_eq!((announced.status, announced.error().as_str()), (413, "RequestEntityTooLargeException"));
    // Without a length, the server has to count.
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.ListStreams\r\ncontent-type: {JSON}\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(format!("3e9\r\n{}\r\n0\r\n\r\n", body(1001)).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_given_up() {
    let limits = HttpLimits { request_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.ListStreams\r\ncontent-type: {JSON}\r\n\
         content-length: 100\r\nconnection: close\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("RequestTimeoutException"), "{answer}");
}

/// Neither protocol is known before the first bytes, so neither's timeout holds.
#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let limits = HttpLimits { header_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    for sent in ["", "PRI * HT", "POST / HTTP/1.1\r\n"] {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_a_request_in_work() {
    let limits = HttpLimits { connections_max: 1, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut first = in_work(&node).await;
    let mut second = TcpStream::connect(node.address).await.unwrap();
    second.write_all(HEALTH).await.unwrap();
    first.write_all(b"{}").await.unwrap();
    let mut answer = [0; 13];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 ", "it was served to its end");
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 ", "then it made room, though its client keeps it");
}

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn connections_that_ask_nothing_make_room() {
    let limits = HttpLimits { connections_max: 3, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut idle = Vec::new();
    for sent in ["", "PRI * HT", "POST / HTTP/1.1\r\n"].repeat(4) {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    let mut working = in_work(&node).await;
    let answered = async {
        for _ in 0..4 {
            let mut stream = TcpStream::connect(node.address).await.unwrap();
            stream.write_all(HEALTH).await.unwrap();
            let mut answer = [0; 13];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 ");
            idle.push(stream);
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
    working.write_all(b"{}").await.unwrap();
    let mut answer = [0; 13];
    working.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 ", "who has a request in work stays");
}

#[tokio::test]
async fn a_head_that_trickles_is_given_up() {
    let limits = HttpLimits { head_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let stream = TcpStream::connect(node.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    write.write_all(b"GET /health HTTP/1.1\r\nx: ").await.unwrap();
    let trickle = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while write.write_all(b"x").await.is_ok() {
            ticks.tick().await;
        }
        std::future::pending::<()>().await;
    };
    let mut rest = Vec::new();
    let closed = async {
        tokio::select! {
            _ = read.read_to_end(&mut rest) => {}
            () = trickle => {}
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
}

#[tokio::test]
async fn a_page_and_a_foreign_name_are_not_answered_on_this_machine() {
    let node = Node::with_stream(1).await;
    for (name, value, error) in [
        ("host", "evil.example:4567", "host_not_allowed"),
        ("origin", "http://evil.example", "origin_not_allowed"),
        ("origin", "null", "origin_not_allowed"),
    ] {
        let delete = node.request("DeleteStream").body(json!({ "StreamName": "s" }).to_string());
        let requests = [delete, node.client.get(node.url("/health")), node.client.get(node.url("/metrics"))];
        for request in requests {
            let answer = Answer::of(request.header(name, value).send().await.unwrap()).await;
            assert_eq!((answer.status, &answer.json()["error"]), (403, &json!(error)), "{name}: {value}");
            assert_eq!(answer.error(), "AccessDeniedException");
        }
    }
    node.ok("DescribeStream", json!({ "StreamName": "s" })).await;
    let own = node.client.get(node.url("/health")).header("origin", node.url(""));
    assert_eq!(own.send().await.unwrap().status(), 200);
}

/// A connection whose request is in work: the server has asked for its body of two bytes.
pub(crate) async fn in_work(node: &Node) -> TcpStream {
    announced(node, 2).await
}

/// A connection whose request is in work: the server has asked for its body of so many bytes.
pub(crate) async fn announced(node: &Node, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.ListStreams\r\ncontent-type: {JSON}\r\n\
         content-length: {bytes}\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn a_stop_lets_requests_in_work_end_and_takes_no_new_ones() {
    let node = Node::start().await;
    let mut stream = in_work(&node).await;
    node.tasks.stopping().cancel();
    while TcpStream::connect(node.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"{}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(node.tasks.stop(Duration::from_mins(1)).await);
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_by_a_stop() {
    let limits = HttpLimits { drain_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut stream = in_work(&node).await;
    assert!(node.tasks.stop(Duration::from_mins(1)).await);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "");
}

#[tokio::test]
async fn other_paths_and_methods_are_not_there() {
    let node = Node::start().await;
    assert_eq!(node.get("/nothing").await.status, 404);
    assert_eq!(node.get("/").await.status, 405);
    let posted = node.client.post(node.url("/health")).json(&json!({})).send().await.unwrap();
    assert_eq!(Answer::of(posted).await.status, 405);
}
