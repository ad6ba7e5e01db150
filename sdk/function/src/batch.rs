//! A batch as a handler sees it.

use std::slice;
use std::vec;

use crate::sequence;

/// Records of one shard, in order; their payloads are of type `T`.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// The stream's name.
    pub stream: String,
    /// The shard that all the records come from.
    pub shard: Shard,
    /// Names this call in the node's log; another attempt at the same records has another one.
    pub request_id: String,
    /// 1 at the first delivery of these records, 2 at the first retry, and so on.
    pub attempt: u32,
    /// The records, at least one.
    pub records: Vec<Record<T>>,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record<T> {
    /// The payload.
    pub value: T,
    /// The producer's key: records of one key come in the order they were put.
    pub partition_key: String,
    /// When the node stored the record: milliseconds since 1970, UTC.
    pub arrival_ms: u64,
    /// The record's place in its shard: strictly increasing, with gaps. The user records of one aggregated record have one.
    pub position: u64,
    /// The shard that the record comes from.
    pub shard: Shard,
}

/// A shard of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its number within the stream.
    pub index: u32,
    /// When it was created: seconds since 1970, UTC.
    pub created_seconds: u64,
}

/// A payload as it was put, for records that are not JSON.
///
/// ```
/// use tidemill_function::{Batch, Raw, Result, handler, log};
///
/// handler!(on_lines);
///
/// fn on_lines(batch: Batch<Raw>) -> Result<()> {
///     for record in &batch {
///         log::info(&format!("{} bytes: {}", record.value.0.len(), record.text()?));
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw(pub Vec<u8>);

impl<T> Batch<T> {
    /// A batch of the first attempt, for a function's own tests.
    pub fn new(stream: &str, shard: Shard, records: Vec<Record<T>>) -> Self {
        Self { stream: stream.to_owned(), shard, request_id: "test".to_owned(), attempt: 1, records }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none, which a node never sends.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records in order; so does `for record in &batch`.
    pub fn iter(&self) -> slice::Iter<'_, Record<T>> {
        self.records.iter()
    }
}

impl<T> Record<T> {
    /// A record at position 0 of shard 0, for a function's own tests.
    pub fn new(partition_key: &str, value: T) -> Self {
        let shard = Shard { index: 0, created_seconds: 0 };
        Self { value, partition_key: partition_key.to_owned(), arrival_ms: 0, position: 0, shard }
    }

    /// The record's sequence number, as every Kinesis client sees it: 56 decimal digits.
    pub fn sequence_number(&self) -> String {
        sequence::decimal(self.shard, self.position, self.arrival_ms / 1000)
    }
}

impl Record<Raw> {
    /// The payload as text. The error of one that is not UTF-8 names the record.
    pub fn text(&self) -> crate::Result<&str> {
        std::str::from_utf8(&self.value.0).map_err(|source| self.undecodable("UTF-8 text", &source).into())
    }
}

impl<T> Record<T> {
    /// What to say of a record that is not what it should be.
    pub(crate) fn undecodable(&self, expected: &str, source: &dyn std::error::Error) -> String {
        let (shard, number) = (self.shard.id(), self.sequence_number());
        format!("the record with sequence number {number} of {shard} is not {expected}: {source}")
    }
}

impl Shard {
    /// Its id as Kinesis prints it, for example `shardId-000000000007`.
    pub fn id(&self) -> String {
        format!("shardId-{:012}", self.index)
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a Record<T>;
    type IntoIter = slice::Iter<'a, Record<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = Record<T>;
    type IntoIter = vec::IntoIter<Record<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter()
    }
}
