//! `EnableEnhancedMonitoring` and `DisableEnhancedMonitoring`. What is asked for is kept and told again; the node's own
//! metrics are the same whatever it is.

use std::collections::BTreeSet;

use tidemill_stream::settings::{Settings, ShardMetric};
use tidemill_wire::{EnhancedMonitoringRequest, EnhancedMonitoringResponse};

use super::shape;
use crate::http::constraint::{At, StreamRef};
use crate::http::context::Context;
use crate::http::error::ApiError;

/// A word of the request: a metric, or all of them.
#[derive(Debug, Clone, Copy)]
enum Asked {
    One(ShardMetric),
    All,
}

const WORDS: [(&str, Asked); 8] = [
    ("IncomingBytes", Asked::One(ShardMetric::IncomingBytes)),
    ("IncomingRecords", Asked::One(ShardMetric::IncomingRecords)),
    ("OutgoingBytes", Asked::One(ShardMetric::OutgoingBytes)),
    ("OutgoingRecords", Asked::One(ShardMetric::OutgoingRecords)),
    ("WriteProvisionedThroughputExceeded", Asked::One(ShardMetric::WriteProvisionedThroughputExceeded)),
    ("ReadProvisionedThroughputExceeded", Asked::One(ShardMetric::ReadProvisionedThroughputExceeded)),
    ("IteratorAgeMilliseconds", Asked::One(ShardMetric::IteratorAgeMilliseconds)),
    ("ALL", Asked::All),
];

pub(super) async fn enable(
    context: &Context<'_>,
    request: &EnhancedMonitoringRequest,
) -> Result<EnhancedMonitoringResponse, ApiError> {
    change(context, request, |settings, asked| settings.shard_metrics.extend(asked)).await
}

pub(super) async fn disable(
    context: &Context<'_>,
    request: &EnhancedMonitoringRequest,
) -> Result<EnhancedMonitoringResponse, ApiError> {
    change(context, request, |settings, asked| settings.shard_metrics.retain(|metric| !asked.contains(metric))).await
}

async fn change(
    context: &Context<'_>,
    request: &EnhancedMonitoringRequest,
    apply: fn(&mut Settings, &BTreeSet<ShardMetric>),
) -> Result<EnhancedMonitoringResponse, ApiError> {
    let mut check = context.check();
    let EnhancedMonitoringRequest { stream_name, stream_arn, stream_id, shard_level_metrics } = request;
    let given = StreamRef { name: stream_name.as_deref(), arn: stream_arn.as_deref(), id: stream_id.as_deref() };
    let name = check.stream(given);
    let at = At::Member("shardLevelMetrics");
    let metrics = check.required(at, shard_level_metrics.as_deref());
    let metrics = check.words(at, metrics, &WORDS, 1..=7);
    let (name, metrics) = check.finish(name.zip(metrics))?;
    context.stream(&name)?;
    let asked: BTreeSet<ShardMetric> = metrics.into_iter().flat_map(meant).collect();
    let changed = context.store().change_settings(&name, move |settings| apply(settings, &asked)).await;
    let changed = changed.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    Ok(EnhancedMonitoringResponse {
        stream_name: name.to_string(),
        current_shard_level_metrics: shape::metrics(&changed.before),
        desired_shard_level_metrics: shape::metrics(&changed.stream.settings),
        stream_arn: Some(context.arn(&name)),
    })
}

fn meant(asked: Asked) -> Vec<ShardMetric> {
    match asked {
        Asked::All => ShardMetric::ALL.to_vec(),
        Asked::One(metric) => vec![metric],
    }
}
