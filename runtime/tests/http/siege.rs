//! Clients that hold what they were given: they may not keep others out.

use std::time::Duration;

use reqwest::{ClientBuilder, Response};
use serde_json::json;
use tidemill::http::HttpLimits;
use tidemill::http::limits::{H1_HEAD_BYTES_MAX, H2_HEADER_BYTES_MAX};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::node::{Answer, JSON, Node, Setup, base64, http};
use super::server::{PATIENCE, announced, in_work};

const SHORT: Duration = Duration::from_millis(50);

fn http2() -> ClientBuilder {
    http().http2_prior_knowledge()
}

#[tokio::test]
async fn bodies_that_are_announced_and_not_sent_take_no_room() {
    let limits = HttpLimits { bodies_bytes_max: 14 << 20, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        let mut stream = announced(&node, 14 << 20).await;
        stream.write_all(b"{").await.unwrap();
        silent.push(stream);
    }
    node.ok("ListStreams", json!({})).await;
}

#[tokio::test]
async fn a_body_that_finds_no_room_is_refused() {
    let limits = HttpLimits { body_bytes_max: 1000, bodies_bytes_max: 1000, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut stream = announced(&node, 1000).await;
    stream.write_all(format!("{{{}", " ".repeat(599)).as_bytes()).await.unwrap();
    let body = || format!("{{{}}}", " ".repeat(498));
    let mut answer = node.raw("ListStreams", body()).await;
    // Until the first body has arrived.
    while answer.status == 200 {
        answer = node.raw("ListStreams", body()).await;
    }
    assert_eq!((answer.status, answer.error().as_str()), (503, "ServiceUnavailable"));
    assert!(answer.message().contains("request bodies in work, 1000 bytes"), "{}", answer.body);
    stream.write_all(format!("{}}}", " ".repeat(399)).as_bytes()).await.unwrap();
    let mut status = [0; 13];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 ");
    assert_eq!(node.raw("ListStreams", body()).await.status, 200, "the room is given back");
}

#[tokio::test]
async fn a_body_without_progress_is_given_up() {
    let limits = HttpLimits { body_progress_timeout: SHORT, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut answer = String::new();
    announced(&node, 100).await.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("no progress for 50 ms"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

/// A node whose stream `s` holds so many records of 900 KiB, and an iterator on all of them.
pub(crate) async fn with_records(limits: HttpLimits, count: usize) -> (Node, String) {
    let node = Node::with_limits(limits).await;
    node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
    let record = json!({ "PartitionKey": "k", "Data": base64(vec![0; 900 << 10]) });
    let put = node.ok("PutRecords", json!({ "StreamName": "s", "Records": vec![record; count] })).await;
    assert_eq!(put["FailedRecordCount"], 0);
    let iterator = node.iterator("TRIM_HORIZON", json!({})).await;
    (node, iterator)
}

/// A client over HTTP/2 that lets the server send no more than 64 KiB, unless it reads.
pub(crate) fn narrow() -> ClientBuilder {
    let window = 65_535;
    http2().http2_initial_stream_window_size(window).http2_initial_connection_window_size(window)
}

/// What asks for this over HTTP/1.1.
pub(crate) fn raw_request(operation: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.{operation}\r\ncontent-type: {JSON}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Asks for the records and reads none.
async fn ask_without_reading(node: &Node, iterator: &str) -> Response {
    let client = narrow().build().unwrap();
    let request = client.post(node.url("/")).header("x-amz-target", "Kinesis_20131202.GetRecords");
    let body = json!({ "ShardIterator": iterator }).to_string();
    request.header("content-type", JSON).body(body).send().await.unwrap()
}

#[tokio::test]
async fn answers_that_are_not_read_take_room_until_they_are() {
    let limits = HttpLimits { answers_bytes_max: 2 << 20, ..HttpLimits::default() };
    let (node, iterator) = with_records(limits, 1).await;
    let unread = ask_without_reading(&node, &iterator).await;
    assert_eq!(unread.status(), 200);
    let refused = node.ask("GetRecords", json!({ "ShardIterator": iterator })).await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "ServiceUnavailable"));
    assert!(refused.message().contains("answers not sent yet, 2097152 bytes"), "{}", refused.body);
    node.ok("ListStreams", json!({})).await;
    assert!(Answer::of(unread).await.body.len() > 1 << 20);
    node.read(&iterator).await;
}

/// Its connection is not idle for a minute yet: the answer alone is given up, and its room given back.
#[tokio::test]
async fn an_answer_over_http2_that_is_not_taken_is_cut_off() {
    let limits = HttpLimits { write_progress_timeout: SHORT, answers_bytes_max: 2 << 20, ..HttpLimits::default() };
    let (node, iterator) = with_records(limits, 1).await;
    let mut unread = ask_without_reading(&node, &iterator).await;
    let again = async {
        while node.ask("GetRecords", json!({ "ShardIterator": iterator })).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
    while let Ok(chunk) = unread.chunk().await {
        assert!(chunk.is_some(), "half an answer ended as if it were whole");
    }
}

/// With one connection at a time, an answer says that the one before is gone.
pub(crate) async fn assert_let_in(node: &Node) {
    let other = http().timeout(PATIENCE).build().unwrap();
    assert_eq!(other.get(node.url("/health")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_connection_that_takes_no_bytes_is_cut_off() {
    let limits = HttpLimits { write_progress_timeout: SHORT, connections_max: 1, ..HttpLimits::default() };
    let (mut node, iterator) = with_records(limits, 10).await;
    node.client = http().build().unwrap();
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let body = json!({ "ShardIterator": iterator }).to_string();
    stream.write_all(raw_request("GetRecords", &body).as_bytes()).await.unwrap();
    assert_let_in(&node).await;
}

#[tokio::test]
async fn an_http2_connection_that_asks_no_more_is_closed() {
    let limits = HttpLimits { header_timeout: SHORT, connections_max: 1, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let first = http2().build().unwrap();
    assert_eq!(first.get(node.url("/health")).send().await.unwrap().status(), 200);
    assert_let_in(&node).await;
    drop(first);
}

/// A client that grants no window for its answer is no reason to keep its connection either.
#[tokio::test]
async fn an_http2_connection_that_does_not_read_is_cut_off() {
    let limits = HttpLimits {
        header_timeout: SHORT,
        write_progress_timeout: SHORT,
        answers_bytes_max: 2 << 20,
        connections_max: 1,
        ..HttpLimits::default()
    };
    let (mut node, iterator) = with_records(limits, 1).await;
    node.client = http().build().unwrap();
    let unread = ask_without_reading(&node, &iterator).await;
    assert_let_in(&node).await;
    drop(unread);
}

#[tokio::test]
async fn a_connection_with_a_request_in_work_is_not_idle() {
    let limits = HttpLimits { header_timeout: SHORT, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut working = in_work(&node).await;
    // Begun later, and closed for asking nothing.
    let mut idle = TcpStream::connect(node.address).await.unwrap();
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    working.write_all(b"{}").await.unwrap();
    let mut status = [0; 13];
    working.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 ");
}

/// What a client is told before its body is there: its status, and the next answer on the same connection.
async fn ask_early(node: &Node, head: &str, body: &str) -> (String, String) {
    let mut stream = BufReader::new(TcpStream::connect(node.address).await.unwrap());
    let bytes = body.len();
    stream.write_all(format!("POST {head}content-length: {bytes}\r\n\r\n").as_bytes()).await.unwrap();
    // Time for an answer that does not wait.
    assert_eq!(node.get("/health").await.status, 200);
    stream.write_all(body.as_bytes()).await.unwrap();
    let first = read_status(&mut stream).await;
    // A connection that is closed says so.
    let next = stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let second = if next.is_ok() { read_status(&mut stream).await } else { String::new() };
    (first, second)
}

/// The status of one answer that is read to its end; empty where the connection is closed.
async fn read_status(stream: &mut BufReader<TcpStream>) -> String {
    let (mut status, mut bytes) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return String::new();
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest.split(' ').next().unwrap_or_default().to_owned();
        }
        bytes = line.strip_prefix("content-length: ").map_or(bytes, |length| length.parse().unwrap());
    }
    stream.read_exact(&mut vec![0; bytes]).await.unwrap();
    status
}

#[tokio::test]
async fn an_answer_that_does_not_wait_for_the_body_is_not_lost() {
    let node = Node::with_limits(HttpLimits { body_bytes_max: 1000, ..HttpLimits::default() }).await;
    let target = |operation: &str| format!("x-amz-target: Kinesis_20131202.{operation}\r\ncontent-type: {JSON}\r\n");
    let long = " ".repeat(1 << 20);
    for (head, body, status) in [
        (format!("/ HTTP/1.1\r\nhost: localhost\r\n{}", target("DescribeChannel")), "{}", "400"),
        (format!("/ HTTP/1.1\r\nhost: evil.example\r\n{}", target("ListStreams")), "{}", "403"),
        (format!("/ HTTP/1.1\r\nhost: localhost\r\n{}", target("ListStreams")), &long, "413"),
        ("/nothing HTTP/1.1\r\nhost: localhost\r\n".to_owned(), "{}", "404"),
        ("/health HTTP/1.1\r\nhost: localhost\r\n".to_owned(), "{}", "405"),
        ("/streams/none/records HTTP/1.1\r\nhost: localhost\r\n".to_owned(), &long, "404"),
    ] {
        for _ in 0..10 {
            assert_eq!(ask_early(&node, &head, body).await, (status.to_owned(), "200".to_owned()), "{head}");
        }
    }
}

#[tokio::test]
async fn a_chunked_body_that_was_read_leaves_nothing_behind() {
    let node = Node::start().await;
    let mut stream = BufReader::new(TcpStream::connect(node.address).await.unwrap());
    for expect in ["", "expect: 100-continue\r\n"] {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.ListStreams\r\n\
             content-type: {JSON}\r\ntransfer-encoding: chunked\r\n{expect}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if !expect.is_empty() {
            assert_eq!(read_status(&mut stream).await, "100");
        }
        stream.write_all(b"2\r\n{}\r\n0\r\n\r\n").await.unwrap();
        assert_eq!(read_status(&mut stream).await, "200");
    }
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_status(&mut stream).await, "200", "the connection stays");
}

#[tokio::test]
async fn a_body_that_nobody_waits_for_ends_in_time() {
    let limits = HttpLimits { body_progress_timeout: SHORT, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let head = "POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("connection: close"), "{answer}");
}

/// What a connection is told until it is closed; a reset is an end as well.
async fn told(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let long = Duration::from_hours(1);
    let limits = HttpLimits { connections_max: 1, header_timeout: long, head_timeout: long, ..HttpLimits::default() };
    let node = Node::with_limits(limits).await;
    let head = |bytes: usize| {
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: {}", "x".repeat(bytes))
    };
    let fits = head(H1_HEAD_BYTES_MAX - 1024) + "\r\n\r\n";
    let many = head(0) + &"\r\ny: y".repeat(200) + "\r\n\r\n";
    // The last one never ends: it is refused before.
    for (head, statuses) in [(fits, ["200"]), (many, ["431"]), (head(2 * H1_HEAD_BYTES_MAX), ["431"])] {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        // It may be closed before all of it is sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = told(&mut stream).await;
        let status = answer.split(' ').nth(1);
        assert!(status.is_none_or(|status| statuses.contains(&status)), "{} bytes: {answer}", head.len());
        assert!(status.is_some() || statuses == ["431"], "{} bytes are closed without an answer", head.len());
        assert_let_in(&node).await;
    }
}

#[tokio::test]
async fn headers_over_the_limit_of_http2_are_refused() {
    let node = Node::start().await;
    let client = http2().timeout(PATIENCE).build().unwrap();
    let asked = |bytes: usize| client.get(node.url("/health")).header("x", "x".repeat(bytes)).send();
    let most = H2_HEADER_BYTES_MAX as usize;
    assert_eq!(asked(most / 2).await.unwrap().status(), 200);
    assert!(asked(2 * most).await.map_or(true, |answer| answer.status() == 431));
    assert_eq!(asked(0).await.unwrap().status(), 200);
}

/// A client may say that it sends no more: it still waits for its answer.
#[tokio::test]
async fn a_request_is_answered_when_its_client_has_closed_its_half() {
    let (orders, mut ordered) = mpsc::channel(1);
    let limits = HttpLimits { connections_max: 2, ..HttpLimits::default() };
    let node = Node::with(Setup { limits, orders: Some(orders), ..Setup::default() }).await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let request = "POST /deployment HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let order = ordered.recv().await.unwrap();
    stream.shutdown().await.unwrap();
    // Another connection is served, and so the end of this one is seen as well.
    for _ in 0..10 {
        assert_eq!(node.get("/health").await.status, 200);
    }
    order.reply.send(Ok(json!({ "steps": [] }))).unwrap();
    let answer = told(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"steps\":[]}"), "{answer}");
}

/// Neither waits for a deadline, and neither counts as a request in work: the only place is free for another.
#[tokio::test]
async fn half_a_request_ends_with_its_clients_half() {
    let long = Duration::from_hours(1);
    let limits = HttpLimits {
        connections_max: 1,
        header_timeout: long,
        head_timeout: long,
        body_progress_timeout: long,
        request_timeout: long,
        ..HttpLimits::default()
    };
    let node = Node::with_limits(limits).await;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.ListStreams\r\ncontent-type: {JSON}\r\n"
    );
    for half in [
        "P".to_owned(),
        "PRI * HT".to_owned(),
        head.clone(),
        format!("{head}content-length: 100\r\n\r\n{{"),
        format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n{{"),
    ] {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = told(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{half}: {answer}");
        assert_let_in(&node).await;
    }
}
