use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use tidemill_stream::cursor::TriggerId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::trigger::dead_letter::document::{self, Payload};
use crate::trigger::dead_letter::tests::{invocation, letter, record};

const KEY: &[u8] = b"twenty-four bytes of key";

/// A request as a receiver sees it.
struct Received {
    head: String,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let found = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

/// Takes one request and answers, if there is an answer.
async fn receive(listener: &TcpListener, answer: Option<StatusCode>) -> Received {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut read = Vec::new();
    let received = loop {
        assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0);
        let text = String::from_utf8(read.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let received = Received { head: head.to_owned(), body: body.to_owned() };
        if received.body.len() == received.header("content-length").parse::<usize>().unwrap() {
            break received;
        }
    };
    if let Some(status) = answer {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        connection.write_all(answer.as_bytes()).await.unwrap();
    }
    received
}

async fn receiver() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn webhook(server: SocketAddr, secret: Option<&str>) -> Webhook {
    Webhook::new(&format!("http://{server}/failures"), secret.map(|text| Ok(Secret::parse(text).unwrap())))
}

/// HMAC-SHA256 by its definition (RFC 2104), on nothing but the hash.
fn hmac_by_hand(key: &[u8], text: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    assert!(key.len() <= 64);
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

fn told() -> (Identity, Bytes) {
    let invocation = invocation(vec![record(1, "k", "a")]);
    (Identity::of_letter(TriggerId(7), &invocation), document::write(&letter(&invocation), Payload::LeftOut))
}

#[tokio::test]
async fn a_request_is_signed_as_standard_webhooks_asks() {
    let (listener, server) = receiver().await;
    let webhook = webhook(server, Some(&format!("whsec_{}", STANDARD.encode(KEY))));
    let (identity, document) = told();
    let now = Timestamp::from_millis(1_573_691_886_999);
    let tell = webhook.tell(identity, document.clone(), now);
    let (outcome, received) = tokio::join!(tell, receive(&listener, Some(StatusCode::ACCEPTED)));
    outcome.unwrap();
    assert!(received.head.starts_with("POST /failures HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.body.as_bytes(), document);
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.header("webhook-id"), format!("msg_{identity}"));
    assert_eq!(received.header("webhook-timestamp"), "1573691886");
    let signed = format!("msg_{identity}.1573691886.{}", received.body);
    let expected = format!("v1,{}", STANDARD.encode(hmac_by_hand(KEY, signed.as_bytes())));
    assert_eq!(received.header("webhook-signature"), expected);
}

#[tokio::test]
async fn without_a_key_nothing_is_signed() {
    let (listener, server) = receiver().await;
    let (identity, document) = told();
    let webhook = webhook(server, None);
    let tell = webhook.tell(identity, document, Timestamp::from_millis(0));
    let (outcome, received) = tokio::join!(tell, receive(&listener, Some(StatusCode::OK)));
    outcome.unwrap();
    assert!(!received.head.contains("webhook-signature"), "{}", received.head);
    assert_eq!(received.header("webhook-id"), format!("msg_{identity}"));
}

#[tokio::test]
async fn a_letter_that_is_told_again_has_the_same_id() {
    let (listener, server) = receiver().await;
    let webhook = webhook(server, Some("a key as it is"));
    let (identity, document) = told();
    let mut ids = Vec::new();
    for (second, answer) in [Some(StatusCode::INTERNAL_SERVER_ERROR), None, Some(StatusCode::OK)].iter().enumerate() {
        let tell = webhook.tell(identity, document.clone(), Timestamp::from_millis(second as u64 * 1000));
        let (outcome, received) = tokio::join!(tell, receive(&listener, *answer));
        assert_eq!(outcome.is_ok(), *answer == Some(StatusCode::OK), "{outcome:?}");
        assert_eq!(received.header("webhook-timestamp"), second.to_string(), "each attempt has its own time");
        ids.push(received.header("webhook-id").to_owned());
    }
    assert_eq!(ids, vec![format!("msg_{identity}"); 3]);
}

#[test]
fn nothing_shows_the_key() {
    let webhook = webhook("127.0.0.1:1".parse().unwrap(), Some("a secret key"));
    let shown = format!("{webhook:?}");
    assert!(shown.contains("Secret(..)") && !shown.contains("a secret key"), "{shown}");
}
