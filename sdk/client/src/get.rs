//! Reading a shard.

use bytes::Bytes;
use tidemill_wire::{
    GetRecordsRequest, GetRecordsResponse, GetShardIteratorRequest, GetShardIteratorResponse, Operation, Timestamp,
};

use crate::client::{Client, unreadable};
use crate::error::ClientError;

/// Where to begin in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that is kept.
    TrimHorizon,
    /// Behind the newest record.
    Latest,
    /// At the first record that arrived then or later, milliseconds since 1970.
    Timestamp(u64),
    /// At the record of this sequence number.
    At(String),
    /// Behind the record of this sequence number.
    After(String),
}

/// What a read returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Where to read next; `None` at the end of a closed shard.
    pub next: Option<String>,
    /// How far behind the newest record this is.
    pub behind_ms: u64,
}

/// A record of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the shard.
    pub sequence_number: String,
    /// When it arrived, milliseconds since 1970.
    pub arrival_ms: i64,
    /// The producer's key.
    pub partition_key: String,
    /// The payload.
    pub data: Bytes,
}

impl Client {
    /// A place in a shard. It is good for 300 seconds.
    pub async fn get_shard_iterator(&self, stream: &str, shard_id: &str, start: Start) -> Result<String, ClientError> {
        let (kind, starting_sequence_number, timestamp) = match start {
            Start::TrimHorizon => ("TRIM_HORIZON", None, None),
            Start::Latest => ("LATEST", None, None),
            Start::Timestamp(millis) => ("AT_TIMESTAMP", None, Some(Timestamp::from_millis(millis))),
            Start::At(number) => ("AT_SEQUENCE_NUMBER", Some(number), None),
            Start::After(number) => ("AFTER_SEQUENCE_NUMBER", Some(number), None),
        };
        let request = GetShardIteratorRequest {
            stream_name: Some(stream.to_owned()),
            shard_id: Some(shard_id.to_owned()),
            shard_iterator_type: Some(kind.to_owned()),
            starting_sequence_number,
            timestamp,
            ..GetShardIteratorRequest::default()
        };
        let response: GetShardIteratorResponse = self.call(Operation::GetShardIterator, &request).await?;
        Ok(response.shard_iterator)
    }

    /// Records from a place on, at most `limit` (1..10000) of them when it is given.
    pub async fn get_records(&self, iterator: &str, limit: Option<u32>) -> Result<Records, ClientError> {
        let request = GetRecordsRequest {
            shard_iterator: Some(iterator.to_owned()),
            limit: limit.map(i64::from),
            ..GetRecordsRequest::default()
        };
        let body = self.send(Operation::GetRecords, &request).await?;
        let response: GetRecordsResponse<'_> =
            serde_json::from_slice(&body).map_err(|source| unreadable(Operation::GetRecords, source))?;
        Ok(Records {
            records: response.records.into_iter().map(Record::from).collect(),
            next: response.next_shard_iterator,
            behind_ms: response.millis_behind_latest.unwrap_or(0),
        })
    }
}

impl From<tidemill_wire::Record<'_>> for Record {
    fn from(record: tidemill_wire::Record<'_>) -> Self {
        Self {
            sequence_number: record.sequence_number,
            arrival_ms: record.approximate_arrival_timestamp.unwrap_or_default().millis,
            partition_key: record.partition_key.map(|key| key.0.into_owned()).unwrap_or_default(),
            data: record.data.0,
        }
    }
}
