//! How fast a trigger gets through what waits in its stream: from the store through a function to a committed cursor.
//!
//! The triggers and the functions run here in this process, over the embedded engine. The limit is the bare call of the same
//! component with the same batches; for the lag it is what the trigger does with records that were just put.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tidemill::deploy::{Start, TriggerRules, TriggerSpec};
use tidemill::functions::{FunctionName, FunctionSettings, Functions, FunctionsOptions, Invocation};
use tidemill::home::Home;
use tidemill::status::Board;
use tidemill::trigger::{Target, Targets, Triggers};
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::engine::{Bound, ReadLimits};
use tidemill_stream::name::StreamName;
use tidemill_stream::read::StartAt;
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tokio::sync::watch;

use super::figure::{Bar, Figure};
use super::function::{bare, bare_round};
use super::guest::Prepared;
use super::rounds::{Pairs, median, rounds};
use super::store::{self, Opened};
use crate::build;

pub(super) const NAMES: [&str; 5] = [
    "trigger.throughput.noop.100",
    "trigger.throughput.noop",
    "trigger.throughput.noop.10000",
    "trigger.throughput.lag",
    "trigger.throughput.lanes",
];
/// Records of a batch, in the order of the names.
const BATCHES: [usize; 3] = [100, 1_000, 10_000];

const RECORD_BYTES: usize = 100;
/// Records that wait: few enough to stay in memory, and enough that setting up a trigger and its cursor's last move, which are
/// timed too, count little.
const RECORDS: usize = 500_000;
/// Records of the lag.
const LAG_RECORDS: usize = 1_000_000;
const ROUNDS: usize = 5;
/// Calls of a function that waits, and records of each.
const WAITS: usize = 2000;
const WAIT: Duration = Duration::from_millis(1);
const WAIT_RECORDS: usize = 10;
/// What is not drained by then will not be.
const HANGING: Duration = Duration::from_mins(5);

/// A store with records, and what drains them.
struct Place {
    store: Store,
    stream: StreamName,
    end: Bound,
    records: usize,
}

pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let wasm = Bytes::from(std::fs::read(build::function("counter")?)?);
    let functions = Functions::open(&folder.join("cache"), &FunctionsOptions::new(folder))?;
    let name = FunctionName::parse("counter")?;
    functions.deploy(&name, wasm.clone(), FunctionSettings::default()).await?;
    let targets = wasm_targets(&functions);

    let place = Place::filled(&folder.join("data"), RECORDS).await?;
    let mut figures = Vec::new();
    let mut fast = 0.0;
    for (name, batch) in NAMES.into_iter().zip(BATCHES) {
        let mut bare = bare(&wasm).await?;
        let invocation = place.invocation(batch).await?;
        let mut pairs = Pairs::default();
        place.drain(&targets, batch, 1).await?; // warms up
        for _ in rounds(name, ROUNDS) {
            let limit = bare_round(&mut bare, &Prepared::new(&invocation)).await?;
            pairs.note(limit, place.drain(&targets, batch, 1).await?);
        }
        let figure = Figure::new(name, pairs.value()?, "records/s").with_limit(pairs.limit()?);
        fast = if batch == 1_000 { figure.value } else { fast };
        figures.push(figure.with_bar(Bar::AtLeast(0.6)));
    }
    let lag = lag(&folder.join("lag"), &targets).await?;
    figures.push(Figure::new(NAMES[3], lag, "records/s").with_limit(fast));
    figures.push(lanes(&folder.join("lanes")).await?);
    Ok(figures)
}

/// A million records, read from the disk after a restart.
async fn lag(folder: &Path, targets: &Targets) -> Result<f64> {
    {
        let opened = Opened::open(folder).await?;
        store::create(&opened.store, "orders", 1).await?;
        fill(&opened.store, &StreamName::parse("orders")?, LAG_RECORDS).await?;
        opened.close();
    }
    let opened = Opened::open(folder).await?;
    let place = Place::of(opened.store.clone(), LAG_RECORDS).await?;
    let mut rates = Vec::new();
    for _ in rounds(NAMES[3], 3) {
        rates.push(place.drain(targets, 1_000, 1).await?);
    }
    median(&rates)
}

/// A function that waits, in ten lanes and in one.
async fn lanes(folder: &Path) -> Result<Figure> {
    let place = Place::filled(folder, WAITS * WAIT_RECORDS).await?;
    let versions = watch::Sender::new(None);
    let targets: Targets = Arc::new(move |_| {
        let waits = |_: Invocation| async {
            tokio::time::sleep(WAIT).await;
            Ok(())
        };
        Some(Target { invoke: Box::new(waits), versions: versions.subscribe(), threads: None })
    });
    let mut pairs = Pairs::default();
    for _ in rounds(NAMES[4], ROUNDS) {
        let limit = place.drain(&targets, WAIT_RECORDS, 1).await?;
        pairs.note(limit, place.drain(&targets, WAIT_RECORDS, 10).await?);
    }
    let figure = Figure::new(NAMES[4], pairs.value()?, "records/s").with_limit(pairs.limit()?);
    Ok(figure.with_bar(Bar::AtLeast(8.0)))
}

impl Place {
    async fn filled(folder: &Path, records: usize) -> Result<Self> {
        let (store, stream) = store::open(folder, 1).await?;
        fill(&store, &stream, records).await?;
        Self::of(store, records).await
    }

    async fn of(store: Store, records: usize) -> Result<Self> {
        let name = StreamName::parse("orders")?;
        let stream = store.stream(&name)?;
        let end = store.position(&stream, ShardIndex(0), StartAt::Latest).await?;
        Ok(Self { store, stream: name, end, records })
    }

    /// A batch as the trigger makes it.
    async fn invocation(&self, records_max: usize) -> Result<Invocation> {
        let stream = self.store.stream(&self.stream)?;
        let limits = ReadLimits { records_max, bytes_max: 6_000_000 };
        let read = self.store.read(&stream, ShardIndex(0), Bound::START, limits).await?;
        let shard = stream.shard(ShardIndex(0)).context("there is a shard")?;
        ensure!(read.records.len() == records_max, "a batch has {} records", read.records.len());
        Ok(Invocation {
            request_id: "0123456789abcdef0123456789abcdef".to_owned(),
            stream: self.stream.clone(),
            shard: shard.index,
            shard_created: shard.created,
            attempt: 1,
            records: read.records.into(),
            arns: Arc::new(Home::default().arns(&self.stream, "counter")),
            window: None,
        })
    }

    /// Records a second, from a new trigger at the start to its cursor at the end.
    async fn drain(&self, targets: &Targets, batch_records_max: usize, parallelization: usize) -> Result<f64> {
        let board = Board::new();
        let triggers = Triggers::start(self.store.clone(), Home::default(), Arc::clone(targets), board.clone());
        let spec = TriggerSpec {
            name: "drain".to_owned(),
            stream: self.stream.clone(),
            function: FunctionName::parse("counter")?,
            start: Start::TrimHorizon,
            is_enabled: true,
            rules: TriggerRules { batch_records_max, parallelization, ..TriggerRules::default() },
        };
        let start = Instant::now();
        triggers.apply(vec![spec]).await?;
        tokio::time::timeout(HANGING, self.drained()).await.context("the trigger does not get to the end")??;
        let rate = self.records as f64 / start.elapsed().as_secs_f64();
        let taken: u64 = board.snapshot().iter().map(|row| row.status.counts.records).sum();
        ensure!(taken == self.records as u64, "the function took {taken} records");
        triggers.apply(Vec::new()).await?;
        triggers.stop().await;
        Ok(rate)
    }

    async fn drained(&self) -> Result<()> {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            for document in self.store.engine().list("cursor/", None, 10).await? {
                let id = document.key.as_str().split('/').nth(1).context("a cursor has a trigger")?;
                let trigger = TriggerId(u64::from_str_radix(id, 16)?);
                let cursor = self.store.cursor(trigger, ShardIndex(0)).await?;
                if cursor.is_some_and(|cursor| cursor.progress.low() >= self.end) {
                    return Ok(());
                }
            }
        }
    }
}

fn wasm_targets(functions: &Functions) -> Targets {
    let functions = functions.clone();
    Arc::new(move |name| {
        let threads = Some(functions.threads());
        Some(Target { invoke: Box::new(functions.lane(name)), versions: functions.watch(name), threads })
    })
}

async fn fill(store: &Store, stream: &StreamName, records: usize) -> Result<()> {
    for first in (0..records).step_by(super::PUT_RECORDS) {
        let numbers = first..records.min(first + super::PUT_RECORDS);
        let batch = numbers.map(|number| store::record(number, RECORD_BYTES)).collect::<Result<Vec<_>>>()?;
        store::put(store, stream, batch).await?;
    }
    Ok(())
}
