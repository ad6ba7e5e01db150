//! Splits and merges under load, and `kill -9` in the middle of them.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tidemill_tests::client;

use super::run::Run;
use super::{change, produce};

const KILLS: usize = 3;
const CHANGES: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn every_key_stays_in_order_through_splits_merges_and_kill_9() -> Result<()> {
    let mut run = Run::new(50)?;
    for kill in 0..=KILLS {
        let node = run.setup.start()?;
        let producers = produce::start(&node.url(), &run.ledger);
        change::change(&client::sdk(&node.url()), &mut run.random, CHANGES, &run.ledger).await?;
        if kill == KILLS {
            produce::stop(producers, &run.ledger).await?;
            run.kill(node)?;
        } else {
            run.kill(node)?;
            for producer in producers {
                producer.await?;
            }
        }
    }
    let (history, node) = run.judge(Vec::new(), Vec::new()).await?;
    let closed = history.kept.values().filter(|shard| !shard.is_open).count();
    assert!(closed > CHANGES, "only {closed} shards were closed");
    node.wait_for_status("the closed shards to be finished", |status| {
        let states: Vec<&str> = status["triggers"].as_array()?.iter().map(state).collect();
        let count = |wanted: &str| states.iter().filter(|state| **state == wanted).count();
        (count("finished") == closed && count("running") == states.len() - closed).then_some(())
    })
    .await
    .context("the status")?;
    node.stop()?;
    Ok(())
}

fn state(trigger: &Value) -> &str {
    trigger["state"].as_str().unwrap_or_default()
}
