//! The producers, and what they wrote down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use tidemill_tests::{client, numbered};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::history::{Met, ShardId, Tick, Told};

const PRODUCERS: usize = 8;
const KEYS_EACH: u64 = 5;
const BATCH: u64 = 8;

/// What the producers know, over all starts of the node.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) submitted: Mutex<BTreeMap<Told, Tick>>,
    pub(crate) acked: Mutex<BTreeMap<Met, Tick>>,
    newest: Mutex<BTreeMap<ShardId, Met>>,
    next: [AtomicU64; PRODUCERS],
    ticks: AtomicU64,
    /// How many puts were answered.
    pub(crate) answered: watch::Sender<u64>,
    /// How often the shards were changed.
    pub(crate) changed: watch::Sender<usize>,
    /// Producers end behind the put that they are at.
    is_enough: watch::Sender<bool>,
    /// Nothing is put or changed any more.
    pub(crate) is_done: watch::Sender<bool>,
}

impl Ledger {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            submitted: Mutex::default(),
            acked: Mutex::default(),
            newest: Mutex::default(),
            next: Default::default(),
            ticks: AtomicU64::default(),
            answered: watch::Sender::default(),
            changed: watch::Sender::default(),
            is_enough: watch::Sender::default(),
            is_done: watch::Sender::default(),
        })
    }

    /// Later than all ticks before.
    pub(crate) fn tick(&self) -> Tick {
        Tick(self.ticks.fetch_add(1, Ordering::SeqCst))
    }

    /// The record of a shard that was acknowledged last.
    pub(crate) fn newest_of(&self, shard: &str) -> Option<Met> {
        self.newest.lock().unwrap().get(shard).cloned()
    }

    /// The record that was acknowledged last in the youngest shard that has any.
    pub(crate) fn newest(&self) -> Option<Met> {
        self.newest.lock().unwrap().values().next_back().cloned()
    }

    /// Waits until so many puts more are answered.
    pub(crate) async fn wait_for_puts(&self, more: u64) -> Result<()> {
        let until = *self.answered.borrow() + more;
        self.answered.subscribe().wait_for(|answered| *answered >= until).await?;
        Ok(())
    }

    fn note(&self, records: Vec<Told>, put: &PutRecordsOutput) {
        assert_eq!((put.failed_record_count(), put.records().len()), (Some(0), records.len()));
        let at = self.tick();
        for (record, placed) in records.into_iter().zip(put.records()) {
            let (shard, number) = (placed.shard_id().unwrap().to_owned(), placed.sequence_number().unwrap().to_owned());
            let met = Met { shard, number, record };
            self.newest.lock().unwrap().insert(met.shard.clone(), met.clone());
            self.acked.lock().unwrap().insert(met, at);
        }
        self.answered.send_modify(|answered| *answered += 1);
    }
}

/// Starts all producers.
pub(crate) fn start(url: &str, ledger: &Arc<Ledger>) -> Vec<JoinHandle<()>> {
    (0..PRODUCERS).map(|producer| tokio::spawn(produce(url.to_owned(), producer, Arc::clone(ledger)))).collect()
}

/// Waits until all have ended.
pub(crate) async fn stop(producers: Vec<JoinHandle<()>>, ledger: &Ledger) -> Result<()> {
    ledger.is_enough.send_replace(true);
    for producer in producers {
        producer.await?;
    }
    ledger.is_done.send_replace(true);
    Ok(())
}

/// Puts until a request is not answered, or it is told to stop. A count is never put twice, so that order can be judged.
async fn produce(url: String, producer: usize, ledger: Arc<Ledger>) {
    let client = client::sdk(&url);
    while !*ledger.is_enough.borrow() {
        let start = ledger.next[producer].fetch_add(BATCH, Ordering::SeqCst);
        let records = numbered::records(producer, start..start + BATCH, KEYS_EACH);
        let entries = numbered::entries(&records);
        let told: Vec<Told> = records.into_iter().map(|(key, count)| Told { key, count }).collect();
        let at = ledger.tick();
        ledger.submitted.lock().unwrap().extend(told.iter().map(|record| (record.clone(), at)));
        let Ok(put) = client.put_records().stream_name("orders").set_records(Some(entries)).send().await else {
            return;
        };
        ledger.note(told, &put);
    }
}
