//! Against servers that are real and misbehave.

use std::net::SocketAddr;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// For what comes at once: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn address(server: SocketAddr, path: &str) -> Address {
    Address::parse(&format!("http://{server}{path}")).unwrap()
}

fn outbound(timeout: Duration) -> Outbound {
    Outbound { timeout, ..Outbound::default() }
}

async fn post(timeout: Duration, address: &Address) -> Result<(), PostError> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    outbound(timeout).post(address, headers, Bytes::from_static(b"{\"a\":1}")).await
}

/// Reads a request with the body of [`post`].
async fn request_of(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"{\"a\":1}") {
        assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

/// What becomes of a request that is answered so; what it was; and that nothing is left of it.
async fn answered_with(answer: &[u8]) -> (Result<(), PostError>, String) {
    let (listener, server) = listener().await;
    let serve = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let request = request_of(&mut connection).await;
        let _ = connection.write_all(answer).await; // the client may have had enough
        until_closed(&mut connection).await;
        request
    };
    let address = address(server, "/hooks/a?b=c");
    let (outcome, request) = tokio::join!(post(PATIENCE, &address), serve);
    (outcome, request)
}

async fn until_closed(connection: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = connection.read_to_end(&mut rest).await; // a reset is an end, too
}

#[tokio::test]
async fn a_request_is_a_whole_one_and_its_connection_is_closed() {
    let (outcome, request) = answered_with(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    outcome.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!((lines[0], body), ("POST /hooks/a?b=c HTTP/1.1", "{\"a\":1}"));
    for (name, value) in [("content-type: ", "application/json"), ("content-length: ", "7"), ("host: ", "127.0.0.1:")] {
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        assert!(line[name.len()..].starts_with(value), "{line}");
    }
}

#[tokio::test]
async fn an_answer_with_success_is_success_whatever_follows() {
    let (outcome, _) = answered_with(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\nx").await;
    outcome.unwrap();
}

#[tokio::test]
async fn a_refusal_is_told_with_the_first_of_what_it_says() {
    let (outcome, _) = answered_with(b"HTTP/1.1 410 Gone\r\ncontent-length: 14\r\n\r\nno\x1b[2J more\r\n\0").await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.starts_with("http://127.0.0.1:") && !error.contains("hooks"), "{error}");
    assert!(error.ends_with(r" answered 410 Gone: no\u{1b}[2J more\r\n\u{0}"), "{error}");
    let (outcome, _) = answered_with(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n").await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.ends_with("answered 500 Internal Server Error: (it says nothing)"), "{error}");
}

#[tokio::test]
async fn an_endless_refusal_is_cut() {
    let mut answer = b"HTTP/1.1 503 Service Unavailable\r\n\r\n".to_vec();
    answer.resize(64 << 20, b'x');
    let (outcome, _) = answered_with(&answer).await;
    let error = outcome.unwrap_err().to_string();
    let said = error.split("Unavailable: ").nth(1).unwrap();
    assert_eq!(said, "x".repeat(DESTINATION_ANSWER_CHARS_MAX));
}

#[tokio::test]
async fn an_endless_head_is_cut() {
    let mut answer = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    answer.resize(64 << 20, b'x');
    let (outcome, _) = answered_with(&answer).await;
    assert!(matches!(outcome, Err(PostError::Broken { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, elsewhere_address) = listener().await;
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{elsewhere_address}/\r\n\r\n");
    let (outcome, _) = answered_with(answer.as_bytes()).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("answered 307 Temporary Redirect: redirects are not followed"), "{error}");
    // Nobody has come there: the next one is ours.
    let ours = TcpStream::connect(elsewhere_address).await.unwrap();
    let (_, peer) = elsewhere.accept().await.unwrap();
    assert_eq!(peer, ours.local_addr().unwrap());
}

#[tokio::test]
async fn a_server_that_is_not_there_or_hangs_up_is_an_error() {
    let (listener, server) = listener().await;
    let address = address(server, "/");
    let hang_up = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        request_of(&mut connection).await;
    };
    let (outcome, ()) = tokio::join!(post(PATIENCE, &address), hang_up);
    assert!(matches!(outcome, Err(PostError::Broken { .. })), "{outcome:?}");
    drop(listener);
    let error = post(PATIENCE, &address).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("there is no connection to http://{server}: Connection refused")), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_costs_a_bounded_time_and_keeps_no_connection() {
    let (listener, server) = listener().await;
    let address = address(server, "/");
    let serve = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        until_closed(&mut connection).await;
    };
    let limit = Duration::from_millis(50);
    let (outcome, ()) = tokio::join!(post(limit, &address), serve);
    assert_eq!(outcome.unwrap_err().to_string(), format!("http://{server} did not answer within 50ms"));
}

#[tokio::test]
async fn who_drops_a_request_closes_its_connection() {
    let (listener, server) = listener().await;
    let address = address(server, "/");
    let mut request = Box::pin(post(PATIENCE, &address));
    let (mut connection, _) = tokio::select! {
        outcome = &mut request => panic!("{outcome:?}"),
        accepted = listener.accept() => accepted.unwrap(),
    };
    drop(request);
    until_closed(&mut connection).await;
}
