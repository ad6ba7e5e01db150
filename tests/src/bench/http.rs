//! How fast the node takes records over HTTP, beside a server that only reads and answers as many bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use serde::Serialize;
use tidemill_wire::{Blob, PutRecordRequest, PutRecordsEntry, PutRecordsRequest};

use super::figure::Figure;
use super::load::Load;
use super::rounds::{Pairs, rounds};
use super::sink::Sink;
use super::store::record;
use super::{MB, PUT_RECORDS, RECORD_BYTES, ROUNDS};
use crate::node::Setup;

const MANIFEST: &str = "streams:\n  orders: { shards: 4 }\n";
const STREAM: &str = "orders";
/// How long a round lasts.
const ROUND: Duration = Duration::from_secs(1);
/// Bodies that are sent in turn.
const BODIES: usize = 16;

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    /// 500 records of 1 KiB each, on 4 connections.
    PutRecords,
    /// One record of 1 KiB each, on 32 connections.
    PutRecord,
}

impl Call {
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::PutRecords => &["http.put_records.500x1KiB"],
            Self::PutRecord => &["http.put_record.1KiB.c32"],
        }
    }

    fn load(self) -> Result<Load> {
        let numbers = 0..BODIES;
        match self {
            Self::PutRecords => {
                let bodies = numbers.map(many).collect::<Result<_>>()?;
                let expected = r#""FailedRecordCount":0"#;
                Ok(Load { operation: "PutRecords", bodies, connections: 4, expected })
            }
            Self::PutRecord => {
                let bodies = numbers.map(one).collect::<Result<Arc<[Bytes]>>>()?;
                Ok(Load { operation: "PutRecord", bodies, connections: 32, expected: r#""SequenceNumber":"# })
            }
        }
    }

    fn figure(self, name: &'static str, value: f64, limit: f64) -> Figure {
        let call_mb = (PUT_RECORDS * RECORD_BYTES) as f64 / MB;
        match self {
            Self::PutRecords => Figure::new(name, value * call_mb, "MB/s").with_limit(limit * call_mb),
            Self::PutRecord => Figure::new(name, value, "calls/s").with_limit(limit),
        }
    }
}

/// Measures one call against a node of its own.
pub(super) async fn run(call: Call, folder: &Path) -> Result<Vec<Figure>> {
    let node = Setup::new(folder, MANIFEST)?.start()?;
    let load = call.load()?;
    let sink = Sink::start(&load.call_once(node.address()).await?)?;
    for address in [sink.address.as_str(), node.address()] {
        load.calls_per_second(address, ROUND).await?; // warms both up
    }
    let mut pairs = Pairs::default();
    for name in call.names() {
        for _ in rounds(name, ROUNDS) {
            let limit = load.calls_per_second(&sink.address, ROUND).await?;
            pairs.note(limit, load.calls_per_second(node.address(), ROUND).await?);
        }
    }
    node.stop()?;
    let figure = |name: &&'static str| Ok(call.figure(name, pairs.value()?, pairs.limit()?));
    call.names().iter().map(figure).collect()
}

fn many(body: usize) -> Result<Bytes> {
    let entry = |index: usize| {
        let record = record(body * PUT_RECORDS + index, RECORD_BYTES)?;
        let partition_key = Some(record.partition_key.as_str().to_owned().into());
        Ok(PutRecordsEntry { data: Some(Blob(record.data)), partition_key, ..PutRecordsEntry::default() })
    };
    let records = Some((0..PUT_RECORDS).map(entry).collect::<Result<_>>()?);
    json(&PutRecordsRequest { stream_name: Some(STREAM.into()), records, ..PutRecordsRequest::default() })
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
