//! From `tidemill new` to a function that runs and follows its source: each save is a new version, what does not build
//! leaves the old one running.

#![allow(clippy::indexing_slicing, reason = "a test may fail")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::Result;
use tidemill_tests::build;
use tidemill_tests::node::Node;
use tidemill_tests::project::{self, edit};

fn put(node: &Node, folder: &Path) -> Result<()> {
    let mut put = Command::new(build::binary()?);
    put.current_dir(folder).args(["put", "events", "--key-field", "user", "events.jsonl", "--node", &node.url()]);
    build::run(&mut put)
}

fn invoke(folder: &Path, event: &str) -> Result<Output> {
    let mut invoke = Command::new(build::binary()?);
    invoke.current_dir(folder).env("CARGO_TARGET_DIR", build::guests()?);
    Ok(invoke.args(["invoke", "sales", "--json", "--event", event]).output()?)
}

/// Waits until so many lines of the log say this.
fn wait_for(node: &Node, text: &str, times: usize) -> Result<()> {
    let said = |lines: &[String]| (lines.iter().filter(|line| line.contains(text)).count() >= times).then_some(());
    node.wait_for(&format!("{times} times {text:?}"), said)
}

#[test]
fn a_new_project_is_tested_runs_and_follows_its_source() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let setup = project::sales(folder.path())?;
    let source = setup.folder.join("src/lib.rs");
    build::run(Command::new("cargo").current_dir(&setup.folder).arg("test").env("CARGO_TARGET_DIR", build::guests()?))?;

    let invoked = invoke(&setup.folder, "events.jsonl")?;
    assert!(invoked.status.success(), "{invoked:?}");
    assert!(String::from_utf8_lossy(&invoked.stderr).contains("oven is above 100: 300"), "{invoked:?}");
    fs::write(setup.folder.join("broken.jsonl"), "no event")?;
    let invoked = invoke(&setup.folder, "broken.jsonl")?;
    assert_eq!(invoked.status.code(), Some(1), "{invoked:?}");
    let outcome: serde_json::Value = serde_json::from_slice(&invoked.stdout)?;
    assert!(outcome["error"].as_str().unwrap_or_default().contains("is not valid JSON"), "{outcome}");

    let node = setup.start()?;
    put(&node, &setup.folder)?;
    wait_for(&node, "bob: oven is above 100: 300", 1)?;

    edit(&source, "is above", "exceeds")?;
    wait_for(&node, "function deployed", 2)?;
    put(&node, &setup.folder)?;
    wait_for(&node, "bob: oven exceeds 100: 300", 1)?;

    // What the compiler says is shown as it is, and the old version goes on.
    edit(&source, "let limit =", "let limit;;")?;
    wait_for(&node, "does not build; what was built before goes on", 1)?;
    wait_for(&node, "--> src/lib.rs:", 1)?;
    put(&node, &setup.folder)?;
    wait_for(&node, "bob: oven exceeds 100: 300", 2)?;

    // A manifest that is wrong changes nothing and is told; mended, its new configuration counts.
    edit(&source, "let limit;;", "let limit =")?;
    edit(&setup.manifest(), "limit: \"100\"", "limit: 250")?;
    wait_for(&node, "nothing has changed", 1)?;
    edit(&setup.manifest(), "limit: 250", "limit: \"250\"")?;
    wait_for(&node, "function deployed", 3)?;
    put(&node, &setup.folder)?;
    wait_for(&node, "bob: oven exceeds 250: 300", 1)?;
    node.stop()?;
    Ok(())
}
