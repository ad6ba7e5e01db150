//! TLS on the port of everything else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tidemill::certificate::{Certificate, self_signed};
use tidemill::http::{HttpLimits, Tls};
use tidemill_client::{Client, trusting};
use tidemill_stream::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore};

use super::node::{Answer, JSON, Node, Setup, base64, http, http_trusting};
use super::server::PATIENCE;
use super::siege::{assert_let_in, raw_request};

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A node that speaks TLS, and its certificate.
struct Secured {
    node: Node,
    pem: Vec<u8>,
    _folder: TempDir,
}

impl Secured {
    async fn start(limits: HttpLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let files = self_signed(&folder.path().join("tls"), &names, Clock::system().now()).unwrap();
        let pem = std::fs::read(&files.certificate).unwrap();
        let tls = Tls::showing(Certificate::load(files).unwrap().shown()).unwrap();
        let node = Node::with(Setup { limits, tls: Some(tls), ..Setup::default() }).await;
        Self { node, pem, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.node.address)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.pem).unwrap()).unwrap();
        roots
    }

    /// A connection that is agreed on, of a client that says what it will speak, or does not.
    async fn connect(&self, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.node.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await.unwrap()
    }

    fn config(&self) -> Arc<ClientConfig> {
        Arc::new(trusting(self.roots()).unwrap())
    }
}

#[tokio::test]
async fn both_protocols_are_spoken_with_tls_and_without_on_one_port() {
    let secured = Secured::start(HttpLimits::default()).await;
    let alpn = http_trusting(secured.roots(), &["h2", "http/1.1"]);
    let http1 = http_trusting(secured.roots(), &["http/1.1"]);
    // The SDK for Java speaks HTTP/2 inside of TLS though nothing was said of it.
    let known = http_trusting(secured.roots(), &[]).http2_prior_knowledge();
    for (client, url, version) in [
        (alpn, secured.url("/"), reqwest::Version::HTTP_2),
        (http1, secured.url("/"), reqwest::Version::HTTP_11),
        (known, secured.url("/"), reqwest::Version::HTTP_2),
        (http().http1_only(), secured.node.url("/"), reqwest::Version::HTTP_11),
        (http().http2_prior_knowledge(), secured.node.url("/"), reqwest::Version::HTTP_2),
    ] {
        let request = client.build().unwrap().post(&url).header("x-amz-target", "Kinesis_20131202.ListStreams");
        let response = request.header("content-type", JSON).body("{}").send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, version), "{url}");
    }
}

#[tokio::test]
async fn large_bodies_and_answers_come_whole() {
    let secured = Secured::start(HttpLimits::default()).await;
    secured.node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
    let data: Vec<u8> = (0..900 << 10).map(|byte: u32| (byte % 251) as u8).collect();
    let record = json!({ "PartitionKey": "k", "Data": base64(&data) });
    let body = json!({ "StreamName": "s", "Records": vec![record; 8] });
    for protocol in ["h2", "http/1.1"] {
        let client = http_trusting(secured.roots(), &[protocol]).build().unwrap();
        let ask = |operation: &str, body: serde_json::Value| {
            let request = client.post(secured.url("/")).header("x-amz-target", format!("Kinesis_20131202.{operation}"));
            request.header("content-type", JSON).body(body.to_string()).send()
        };
        let put = Answer::of(ask("PutRecords", body.clone()).await.unwrap()).await.json();
        assert_eq!(put["FailedRecordCount"], 0);
        let iterator = secured.node.iterator("TRIM_HORIZON", json!({})).await;
        let read = Answer::of(ask("GetRecords", json!({ "ShardIterator": iterator })).await.unwrap()).await.json();
        let records = read["Records"].as_array().unwrap();
        assert!(records.len() >= 8 && records.iter().all(|record| record["Data"] == base64(&data)));
    }
}

#[tokio::test]
async fn who_does_not_trust_the_certificate_is_told_what_to_do() {
    let secured = Secured::start(HttpLimits::default()).await;
    let trusted = Client::with_ca_bundle(&secured.url(""), &secured.pem).unwrap();
    assert_eq!(trusted.list_streams().await.unwrap(), Vec::<String>::new());
    let other = Secured::start(HttpLimits::default()).await;
    let error = Client::with_ca_bundle(&secured.url(""), &other.pem).unwrap().list_streams().await.unwrap_err();
    let mut causes: &dyn std::error::Error = &error;
    while let Some(cause) = causes.source() {
        causes = cause;
    }
    assert!(causes.to_string().starts_with("invalid peer certificate"), "{causes}");
    let error = Client::with_ca_bundle(&secured.url(""), b"nothing").unwrap_err();
    assert!(error.to_string().contains("-----BEGIN CERTIFICATE-----"), "{error}");
}

/// The SDK for JavaScript makes a new connection for each request.
#[tokio::test]
async fn who_comes_again_goes_on_with_what_was_agreed_on() {
    let secured = Secured::start(HttpLimits::default()).await;
    let config = secured.config();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let mut stream = secured.connect(&config).await;
        stream.write_all(HEALTH.as_bytes()).await.unwrap();
        // Tickets come with the first bytes.
        assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
}

#[tokio::test]
async fn a_connection_rests_inside_of_tls_and_ends_with_a_word() {
    let limits = HttpLimits { rest_after: Duration::ZERO, ..HttpLimits::default() };
    let secured = Secured::start(limits).await;
    let mut stream = secured.connect(&secured.config()).await;
    for cut in 0..HEALTH.len() {
        let (first, second) = HEALTH.split_at(cut);
        stream.write_all(first.as_bytes()).await.unwrap();
        secured.node.get("/health").await;
        stream.write_all(second.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(timeout(PATIENCE, stream.read_buf(&mut answer)).await.unwrap().unwrap(), 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    }
    secured.node.tasks.stop(PATIENCE).await;
    // Without the word, this is an error: somebody might have cut the answer short.
    assert_eq!(timeout(PATIENCE, stream.read(&mut [0; 16])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_come_to_an_agreement_is_closed_in_time() {
    let limits = HttpLimits { head_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let secured = Secured::start(limits).await;
    for begins in [&[0x16][..], &[0x16, 3, 1, 2, 0, 1], b"\x16GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(secured.node.address).await.unwrap();
        stream.write_all(begins).await.unwrap();
        // An alert, or nothing.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_inside_of_tls_that_takes_no_bytes_is_cut_off() {
    let write_progress_timeout = Duration::from_millis(50);
    let limits = HttpLimits { write_progress_timeout, connections_max: 1, ..HttpLimits::default() };
    let mut secured = Secured::start(limits).await;
    secured.node.ok("CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await;
    let record = json!({ "PartitionKey": "k", "Data": base64(vec![0; 900 << 10]) });
    secured.node.ok("PutRecords", json!({ "StreamName": "s", "Records": vec![record; 10] })).await;
    let body = json!({ "ShardIterator": secured.node.iterator("TRIM_HORIZON", json!({})).await }).to_string();
    secured.node.client = http().build().unwrap();
    let mut stream = secured.connect(&secured.config()).await;
    stream.write_all(raw_request("GetRecords", &body).as_bytes()).await.unwrap();
    assert_let_in(&secured.node).await;
}

/// It is met with plain text, which clients of TLS tell apart from silence.
#[tokio::test]
async fn a_node_without_tls_answers_who_speaks_it() {
    let node = Node::start().await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(&[0x16, 3, 1, 0, 4, 1, 0, 0, 0]).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
