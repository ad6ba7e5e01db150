//! `GetShardIterator` and `GetRecords`.

use serde::{Deserialize, Serialize};

use crate::{Blob, ChildShard, Text, Timestamp};

/// What `GetShardIterator` asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetShardIteratorRequest {
    /// The stream by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// The stream by ARN.
    #[serde(rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
    /// The shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_id: Option<String>,
    /// Where to begin: `TRIM_HORIZON`, `LATEST`, `AT_TIMESTAMP`, `AT_SEQUENCE_NUMBER` or `AFTER_SEQUENCE_NUMBER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_iterator_type: Option<String>,
    /// The number, for the types that need one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_sequence_number: Option<String>,
    /// The time, for the type that needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Check only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Reserved by AWS; nothing is read from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
}

/// What `GetShardIterator` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetShardIteratorResponse {
    /// A place in the shard, 1..512 characters.
    pub shard_iterator: String,
}

/// What `GetRecords` asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRecordsRequest {
    /// Where to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_iterator: Option<String>,
    /// How many records at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The stream by ARN.
    #[serde(rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
    /// Check only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Reserved by AWS; nothing is read from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
}

/// What `GetRecords` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRecordsResponse<'a> {
    /// The records, in order.
    #[serde(borrow)]
    pub records: Vec<Record<'a>>,
    /// Where to read next; absent at the end of a closed shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_shard_iterator: Option<String>,
    /// How far behind the shard's newest record this answer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millis_behind_latest: Option<u64>,
    /// The shards that continue this one; only at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child_shards: Option<Vec<ChildShard>>,
}

/// A record as a consumer sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record<'a> {
    /// Its number in the shard.
    pub sequence_number: String,
    /// When it arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approximate_arrival_timestamp: Option<Timestamp>,
    /// The payload.
    pub data: Blob,
    /// The producer's key.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<Text<'a>>,
    /// How it is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_type: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_written_as_aws_writes_it() {
        let record = Record {
            sequence_number: "49".into(),
            approximate_arrival_timestamp: Some(Timestamp { millis: 1_763_859_985_120 }),
            data: Blob("hi".into()),
            partition_key: Some("k".into()),
            encryption_type: None,
        };
        let json =
            r#"{"SequenceNumber":"49","ApproximateArrivalTimestamp":1763859985.12,"Data":"aGk=","PartitionKey":"k"}"#;
        assert_eq!(serde_json::to_string(&record).unwrap(), json);
        assert_eq!(serde_json::from_str::<Record<'_>>(json).unwrap(), record);
    }
}
