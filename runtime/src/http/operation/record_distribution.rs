//! `UpdateStreamRecordDistributionStrategy`.

use tidemill_stream::settings::Distribution;
use tidemill_stream::stream::StreamMode;
use tidemill_wire::UpdateStreamRecordDistributionStrategyRequest;

use crate::http::constraint::At;
use crate::http::context::Context;
use crate::http::error::ApiError;

pub(super) const STRATEGIES: [(&str, Distribution); 2] =
    [("AUTO", Distribution::Even), ("USER_PARTITION_KEY", Distribution::PartitionKey)];

/// Puts are distributed that way when this returns.
pub(super) async fn run(
    context: &Context<'_>,
    request: UpdateStreamRecordDistributionStrategyRequest,
) -> Result<(), ApiError> {
    let mut check = context.check();
    let name = check.stream_by_arn(request.stream_arn.as_deref(), request.stream_id.as_deref());
    let at = At::Member("recordDistributionStrategy");
    let strategy = check.required(at, request.record_distribution_strategy.as_deref());
    let strategy = check.word(at, strategy, &STRATEGIES);
    let (name, distribution) = check.finish(name.zip(strategy))?;
    check_mode(distribution, context.stream(&name)?.mode)?;
    let changed = context.store().change_settings(&name, move |settings| settings.distribution = distribution).await;
    changed.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    tracing::info!(stream = %name, ?distribution, "the distribution of records was changed");
    Ok(())
}

pub(super) fn check_mode(distribution: Distribution, mode: StreamMode) -> Result<(), ApiError> {
    match (distribution, mode) {
        (Distribution::Even, StreamMode::Provisioned) => Err(ApiError::invalid(
            "RecordDistributionStrategy AUTO is for ON_DEMAND streams: a PROVISIONED one has USER_PARTITION_KEY.",
        )),
        (Distribution::Even, StreamMode::OnDemand) | (Distribution::PartitionKey, _) => Ok(()),
    }
}
