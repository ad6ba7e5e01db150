//! The names of the operations.

/// What stands before an operation's name in the header `X-Amz-Target`.
pub const TARGET_PREFIX: &str = "Kinesis_20131202.";

/// An operation whose shapes are in this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `AddTagsToStream`
    AddTagsToStream,
    /// `CreateStream`
    CreateStream,
    /// `DecreaseStreamRetentionPeriod`
    DecreaseStreamRetentionPeriod,
    /// `DeleteResourcePolicy`
    DeleteResourcePolicy,
    /// `DeleteStream`
    DeleteStream,
    /// `DeregisterStreamConsumer`
    DeregisterStreamConsumer,
    /// `DescribeAccountSettings`
    DescribeAccountSettings,
    /// `DescribeLimits`
    DescribeLimits,
    /// `DescribeStream`
    DescribeStream,
    /// `DescribeStreamConsumer`
    DescribeStreamConsumer,
    /// `DescribeStreamSummary`
    DescribeStreamSummary,
    /// `DisableEnhancedMonitoring`
    DisableEnhancedMonitoring,
    /// `EnableEnhancedMonitoring`
    EnableEnhancedMonitoring,
    /// `GetRecords`
    GetRecords,
    /// `GetResourcePolicy`
    GetResourcePolicy,
    /// `GetShardIterator`
    GetShardIterator,
    /// `IncreaseStreamRetentionPeriod`
    IncreaseStreamRetentionPeriod,
    /// `ListShards`
    ListShards,
    /// `ListStreamConsumers`
    ListStreamConsumers,
    /// `ListStreams`
    ListStreams,
    /// `ListTagsForResource`
    ListTagsForResource,
    /// `ListTagsForStream`
    ListTagsForStream,
    /// `MergeShards`
    MergeShards,
    /// `PutRecord`
    PutRecord,
    /// `PutRecords`
    PutRecords,
    /// `PutResourcePolicy`
    PutResourcePolicy,
    /// `RegisterStreamConsumer`
    RegisterStreamConsumer,
    /// `RemoveTagsFromStream`
    RemoveTagsFromStream,
    /// `SplitShard`
    SplitShard,
    /// `StartStreamEncryption`
    StartStreamEncryption,
    /// `StopStreamEncryption`
    StopStreamEncryption,
    /// `SubscribeToShard`
    SubscribeToShard,
    /// `TagResource`
    TagResource,
    /// `UntagResource`
    UntagResource,
    /// `UpdateAccountSettings`
    UpdateAccountSettings,
    /// `UpdateMaxRecordSize`
    UpdateMaxRecordSize,
    /// `UpdateShardCount`
    UpdateShardCount,
    /// `UpdateStreamMode`
    UpdateStreamMode,
    /// `UpdateStreamRecordDistributionStrategy`
    UpdateStreamRecordDistributionStrategy,
    /// `UpdateStreamWarmThroughput`
    UpdateStreamWarmThroughput,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 40] = [
        Self::AddTagsToStream,
        Self::CreateStream,
        Self::DecreaseStreamRetentionPeriod,
        Self::DeleteResourcePolicy,
        Self::DeleteStream,
        Self::DeregisterStreamConsumer,
        Self::DescribeAccountSettings,
        Self::DescribeLimits,
        Self::DescribeStream,
        Self::DescribeStreamConsumer,
        Self::DescribeStreamSummary,
        Self::DisableEnhancedMonitoring,
        Self::EnableEnhancedMonitoring,
        Self::GetRecords,
        Self::GetResourcePolicy,
        Self::GetShardIterator,
        Self::IncreaseStreamRetentionPeriod,
        Self::ListShards,
        Self::ListStreamConsumers,
        Self::ListStreams,
        Self::ListTagsForResource,
        Self::ListTagsForStream,
        Self::MergeShards,
        Self::PutRecord,
        Self::PutRecords,
        Self::PutResourcePolicy,
        Self::RegisterStreamConsumer,
        Self::RemoveTagsFromStream,
        Self::SplitShard,
        Self::StartStreamEncryption,
        Self::StopStreamEncryption,
        Self::SubscribeToShard,
        Self::TagResource,
        Self::UntagResource,
        Self::UpdateAccountSettings,
        Self::UpdateMaxRecordSize,
        Self::UpdateShardCount,
        Self::UpdateStreamMode,
        Self::UpdateStreamRecordDistributionStrategy,
        Self::UpdateStreamWarmThroughput,
    ];

    /// The operation of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddTagsToStream => "AddTagsToStream",
            Self::CreateStream => "CreateStream",
            Self::DecreaseStreamRetentionPeriod => "DecreaseStreamRetentionPeriod",
            Self::DeleteResourcePolicy => "DeleteResourcePolicy",
            Self::DeleteStream => "DeleteStream",
            Self::DeregisterStreamConsumer => "DeregisterStreamConsumer",
            Self::DescribeAccountSettings => "DescribeAccountSettings",
            Self::DescribeLimits => "DescribeLimits",
            Self::DescribeStream => "DescribeStream",
            Self::DescribeStreamConsumer => "DescribeStreamConsumer",
            Self::DescribeStreamSummary => "DescribeStreamSummary",
            Self::DisableEnhancedMonitoring => "DisableEnhancedMonitoring",
            Self::EnableEnhancedMonitoring => "EnableEnhancedMonitoring",
            Self::GetRecords => "GetRecords",
            Self::GetResourcePolicy => "GetResourcePolicy",
            Self::GetShardIterator => "GetShardIterator",
            Self::IncreaseStreamRetentionPeriod => "IncreaseStreamRetentionPeriod",
            Self::ListShards => "ListShards",
            Self::ListStreamConsumers => "ListStreamConsumers",
            Self::ListStreams => "ListStreams",
            Self::ListTagsForResource => "ListTagsForResource",
            Self::ListTagsForStream => "ListTagsForStream",
            Self::MergeShards => "MergeShards",
            Self::PutRecord => "PutRecord",
            Self::PutRecords => "PutRecords",
            Self::PutResourcePolicy => "PutResourcePolicy",
            Self::RegisterStreamConsumer => "RegisterStreamConsumer",
            Self::RemoveTagsFromStream => "RemoveTagsFromStream",
            Self::SplitShard => "SplitShard",
            Self::StartStreamEncryption => "StartStreamEncryption",
            Self::StopStreamEncryption => "StopStreamEncryption",
            Self::SubscribeToShard => "SubscribeToShard",
            Self::TagResource => "TagResource",
            Self::UntagResource => "UntagResource",
            Self::UpdateAccountSettings => "UpdateAccountSettings",
            Self::UpdateMaxRecordSize => "UpdateMaxRecordSize",
            Self::UpdateShardCount => "UpdateShardCount",
            Self::UpdateStreamMode => "UpdateStreamMode",
            Self::UpdateStreamRecordDistributionStrategy => "UpdateStreamRecordDistributionStrategy",
            Self::UpdateStreamWarmThroughput => "UpdateStreamWarmThroughput",
        }
    }
}

/// Every operation of the API (AWS service model of November 2026), by name.
pub const OPERATION_NAMES: [&str; 57] = [
    "AcknowledgeDeadLetterQueueRecords",
    "AcknowledgeQueueRecords",
    "AddTagsToStream",
    "CreateChannel",
    "CreateQueue",
    "CreateStream",
    "DecreaseStreamRetentionPeriod",
    "DeleteChannel",
    "DeleteQueue",
    "DeleteResourcePolicy",
    "DeleteStream",
    "DeregisterStreamConsumer",
    "DescribeAccountSettings",
    "DescribeChannel",
    "DescribeLimits",
    "DescribeQueue",
    "DescribeStream",
    "DescribeStreamConsumer",
    "DescribeStreamSummary",
    "DisableEnhancedMonitoring",
    "EnableEnhancedMonitoring",
    "GetRecords",
    "GetResourcePolicy",
    "GetShardIterator",
    "IncreaseStreamRetentionPeriod",
    "ListChannels",
    "ListQueues",
    "ListShards",
    "ListStreamConsumers",
    "ListStreams",
    "ListTagsForResource",
    "ListTagsForStream",
    "MergeShards",
    "PutRecord",
    "PutRecords",
    "PutResourcePolicy",
    "ReceiveDeadLetterQueueRecords",
    "ReceiveQueueRecords",
    "RegisterStreamConsumer",
    "RemoveTagsFromStream",
    "RestoreDeadLetterQueueRecords",
    "SplitShard",
    "StartStreamEncryption",
    "StopStreamEncryption",
    "SubscribeToShard",
    "TagResource",
    "UntagResource",
    "UpdateAccountSettings",
    "UpdateChannel",
    "UpdateDeadLetterQueueRecordsVisibility",
    "UpdateMaxRecordSize",
    "UpdateQueue",
    "UpdateQueueRecordsVisibility",
    "UpdateShardCount",
    "UpdateStreamMode",
    "UpdateStreamRecordDistributionStrategy",
    "UpdateStreamWarmThroughput",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_name() {
        for operation in Operation::ALL {
            assert_eq!(Operation::parse(operation.name()), Some(operation));
            assert!(OPERATION_NAMES.contains(&operation.name()));
        }
        assert_eq!(Operation::parse("PutRecordz"), None);
    }
}
