//! How fast the node takes records over HTTP, beside a server that only reads and answers as many bytes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use serde::Serialize;
use tidemill_client::AccessKey;
use tidemill_wire::{Blob, JSON_CONTENT_TYPE, PutRecordRequest, PutRecordsEntry, PutRecordsRequest};

use super::figure::{Bar, Figure};
use super::load::Load;
use super::rounds::{Pairs, rounds};
use super::sink::Sink;
use super::store::record;
use super::{MB, PUT_RECORDS, RECORD_BYTES, ROUNDS};
use crate::node::{Node, Setup};

pub(super) const MANIFEST: &str = "streams:\n  orders: { shards: 4 }\n";
const STREAM: &str = "orders";
/// How long a round lasts.
pub(super) const ROUND: Duration = Duration::from_secs(1);
/// Bodies that are sent in turn.
pub(super) const BODIES: usize = 16;

/// The same beside a server that is as durable, and does nothing else.
const DURABLE: &str = "http.put_record.1KiB.c32.vs_durable";

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// 500 records of 1 KiB each, on 4 connections.
    PutRecords,
    /// One record of 1 KiB each, on 32 connections.
    PutRecord,
}

impl Call {
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::PutRecords => &["http.put_records.500x1KiB", "http.put_records.500x1KiB.signed"],
            Self::PutRecord => &["http.put_record.1KiB.c32", "http.put_record.1KiB.c32.signed", DURABLE],
        }
    }

    pub(super) fn load(self) -> Result<Load> {
        let numbers = 0..BODIES;
        match self {
            Self::PutRecords => {
                let bodies = numbers.map(many).collect::<Result<_>>()?;
                let expected = r#""FailedRecordCount":0"#;
                let (operation, content_type) = ("PutRecords", JSON_CONTENT_TYPE);
                Ok(Load { operation, content_type, bodies, connections: 4, key: None, tls: None, expected })
            }
            Self::PutRecord => {
                let bodies = numbers.map(one).collect::<Result<Arc<[Bytes]>>>()?;
                Ok(Load {
                    operation: "PutRecord",
                    content_type: JSON_CONTENT_TYPE,
                    bodies,
                    connections: 32,
                    key: None,
                    tls: None,
                    expected: r#""SequenceNumber":"#,
                })
            }
        }
    }

    fn figure(self, name: &'static str, value: f64, limit: f64) -> Figure {
        let call_mb = (PUT_RECORDS * RECORD_BYTES) as f64 / MB;
        match self {
            Self::PutRecords => Figure::new(name, value * call_mb, "MB/s").with_limit(limit * call_mb),
            Self::PutRecord => {
                let least = if name == DURABLE { 0.7 } else { 0.35 };
                Figure::new(name, value, "calls/s").with_limit(limit).with_bar(Bar::AtLeast(least))
            }
        }
    }
}

/// Measures one call against nodes of its own: one that takes any request, and one that verifies signatures.
pub(super) async fn run(call: Call, folder: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, is_signed) in call.names().iter().zip([false, true]) {
        let folder = folder.join(if is_signed { "signed" } else { "plain" });
        fs::create_dir(&folder)?;
        let (mut setup, mut load) = (Setup::new(&folder, MANIFEST)?, call.load()?);
        if is_signed {
            load.key = Some(with_keys(&mut setup)?);
        }
        let pairs = measure(name, &setup, &load).await?;
        figures.push(call.figure(name, pairs.value()?, pairs.limit()?));
    }
    if call == Call::PutRecord {
        let folder = folder.join("durable");
        fs::create_dir(&folder)?;
        let node = Setup::new(&folder, MANIFEST)?.start()?;
        let pairs = beside(DURABLE, &node, &call.load()?, Some(&folder.join("log"))).await?;
        node.stop()?;
        figures.push(call.figure(DURABLE, pairs.value()?, pairs.limit()?));
    }
    Ok(figures)
}

async fn measure(name: &'static str, setup: &Setup, load: &Load) -> Result<Pairs> {
    let node = setup.start()?;
    let pairs = beside_sink(name, &node, load).await?;
    node.stop()?;
    Ok(pairs)
}

/// The calls of a node, and of a server that gives the same answer to anything.
pub(super) async fn beside_sink(name: &'static str, node: &Node, load: &Load) -> Result<Pairs> {
    beside(name, node, load, None).await
}

/// The same, where the server answers when what was asked is in this file, synced.
async fn beside(name: &'static str, node: &Node, load: &Load, log: Option<&Path>) -> Result<Pairs> {
    let sink = Sink::start(&load.call_once(node.address()).await?, log)?;
    for address in [sink.address.as_str(), node.address()] {
        load.calls_per_second(address, ROUND).await?; // warms both up
    }
    let mut pairs = Pairs::default();
    for _ in rounds(name, ROUNDS) {
        let limit = load.calls_per_second(&sink.address, ROUND).await?;
        pairs.note(limit, load.calls_per_second(node.address(), ROUND).await?);
    }
    Ok(pairs)
}

/// Has the node ask for signatures; returns the key that it takes.
fn with_keys(setup: &mut Setup) -> Result<AccessKey> {
    let path = setup.folder.join("keys.yaml");
    fs::write(&path, "AKIDBENCH: { secret: secret, account: '000000000000' }\n")?;
    setup.options.extend(["--credentials".to_owned(), path.display().to_string()]);
    let (id, secret) = ("AKIDBENCH".to_owned(), "secret".to_owned());
    Ok(AccessKey { id, secret, session_token: None, region: "us-east-1".to_owned() })
}

fn many(body: usize) -> Result<Bytes> {
    json(&put_records(body)?)
}

/// One of the requests that are sent in turn.
pub(super) fn put_records(body: usize) -> Result<PutRecordsRequest<'static>> {
    let entry = |index: usize| {
        let record = record(body * PUT_RECORDS + index, RECORD_BYTES)?;
        let partition_key = Some(record.partition_key.as_str().to_owned().into());
        Ok(PutRecordsEntry { data: Some(Blob(record.data)), partition_key, ..PutRecordsEntry::default() })
    };
    let records = Some((0..PUT_RECORDS).map(entry).collect::<Result<_>>()?);
    Ok(PutRecordsRequest { stream_name: Some(STREAM.into()), records, ..PutRecordsRequest::default() })
}

fn one(body: usize) -> Result<Bytes> {
    let record = record(body, RECORD_BYTES)?;
    let (stream_name, partition_key) = (Some(STREAM.into()), Some(record.partition_key.as_str().into()));
    let data = Some(Blob(record.data.clone()));
    json(&PutRecordRequest { stream_name, data, partition_key, ..PutRecordRequest::default() })
}

fn json(request: &impl Serialize) -> Result<Bytes> {
    Ok(serde_json::to_vec(request)?.into())
}
