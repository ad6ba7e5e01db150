//! The calls that carry payloads, in CBOR, and reads in JSON to compare with: each beside a server that only answers.

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use serde::Serialize;
use tidemill_wire::{
    CBOR_CONTENT_TYPE, GetRecordsRequest, GetShardIteratorRequest, GetShardIteratorResponse, JSON_CONTENT_TYPE,
    PutRecordsRequest, cbor,
};

use super::figure::Figure;
use super::http::{BODIES, beside_sink, put_records};
use super::load::Load;
use super::{MB, PUT_RECORDS, RECORD_BYTES};
use crate::node::{Node, Setup};

const PUT: &str = "http.put_records.cbor.500x1KiB";
const GET_JSON: &str = "http.get_records.500x1KiB";
const GET: &str = "http.get_records.cbor.500x1KiB";
pub(super) const NAMES: [&str; 3] = [PUT, GET_JSON, GET];

const MANIFEST: &str = "streams:\n  orders: { shards: 4 }\n  read: { shards: 1 }\n";
/// The stream that is read: it has as many records as one call answers.
const READ: &str = "read";
const CONNECTIONS: usize = 4;

pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let node = Setup::new(folder, MANIFEST)?.start()?;
    let mut figures = vec![measure(PUT, &node, &puts()?).await?];
    // Lately put, so that they are read from memory.
    let put = PutRecordsRequest { stream_name: Some(READ.into()), ..put_records(0)? };
    puts_of(vec![in_cbor(&put)?]).call_once(node.address()).await?;
    let request = GetRecordsRequest { shard_iterator: Some(iterator(&node).await?), ..GetRecordsRequest::default() };
    figures.push(measure(GET_JSON, &node, &gets(JSON_CONTENT_TYPE, in_json(&request)?)).await?);
    figures.push(measure(GET, &node, &gets(CBOR_CONTENT_TYPE, in_cbor(&request)?)).await?);
    node.stop()?;
    Ok(figures)
}

async fn measure(name: &'static str, node: &Node, load: &Load) -> Result<Figure> {
    let call_mb = (PUT_RECORDS * RECORD_BYTES) as f64 / MB;
    let pairs = beside_sink(name, node, load).await?;
    Ok(Figure::new(name, pairs.value()? * call_mb, "MB/s").with_limit(pairs.limit()? * call_mb))
}

fn puts() -> Result<Load> {
    let bodies = (0..BODIES).map(|body| in_cbor(&put_records(body)?)).collect::<Result<_>>()?;
    Ok(puts_of(bodies))
}

fn puts_of(bodies: Vec<Bytes>) -> Load {
    Load {
        operation: "PutRecords",
        content_type: CBOR_CONTENT_TYPE,
        bodies: bodies.into(),
        connections: CONNECTIONS,
        key: None,
        tls: None,
        expected: "FailedRecordCount\0", // and a zero, in CBOR
    }
}

fn gets(content_type: &'static str, body: Bytes) -> Load {
    let (operation, expected) = ("GetRecords", "SequenceNumber");
    Load { operation, content_type, bodies: [body].into(), connections: CONNECTIONS, key: None, tls: None, expected }
}

/// The beginning of the stream that is read.
async fn iterator(node: &Node) -> Result<String> {
    let request = GetShardIteratorRequest {
        stream_name: Some(READ.to_owned()),
        shard_id: Some("shardId-000000000000".to_owned()),
        shard_iterator_type: Some("TRIM_HORIZON".to_owned()),
        ..GetShardIteratorRequest::default()
    };
    let load = Load {
        operation: "GetShardIterator",
        content_type: JSON_CONTENT_TYPE,
        bodies: [in_json(&request)?].into(),
        connections: 1,
        key: None,
        tls: None,
        expected: "ShardIterator",
    };
    let answer = load.call_once(node.address()).await?;
    Ok(serde_json::from_slice::<GetShardIteratorResponse>(&answer)?.shard_iterator)
}

fn in_json(request: &impl Serialize) -> Result<Bytes> {
    Ok(serde_json::to_vec(request)?.into())
}

fn in_cbor(request: &impl Serialize) -> Result<Bytes> {
    Ok(cbor::to_vec(request)?.into())
}
