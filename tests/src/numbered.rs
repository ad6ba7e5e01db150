//! Records that producers number, so that [`crate::delivery`] can judge what became of them.

use std::ops::Range;

use anyhow::Result;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use crate::{build, client};

/// A manifest with the stream `orders`, whose records the function `recorder` logs.
pub fn manifest(shards: u32, batch_size: u32) -> Result<String> {
    Ok(format!(
        "streams:\n  orders: {{ shards: {shards} }}\nfunctions:\n  recorder: {{ path: {} }}\n\
         triggers:\n  - {{ name: record, stream: orders, function: recorder, start: trim-horizon, batch_size: {batch_size} }}\n",
        build::function("recorder")?.display()
    ))
}

/// A producer's records, by turns of each of its keys: partition key and number.
pub fn records(producer: usize, numbers: Range<u64>, keys: u64) -> Vec<(String, u64)> {
    numbers.map(|number| (format!("p{producer}-k{}", number % keys), number)).collect()
}

/// The same for a `PutRecords`.
pub fn entries(records: &[(String, u64)]) -> Vec<PutRecordsRequestEntry> {
    records.iter().map(|(key, number)| client::entry(key, &number.to_string())).collect()
}
