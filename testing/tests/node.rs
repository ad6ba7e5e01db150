//! A node in a test: real functions, several nodes at a time, and waits that fail with a reason.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong shall stop")]

#[path = "../../runtime/tests/functions/guests.rs"]
#[allow(dead_code, reason = "shared with the tests of functions")]
mod guests;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tidemill_client::ClientError;
use tidemill_testing::{TestError, TestNode, TestNodeOptions};

/// For what never happens.
const SHORT: Duration = Duration::from_millis(300);

/// The manifest of a function that does what its `mode` says with records that contain "poison".
const MISBEHAVE: &str = "
streams:
  orders: { shards: 2 }
functions:
  score: { path: misbehave.wasm, config: { mode: error } }
triggers:
  - { name: score-orders, stream: orders, function: score, start: trim-horizon }
";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A folder with the function, and how to start a node with it.
fn misbehave() -> (TempDir, TestNodeOptions) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("misbehave.wasm"), guests::misbehave()).unwrap();
    let options = TestNode::of_text(MISBEHAVE, folder.path());
    (folder, options)
}

#[tokio::test]
async fn a_crate_is_built_and_does_its_work() -> Result<(), TestError> {
    let node = TestNode::start(repository().join("deploy.yaml")).await?;
    let quake = r#"{"place": "22km NNE of Hualian, Taiwan", "magnitude": 6.4, "time": 0}"#;
    node.put("earthquakes", "us", quake).await?;
    node.put("earthquakes", "ci", r#"{"place": "Trona", "magnitude": 1.2, "time": 0}"#).await?;
    let alert = node.wait_for_log("alert", |line| line.text.contains("of magnitude 6.4, 22km NNE")).await?;
    assert_eq!((alert.level, alert.call.stream.as_str()), (tracing::Level::WARN, "quakes"));

    node.wait_until_processed("earthquakes").await?;
    node.wait_until_processed("quakes").await?;
    let alerts: Vec<_> = node.log("alert")?.into_iter().filter(|line| line.text.contains("of magnitude")).collect();
    assert_eq!(alerts, [alert]);
    let records = node.records("earthquakes").await?;
    assert!(records.iter().any(|record| record.partition_key == "us" && record.data == quake));
    let emitted = node.records("quakes").await?;
    assert_eq!((records.len(), emitted.len()), (2, 2));
    assert!(emitted.iter().any(|record| record.data.windows(8).any(|text| text == b"\"strong\"")), "{emitted:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_function_fails_with_is_told_and_so_is_a_wait_in_vain() -> Result<(), TestError> {
    let (_folder, options) = misbehave();
    let node = options.patience(SHORT).start().await?;
    node.put("orders", "k", "fine").await?;
    node.put("orders", "k", "poison").await?;
    // With this patience a fact that takes longer is waited for again.
    let failure = loop {
        match node.wait_for_failure("score-orders").await {
            Ok(failure) => break failure,
            Err(TestError::InVain { .. }) => {}
            Err(error) => return Err(error),
        }
    };
    assert!(failure.message.contains("the poison failed the batch"), "{failure:?}");
    assert!(failure.shard.is_some_and(|shard| shard.starts_with("shardId-")));

    let error = node.wait_until_processed("orders").await.unwrap_err().to_string();
    for fact in [
        "waited 0.3 s in vain until all records of the stream 'orders' are processed",
        "score-orders shardId-00000000000",
        ": retrying; ",
        "last error, at attempt ",
        "the poison failed the batch",
        "score: info: record key=k",
        "data=fine",
    ] {
        assert!(error.contains(fact), "'{fact}' is missing in\n{error}");
    }
    let error = node.wait_for_log("score", |line| line.text.contains("never said")).await.unwrap_err();
    assert!(error.to_string().contains("the function 'score' logs the line that is wanted"), "{error}");
    assert_eq!(format!("{error:?}"), error.to_string(), "what unwrap() shows");
    Ok(())
}

#[tokio::test]
async fn nodes_beside_each_other_see_only_their_own() -> Result<(), TestError> {
    let (_folder, options) = misbehave();
    let (one, other) = tokio::join!(options.clone().start(), options.in_temporary_folder().start());
    let (one, other) = (one?, other?);
    for number in 0..20 {
        one.put("orders", &number.to_string(), format!("one {number}")).await?;
        other.put("orders", &number.to_string(), format!("other {number}")).await?;
    }
    one.wait_until_processed("orders").await?;
    other.wait_until_processed("orders").await?;
    for (node, own) in [(&one, "data=one "), (&other, "data=other ")] {
        let lines: Vec<_> = node.log("score")?.into_iter().map(|line| line.text).collect();
        let records: Vec<_> = lines.iter().filter(|text| text.starts_with("record ")).collect();
        assert_eq!(records.len(), 20, "{lines:?}");
        assert!(records.iter().all(|text| text.contains(own)), "{lines:?}");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_a_node_that_is_dropped() -> Result<(), TestError> {
    let (_folder, options) = misbehave();
    let node = options.in_temporary_folder().start().await?;
    node.put("orders", "k", "data").await?;
    let (folder, client) = (node.folder().unwrap().to_owned(), node.client().clone());
    assert!(folder.join("logs").is_dir());
    drop(node);
    assert!(!folder.exists());
    let answer = client.list_streams().await;
    assert!(matches!(answer, Err(ClientError::Transport(_))), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_manifest_does_not_have_is_told_at_once() -> Result<(), TestError> {
    let (_folder, options) = misbehave();
    let node = options.start().await?;
    let told = [
        node.wait_until_processed("order").await.unwrap_err(),
        node.wait_for_failure("score").await.unwrap_err(),
        node.wait_for_log("scores", |_| true).await.unwrap_err(),
        node.put("order", "k", "").await.unwrap_err(),
    ];
    for (error, expected) in told.iter().zip([
        "no trigger that reads the stream 'order'; it has 'score-orders' of 'orders'",
        "no trigger 'score'; it has score-orders",
        "no function 'scores'; it has score",
        "0 of 1 records were put: ResourceNotFoundException (400)",
    ]) {
        assert!(error.to_string().contains(expected), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_node_that_does_not_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    for (manifest, expected) in [
        ("streams: { a: { shard: 1 } }", "the manifest:1:17: "),
        ("functions: { f: { path: none } }", "function 'f': its path"),
    ] {
        let error = TestNode::of_text(manifest, folder.path()).start().await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = TestNode::start(folder.path().join("no.yaml")).await.unwrap_err();
    assert!(error.to_string().contains("no.yaml"), "{error}");
}
