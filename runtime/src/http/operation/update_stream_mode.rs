//! `UpdateStreamMode`.

use tidemill_stream::stream::StreamMode;
use tidemill_wire::UpdateStreamModeRequest;

use super::create_stream::MODES;
use super::warm_throughput;
use crate::http::constraint::At;
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::quota;

/// The stream is of that mode when this returns.
pub(super) async fn run(context: &Context<'_>, request: UpdateStreamModeRequest) -> Result<(), ApiError> {
    let mut check = context.check();
    let name = check.stream_by_arn(request.stream_arn.as_deref(), request.stream_id.as_deref());
    let details = check.required(At::Member("streamModeDetails"), request.stream_mode_details.as_ref());
    let at = At::Member("streamModeDetails.streamMode");
    let word = details.and_then(|details| check.required(at, details.stream_mode.as_deref()));
    let mode = check.word(at, word, &MODES);
    let warm = check.warm_throughput(request.warm_throughput_mibps);
    let (name, mode) = check.finish(name.zip(mode))?;
    let stream = context.stream(&name)?;
    if mode == StreamMode::OnDemand && stream.mode != mode {
        quota::check_on_demand_streams(context)?;
    }
    if let Some(mibps) = warm {
        warm_throughput::check_allowed(context, mode, mibps).await?;
    }
    let changed = context.store().set_mode(&name, mode).await;
    changed.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    if warm.is_some() {
        let set = context.store().change_settings(&name, move |settings| settings.warm_throughput_mibps = warm).await;
        set.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    }
    tracing::info!(stream = %name, ?mode, "the mode was changed");
    Ok(())
}
