//! Connections that keep no buffers while they ask nothing.

use std::time::Duration;

use tidemill::http::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::node::Node;
use super::server::PATIENCE;

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Every connection rests as soon as it has been answered.
fn limits() -> HttpLimits {
    HttpLimits { rest_after: Duration::ZERO, ..HttpLimits::default() }
}

async fn read_answers(stream: &mut TcpStream, count: usize) {
    let mut text = String::new();
    while text.matches("HTTP/1.1 200 ").count() < count || !text.ends_with('}') {
        let mut bytes = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert_ne!(read, 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
}

#[tokio::test]
async fn a_rested_connection_goes_on_however_the_next_request_comes() {
    let node = Node::with_limits(limits()).await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    for cut in 0..HEALTH.len() {
        let (first, second) = HEALTH.split_at(cut);
        stream.write_all(first.as_bytes()).await.unwrap();
        node.get("/health").await;
        stream.write_all(second.as_bytes()).await.unwrap();
        read_answers(&mut stream, 1).await;
    }
    // What came with one request is not lost while the connection goes to rest.
    for cut in 0..HEALTH.len() {
        let (first, second) = HEALTH.split_at(cut);
        stream.write_all(format!("{HEALTH}{first}").as_bytes()).await.unwrap();
        read_answers(&mut stream, 1).await;
        stream.write_all(second.as_bytes()).await.unwrap();
        read_answers(&mut stream, 1).await;
    }
    stream.write_all(HEALTH.repeat(3).as_bytes()).await.unwrap();
    read_answers(&mut stream, 3).await;
}

/// What came with the request before is not forgotten: neither is the connection served for ever, nor is it silent.
#[tokio::test]
async fn half_a_request_that_came_with_another_is_given_up_in_time() {
    let node = Node::with_limits(HttpLimits { head_timeout: Duration::from_millis(50), ..limits() }).await;
    for half in ["G", "\r\n", "GET /health HTTP/1.1\r\nhost: "] {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(format!("{HEALTH}{half}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_half_a_request() {
    let node = Node::with_limits(HttpLimits { drain_timeout: Duration::from_hours(1), ..limits() }).await;
    let mut all = Vec::new();
    for half in ["G", "GET /health HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        all.push(stream);
    }
    node.get("/health").await;
    assert!(node.tasks.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_rested_connection_is_closed_in_time() {
    let node = Node::with_limits(HttpLimits { header_timeout: Duration::from_millis(50), ..limits() }).await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(HEALTH.as_bytes()).await.unwrap();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_rested_connection_makes_room() {
    let node = Node::with_limits(HttpLimits { connections_max: 1, ..limits() }).await;
    let mut rested = TcpStream::connect(node.address).await.unwrap();
    for _ in 0..3 {
        rested.write_all(HEALTH.as_bytes()).await.unwrap();
        read_answers(&mut rested, 1).await;
        let mut next = TcpStream::connect(node.address).await.unwrap();
        next.write_all(HEALTH.as_bytes()).await.unwrap();
        read_answers(&mut next, 1).await;
        rested = next;
    }
}

#[tokio::test]
async fn a_stop_ends_rested_connections() {
    let node = Node::with_limits(limits()).await;
    let mut rested = TcpStream::connect(node.address).await.unwrap();
    rested.write_all(HEALTH.as_bytes()).await.unwrap();
    read_answers(&mut rested, 1).await;
    assert!(node.tasks.stop(Duration::from_mins(1)).await);
    assert_eq!(rested.read(&mut [0]).await.unwrap(), 0);
}
