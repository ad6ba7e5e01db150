//! `CreateStream`.

use tidemill_stream::attached::Tags;
use tidemill_stream::create::{CreateStreamError, NewStream};
use tidemill_stream::limits::{ON_DEMAND_SHARDS_MIN, RETENTION_DEFAULT};
use tidemill_stream::name::StreamName;
use tidemill_stream::settings::Settings;
use tidemill_stream::stream::StreamMode;
use tidemill_wire::CreateStreamRequest;
use tracing::Span;

use super::record_distribution::{self, STRATEGIES};
use super::warm_throughput;
use crate::http::constraint::{At, Check, STREAM_NAME};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::quota;

pub(super) const MODES: [(&str, StreamMode); 2] =
    [("PROVISIONED", StreamMode::Provisioned), ("ON_DEMAND", StreamMode::OnDemand)];

/// The stream takes records when this returns.
pub(super) async fn run(context: &Context<'_>, mut request: CreateStreamRequest) -> Result<(), ApiError> {
    let tags = request.tags.take();
    let (name, new) = check(context, &request, tags)?;
    Span::current().record("stream", name.as_str());
    record_distribution::check_mode(new.settings.distribution, new.mode)?;
    if let Some(mibps) = new.settings.warm_throughput_mibps {
        warm_throughput::check_allowed(context, new.mode, mibps).await?;
    }
    if context.is_deleting(&name) {
        return Err(ApiError::of_create(CreateStreamError::Exists(name), context.account()));
    }
    if context.store().stream(&name).is_err() {
        check_quotas(context, &new)?;
    }
    let created = context.store().create_stream_as(&name, new).await;
    let stream = created.map_err(|error| ApiError::of_create(error, context.account()))?;
    tracing::info!(stream = %stream.name, id = %stream.id, shards = stream.shards.len(), "stream created");
    Ok(())
}

/// A name that is taken is told before a quota is.
fn check_quotas(context: &Context<'_>, new: &NewStream) -> Result<(), ApiError> {
    match new.mode {
        StreamMode::OnDemand => quota::check_on_demand_streams(context)?,
        StreamMode::Provisioned => {}
    }
    quota::check_shards(context, new.shards as usize)
}

fn check(
    context: &Context<'_>,
    request: &CreateStreamRequest,
    tags: Option<Tags>,
) -> Result<(StreamName, NewStream), ApiError> {
    let mut check = context.check();
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
    let settings = settings(&mut check, request);
    let tags = check.tags(tags).unwrap_or_default();
    let name = name.and_then(|name| check.named(name).ok());
    let ((name, mode), shards) = check.finish(name.zip(mode).zip(shards))?;
    Ok((name, NewStream { shards, mode, retention: RETENTION_DEFAULT, settings, tags }))
}

/// Without a word about it, a stream is provisioned.
fn mode(check: &mut Check<'_>, request: &CreateStreamRequest) -> Option<StreamMode> {
    let at = At::Member("streamModeDetails.streamMode");
    match &request.stream_mode_details {
        None => Some(StreamMode::Provisioned),
        Some(details) => {
            let word = check.required(at, details.stream_mode.as_deref());
            check.word(at, word, &MODES)
        }
    }
}

fn settings(check: &mut Check<'_>, request: &CreateStreamRequest) -> Settings {
    let default = Settings::default();
    let strategy = request.record_distribution_strategy.as_deref();
    let strategy = check.word(At::Member("recordDistributionStrategy"), strategy, &STRATEGIES);
    Settings {
        record_kib_max: check.record_kib(request.max_record_size_kib).unwrap_or(default.record_kib_max),
        distribution: strategy.unwrap_or(default.distribution),
        warm_throughput_mibps: check.warm_throughput(request.warm_throughput_mibps),
        shard_metrics: default.shard_metrics,
    }
}
