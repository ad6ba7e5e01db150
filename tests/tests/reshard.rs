//! Splits and merges under load, and `kill -9` in the middle: a function sees every record, each key's in the order of its
//! puts.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may fail"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{ScalingType, Shard, ShardFilter, ShardFilterType};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tidemill_tests::delivery::{self, Delivery};
use tidemill_tests::node::{Node, Setup};
use tidemill_tests::{build, client};
use tokio::sync::watch;

const ROUNDS: u64 = 3;
const CHANGES: usize = 12;
const PRODUCERS: usize = 6;
const KEYS_EACH: u64 = 4;
const BATCH: u64 = 20;
/// Puts that are answered between one change and the next.
const PUTS_BETWEEN: u64 = 6;

/// What the producers know, over all rounds.
#[derive(Debug)]
struct Ledger {
    acknowledged: Mutex<BTreeSet<(String, u64)>>,
    next: Mutex<[u64; PRODUCERS]>,
    answered: watch::Sender<u64>,
    is_done: watch::Sender<bool>,
}

/// Puts until a request is not answered, or it is told to stop. A number is never put twice, so that order can be judged.
async fn produce(url: String, producer: usize, ledger: Arc<Ledger>) {
    let client = client::sdk(&url);
    while !*ledger.is_done.borrow() {
        let start = {
            let mut next = ledger.next.lock().unwrap();
            next[producer] += BATCH;
            next[producer] - BATCH
        };
        let records: Vec<(String, u64)> =
            (start..start + BATCH).map(|number| (format!("p{producer}-k{}", number % KEYS_EACH), number)).collect();
        let entries = records.iter().map(|(key, number)| client::entry(key, &number.to_string())).collect();
        let Ok(put) = client.put_records().stream_name("orders").set_records(Some(entries)).send().await else {
            return;
        };
        assert_eq!(put.failed_record_count(), Some(0));
        ledger.acknowledged.lock().unwrap().extend(records);
        ledger.answered.send_modify(|answered| *answered += 1);
    }
}

async fn change(client: &Client, random: &mut StdRng) -> Result<()> {
    let open = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build()?;
    let listed = client.list_shards().stream_name("orders").shard_filter(open).send().await?;
    let mut open: Vec<&Shard> = listed.shards().iter().collect();
    open.sort_by_key(|shard| range(shard).0);
    let at = random.random_range(0..open.len());
    match random.random_range(0..3) {
        0 if at + 1 < open.len() => {
            let merge = client.merge_shards().stream_name("orders").shard_to_merge(open[at].shard_id());
            merge.adjacent_shard_to_merge(open[at + 1].shard_id()).send().await?;
        }
        1 => {
            let target = i32::try_from(random.random_range(open.len().div_ceil(2)..=(open.len() * 2).min(8)))?;
            let update = client.update_shard_count().stream_name("orders").target_shard_count(target);
            update.scaling_type(ScalingType::UniformScaling).send().await?;
        }
        _ => {
            let (start, end) = range(open[at]);
            let middle = start + (end - start) / 2;
            let split = client.split_shard().stream_name("orders").shard_to_split(open[at].shard_id());
            split.new_starting_hash_key(middle.to_string()).send().await?;
        }
    }
    Ok(())
}

fn range(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().unwrap();
    (range.starting_hash_key().parse().unwrap(), range.ending_hash_key().parse().unwrap())
}

/// Changes the shards under load.
async fn load(node: &Node, random: &mut StdRng, ledger: &Arc<Ledger>) -> Result<Vec<tokio::task::JoinHandle<()>>> {
    let produce = |producer| tokio::spawn(produce(node.url(), producer, Arc::clone(ledger)));
    let producers = (0..PRODUCERS).map(produce).collect();
    let client = client::sdk(&node.url());
    let mut answered = ledger.answered.subscribe();
    for _ in 0..CHANGES {
        let until = *answered.borrow() + PUTS_BETWEEN;
        answered.wait_for(|answered| *answered >= until).await?;
        change(&client, random).await?;
    }
    Ok(producers)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_stays_in_order_through_splits_merges_and_kill_9() -> Result<()> {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let manifest = format!(
        "streams:\n  orders: {{ shards: 3 }}\nfunctions:\n  recorder: {{ path: {} }}\n\
         triggers:\n  - {{ name: record, stream: orders, function: recorder, start: trim-horizon, batch_size: 50 }}\n",
        build::function("recorder")?.display()
    );
    let setup = Setup::new(folder.path(), &manifest)?;
    let (answered, is_done) = (watch::Sender::new(0), watch::Sender::new(false));
    let ledger = Arc::new(Ledger { acknowledged: Mutex::default(), next: Mutex::default(), answered, is_done });
    let mut seen: Vec<Delivery> = Vec::new();
    for round in 0..ROUNDS {
        let node = setup.start()?;
        let producers = load(&node, &mut random, &ledger).await?;
        seen.extend(delivery::deliveries(&node.kill()?));
        for producer in producers {
            producer.await?;
        }
        println!("round {round}: killed with {} deliveries", seen.len());
    }
    let node = setup.start()?;
    let producers = load(&node, &mut random, &ledger).await?;
    ledger.is_done.send_replace(true);
    for producer in producers {
        producer.await?;
    }
    let acknowledged = ledger.acknowledged.lock().unwrap().clone();
    let all = node.wait_for("all acknowledged records", |lines| {
        let all: Vec<Delivery> = seen.iter().cloned().chain(delivery::deliveries(lines)).collect();
        delivery::missing(&acknowledged, &all).is_empty().then_some(all)
    })?;
    assert_eq!(delivery::first_out_of_order(&all), None);
    let shards: BTreeSet<&str> = all.iter().map(|delivery| delivery.shard.as_str()).collect();
    assert!(shards.len() > CHANGES, "only these shards had records: {shards:?}");
    println!("{} records acknowledged, {} delivered in {} shards", acknowledged.len(), all.len(), shards.len());
    node.wait_for_status("the closed shards to be finished", |status| {
        let states: Vec<&str> = status["triggers"].as_array()?.iter().map(state).collect();
        let are_done = states.iter().all(|state| ["running", "finished"].contains(state));
        (are_done && states.iter().filter(|state| **state == "finished").count() > CHANGES).then_some(())
    })
    .await
    .context("the status")?;
    node.stop()?;
    Ok(())
}

fn state(trigger: &Value) -> &str {
    trigger["state"].as_str().unwrap_or_default()
}
