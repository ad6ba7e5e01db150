//! The contract with a client: the shapes of the Kinesis Data Streams API, as pure data.
//!
//! Promises that a shape is written and read as AWS does: absent members are left out, unknown members are ignored,
//! and every member of a request may be missing, so that it is the server that says what is wrong. A serde format
//! that is human-readable gets blobs as base64 and times as seconds; one that is not gets blobs as bytes and times as
//! milliseconds; `cbor` is such a format. This crate must not know what a member means, who serves it, or how it travels.

mod account;
mod blob;
pub mod cbor;
mod consumer;
mod error;
mod get;
pub mod json;
mod operation;
mod policy;
mod put;
mod reshard;
mod settings;
mod shard;
mod stream;
mod subscribe;
mod tags;
mod text;
mod timestamp;

pub use account::{
    AccountSettingsResponse, Commitment, CommitmentInput, DescribeLimitsResponse, UpdateAccountSettingsRequest,
};
pub use blob::Blob;
pub use consumer::{
    Consumer, ConsumerDescription, DescribeStreamConsumerResponse, ListStreamConsumersRequest,
    ListStreamConsumersResponse, RegisterStreamConsumerRequest, RegisterStreamConsumerResponse, StreamConsumerRequest,
};
pub use error::ErrorBody;
pub use get::{GetRecordsRequest, GetRecordsResponse, GetShardIteratorRequest, GetShardIteratorResponse, Record};
pub use operation::{OPERATION_NAMES, Operation, TARGET_PREFIX};
pub use policy::{GetResourcePolicyResponse, PutResourcePolicyRequest, ResourcePolicyRequest};
pub use put::{
    PutRecordRequest, PutRecordResponse, PutRecordsEntry, PutRecordsRequest, PutRecordsResponse, PutRecordsResult,
};
pub use reshard::{
    MergeShardsRequest, SplitShardRequest, UpdateShardCountRequest, UpdateShardCountResponse, UpdateStreamModeRequest,
};
pub use settings::{
    EnhancedMonitoringRequest, EnhancedMonitoringResponse, StreamEncryptionRequest, UpdateMaxRecordSizeRequest,
    UpdateStreamRecordDistributionStrategyRequest, UpdateStreamWarmThroughputRequest,
    UpdateStreamWarmThroughputResponse, WarmThroughput,
};
pub use shard::{
    ChildShard, HashKeyRange, ListShardsRequest, ListShardsResponse, SequenceNumberRange, Shard, ShardFilter,
};
pub use stream::{
    CreateStreamRequest, DeleteStreamRequest, DescribeStreamRequest, DescribeStreamResponse,
    DescribeStreamSummaryRequest, DescribeStreamSummaryResponse, EnhancedMetrics, ListStreamsRequest,
    ListStreamsResponse, StreamDescription, StreamDescriptionSummary, StreamModeDetails, StreamRetentionPeriodRequest,
    StreamSummary,
};
pub use subscribe::{StartingPosition, SubscribeToShardEvent, SubscribeToShardRequest};
pub use tags::{
    AddTagsToStreamRequest, ListTagsForResourceRequest, ListTagsForResourceResponse, ListTagsForStreamRequest,
    ListTagsForStreamResponse, RemoveTagsFromStreamRequest, Tag, TagResourceRequest, UntagResourceRequest,
};
pub use text::Text;
pub use timestamp::Timestamp;

/// Elements of a list, and members of a map, that a body may have: `GetRecords` answers with as many records.
pub const ITEMS_MAX: usize = 10_000;

/// The content type of AWS JSON 1.1.
pub const JSON_CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// The content type of AWS CBOR 1.1.
pub const CBOR_CONTENT_TYPE: &str = "application/x-amz-cbor-1.1";
