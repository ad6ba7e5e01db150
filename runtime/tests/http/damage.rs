//! Damaged data: who asks for it is told where it is, so is the operator, and the other streams work on.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tidemill::node::{NodeOptions, Place};

use super::node::{Node, base64, payloads};

const STREAMS: [&str; 3] = ["fine", "bent", "broken"];
/// Where a segment's header has its first fields, which its checksum covers.
const IN_HEADER: usize = 20;

async fn start(folder: &Path) -> (tidemill::node::Node, Node) {
    let options = NodeOptions { place: Place::Folder(folder.to_owned()), ..NodeOptions::in_memory() };
    let running = tidemill::node::Node::start(options).await.unwrap();
    let node = Node::at(running.address());
    (running, node)
}

async fn put(node: &Node, stream: &str, data: &str) {
    node.ok("PutRecord", record(stream, data)).await;
}

fn record(stream: &str, data: &str) -> serde_json::Value {
    json!({ "StreamName": stream, "PartitionKey": "k", "Data": base64(data) })
}

fn horizon_of(stream: &str) -> serde_json::Value {
    json!({ "StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON" })
}

async fn horizon(node: &Node, stream: &str) -> String {
    node.ok("GetShardIterator", horizon_of(stream)).await["ShardIterator"].as_str().unwrap().to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The file below this folder that holds a text, and where in it.
fn find(folder: &Path, text: &str) -> (PathBuf, usize) {
    let place = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
        Some((path, at))
    };
    files(folder).into_iter().find_map(place).unwrap_or_else(|| panic!("no file holds {text}"))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// What must stand in everything that is told of this damage.
fn check(told: &str, stream: &str, file: &Path) -> usize {
    let file = file.display().to_string();
    for fact in [format!("stream '{stream}'"), "is damaged".to_owned(), file] {
        assert!(told.contains(&fact), "'{fact}' is missing in: {told}");
    }
    let (_, behind) = told.split_once("at byte ").unwrap_or_else(|| panic!("no offset: {told}"));
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no offset: {told}"))
}

/// Asks what cannot be answered; returns what is told of it.
async fn failed(node: &Node, operation: &str, body: serde_json::Value) -> String {
    let answer = node.ask(operation, body).await;
    assert_eq!((answer.status, answer.error().as_str()), (500, "InternalFailureException"), "{}", answer.body);
    answer.message()
}

fn corruptions(metrics: &str) -> u64 {
    let found = metrics.lines().find_map(|line| line.strip_prefix("tidemill_log_corruptions_total "));
    found.unwrap_or_else(|| panic!("no count in {metrics}")).parse().unwrap()
}

#[tokio::test]
async fn damage_is_told_by_stream_file_and_offset_and_harms_no_other_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (running, node) = start(folder.path()).await;
    for stream in STREAMS {
        node.ok("CreateStream", json!({ "StreamName": stream, "ShardCount": 1 })).await;
        for number in 0..3 {
            put(&node, stream, &format!("{stream}-{number}")).await;
        }
    }
    running.stop().await;
    let logs = folder.path().join("logs");
    let ((bent, inside), (broken, _)) = (find(&logs, "bent-1"), find(&logs, "broken-1"));
    let before = find(&logs, "bent-0").1;
    flip(&bent, inside);
    flip(&broken, IN_HEADER);

    let (running, node) = start(folder.path()).await;
    assert_eq!(corruptions(&node.get("/metrics").await.body), 1, "the log that cannot be opened");
    // The log is whole but for one frame: it takes records, and only who reads that frame finds the damage.
    put(&node, "bent", "bent-3").await;
    let iterator = horizon(&node, "bent").await;
    let told = failed(&node, "GetRecords", json!({ "ShardIterator": iterator })).await;
    let offset = check(&told, "bent", &bent);
    assert!(before < offset && offset <= inside, "{offset} is not between {before} and {inside}");
    // The other log takes nothing and gives nothing.
    check(&failed(&node, "GetShardIterator", horizon_of("broken")).await, "broken", &broken);
    check(&failed(&node, "PutRecord", record("broken", "x")).await, "broken", &broken);
    let records = json!({ "StreamName": "broken", "Records": [{ "PartitionKey": "k", "Data": "" }] });
    let result = &node.ok("PutRecords", records).await["Records"][0];
    assert_eq!(result["ErrorCode"], "InternalFailure");
    check(result["ErrorMessage"].as_str().unwrap(), "broken", &broken);

    let health = node.get("/health").await;
    assert_eq!(health.status, 503);
    let reasons = health.json()["reasons"].as_array().unwrap().clone();
    let mut reasons: Vec<&str> = reasons.iter().map(|reason| reason.as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert_eq!(check(reasons[0], "bent", &bent), offset);
    check(reasons[1], "broken", &broken);
    assert_eq!(corruptions(&node.get("/metrics").await.body), 2);

    put(&node, "fine", "fine-3").await;
    let read = node.read(&horizon(&node, "fine").await).await;
    assert_eq!(payloads(&read), ["fine-0", "fine-1", "fine-2", "fine-3"]);
    running.stop().await;
}
