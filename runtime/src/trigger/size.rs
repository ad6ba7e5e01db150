//! What a record counts in a batch.
//!
//! Lambda counts the event as it sends it: JSON with the data in base64. Everywhere else data and partition key count.

use tidemill_stream::record::StoredRecord;

use crate::deploy::Semantics;
use crate::home::Arns;
use crate::limits::{BATCH_BYTES_MAX, EVENT_BYTES_MAX};

/// Bytes of a record in an event beside its data, its key and its names: field names, a sequence number twice, a shard's id, a
/// time.
const RECORD_FIELDS_BYTES: usize = 420;
/// Bytes of an event beside its records, among them those of a tumbling window.
const EVENT_FIELDS_BYTES: usize = 512;

/// How records are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sizes {
    /// Data and partition key.
    Payload,
    /// The record in an event, whose names have so many bytes.
    Event { names_bytes: usize },
}

impl Sizes {
    pub(super) fn new(semantics: Semantics, arns: &Arns) -> Self {
        match semantics {
            Semantics::Tidemill => Self::Payload,
            Semantics::Lambda => Self::Event { names_bytes: arns.stream.len() + arns.role.len() + arns.region.len() },
        }
    }

    /// The most that a batch has.
    pub(super) fn bytes_max(self) -> usize {
        match self {
            Self::Payload => BATCH_BYTES_MAX,
            Self::Event { .. } => EVENT_BYTES_MAX - EVENT_FIELDS_BYTES,
        }
    }

    /// At least what the record takes.
    pub(super) fn of(self, record: &StoredRecord) -> usize {
        match self {
            Self::Payload => record.size_bytes(),
            Self::Event { names_bytes } => {
                let data = record.data.len().div_ceil(3) * 4;
                let key: usize = record.partition_key.as_str().bytes().map(json_bytes).sum();
                data + key + names_bytes + RECORD_FIELDS_BYTES
            }
        }
    }
}

/// What a byte of a text takes in JSON at most.
fn json_bytes(byte: u8) -> usize {
    match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    }
}
