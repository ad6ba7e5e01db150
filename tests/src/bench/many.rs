//! A thousand streams, each with a record a second: how long a put takes, and what the node works.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tidemill_wire::JSON_CONTENT_TYPE;
use tokio::task::JoinSet;

use super::figure::Figure;
use super::load::Load;
use super::node::busy_secs;
use super::report;
use super::rounds::{micros, percentile};
use crate::node::{Node, Setup};

pub(super) const NAMES: [&str; 3] =
    ["scale.streams.1000.put.p99", "scale.streams.1000.put.worst", "scale.streams.1000.cpu"];

const STREAMS: usize = 1000;
/// Each puts to its share of the streams, one after another.
const CONNECTIONS: usize = 50;
/// How often there is a put to each stream, one a second.
const TURNS: usize = 15;
const BETWEEN: Duration = Duration::from_secs(1);
/// The data of a record, as JSON has it: 100 bytes.
const DATA: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2\
                    Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MA==";

/// A thousand streams, beside one that gets all of these records.
pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let streams: Vec<String> = (0..STREAMS).map(|stream| format!("  s{stream}: {{ shards: 1 }}\n")).collect();
    let node = Setup::new(folder, &format!("streams:\n{}", streams.concat()))?.start()?;
    let one = Seen::of(&node, 1).await?;
    let many = Seen::of(&node, STREAMS).await?;
    node.stop()?;
    let measured = [
        (percentile(&many.put_us, 99)?, percentile(&one.put_us, 99)?, "us"),
        (percentile(&many.put_us, 100)?, percentile(&one.put_us, 100)?, "us"),
        (many.busy_percent, one.busy_percent, "% of a core"),
    ];
    let figure = |(name, (value, limit, unit))| Figure::new(name, value, unit).with_limit(limit);
    Ok(NAMES.into_iter().zip(measured).map(figure).collect())
}

/// What was seen of the puts.
struct Seen {
    put_us: Vec<f64>,
    busy_percent: f64,
}

impl Seen {
    async fn of(node: &Node, streams: usize) -> Result<Self> {
        report::say(&format!("scale.streams.1000: {TURNS} s of {STREAMS} puts a second to {streams}"));
        let (before, start) = (busy_secs(node.process())?, Instant::now());
        let mut connections = JoinSet::new();
        for index in 0..CONNECTIONS {
            connections.spawn(put(node.address().to_owned(), index, streams, start));
        }
        let put_us = connections.join_all().await.into_iter().collect::<Result<Vec<_>>>()?.concat();
        ensure!(put_us.len() == STREAMS * TURNS, "{} of {} puts were answered", put_us.len(), STREAMS * TURNS);
        let busy_percent = (busy_secs(node.process())? - before) / start.elapsed().as_secs_f64() * 100.0;
        Ok(Self { put_us, busy_percent })
    }
}

/// Every put of one connection, microseconds. One that has to wait for those before it counts from when it was due.
async fn put(address: String, index: usize, streams: usize, start: Instant) -> Result<Vec<f64>> {
    let body = |stream| format!(r#"{{"StreamName":"s{stream}","PartitionKey":"k","Data":"{DATA}"}}"#);
    let bodies: Arc<[Bytes]> =
        (index..STREAMS).step_by(CONNECTIONS).map(|stream| body(stream % streams).into()).collect();
    let load = Load {
        operation: "PutRecord",
        content_type: JSON_CONTENT_TYPE,
        bodies,
        connections: 1,
        key: None,
        tls: None,
        expected: "SequenceNumber",
    };
    let requests = load.requests(&address)?;
    let (mut sender, connection) = load.connect(&address).await?;
    let gap = BETWEEN / u32::try_from(load.bodies.len())?;
    let putting = async {
        let mut due = start + gap * u32::try_from(index)? / u32::try_from(CONNECTIONS)?;
        let mut times = Vec::new();
        for request in std::iter::repeat_n(&requests, TURNS).flatten() {
            let since = if Instant::now() < due { None } else { Some(due) };
            tokio::time::sleep_until(due.into()).await;
            let since = since.unwrap_or_else(Instant::now);
            load.call(&mut sender, request.clone()).await?;
            times.push(micros(since.elapsed()));
            due += gap;
        }
        Ok(times)
    };
    tokio::select! {
        ended = connection => Err(anyhow::anyhow!("the connection ended: {ended:?}")).context(address.clone()),
        times = putting => times,
    }
}
