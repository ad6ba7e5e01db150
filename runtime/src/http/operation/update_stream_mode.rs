//! `UpdateStreamMode`.

use tidemill_wire::UpdateStreamModeRequest;

use super::create_stream::MODES;
use crate::http::constraint::{At, Check};
use crate::http::context::Context;
use crate::http::error::ApiError;

/// The stream is of that mode when this returns. The throughput that callers may ask for is accepted and not kept.
pub(super) async fn run(context: &Context<'_>, request: UpdateStreamModeRequest) -> Result<(), ApiError> {
    let mut check = Check::default();
    let arn = check.required(At::Member("streamARN"), request.stream_arn.as_deref());
    let name = arn.and_then(|arn| check.stream(None, Some(arn)));
    let details = check.required(At::Member("streamModeDetails"), request.stream_mode_details.as_ref());
    let at = At::Member("streamModeDetails.streamMode");
    let word = details.and_then(|details| check.required(at, details.stream_mode.as_deref()));
    let mode = check.word(at, word, &MODES);
    let (name, mode) = check.finish(name.zip(mode))?;
    let changed = context.store().set_mode(&name, mode).await;
    changed.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    tracing::info!(stream = %name, ?mode, "the mode was changed");
    Ok(())
}
