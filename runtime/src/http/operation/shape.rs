//! Domain types as wire shapes, for the operations that describe streams and shards.

use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::settings::{Distribution, Settings};
use tidemill_stream::shard::{HashRange, Shard, ShardIndex};
use tidemill_stream::stream::{Stream, StreamMode, StreamStatus};
use tidemill_wire as wire;

pub(super) fn shard(stream: &Stream, shard: &Shard) -> wire::Shard {
    let ending = |closed: tidemill_stream::shard::Closed| SequenceNumber::new(shard, closed.position, closed.at);
    wire::Shard {
        shard_id: shard.index.to_string(),
        parent_shard_id: shard.parents.first().map(ShardIndex::to_string),
        adjacent_parent_shard_id: shard.parents.get(1).map(ShardIndex::to_string),
        hash_key_range: range(shard.range),
        sequence_number_range: wire::SequenceNumberRange {
            starting_sequence_number: stream.starting_sequence_number(shard).to_string(),
            ending_sequence_number: shard.closed.map(ending).map(|number| number.to_string()),
        },
    }
}

/// The shards that continue `parent`.
pub(super) fn children(stream: &Stream, parent: ShardIndex) -> Vec<wire::ChildShard> {
    let child = |shard: &Shard| wire::ChildShard {
        shard_id: shard.index.to_string(),
        parent_shards: shard.parents.iter().map(ShardIndex::to_string).collect(),
        hash_key_range: range(shard.range),
    };
    stream.children(parent).map(child).collect()
}

/// The ids of the shards that continue `parent`, for the log.
pub(super) fn ids(stream: &Stream, parent: ShardIndex) -> String {
    let ids: Vec<String> = stream.children(parent).map(|child| child.index.to_string()).collect();
    ids.join(", ")
}

fn range(range: HashRange) -> wire::HashKeyRange {
    wire::HashKeyRange { starting_hash_key: range.start.to_string(), ending_hash_key: range.end.to_string() }
}

pub(super) fn status(stream: &Stream) -> String {
    let status = match stream.status {
        StreamStatus::Creating => "CREATING",
        StreamStatus::Deleting => "DELETING",
        StreamStatus::Active => "ACTIVE",
        StreamStatus::Updating => "UPDATING",
    };
    status.to_owned()
}

pub(super) fn mode(stream: &Stream) -> wire::StreamModeDetails {
    let mode = match stream.mode {
        StreamMode::Provisioned => "PROVISIONED",
        StreamMode::OnDemand => "ON_DEMAND",
    };
    wire::StreamModeDetails { stream_mode: Some(mode.to_owned()) }
}

/// What is said of records of an encrypted stream.
pub(super) fn encrypted(stream: &Stream) -> Option<String> {
    stream.encryption.as_ref().map(|_| "KMS".to_owned())
}

/// What is said of a stream.
pub(super) fn encryption_type(stream: &Stream) -> Option<String> {
    encrypted(stream).or_else(|| Some("NONE".to_owned()))
}

pub(super) fn key_id(stream: &Stream) -> Option<String> {
    stream.encryption.as_ref().map(|encryption| encryption.key_id.clone())
}

pub(super) fn retention_hours(stream: &Stream) -> u64 {
    stream.retention.as_secs() / 3600
}

pub(super) fn created(stream: &Stream) -> wire::Timestamp {
    wire::Timestamp::from_millis(stream.created.as_millis())
}

/// Clients expect one entry, also where no metric is switched on.
pub(super) fn monitoring(stream: &Stream) -> Vec<wire::EnhancedMetrics> {
    vec![wire::EnhancedMetrics { shard_level_metrics: metrics(&stream.settings) }]
}

pub(super) fn metrics(settings: &Settings) -> Vec<String> {
    // The wire's names are those of the variants.
    settings.shard_metrics.iter().map(|metric| format!("{metric:?}")).collect()
}

/// The throughput that an on-demand stream shall be ready for, where it was set. It is ready at once.
pub(super) fn warm_throughput(stream: &Stream) -> Option<wire::WarmThroughput> {
    let mibps = stream.settings.warm_throughput_mibps.map(u64::from)?;
    Some(wire::WarmThroughput { target_mibps: Some(mibps), current_mibps: Some(mibps) })
}

/// How the records of an on-demand stream find their shard; those of a provisioned one have no choice.
pub(super) fn distribution(stream: &Stream) -> Option<String> {
    match (stream.mode, stream.settings.distribution) {
        (StreamMode::Provisioned, _) => None,
        (StreamMode::OnDemand, Distribution::Even) => Some("AUTO".to_owned()),
        (StreamMode::OnDemand, Distribution::PartitionKey) => Some("USER_PARTITION_KEY".to_owned()),
    }
}
