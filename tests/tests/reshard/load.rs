//! Fifty splits and merges in one run, while producers put, readers follow the lineage, and a function is fed.

use std::sync::Arc;

use anyhow::Result;
use tidemill_tests::client;

use super::follow::{Begin, follow};
use super::run::{Run, SHARDS};
use super::{change, produce};

const CHANGES: usize = 50;
/// So few that the trigger falls behind: it is in parents yet when their children are there.
const BATCH_RECORDS_MAX: u32 = 2;
/// How many records a page has, where a reader begins, and how many changes come before.
const READERS: [(i32, Begin, usize); 8] = [
    (10_000, Begin::Roots, 0),
    (7, Begin::Roots, 0),
    (100, Begin::Roots, CHANGES - 5),
    (40, Begin::Newest, 10),
    (1_000, Begin::Newest, 35),
    (25, Begin::Time, 20),
    (300, Begin::Latest, 5),
    (15, Begin::Latest, 30),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_fifty_splits_and_merges_under_load_is_sound() -> Result<()> {
    let mut run = Run::new(BATCH_RECORDS_MAX)?;
    let node = run.setup.start()?;
    let client = || client::sdk(&node.url());
    let ledger = Arc::clone(&run.ledger);
    let watching = tokio::spawn(change::watch(client(), Arc::clone(&ledger)));
    let following = READERS.map(|(records_max, begin, changes_before)| {
        tokio::spawn(follow(client(), Arc::clone(&ledger), records_max, begin, changes_before))
    });
    let producers = produce::start(&node.url(), &ledger);
    change::change(&client(), &mut run.random, CHANGES, &ledger).await?;
    change::scale(&client(), SHARDS as usize, &ledger).await?;
    produce::stop(producers, &ledger).await?;
    let mut readers = Vec::new();
    for reader in following {
        readers.push(reader.await??);
    }
    let listings = watching.await??;
    run.kill(node)?;
    assert!(listings.len() > CHANGES / 2, "the shards were seen in {} states only", listings.len());
    let (history, node) = run.judge(readers, listings).await?;
    assert!(history.kept.len() > CHANGES, "{} shards", history.kept.len());
    assert!(history.kept.values().any(|shard| shard.parents.len() == 2), "no shards were merged");
    node.stop()?;
    Ok(())
}
