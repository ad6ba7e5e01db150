//! What must hold for the reader whatever bytes it is given: the fuzzers' and the tests' judge.
//!
//! It panics when a promise is broken.

use super::from_slice;
use crate::{
    AddTagsToStreamRequest, CreateStreamRequest, DeleteStreamRequest, DescribeStreamRequest,
    DescribeStreamSummaryRequest, EnhancedMonitoringRequest, GetRecordsRequest, GetShardIteratorRequest,
    ListShardsRequest, ListStreamConsumersRequest, ListStreamsRequest, ListTagsForResourceRequest,
    ListTagsForStreamRequest, MergeShardsRequest, PutRecordRequest, PutRecordsRequest, PutResourcePolicyRequest,
    RegisterStreamConsumerRequest, RemoveTagsFromStreamRequest, ResourcePolicyRequest, SplitShardRequest,
    StreamConsumerRequest, StreamEncryptionRequest, StreamRetentionPeriodRequest, TagResourceRequest,
    UntagResourceRequest, UpdateAccountSettingsRequest, UpdateMaxRecordSizeRequest, UpdateShardCountRequest,
    UpdateStreamModeRequest, UpdateStreamRecordDistributionStrategyRequest, UpdateStreamWarmThroughputRequest,
};

/// Reads the bytes as each of these shapes. What can be read can be written, and read again as the same.
macro_rules! check {
    ($bytes:expr, $($shape:ty),* $(,)?) => {$(
        if let Ok(shape) = from_slice::<$shape>($bytes) {
            let written = serde_json::to_vec(&shape).unwrap_or_default();
            let again = from_slice::<$shape>(&written);
            assert!(again.as_ref().is_ok_and(|again| *again == shape), "{shape:?} is read again as {again:?}");
        }
    )*};
}

/// The bytes as what each operation asks.
pub fn requests(bytes: &[u8]) {
    check!(
        bytes,
        AddTagsToStreamRequest,
        CreateStreamRequest,
        DeleteStreamRequest,
        DescribeStreamRequest,
        DescribeStreamSummaryRequest,
        EnhancedMonitoringRequest,
        GetRecordsRequest,
        GetShardIteratorRequest,
        ListShardsRequest,
        ListStreamConsumersRequest,
        ListStreamsRequest,
        ListTagsForResourceRequest,
        ListTagsForStreamRequest,
        MergeShardsRequest,
        PutRecordRequest<'_>,
        PutRecordsRequest<'_>,
        PutResourcePolicyRequest,
        RegisterStreamConsumerRequest,
        RemoveTagsFromStreamRequest,
        ResourcePolicyRequest,
        SplitShardRequest,
        StreamConsumerRequest,
        StreamEncryptionRequest,
        StreamRetentionPeriodRequest,
        TagResourceRequest,
        UntagResourceRequest,
        UpdateAccountSettingsRequest,
        UpdateMaxRecordSizeRequest,
        UpdateShardCountRequest,
        UpdateStreamModeRequest,
        UpdateStreamRecordDistributionStrategyRequest,
        UpdateStreamWarmThroughputRequest,
    );
}
