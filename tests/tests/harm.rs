//! One bad function harms no other: it stops its own trigger's shard, shows in the status, and goes on when it is mended.

#![allow(clippy::indexing_slicing, clippy::print_stdout, clippy::format_push_string, reason = "a test may fail")]

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;
use tidemill_tests::node::{Node, Setup};
use tidemill_tests::{build, client, delivery};

const MODES: [&str; 4] = ["loop", "memory", "panic", "error"];

fn manifest(modes: &[(&str, &str)]) -> Result<String> {
    let (misbehave, recorder) = (build::function("misbehave")?, build::function("recorder")?);
    let mut functions = format!("  recorder: {{ path: {} }}\n", recorder.display());
    let mut triggers = "  - { name: recorder, stream: orders, function: recorder, start: trim-horizon }\n".to_owned();
    for (name, mode) in modes {
        let path = misbehave.display();
        functions +=
            &format!("  {name}: {{ path: {path}, timeout: 500ms, memory: 16MiB, config: {{ mode: {mode} }} }}\n");
        triggers +=
            &format!("  - {{ name: {name}, stream: orders, function: {name}, start: trim-horizon, batch_size: 1 }}\n");
    }
    Ok(format!("streams:\n  orders: {{ shards: 2 }}\nfunctions:\n{functions}triggers:\n{triggers}"))
}

/// The keys of a function's records that are delivered.
fn delivered(lines: &[String], function: &str) -> BTreeSet<String> {
    let own = delivery::deliveries(lines).into_iter().filter(|delivery| delivery.function == function);
    own.map(|delivery| delivery.data).collect()
}

/// The status rows of a trigger.
fn rows<'a>(status: &'a Value, trigger: &'a str) -> impl Iterator<Item = &'a Value> {
    let rows = status["triggers"].as_array().into_iter().flatten();
    rows.filter(move |row| row["name"] == trigger || row["trigger"] == trigger)
}

/// A key for each of the two shards.
async fn keys(client: &aws_sdk_kinesis::Client) -> Result<[String; 2]> {
    let mut found: [Option<String>; 2] = [None, None];
    for number in 0.. {
        let key = format!("k{number}");
        let entry = client::entry(&key, &format!("first-{key}"));
        let put = client.put_records().stream_name("orders").records(entry).send().await?;
        let shard = put.records()[0].shard_id().unwrap_or_default().ends_with('1');
        found[usize::from(shard)].get_or_insert(key);
        if let [Some(first), Some(second)] = &found {
            return Ok([first.clone(), second.clone()]);
        }
    }
    unreachable!("keys spread over both shards")
}

async fn put(client: &aws_sdk_kinesis::Client, key: &str, data: &str) -> Result<()> {
    client.put_records().stream_name("orders").records(client::entry(key, data)).send().await?;
    Ok(())
}

async fn wait_until_stuck(node: &Node, mode: &str) -> Result<String> {
    node.wait_for_status(&format!("the trigger '{mode}' to be stuck"), |status| {
        let stuck = rows(status, mode).find(|row| row["state"] == "retrying")?;
        Some(stuck["last_error"]["message"].as_str()?.to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_function_stops_only_its_own_shard_until_it_is_mended() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bad: Vec<_> = MODES.map(|mode| (mode, mode)).to_vec();
    let setup = Setup::new(folder.path(), &manifest(&bad)?)?;
    let node = setup.start()?;
    let client = client::sdk(&node.url());
    let [poisoned, healthy] = keys(&client).await?;
    put(&client, &poisoned, "poison").await?;
    for number in 0..20 {
        put(&client, &healthy, &format!("healthy-{number}")).await?;
        put(&client, &poisoned, &format!("behind-{number}")).await?;
    }
    let has = |lines: &[String], function: &str, data: &str| delivered(lines, function).contains(data);
    node.wait_for("the recorder to see all", |lines| {
        let all = has(lines, "recorder", "healthy-19") && has(lines, "recorder", "behind-19");
        (all && has(lines, "recorder", "poison")).then_some(())
    })?;
    for mode in MODES {
        let error = wait_until_stuck(&node, mode).await?;
        println!("{mode}: {error}");
        let word = match mode {
            "loop" => "500",
            "memory" => "memory",
            "panic" => "the poison worked",
            _ => "the poison failed the batch",
        };
        assert!(error.contains(word), "{mode}: {error}");
        node.wait_for("the other shard", |lines| has(lines, mode, "healthy-19").then_some(()))?;
        assert!(!delivered(&node.lines(), mode).iter().any(|data| data.starts_with("behind")), "{mode}");
    }
    let mended: Vec<_> = MODES.map(|mode| (mode, "ok")).to_vec();
    setup.write_manifest(&manifest(&mended)?)?;
    node.reload()?;
    for mode in MODES {
        node.wait_for("the mended function", |lines| {
            (has(lines, mode, "poison") && has(lines, mode, "behind-19")).then_some(())
        })?;
        node.wait_for_status("the trigger to run", |status| {
            rows(status, mode).all(|row| row["state"] == "running").then_some(())
        })
        .await?;
    }
    node.stop()?;
    Ok(())
}
