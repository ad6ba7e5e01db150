//! Putting records over plain HTTP.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tidemill::deploy::Manifest;
use tidemill::http::{IngestSettings, Origin, Origins, TokenDigest};
use tidemill::node::{NodeOptions, Place};

use super::node::{Answer, Node, payloads};

const LINES: &str = "application/x-ndjson";
const JSON: &str = "application/json";

impl Node {
    fn ingest(&self, path: &str, media: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(self.url(path)).header("content-type", media).body(body)
    }

    /// The partition keys and payloads of the first shard of `s`.
    async fn kept(&self) -> Vec<(String, String)> {
        let read = self.read(&self.iterator("TRIM_HORIZON", json!({})).await).await;
        let keys = read["Records"].as_array().unwrap().iter().map(|record| record["PartitionKey"].as_str().unwrap());
        keys.map(str::to_owned).zip(payloads(&read)).collect()
    }
}

async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

async fn ok(request: RequestBuilder) -> Value {
    let answer = send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// Asks what must be refused so; returns the message.
async fn refused(request: RequestBuilder, status: u16, code: &str) -> String {
    let answer = send(request).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(code)), "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()["message"].as_str().unwrap().to_owned()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, data)| ((*key).to_owned(), (*data).to_owned())).collect()
}

#[tokio::test]
async fn a_body_is_a_record_or_lines_or_an_array() {
    let node = Node::with_stream(1).await;
    ok(node.ingest("/streams/s/records?key=k", "text/plain", "a\nb\n")).await;
    ok(node.client.post(node.url("/streams/s/records?key=k")).body("no type")).await;
    ok(node.ingest("/streams/s/records?key_field=n", LINES, "{\"n\":\"x\"}\r\n\n{\"n\": 2}\n")).await;
    ok(node.ingest("/streams/s/records?key_field=u.id", JSON, "[{\"u\":{\"id\":\"y\"}} , {\"u\":{\"id\":1.50}}]"))
        .await;
    ok(node.ingest("/streams/s/records", "application/json; charset=utf-8", "{}").header("X-Partition-Key", "käse"))
        .await;
    ok(node.ingest("/streams/s/records", "application/octet-stream", "abc")).await;
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let expected = pairs(&[
        ("k", "a\nb\n"),
        ("k", "no type"),
        ("x", "{\"n\":\"x\"}"),
        ("2", "{\"n\": 2}"),
        ("y", "{\"u\":{\"id\":\"y\"}}"),
        ("1.50", "{\"u\":{\"id\":1.50}}"),
        ("käse", "{}"),
        (digest, "abc"),
    ]);
    assert_eq!(node.kept().await, expected);
}

#[tokio::test]
async fn places_are_in_the_order_of_the_body() {
    let node = Node::with_stream(4).await;
    let lines: Vec<String> = (0..10_000).map(|number| format!("{number}\n")).collect();
    let answer = ok(node.ingest("/streams/s/records", LINES, lines.concat())).await;
    let places = answer["records"].as_array().unwrap();
    assert_eq!(places.len(), 10_000);
    let mut found = 0;
    for shard in 0..4 {
        let shard = format!("shardId-{shard:012}");
        let read = node.read(&node.iterator("TRIM_HORIZON", json!({ "ShardId": shard })).await).await;
        for (record, data) in read["Records"].as_array().unwrap().iter().zip(payloads(&read)) {
            let place = &places[data.parse::<usize>().unwrap()];
            assert_eq!(*place, json!({ "shard_id": shard, "sequence_number": record["SequenceNumber"] }));
            found += 1;
        }
    }
    assert_eq!(found, 10_000);
    let message =
        refused(node.ingest("/streams/s/records", LINES, lines.concat() + "1\n"), 413, "request_too_large").await;
    assert!(message.contains("more than 10000 records"), "{message}");
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_put() {
    let node = Node::with_stream(1).await;
    node.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 1 })).await;
    let to = |path: &str, media: &str, body: &'static str| node.ingest(path, media, body);
    for (request, status, code, said) in [
        (
            to("/streams/order/records", JSON, "{}"),
            404,
            "stream_not_found",
            "there is no stream 'order'; did you mean 'orders'?",
        ),
        (to("/streams/zzz/records", JSON, "{}"), 404, "stream_not_found", "there is no stream 'zzz'; create it"),
        (to("/streams/a%20b/records", JSON, "{}"), 400, "invalid_stream_name", "use 1 to 128 characters"),
        (
            to("/streams/s/records?key=a", JSON, "{}").header("x-partition-key", "b"),
            400,
            "several_key_sources",
            "give one",
        ),
        (to("/streams/s/records?kee=a", JSON, "{}"), 400, "invalid_query", "'kee'; use key or key_field"),
        (to("/streams/s/records?key=%ff", JSON, "{}"), 400, "invalid_query", "no UTF-8"),
        (
            to("/streams/s/records", JSON, "{}").header("idempotency-key", "a").header("idempotency-key", "b"),
            400,
            "invalid_idempotency_key",
            "more than once",
        ),
        (
            to("/streams/s/records", JSON, "{}").header("content-type", LINES),
            400,
            "several_content_types",
            "more than once",
        ),
        (to("/streams/s/records?key=", JSON, "{}"), 400, "invalid_partition_key", "1 to 256 characters"),
        (
            to("/streams/s/records?key_field=n", LINES, "{\"n\":1}\n{}"),
            400,
            "invalid_partition_key",
            "record 2: it has no field 'n'",
        ),
        (to("/streams/s/records", JSON, "[1,"), 400, "invalid_json", "the array has no end"),
        (to("/streams/s/records", LINES, "\n"), 400, "empty_body", "at least one"),
        (
            to("/streams/s/records", "multipart/form-data; boundary=x", "x"),
            415,
            "unsupported_media_type",
            "'multipart/form-data'",
        ),
        (
            to("/streams/s/records", JSON, "{}").header("content-encoding", "gzip"),
            415,
            "unsupported_media_type",
            "'gzip'",
        ),
        (
            to("/streams/s/records", JSON, "{}").header("idempotency-key", ""),
            400,
            "invalid_idempotency_key",
            "1 to 255",
        ),
    ] {
        let message = refused(request, status, code).await;
        assert!(message.contains(said), "{code}: {message}");
    }
    assert_eq!(node.kept().await, []);
    assert_eq!(node.get("/streams/s/records").await.status, 405);
}

#[tokio::test]
async fn records_and_requests_have_limits() {
    let node = Node::with_stream(1).await;
    let big = |bytes: usize| "x".repeat(bytes);
    ok(node.ingest("/streams/s/records?key=k", "text/plain", big((1 << 20) - 1))).await;
    let message =
        refused(node.ingest("/streams/s/records?key=k", "text/plain", big(1 << 20)), 413, "record_too_large").await;
    assert_eq!(message, "record 1 has 1048577 bytes of data and partition key; a record has at most 1048576");
    let line = big(1_000_000) + "\n";
    ok(node.ingest("/streams/s/records", LINES, line.repeat(10))).await;
    refused(node.ingest("/streams/s/records", LINES, line.repeat(11)), 413, "request_too_large").await;
    refused(node.ingest("/streams/s/records", LINES, line.repeat(15)), 413, "request_too_large").await;
    let metrics = node.get("/metrics").await.body;
    assert!(metrics.contains("tidemill_http_records_in_total 11"), "{metrics}");
}

#[tokio::test]
async fn before_the_manifest_is_read_nobody_may_put() {
    let mut node = tidemill::node::Node::start(NodeOptions::in_memory()).await.unwrap();
    let client = Node::at(node.address());
    let request = || client.ingest("/streams/s/records", "text/plain", "x");
    let answer = send(request()).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (503, Some("busy")), "{}", answer.body);
    assert_eq!(answer.headers["retry-after"], "1");
    node.apply(&manifest("streams: { s: }")).await.unwrap();
    ok(request()).await;
    node.stop().await;
}

fn manifest(text: &str) -> Manifest {
    Manifest::parse("deploy.yaml", std::path::Path::new(""), text).unwrap()
}

#[tokio::test]
async fn a_request_that_comes_twice_puts_once() {
    let node = Node::with_stream(1).await;
    node.ok("CreateStream", json!({ "StreamName": "t", "ShardCount": 1 })).await;
    let to = |path: &str, media: &str, body: &str, key: &str| {
        node.ingest(path, media, body.to_owned()).header("Idempotency-Key", key)
    };
    let first = send(to("/streams/s/records", LINES, "a\nb\n", "1")).await;
    assert_eq!((first.status, first.headers.get("idempotency-replayed")), (200, None), "{}", first.body);
    let again = send(to("/streams/s/records", LINES, "a\nb\n", "1")).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    for (path, media, body) in [
        ("/streams/s/records", LINES, "a\nc\n"),
        ("/streams/s/records", "text/plain", "a\nb\n"),
        ("/streams/s/records?key=k", LINES, "a\nb\n"),
    ] {
        let message = refused(to(path, media, body, "1"), 422, "idempotency_key_reused").await;
        assert!(message.contains("use a new one"), "{message}");
    }
    assert_eq!(node.kept().await.len(), 2);
    ok(to("/streams/t/records", LINES, "a\nc\n", "1")).await;
    ok(to("/streams/s/records", LINES, "a\nb\n", "2")).await;
    assert_eq!(node.kept().await.len(), 4);
    node.pass(Duration::from_mins(10));
    let later = send(to("/streams/s/records", LINES, "a\nb\n", "1")).await;
    assert_eq!((later.status, later.headers.get("idempotency-replayed")), (200, None));
    assert_eq!(node.kept().await.len(), 6);
    let metrics = node.get("/metrics").await.body;
    for line in [
        r#"tidemill_http_requests_total{operation="IngestRecords",error="none"} 4"#,
        r#"tidemill_http_requests_total{operation="IngestRecords",error="repeated"} 1"#,
        r#"tidemill_http_requests_total{operation="IngestRecords",error="idempotency_key_reused"} 3"#,
        r#"tidemill_http_ingest_records_total{error="none"} 8"#,
        r#"tidemill_http_ingest_bytes_total{error="none"} 520"#,
        "tidemill_http_records_in_total 8",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_key_is_remembered_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = manifest("streams: { s: { shards: 2 } }");
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let place = Place::Folder(folder.path().to_owned());
        let mut node = tidemill::node::Node::start(NodeOptions { place, ..NodeOptions::in_memory() }).await.unwrap();
        node.apply(&manifest).await.unwrap();
        let client = Node::at(node.address());
        let request = client.ingest("/streams/s/records", JSON, "[1,2,3,4,5]").header("Idempotency-Key", "order-7");
        bodies.push(ok(request).await);
        node.stop().await;
    }
    assert_eq!(bodies[0], bodies[1]);
}

fn settings(tokens: &[&str], origins: Origins) -> IngestSettings {
    IngestSettings { tokens: tokens.iter().map(|token| TokenDigest::of_token(token).unwrap()).collect(), origins }
}

#[tokio::test]
async fn where_there_are_tokens_a_request_needs_one() {
    let node = Node::with_stream(1).await;
    node.ingest.set(settings(&["one", "two"], Origins::default()));
    let request =
        |authorization: &str| node.ingest("/streams/s/records", JSON, "{}").header("authorization", authorization);
    for wrong in ["", "one", "Bearer", "Bearer ", "Bearer three", "Basic one", "Bearer one two"] {
        refused(request(wrong), 401, "unauthorized").await;
    }
    let answer = send(node.ingest("/streams/none/records", JSON, "{}")).await;
    assert_eq!(
        (answer.status, answer.headers["www-authenticate"].to_str().unwrap()),
        (401, "Bearer"),
        "streams are not told"
    );
    for right in ["Bearer one", "bearer two", "Bearer  two"] {
        ok(request(right)).await;
    }
    assert_eq!(node.kept().await.len(), 3);
    node.ok("ListStreams", json!({})).await;
}

#[tokio::test]
async fn pages_put_when_their_origin_is_listed() {
    let node = Node::with_stream(1).await;
    let listed = Origins::These(vec![Origin::parse("https://a.example").unwrap()]);
    let preflight = |origin: &str| {
        let request = node.client.request(Method::OPTIONS, node.url("/streams/s/records"));
        request.header("origin", origin.to_owned()).header("access-control-request-method", "POST")
    };
    let put = |origin: &str| node.ingest("/streams/s/records", "text/plain", "x").header("origin", origin.to_owned());
    for (origins, origin, allowed) in [
        (Origins::default(), "https://a.example", None),
        (listed.clone(), "https://a.example", Some("https://a.example")),
        (listed.clone(), "https://b.example", None),
        (listed, "null", None),
        (Origins::Any, "https://b.example", Some("*")),
    ] {
        node.ingest.set(settings(&[], origins));
        let asked = send(preflight(origin)).await;
        let header =
            |answer: &Answer, name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(asked.status, 204);
        assert_eq!(header(&asked, "access-control-allow-origin").as_deref(), allowed, "{origin}");
        let headers = "authorization, content-type, idempotency-key, x-partition-key";
        assert_eq!(header(&asked, "access-control-allow-headers").as_deref(), allowed.map(|_| headers));
        assert_eq!(header(&asked, "access-control-allow-methods").as_deref(), allowed.map(|_| "POST"));
        let answer = send(put(origin)).await;
        assert_eq!(answer.status, if allowed.is_some() { 200 } else { 403 }, "{origin}: {}", answer.body);
        assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), allowed, "{origin}");
    }
    assert_eq!(node.kept().await.len(), 2);
    ok(node.ingest("/streams/s/records", "text/plain", "no browser")).await;
}
