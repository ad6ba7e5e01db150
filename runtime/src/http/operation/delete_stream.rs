//! `DeleteStream`.

use tidemill_wire::DeleteStreamRequest;

use crate::http::constraint::StreamRef;
use crate::http::context::Context;
use crate::http::error::ApiError;

/// The stream is gone when this returns, and its consumers with it.
pub(super) async fn run(context: &Context<'_>, request: DeleteStreamRequest) -> Result<(), ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let name = check.finish(name)?;
    let known = context.stream(&name)?;
    let deleted = match request.enforce_consumer_deletion {
        Some(true) => context.store().delete_stream(&name).await,
        Some(false) | None => context.store().delete_stream_without_consumers(&name).await,
    };
    deleted.map_err(|error| ApiError::of_delete(error, context.account()))?;
    if let Some(delays) = &context.state.delays {
        delays.note_deleted(&known, context.now());
    }
    tracing::info!(stream = %name, "stream deleted");
    Ok(())
}
