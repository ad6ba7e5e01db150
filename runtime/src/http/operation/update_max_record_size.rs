//! `UpdateMaxRecordSize`.

use tidemill_wire::UpdateMaxRecordSizeRequest;

use crate::http::constraint::{At, StreamRef};
use crate::http::context::Context;
use crate::http::error::ApiError;

/// Puts keep to the new size when this returns. Larger records that are there stay.
pub(super) async fn run(context: &Context<'_>, request: UpdateMaxRecordSizeRequest) -> Result<(), ApiError> {
    let mut check = context.check();
    let given = StreamRef { name: None, arn: request.stream_arn.as_deref(), id: request.stream_id.as_deref() };
    let name = check.stream(given);
    let kib = check.required(At::Member("maxRecordSizeInKiB"), request.max_record_size_kib);
    let kib = check.record_kib(kib);
    let (name, kib) = check.finish(name.zip(kib))?;
    context.stream(&name)?;
    let changed = context.store().change_settings(&name, move |settings| settings.record_kib_max = kib).await;
    changed.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    tracing::info!(stream = %name, kib, "the size of records was changed");
    Ok(())
}
