//! `PutRecord` and `PutRecords`.

use serde::{Deserialize, Serialize};

use crate::{Blob, Text};

/// What `PutRecord` asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecordRequest<'a> {
    /// The stream by name.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<Text<'a>>,
    /// The stream by ARN.
    #[serde(borrow, rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<Text<'a>>,
    /// The payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Blob>,
    /// What decides the shard.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<Text<'a>>,
    /// A hash key that decides the shard instead.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub explicit_hash_key: Option<Text<'a>>,
    /// A number that the new record must sort behind.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub sequence_number_for_ordering: Option<Text<'a>>,
    /// Check only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Reserved by AWS; nothing is read from it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<Text<'a>>,
}

/// What `PutRecord` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecordResponse {
    /// Where the record is.
    pub shard_id: String,
    /// Its number there.
    pub sequence_number: String,
    /// How it is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_type: Option<String>,
}

/// What `PutRecords` asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecordsRequest<'a> {
    /// The stream by name.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<Text<'a>>,
    /// The stream by ARN.
    #[serde(borrow, rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<Text<'a>>,
    /// The records.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<PutRecordsEntry<'a>>>,
    /// Check only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Reserved by AWS; nothing is read from it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<Text<'a>>,
}

/// One record of a `PutRecords` request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecordsEntry<'a> {
    /// The payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Blob>,
    /// What decides the shard.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<Text<'a>>,
    /// A hash key that decides the shard instead.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub explicit_hash_key: Option<Text<'a>>,
}

/// What `PutRecords` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecordsResponse<'a> {
    /// How many records were not taken.
    pub failed_record_count: u64,
    /// A result for each record, in the request's order.
    #[serde(borrow)]
    pub records: Vec<PutRecordsResult<'a>>,
    /// How the records are encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_type: Option<String>,
}

/// What became of one record: a place, or an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecordsResult<'a> {
    /// Its number in the shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
    /// Where the record is.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub shard_id: Option<Text<'a>>,
    /// Why it was not taken, as a word.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Text<'a>>,
    /// Why it was not taken, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_members_are_left_out_and_unknown_ones_ignored() {
        let entry = PutRecordsEntry { partition_key: Some("k".into()), ..PutRecordsEntry::default() };
        assert_eq!(serde_json::to_string(&entry).unwrap(), r#"{"PartitionKey":"k"}"#);
        let read: PutRecordsEntry<'_> = serde_json::from_str(r#"{"PartitionKey":"k","New":[1]}"#).unwrap();
        assert_eq!(read, entry);
    }

    #[test]
    fn the_arn_is_spelled_in_capitals() {
        let request = PutRecordsRequest { stream_arn: Some("a".into()), ..PutRecordsRequest::default() };
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"StreamARN":"a"}"#);
    }
}
