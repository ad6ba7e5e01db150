//! `CreateStream`.

use tidemill_stream::limits::{ON_DEMAND_SHARDS_MIN, RECORD_BYTES_MAX, RETENTION_DEFAULT};
use tidemill_stream::name::StreamName;
use tidemill_stream::stream::StreamMode;
use tidemill_wire::CreateStreamRequest;
use tracing::Span;

use crate::http::constraint::{At, Check, STREAM_NAME};
use crate::http::context::Context;
use crate::http::error::ApiError;

pub(super) const MODES: [(&str, StreamMode); 2] =
    [("PROVISIONED", StreamMode::Provisioned), ("ON_DEMAND", StreamMode::OnDemand)];
const STRATEGIES: [(&str, Strategy); 2] = [("AUTO", Strategy::Auto), ("USER_PARTITION_KEY", Strategy::PartitionKey)];

#[derive(Debug, Clone, Copy)]
enum Strategy {
    Auto,
    PartitionKey,
}

/// The stream takes records when this returns. Tags are accepted and not kept.
pub(super) async fn run(context: &Context<'_>, request: CreateStreamRequest) -> Result<(), ApiError> {
    let (name, mode, shards) = check(&request)?;
    Span::current().record("stream", name.as_str());
    let created = context.store().create_stream(&name, shards, mode, RETENTION_DEFAULT).await;
    let stream = created.map_err(|error| ApiError::of_create(error, context.account()))?;
    tracing::info!(stream = %stream.name, id = %stream.id, shards, "stream created");
    Ok(())
}

fn check(request: &CreateStreamRequest) -> Result<(StreamName, StreamMode, u32), ApiError> {
    let mut check = Check::default();
    let name = check.required_text(At::Member("streamName"), request.stream_name.as_deref(), &STREAM_NAME);
    let count = check.integer(At::Member("shardCount"), request.shard_count, 1..=u32::MAX);
    let mode = mode(&mut check, request);
    let shards = match mode {
        Some(StreamMode::OnDemand) => {
            if request.shard_count.is_some() {
                check.invalid("ShardCount is for PROVISIONED streams: an ON_DEMAND stream sets its own.");
            }
            Some(ON_DEMAND_SHARDS_MIN)
        }
        Some(StreamMode::Provisioned) => {
            check.required(At::Member("shardCount"), request.shard_count);
            count
        }
        None => None,
    };
    check_settings(&mut check, request);
    let name = name.and_then(|name| StreamName::parse(name).ok());
    let checked = name.zip(mode).zip(shards).map(|((name, mode), shards)| (name, mode, shards));
    check.finish(checked)
}

/// Without a word about it, a stream is provisioned.
fn mode(check: &mut Check, request: &CreateStreamRequest) -> Option<StreamMode> {
    let at = At::Member("streamModeDetails.streamMode");
    match &request.stream_mode_details {
        None => Some(StreamMode::Provisioned),
        Some(details) => {
            let word = check.required(at, details.stream_mode.as_deref());
            check.word(at, word, &MODES)
        }
    }
}

/// Settings that would change what a record may be: only the defaults are served.
fn check_settings(check: &mut Check, request: &CreateStreamRequest) {
    let record_kib = (RECORD_BYTES_MAX / 1024) as u32;
    let size = check.integer(At::Member("maxRecordSizeInKiB"), request.max_record_size_kib, 1024..=10_240);
    if let Some(size) = size.filter(|size| *size != record_kib) {
        check.invalid(format!("MaxRecordSizeInKiB {size} is not supported: records have up to {record_kib} KiB."));
    }
    let strategy = request.record_distribution_strategy.as_deref();
    match check.word(At::Member("recordDistributionStrategy"), strategy, &STRATEGIES) {
        Some(Strategy::Auto) => {
            check.invalid("RecordDistributionStrategy AUTO is not supported: use USER_PARTITION_KEY.");
        }
        Some(Strategy::PartitionKey) | None => {}
    }
}
