//! `SplitShard`, `MergeShards`, `UpdateShardCount` and `UpdateStreamMode`.

use serde::{Deserialize, Serialize};

use crate::StreamModeDetails;

/// What `SplitShard` asks. It answers nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SplitShardRequest {
    /// The stream by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// The stream by ARN.
    #[serde(rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
    /// The shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_to_split: Option<String>,
    /// Where the range of the second child begins, in decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_starting_hash_key: Option<String>,
    /// Reserved by AWS; nothing is read from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
}

/// What `MergeShards` asks. It answers nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MergeShardsRequest {
    /// The stream by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// The stream by ARN.
    #[serde(rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
    /// The shard with the lower range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_to_merge: Option<String>,
    /// The shard whose range begins where that of the other ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjacent_shard_to_merge: Option<String>,
    /// Reserved by AWS; nothing is read from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
}

/// What `UpdateShardCount` asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateShardCountRequest {
    /// The stream by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// The stream by ARN.
    #[serde(rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
    /// How many open shards there shall be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_shard_count: Option<i64>,
    /// `UNIFORM_SCALING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling_type: Option<String>,
    /// Reserved by AWS; nothing is read from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
}

/// What `UpdateShardCount` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateShardCountResponse {
    /// The stream.
    pub stream_name: String,
    /// How many open shards there were.
    pub current_shard_count: u64,
    /// How many were asked for.
    pub target_shard_count: u64,
    /// The stream's ARN.
    #[serde(rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
}

/// What `UpdateStreamMode` asks. It answers nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateStreamModeRequest {
    /// The stream's ARN.
    #[serde(rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
    /// Who shall set the number of shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_mode_details: Option<StreamModeDetails>,
    /// Reserved by AWS; nothing is read from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
    /// The throughput that an on-demand stream shall be ready for.
    #[serde(rename = "WarmThroughputMiBps", skip_serializing_if = "Option::is_none")]
    pub warm_throughput_mibps: Option<i64>,
}
