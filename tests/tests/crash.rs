//! `kill -9` at random moments: what was acknowledged is delivered, in order.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may fail"
)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill_tests::delivery::{self, Delivery};
use tidemill_tests::node::{Node, Setup};
use tidemill_tests::{client, numbered};
use tokio::sync::Notify;

const ROUNDS: u64 = 20;
const PRODUCERS: usize = 8;
const KEYS_EACH: u64 = 3;
const BATCH: u64 = 20;

/// What the producers know, over all rounds.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: Mutex<BTreeSet<(String, u64)>>,
    answered: AtomicU64,
    unanswered: AtomicUsize,
    more: Notify,
    next: [AtomicU64; PRODUCERS],
}

/// Puts until a request is not answered. A number is never put twice, so that order can be judged.
async fn produce(url: String, producer: usize, ledger: Arc<Ledger>) {
    let client = client::sdk(&url);
    loop {
        let start = ledger.next[producer].fetch_add(BATCH, Ordering::Relaxed);
        let records = numbered::records(producer, start..start + BATCH, KEYS_EACH);
        let entries = numbered::entries(&records);
        ledger.unanswered.fetch_add(1, Ordering::SeqCst);
        let Ok(put) = client.put_records().stream_name("orders").set_records(Some(entries)).send().await else {
            return;
        };
        assert_eq!(put.failed_record_count(), Some(0));
        ledger.acknowledged.lock().unwrap().extend(records);
        ledger.unanswered.fetch_sub(1, Ordering::SeqCst);
        ledger.answered.fetch_add(1, Ordering::SeqCst);
        ledger.more.notify_one();
    }
}

/// Kills the node after some answers. Returns what its function saw, and how many requests had no answer.
async fn kill_after(node: Node, answers: u64, ledger: &Arc<Ledger>) -> Result<(Vec<Delivery>, usize)> {
    ledger.unanswered.store(0, Ordering::SeqCst);
    let goal = ledger.answered.load(Ordering::SeqCst) + answers;
    let producers: Vec<_> =
        (0..PRODUCERS).map(|producer| tokio::spawn(produce(node.url(), producer, Arc::clone(ledger)))).collect();
    while ledger.answered.load(Ordering::SeqCst) < goal {
        ledger.more.notified().await;
    }
    let unanswered = ledger.unanswered.load(Ordering::SeqCst);
    let lines = node.kill()?;
    for producer in producers {
        producer.await?;
    }
    Ok((delivery::deliveries(&lines), unanswered))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_in_order() -> Result<()> {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let setup = Setup::new(folder.path(), &numbered::manifest(4, 50)?)?;
    let ledger = Arc::new(Ledger::default());
    let mut seen = Vec::new();
    let mut rounds_with_unanswered = 0;
    for round in 0..ROUNDS {
        let answers = random.random_range(1..150);
        let (delivered, unanswered) = kill_after(setup.start()?, answers, &ledger).await?;
        println!("round {round}: killed after {answers} answers with {unanswered} requests unanswered");
        seen.extend(delivered);
        rounds_with_unanswered += u64::from(unanswered > 0);
    }
    assert!(rounds_with_unanswered >= 15, "only {rounds_with_unanswered} rounds killed a request");
    let acknowledged = ledger.acknowledged.lock().unwrap().clone();
    let node = setup.start()?;
    let missing = |lines: &[String]| {
        let all: Vec<Delivery> = seen.iter().cloned().chain(delivery::deliveries(lines)).collect();
        delivery::missing(&acknowledged, &all).is_empty().then_some(all)
    };
    let all = node.wait_for("all acknowledged records", missing)?;
    assert_eq!(delivery::first_out_of_order(&all), None);
    println!("{} records acknowledged, {} delivered", acknowledged.len(), all.len());
    node.stop()?;
    Ok(())
}
