//! `tidemill deploy` against a real node, as a person uses it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

#[path = "functions/guests.rs"]
#[allow(dead_code, reason = "shared with the tests of functions")]
mod guests;
#[allow(dead_code, reason = "shared with the tests of other commands")]
mod program;

use std::path::PathBuf;

use program::{Program, Run};
use tempfile::TempDir;

const MANIFEST: &str = "streams:
  orders: { shards: 2 }
functions:
  score: { path: recorder.wasm, timeout: 5s }
triggers:
  - { name: score-orders, stream: orders, function: score, start: trim-horizon }
";

/// A folder with a manifest, and a node that is run from it.
struct House {
    folder: TempDir,
    node: Option<Program>,
    url: String,
}

impl House {
    fn empty() -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap(), node: None, url: "http://127.0.0.1:1".to_owned() };
        for (name, wasm) in [("recorder", guests::recorder()), ("stranger", guests::stranger())] {
            std::fs::write(house.path(&format!("{name}.wasm")), wasm).unwrap();
        }
        house.write(MANIFEST);
        house
    }

    async fn new() -> Self {
        let mut house = Self::empty();
        let manifest = house.manifest();
        let mut node =
            Program::start(&["serve", "--memory", "--manifest", &manifest, "--listen", "127.0.0.1:0", "--ready-json"]);
        house.url = format!("http://{}", node.ready().await);
        house.node = Some(node);
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn manifest(&self) -> String {
        self.path("deploy.yaml").to_str().unwrap().to_owned()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path("deploy.yaml"), text).unwrap();
    }

    /// Writes the manifest with this text in place of that.
    fn edit(&self, from: &str, to: &str) {
        assert!(MANIFEST.contains(from), "{from}");
        self.write(&MANIFEST.replace(from, to));
    }

    async fn deploy(&self, arguments: &[&str]) -> Run {
        let manifest = self.manifest();
        let fixed = ["deploy", "--node", &self.url, "--manifest", &manifest];
        program::run(&[&fixed[..], arguments].concat(), "").await
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_change_is_shown_and_then_applied_once() {
    let house = House::new().await;
    let run = house.deploy(&[]).await;
    assert_eq!((run.code, run.stdout.as_str()), (0, "Nothing changes: the node is as the manifest says.\n"));

    house.edit("timeout: 5s", "timeout: 10s");
    let shown = "~ function score  timeout 5s -> 10s\n\n1 changed, 2 unchanged.\n";
    for _ in 0..2 {
        let run = house.deploy(&["--dry-run"]).await;
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, shown, ""), "a dry run changes nothing");
    }
    let run = house.deploy(&[]).await;
    assert_eq!((run.code, run.stdout), (0, format!("{shown}Applied.\n")), "{}", run.stderr);
    let run = house.deploy(&["--dry-run", "--json"]).await;
    let said = json(&run.stdout);
    assert_eq!((&said["applied"], &said["steps"], &said["unchanged"]), (&false.into(), &json("[]"), &3.into()));

    house.edit("timeout: 5s", "timeout: 11s");
    let said = json(&house.deploy(&["--json"]).await.stdout);
    assert_eq!((&said["applied"], &said["node"]), (&true.into(), &house.url.as_str().into()));
    assert_eq!(said["steps"][0]["settings"], json(r#"[{"name":"timeout","from":"10s","to":"11s"}]"#));
}

#[tokio::test]
async fn the_node_logs_what_it_does() {
    let mut house = House::new().await;
    house.edit("score-orders", "renamed");
    assert_eq!(house.deploy(&[]).await.code, 0);
    let mut node = house.node.take().unwrap();
    for line in ["+ stream orders: shards 2", "+ trigger renamed: ", "- trigger score-orders: "] {
        node.log_line(line).await;
    }
    house.deploy(&[]).await;
    node.log_line("the manifest is applied: nothing changes").await;
}

#[tokio::test]
async fn a_stream_that_is_not_named_stays() {
    let house = House::new().await;
    house.write("{}");
    let run = house.deploy(&[]).await;
    let expected = "- function score
- trigger score-orders  how far it has come is forgotten
= stream orders         is not in the manifest and stays, with its data;
                        'tidemill stream delete orders' deletes it

2 removed.
Applied.
";
    assert_eq!((run.code, run.stdout.as_str()), (0, expected), "{}", run.stderr);
    let listed = program::run(&["stream", "list", "--node", &house.url], "").await;
    assert!(listed.stdout.contains("orders"), "{}", listed.stdout);
}

#[tokio::test]
async fn what_cannot_be_applied_fails_and_changes_nothing() {
    let house = House::new().await;
    let before = program::client(house.url.trim_start_matches("http://").parse().unwrap());
    let there = before.deployment().await.unwrap();

    house.edit("recorder.wasm", "stranger.wasm");
    let run = house.deploy(&["--dry-run"]).await;
    let said = "the node would not deploy the function 'score'";
    assert!(
        run.code == 1 && run.stderr.contains(said) && run.stderr.contains("of no world of a function"),
        "{}",
        run.stderr
    );
    let run = house.deploy(&[]).await;
    assert_eq!(run.code, 1, "{}", run.stdout);
    let said = "the node did not apply the manifest, and nothing has changed: cannot deploy the function 'score'";
    assert!(run.stderr.contains(said) && run.stderr.contains("of no world of a function"), "{}", run.stderr);

    house.edit("shards: 2", "shard: 2");
    let run = house.deploy(&[]).await;
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("deploy.yaml:2:13: unknown field 'shard'"), "{}", run.stderr);
    assert_eq!(before.deployment().await.unwrap(), there);
}

#[tokio::test]
async fn a_node_applies_no_other_manifest() {
    let house = House::new().await;
    let other = house.path("other.yaml");
    std::fs::write(&other, "streams: { new: }").unwrap();
    let arguments = ["deploy", "--node", &house.url, "--manifest", other.to_str().unwrap()];
    let run = program::run(&arguments, "").await;
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains(&format!("it was started with, {}, and not", house.manifest())), "{}", run.stderr);

    let run = program::run(&[&arguments[..], &["--dry-run"]].concat(), "").await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("+ stream new ") && run.stdout.contains("- function score"), "{}", run.stdout);
    assert!(run.stderr.contains("the node itself applies another manifest: "), "{}", run.stderr);

    // The same file under another name is the same.
    let link = house.path("link.yaml");
    std::os::unix::fs::symlink(house.path("deploy.yaml"), &link).unwrap();
    let run = program::run(&["deploy", "--node", &house.url, "--manifest", link.to_str().unwrap()], "").await;
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[tokio::test]
async fn without_a_node_only_a_dry_run_says_something() {
    let house = House::empty();
    let run = house.deploy(&["--dry-run"]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stderr, "no node answers at http://127.0.0.1:1: compared with a new node\n");
    assert!(run.stdout.contains("+ stream orders") && run.stdout.ends_with("3 new.\n"), "{}", run.stdout);
    assert_eq!(json(&house.deploy(&["--dry-run", "--json"]).await.stdout)["node"], serde_json::Value::Null);

    let run = house.deploy(&[]).await;
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("no node answers at http://127.0.0.1:1"), "{}", run.stderr);
}

#[tokio::test]
async fn a_streams_retention_is_changed_on_a_running_node() {
    let house = House::new().await;
    for (retention, line) in [("48h", "24h -> 48h"), ("24h", "48h -> 24h")] {
        house.edit("{ shards: 2 }", &format!("{{ shards: 2, retention: {retention} }}"));
        let run = house.deploy(&[]).await;
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.starts_with(&format!("~ stream orders  retention {line}")), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.ends_with("1 changed, 2 unchanged.\nApplied.\n"), "{}{}", run.stdout, run.stderr);
        let again = house.deploy(&["--dry-run"]).await;
        assert_eq!(again.stdout, "Nothing changes: the node is as the manifest says.\n");
    }
}
