//! Enhanced fan-out: how soon an event comes, how much is pushed, and what those cost who wait.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tidemill_client::{Client, PutRecord};
use tokio::time::{interval, sleep, timeout};

use super::figure::{Bar, Figure};
use super::node::busy_percent;
use super::report;
use super::rounds::{Pairs, median, micros, percentile, rounds};
use super::sink::Sink;
use super::store::record;
use super::subscriber::{Encoding, Subscribers, Subscription};
use super::{MB, PUT_RECORDS, RECORD_BYTES};
use crate::client::sdk;
use crate::node::{Node, Setup};

pub(super) const LATENCY: [&str; 3] = ["efo.put_to_event.p50", "efo.put_to_event.p99", "efo.idle.1000.cpu"];
pub(super) const THROUGHPUT: [&str; 2] = ["efo.throughput", "efo.throughput.cbor"];

const ROUNDS: usize = 5;
/// 100 puts a second, for 5 seconds a round.
const PUT_INTERVAL: Duration = Duration::from_millis(10);
const PUTS: usize = 500;
const P50_LIMIT_US: f64 = 5000.0;
/// Subscriptions that have nothing to tell: as many consumers as a stream may have, of so many streams.
const IDLE_STREAMS: usize = 50;
const IDLE_CONSUMERS: usize = 20;
/// Until those who have just come have nothing to do, and how long they are watched.
const SETTLES: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_secs(20);
const IDLE_PERCENT: f64 = 1.0;
/// An event that is not there within this does not come.
const HANGING: Duration = Duration::from_mins(1);
/// Records that are pushed in a round.
const PUSHED: usize = 100_000;
/// What is in every record of an event, in both encodings.
const MARK: &[u8] = b"PartitionKey";

/// Registers a consumer; its ARN.
async fn register(node: &Node, stream: &str, name: &str) -> Result<String> {
    let kinesis = sdk(&node.url());
    let summary = kinesis.describe_stream_summary().stream_name(stream).send().await?;
    let arn = summary.stream_description_summary().map(|summary| summary.stream_arn().to_owned());
    let registered = kinesis.register_stream_consumer().set_stream_arn(arn).consumer_name(name).send().await?;
    Ok(registered.consumer().context("a consumer")?.consumer_arn().to_owned())
}

/// The time from a put's beginning until its event is there, while a thousand other subscriptions have nothing to tell; and
/// what these cost.
pub(super) async fn latency(folder: &Path) -> Result<Vec<Figure>> {
    let idle: Vec<String> = (0..IDLE_STREAMS).map(|stream| format!("  idle{stream}: {{ shards: 1 }}\n")).collect();
    let node = Setup::new(folder, &format!("streams:\n  orders: {{ shards: 1 }}\n{}", idle.concat()))?.start()?;
    let _idle = subscribe_all(&node).await?;
    sleep(SETTLES).await;
    let busy = busy_percent(&node, WATCHED)?;
    let subscribers = Subscribers::connect(node.address()).await?;
    let consumer = register(&node, "orders", "reader").await?;
    let mut events = subscribers.subscribe(&consumer, "LATEST", Encoding::Json).await?;
    let client = Client::new(&node.url())?;
    round(&client, &mut events, PUTS / 10).await?; // warms up
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in rounds("efo.put_to_event", ROUNDS) {
        let delays = round(&client, &mut events, PUTS).await?;
        p50.push(percentile(&delays, 50)?);
        p99.push(percentile(&delays, 99)?);
    }
    node.stop()?;
    let [p50_name, p99_name, idle_name] = LATENCY;
    Ok(vec![
        Figure::new(p50_name, median(&p50)?, "us").with_limit(P50_LIMIT_US).with_bar(Bar::AtMost(1.0)),
        Figure::new(p99_name, median(&p99)?, "us"),
        Figure::new(idle_name, busy, "% of a core").with_limit(IDLE_PERCENT).with_bar(Bar::AtMost(1.0)),
    ])
}

/// What reads on until this is dropped.
type Idle = Vec<(Subscribers, Vec<Subscription>)>;

async fn subscribe_all(node: &Node) -> Result<Idle> {
    report::say(&format!("efo.idle: {} subscriptions", IDLE_STREAMS * IDLE_CONSUMERS));
    let mut idle = Vec::new();
    for stream in 0..IDLE_STREAMS {
        let stream = format!("idle{stream}");
        let subscribers = Subscribers::connect(node.address()).await?;
        let mut subscriptions = Vec::new();
        for number in 0..IDLE_CONSUMERS {
            let consumer = register(node, &stream, &format!("c{number}")).await?;
            let mut subscription = subscribers.subscribe(&consumer, "LATEST", Encoding::Json).await?;
            subscription.frame().await?;
            subscriptions.push(subscription);
        }
        idle.push((subscribers, subscriptions));
    }
    Ok(idle)
}

/// Puts records at the pace; the time of each until its event, in microseconds.
async fn round(client: &Client, events: &mut Subscription, puts: usize) -> Result<Vec<f64>> {
    let putting = async {
        let (mut pace, mut begun) = (interval(PUT_INTERVAL), Vec::new());
        for number in 0..puts {
            pace.tick().await;
            begun.push(Instant::now());
            client
                .put_records("orders", &[to_put(number, 100)?])
                .await
                .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        }
        anyhow::Ok(begun)
    };
    let reading = async {
        let mut seen = Vec::new();
        while seen.len() < puts {
            let frame = timeout(HANGING, events.frame()).await.context("a record was not pushed")??;
            let now = Instant::now();
            seen.extend(std::iter::repeat_n(now, records_in(&frame)));
        }
        ensure!(seen.len() == puts, "{} events of {puts} records", seen.len());
        anyhow::Ok(seen)
    };
    let (begun, seen) = tokio::try_join!(putting, reading)?;
    Ok(begun.into_iter().zip(seen).map(|(begun, seen)| micros(seen.saturating_duration_since(begun))).collect())
}

fn to_put(number: usize, bytes: usize) -> Result<PutRecord> {
    let record = record(number, bytes)?;
    let partition_key = record.partition_key.as_str().to_owned();
    Ok(PutRecord { partition_key, explicit_hash_key: None, data: record.data })
}

fn records_in(frame: &[u8]) -> usize {
    frame.windows(MARK.len()).filter(|window| *window == MARK).count()
}

/// The payload that one subscriber is sent of a shard that is full of records, beside a server that sends the same bytes.
pub(super) async fn throughput(folder: &Path) -> Result<Vec<Figure>> {
    let node = Setup::new(folder, "streams:\n  orders: { shards: 1 }\n")?.start()?;
    let client = Client::new(&node.url())?;
    for first in (0..PUSHED).step_by(PUT_RECORDS) {
        let records = (first..first + PUT_RECORDS).map(|number| to_put(number, RECORD_BYTES));
        let put = client.put_records("orders", &records.collect::<Result<Vec<_>>>()?).await;
        put.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    }
    let mut figures = Vec::new();
    for (name, encoding) in THROUGHPUT.into_iter().zip([Encoding::Json, Encoding::Cbor]) {
        figures.push(pushed(name, &node, encoding).await?);
    }
    node.stop()?;
    Ok(figures)
}

async fn pushed(name: &'static str, node: &Node, encoding: Encoding) -> Result<Figure> {
    let subscribers = Subscribers::connect(node.address()).await?;
    let canned = everything(name, node, &subscribers, encoding).await?;
    let sink = Sink::start(&canned, None)?;
    let server = Subscribers::connect(&sink.address).await?;
    let mut pairs = Pairs::default();
    let rate = |start: Instant| (PUSHED * RECORD_BYTES) as f64 / MB / start.elapsed().as_secs_f64();
    for round in rounds(name, ROUNDS) {
        let start = Instant::now();
        server.subscribe("any", "TRIM_HORIZON", encoding).await?.skip(canned.len()).await?;
        let limit = rate(start);
        // A consumer that has just read may not begin again at once.
        let consumer = register(node, "orders", &format!("{name}{round}")).await?;
        let start = Instant::now();
        subscribers.subscribe(&consumer, "TRIM_HORIZON", encoding).await?.skip(canned.len()).await?;
        pairs.note(limit, rate(start));
    }
    Ok(Figure::new(name, pairs.value()?, "MB/s").with_limit(pairs.limit()?))
}

/// All frames that a subscriber is sent, until every record was among them.
async fn everything(name: &str, node: &Node, subscribers: &Subscribers, encoding: Encoding) -> Result<Bytes> {
    let consumer = register(node, "orders", &format!("{name}0")).await?;
    let mut events = subscribers.subscribe(&consumer, "TRIM_HORIZON", encoding).await?;
    let (mut all, mut found) = (Vec::new(), 0);
    while found < PUSHED {
        let frame = timeout(HANGING, events.frame()).await.context("not all records were pushed")??;
        found += records_in(&frame);
        all.extend_from_slice(&frame);
    }
    Ok(all.into())
}
