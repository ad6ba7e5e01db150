//! `DeleteStream`.

use tidemill_wire::DeleteStreamRequest;
use tracing::Span;

use crate::http::constraint::Check;
use crate::http::context::Context;
use crate::http::error::ApiError;

/// The stream is gone when this returns. No stream has consumers yet, so `EnforceConsumerDeletion` changes nothing.
pub(super) async fn run(context: &Context<'_>, request: DeleteStreamRequest) -> Result<(), ApiError> {
    let mut check = Check::default();
    let name = check.stream(request.stream_name.as_deref(), request.stream_arn.as_deref());
    let name = check.finish(name)?;
    Span::current().record("stream", name.as_str());
    let deleted = context.store().delete_stream(&name).await;
    deleted.map_err(|error| ApiError::of_delete(error, context.account()))?;
    tracing::info!(stream = %name, "stream deleted");
    Ok(())
}
