//! How long after its acknowledgement a record's function is called.
//!
//! The triggers run here in this process, over the embedded engine, with a closure for a function: one clock for both
//! ends.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tidemill::deploy::{Start, TriggerRules, TriggerSpec};
use tidemill::functions::{FunctionName, Invocation};
use tidemill::home::Home;
use tidemill::status::Board;
use tidemill::trigger::{Target, Targets, Triggers};
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::store::Store;
use tokio::sync::{mpsc, watch};

use super::figure::{Bar, Figure};
use super::rounds::{median, micros, percentile, rounds};
use super::store;

pub(super) const NAMES: [&str; 2] = ["trigger.put_to_invoke.p50", "trigger.put_to_invoke.p99"];

const ROUNDS: usize = 5;
/// 100 puts a second, for 5 seconds a round.
const PUT_INTERVAL: Duration = Duration::from_millis(10);
const PUTS: usize = 500;
/// What is asked of a node that is not busy.
const P50_LIMIT_US: f64 = 300.0;
const P99_LIMIT_US: f64 = 2000.0;
/// A record that is not delivered within this will not be.
const HANGING: Duration = Duration::from_mins(1);

/// The number in a record, and when the function was called with it.
type Seen = (u64, Instant);

/// Measures both percentiles.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let (store, stream) = store::open(&folder.join("data"), 1).await?;
    let (seen, mut calls) = mpsc::channel(PUTS);
    let triggers = Triggers::start(store.clone(), Home::default(), targets(seen), Board::new());
    triggers.apply(vec![spec(&stream)?]).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    round(&store, &stream, &mut calls, PUTS / 10).await?; // warms up
    for _ in rounds("trigger.put_to_invoke", ROUNDS) {
        let delays = round(&store, &stream, &mut calls, PUTS).await?;
        p50.push(percentile(&delays, 50)?);
        p99.push(percentile(&delays, 99)?);
    }
    triggers.stop().await;
    let figure = |(name, value, limit)| Figure::new(name, value, "us").with_limit(limit).with_bar(Bar::AtMost(1.0));
    let [p50_name, p99_name] = NAMES;
    Ok(vec![figure((p50_name, median(&p50)?, P50_LIMIT_US)), figure((p99_name, median(&p99)?, P99_LIMIT_US))])
}

fn spec(stream: &StreamName) -> Result<TriggerSpec> {
    let function = FunctionName::parse("watcher")?;
    let (name, start) = ("watch".to_owned(), Start::TrimHorizon);
    Ok(TriggerSpec { name, stream: stream.clone(), function, start, is_enabled: true, rules: TriggerRules::default() })
}

/// A function that notes when it was called, and does nothing.
fn targets(seen: mpsc::Sender<Seen>) -> Targets {
    let versions = watch::Sender::new(None);
    Arc::new(move |_| {
        let seen = seen.clone();
        let watcher = move |invocation: Invocation| {
            let now = Instant::now();
            for record in invocation.records.iter() {
                let number = record.data.first_chunk().copied().map(u64::from_le_bytes);
                // There is room for every record of a round; one that finds none is missed by the round's end.
                let _ = number.map(|number| seen.try_send((number, now)));
            }
            async { Ok(()) }
        };
        Some(Target { invoke: Box::new(watcher), versions: versions.subscribe(), threads: None })
    })
}

/// Puts records at the pace, whatever the deliveries do; returns the delay of each in microseconds.
async fn round(store: &Store, stream: &StreamName, calls: &mut mpsc::Receiver<Seen>, puts: usize) -> Result<Vec<f64>> {
    let mut pace = tokio::time::interval(PUT_INTERVAL);
    let mut acknowledged = Vec::with_capacity(puts);
    for number in 0..puts {
        pace.tick().await;
        let placed = store.put(stream, vec![record(number)?]).await?;
        acknowledged.push(Instant::now());
        ensure!(placed.iter().all(Result::is_ok), "a record was not appended: {placed:?}");
    }
    let mut delays = Vec::with_capacity(puts);
    for (number, acknowledged) in (0..).zip(acknowledged) {
        let call = tokio::time::timeout(HANGING, calls.recv()).await.context("a record was not delivered")?;
        let (seen, called) = call.context("the trigger has stopped")?;
        ensure!(seen == number, "record {number} was expected, and {seen} was delivered");
        // The function may be called before the producer comes round to note its acknowledgement.
        delays.push(micros(called.saturating_duration_since(acknowledged)));
    }
    Ok(delays)
}

fn record(number: usize) -> Result<Record> {
    let mut data = vec![0; 100];
    data.splice(..8, (number as u64).to_le_bytes());
    let partition_key = PartitionKey::parse(format!("key-{number}"))?;
    Ok(Record { partition_key, explicit_hash: None, data: Bytes::from(data) })
}
