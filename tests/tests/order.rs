//! What a function sees of many producers: every record, each key's in the order of its puts, shards side by side.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tidemill_tests::node::Setup;
use tidemill_tests::{client, delivery, numbered};

const PRODUCERS: usize = 8;
const RECORDS_EACH: u64 = 2500;
const KEYS_EACH: u64 = 10;
const BATCH: u64 = 50;

/// Puts the producer's records, and notes those that were acknowledged.
async fn produce(url: String, producer: usize, acknowledged: Arc<Mutex<BTreeSet<(String, u64)>>>) -> Result<()> {
    let client = client::sdk(&url);
    for start in (0..RECORDS_EACH).step_by(BATCH as usize) {
        let records = numbered::records(producer, start..start + BATCH, KEYS_EACH);
        let entries = numbered::entries(&records);
        let put = client.put_records().stream_name("orders").set_records(Some(entries)).send().await?;
        assert_eq!(put.failed_record_count(), Some(0));
        acknowledged.lock().unwrap().extend(records);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_delivered_in_put_order_and_every_record_at_least_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Setup::new(folder.path(), &numbered::manifest(4, 100)?)?.start()?;
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let producers =
        (0..PRODUCERS).map(|producer| tokio::spawn(produce(node.url(), producer, Arc::clone(&acknowledged))));
    for producer in producers.collect::<Vec<_>>() {
        producer.await??;
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert_eq!(acknowledged.len() as u64, PRODUCERS as u64 * RECORDS_EACH);
    let seen = node.wait_for("all records", |lines| {
        // Reading the log is dear: not before enough lines are there.
        if lines.len() < acknowledged.len() {
            return None;
        }
        let seen = delivery::deliveries(lines);
        delivery::missing(&acknowledged, &seen).is_empty().then_some(seen)
    })?;
    assert_eq!(delivery::first_out_of_order(&seen), None);
    let shards: BTreeSet<_> = seen.iter().map(|delivery| &delivery.shard).collect();
    assert_eq!(shards.len(), 4);
    let turns = seen.windows(2).filter(|pair| pair[0].shard != pair[1].shard).count();
    assert!(turns > 20, "the shards were delivered one after another: {turns} turns");
    node.stop()?;
    Ok(())
}
