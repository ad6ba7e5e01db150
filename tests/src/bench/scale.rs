//! What shards cost that are many: a put, memory, a processor that has nothing to do, and the start.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tidemill_stream::store::Store;
use tidemill_stream::stream::Stream;

use super::append::SMALL_BYTES;
use super::figure::{Bar, Figure};
use super::node::{busy_percent, resident_mb};
use super::rounds::{Pairs, median, micros, percentile, rounds};
use super::store::{self, Opened};
use super::{PUT_RECORDS, RECORD_BYTES, ROUNDS};
use crate::build;
use crate::node::Setup;

/// Shards of the streams that are measured.
const MANY: [u32; 4] = [10, 100, 1000, 10_000];
const PUT: [&str; 4] =
    ["scale.shards.10.put", "scale.shards.100.put", "scale.shards.1000.put", "scale.shards.10000.put"];
const PUT500: [&str; 4] =
    ["scale.shards.10.put500", "scale.shards.100.put500", "scale.shards.1000.put500", "scale.shards.10000.put500"];
/// For each number of shards: memory, idle processor time, start.
pub(super) const NODE: [&str; 12] = [
    "scale.shards.10.memory",
    "scale.shards.10.idle_cpu",
    "scale.shards.10.open",
    "scale.shards.100.memory",
    "scale.shards.100.idle_cpu",
    "scale.shards.100.open",
    "scale.shards.1000.memory",
    "scale.shards.1000.idle_cpu",
    "scale.shards.1000.open",
    "scale.shards.10000.memory",
    "scale.shards.10000.idle_cpu",
    "scale.shards.10000.open",
];

/// Puts of one record in a round, and of many.
const SMALL_PUTS: usize = 500;
const LARGE_PUTS: usize = 40;
/// How long a node is watched that has nothing to do: Linux counts processor time in hundredths of a second.
const WATCHED: Duration = Duration::from_secs(10);
/// Until a node that has just started has nothing to do.
const SETTLES: Duration = Duration::from_secs(20);

/// What is put.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// One record of 100 bytes.
    One,
    /// 500 records of 1 KiB, each with a key of its own.
    Many,
}

pub(super) const TRIGGERS: [&str; 1] = ["trigger.idle.1000.cpu"];

impl Load {
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::One => &PUT,
            Self::Many => &PUT500,
        }
    }

    fn bar(self) -> Bar {
        match self {
            Self::One => Bar::AtMost(1.2),
            Self::Many => Bar::AtMost(2.0),
        }
    }

    /// The median time of a put, microseconds.
    async fn round(self, place: &Place) -> Result<f64> {
        let puts = match self {
            Self::One => store::puts(SMALL_PUTS, 1, SMALL_BYTES)?,
            Self::Many => store::puts(LARGE_PUTS, PUT_RECORDS, RECORD_BYTES)?,
        };
        let mut times = Vec::with_capacity(puts.len());
        for records in puts {
            let start = Instant::now();
            store::put(&place.store, &place.stream.name, records).await?;
            times.push(micros(start.elapsed()));
        }
        percentile(&times, 50)
    }
}

/// A store with one stream.
struct Place {
    store: Store,
    stream: Arc<Stream>,
}

impl Place {
    async fn new(folder: &Path, shards: u32) -> Result<Self> {
        let store = Opened::open(&folder.join(format!("data-{shards}"))).await?.store;
        let stream = store::create(&store, "orders", shards).await?;
        Ok(Self { store, stream })
    }
}

/// The time of a put, beside that of the same into a stream of 10 shards, and for 10 beside that into one shard.
pub(super) async fn puts(load: Load, folder: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut few = Place::new(folder, 1).await?;
    for (shards, name) in MANY.into_iter().zip(load.names()) {
        let many = Place::new(folder, shards).await?;
        for place in [&few, &many] {
            load.round(place).await?; // their segments grow
        }
        let mut pairs = Pairs::default();
        for _ in rounds(name, ROUNDS) {
            let limit = load.round(&few).await?;
            pairs.note(limit, load.round(&many).await?);
        }
        figures.push(Figure::new(name, pairs.value()?, "us").with_limit(pairs.limit()?).with_bar(load.bar()));
        if shards == MANY[0] {
            few = many;
        }
    }
    Ok(figures)
}

/// A node whose stream has a trigger, of which nothing is asked: its memory, its processor time and its start. The memory
/// is what it has more than a node of 10 shards, and that one than a node without a stream: of ten shards that is what the
/// first stream costs, so no bar holds there.
pub(super) fn nodes(folder: &Path) -> Result<Vec<Figure>> {
    let mut few = Seen::of(folder, 0)?;
    let mut measured = Vec::new();
    for shards in MANY {
        let many = Seen::of(folder, shards)?;
        let kib_a_shard = (many.resident_mb - few.resident_mb) * 1e6 / 1024.0 / f64::from(shards - few.shards);
        measured.push((kib_a_shard, "KiB/shard", (shards > MANY[0]).then_some(20_000.0 / 1024.0)));
        measured.push((many.busy_percent, "% of a core", Some(2.0)));
        measured.push((many.open_ms, "ms", Some(2000.0)));
        if shards == MANY[0] {
            few = many;
        }
    }
    let figure = |(name, (value, unit, limit)): (&&'static str, (f64, &'static str, Option<f64>))| {
        let figure = Figure::new(name, value, unit);
        limit.map_or(figure.clone(), |limit| figure.with_limit(limit).with_bar(Bar::AtMost(1.0)))
    };
    Ok(NODE.iter().zip(measured).map(figure).collect())
}

/// What was seen of a node.
struct Seen {
    shards: u32,
    resident_mb: f64,
    busy_percent: f64,
    open_ms: f64,
}

impl Seen {
    fn of(folder: &Path, shards: u32) -> Result<Self> {
        let folder = folder.join(format!("node-{shards}"));
        fs::create_dir(&folder)?;
        let setup = Setup::new(&folder, &manifest(shards)?)?;
        setup.start()?.stop()?; // makes the stream, compiles the function
        let mut opens = Vec::new();
        for _ in rounds("scale.shards: starts", 3) {
            let start = Instant::now();
            let node = setup.start()?;
            opens.push(start.elapsed().as_secs_f64() * 1e3);
            node.stop()?;
        }
        let node = setup.start()?;
        thread::sleep(SETTLES);
        let (busy_percent, resident_mb) = (busy_percent(&node, WATCHED)?, resident_mb(node.process())?);
        node.stop()?;
        Ok(Self { shards, resident_mb, busy_percent, open_ms: median(&opens)? })
    }
}

fn manifest(shards: u32) -> Result<String> {
    let function = format!("functions:\n  counter: {{ path: {} }}\n", build::function("counter")?.display());
    if shards == 0 {
        return Ok(function);
    }
    Ok(format!(
        "streams:\n  orders: {{ shards: {shards} }}\n{function}triggers:\n  \
         - {{ name: count, stream: orders, function: counter, start: latest }}\n"
    ))
}

/// A node with a thousand triggers on one stream, of which nothing is asked.
pub(super) fn triggers(folder: &Path) -> Result<Vec<Figure>> {
    let function = build::function("counter")?;
    let trigger = |number| format!("  - {{ name: t{number}, stream: orders, function: counter, start: latest }}\n");
    let triggers: String = (0..1000).map(trigger).collect();
    let manifest = format!(
        "streams:\n  orders: {{}}\nfunctions:\n  counter: {{ path: {} }}\ntriggers:\n{triggers}",
        function.display()
    );
    let node = Setup::new(folder, &manifest)?.start()?;
    thread::sleep(SETTLES);
    let busy = busy_percent(&node, WATCHED)?;
    node.stop()?;
    let [name] = TRIGGERS;
    Ok(vec![Figure::new(name, busy, "% of a core").with_limit(2.0).with_bar(Bar::AtMost(1.0))])
}
