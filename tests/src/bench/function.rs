//! How many records a second a function is given, beside the bare call of the same component.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use tidemill::functions::{
    FunctionLane, FunctionName, FunctionSettings, Functions, FunctionsOptions, Invocation, Invoke as _,
};
use tidemill::home::Home;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::Position;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::ShardIndex;

use super::figure::Figure;
use super::guest::{Bare, Prepared};
use super::rounds::{Pairs, per_second, rounds};
use super::store::record;
use super::{RECORD_BYTES, ROUNDS};
use crate::build;

pub(super) const NAMES: [&str; 1] = ["function.batch.100x1KiB"];

const BATCH_RECORDS: usize = 100;
/// How long a round lasts.
const ROUND: Duration = Duration::from_millis(500);
/// Calls between two looks at the clock.
const CALLS: usize = 50;

/// Measures both sides with the same batch.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let wasm = Bytes::from(std::fs::read(build::function("counter")?)?);
    let functions = Functions::open(&folder.join("cache"), &FunctionsOptions::new(folder))?;
    let name = FunctionName::parse("counter")?;
    functions.deploy(&name, wasm.clone(), FunctionSettings::default()).await?;
    let invocation = invocation()?;
    let (mut lane, mut bare) = (functions.lane(&name), bare(&wasm).await?);
    let prepared = Prepared::new(&invocation);
    let mut pairs = Pairs::default();
    lane_round(&mut lane, &invocation).await?; // warms up
    for _ in rounds("function.batch.100x1KiB", ROUNDS) {
        let limit = bare_round(&mut bare, &prepared).await?;
        pairs.note(limit, lane_round(&mut lane, &invocation).await?);
    }
    let figure = |name| Ok(Figure::new(name, pairs.value()?, "records/s").with_limit(pairs.limit()?));
    NAMES.into_iter().map(figure).collect()
}

pub(super) async fn bare(wasm: &[u8]) -> Result<Bare> {
    Bare::start(wasm).await.map_err(|error| from_wasmtime(&error))
}

/// With its causes, which its own text leaves out.
fn from_wasmtime(error: &wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn invocation() -> Result<Invocation> {
    let stored = |number: usize| {
        let record = record(number, RECORD_BYTES)?;
        Ok(StoredRecord {
            position: Position(number as u64),
            arrival: Timestamp::from_millis(1_795_000_123_456),
            partition_key: record.partition_key,
            explicit_hash: None,
            data: record.data,
        })
    };
    Ok(Invocation {
        request_id: "0123456789abcdef0123456789abcdef".to_owned(),
        stream: StreamName::parse("orders")?,
        shard: ShardIndex(0),
        shard_created: Timestamp::from_millis(1_795_000_000_000),
        attempt: 1,
        records: (0..BATCH_RECORDS).map(stored).collect::<Result<Vec<_>>>()?.into(),
        arns: Arc::new(Home::default().arns(&StreamName::parse("orders")?, "counter")),
        window: None,
    })
}

async fn lane_round(lane: &mut FunctionLane, invocation: &Invocation) -> Result<f64> {
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        for _ in 0..CALLS {
            lane.invoke(invocation).await?;
        }
        calls += CALLS;
    }
    Ok(per_second(calls * BATCH_RECORDS, start))
}

/// Records a second that the bare component takes in batches like this one.
pub(super) async fn bare_round(bare: &mut Bare, batch: &Prepared<'_>) -> Result<f64> {
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        bare.call(batch).await.map_err(|error| from_wasmtime(&error))?;
        calls += 1;
    }
    Ok(per_second(calls * batch.len(), start))
}
