//! The contract with a client: the shapes of the Kinesis Data Streams API, as pure data.
//!
//! Promises that a shape is written and read as AWS does: absent members are left out, unknown members are ignored,
//! and every member of a request may be missing, so that it is the server that says what is wrong. A serde format
//! that is human-readable gets blobs as base64 and times as seconds; one that is not gets blobs as bytes and times as
//! milliseconds. This crate must not know what a member means, who serves it, or how it travels.

mod blob;
mod error;
mod get;
mod operation;
mod put;
mod reshard;
mod shard;
mod stream;
mod text;
mod timestamp;

pub use blob::Blob;
pub use error::ErrorBody;
pub use get::{GetRecordsRequest, GetRecordsResponse, GetShardIteratorRequest, GetShardIteratorResponse, Record};
pub use operation::{OPERATION_NAMES, Operation, TARGET_PREFIX};
pub use put::{
    PutRecordRequest, PutRecordResponse, PutRecordsEntry, PutRecordsRequest, PutRecordsResponse, PutRecordsResult,
};
pub use reshard::{
    MergeShardsRequest, SplitShardRequest, UpdateShardCountRequest, UpdateShardCountResponse, UpdateStreamModeRequest,
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
pub use text::Text;
pub use timestamp::Timestamp;

/// The content type of AWS JSON 1.1.
pub const JSON_CONTENT_TYPE: &str = "application/x-amz-json-1.1";
