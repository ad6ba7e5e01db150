//! `IncreaseStreamRetentionPeriod` and `DecreaseStreamRetentionPeriod`. The length that a stream has is no error for either.

use std::time::Duration;

use tidemill_stream::retention::RetentionChange;
use tidemill_wire::StreamRetentionPeriodRequest;
use tracing::Span;

use crate::http::constraint::{At, StreamRef};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::limits::{RETENTION_MAX, RETENTION_MIN};

const SECONDS_PER_HOUR: u64 = 3600;

pub(super) async fn increase(context: &Context<'_>, request: StreamRetentionPeriodRequest) -> Result<(), ApiError> {
    change(context, request, RetentionChange::Increase).await
}

pub(super) async fn decrease(context: &Context<'_>, request: StreamRetentionPeriodRequest) -> Result<(), ApiError> {
    change(context, request, RetentionChange::Decrease).await
}

/// The new length counts when this returns.
async fn change(
    context: &Context<'_>,
    request: StreamRetentionPeriodRequest,
    change: fn(Duration) -> RetentionChange,
) -> Result<(), ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let hours = check.required(At::Member("retentionPeriodHours"), request.retention_period_hours);
    let (name, hours) = check.finish(name.zip(hours))?;
    Span::current().record("stream", name.as_str());
    context.stream(&name)?;
    let changed = context.store().set_retention(&name, change(retention(hours)?)).await;
    changed.map_err(|error| ApiError::of_retention(error, context.account()))?;
    tracing::info!(stream = %name, hours, "retention changed");
    Ok(())
}

fn retention(hours: i64) -> Result<Duration, ApiError> {
    let [shortest, longest] = [RETENTION_MIN, RETENTION_MAX].map(|limit| limit.as_secs() / SECONDS_PER_HOUR);
    match u64::try_from(hours) {
        Ok(hours) if (shortest..=longest).contains(&hours) => Ok(Duration::from_secs(hours * SECONDS_PER_HOUR)),
        Ok(hours) if hours > longest => {
            let message = format!("RetentionPeriodHours {hours} is too long: the most is {longest} hours.");
            Err(ApiError::invalid(message))
        }
        Ok(_) | Err(_) => {
            let message = format!("RetentionPeriodHours {hours} is too short: the least is {shortest} hours.");
            Err(ApiError::invalid(message))
        }
    }
}
