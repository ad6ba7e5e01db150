//! `UpdateStreamWarmThroughput`, and the same setting in `CreateStream` and `UpdateStreamMode`. It is kept and told again:
//! shards have no throughput of their own that could be too small.

use tidemill_stream::stream::StreamMode;
use tidemill_wire::{UpdateStreamWarmThroughputRequest, UpdateStreamWarmThroughputResponse};

use super::shape;
use crate::http::constraint::{At, StreamRef};
use crate::http::context::Context;
use crate::http::error::{ApiError, ErrorKind};
use crate::http::limits::WARM_THROUGHPUT_MIBPS_MAX;

pub(super) async fn run(
    context: &Context<'_>,
    request: &UpdateStreamWarmThroughputRequest,
) -> Result<UpdateStreamWarmThroughputResponse, ApiError> {
    let mut check = context.check();
    let UpdateStreamWarmThroughputRequest { stream_name, stream_arn, stream_id, warm_throughput_mibps } = request;
    let given = StreamRef { name: stream_name.as_deref(), arn: stream_arn.as_deref(), id: stream_id.as_deref() };
    let name = check.stream(given);
    let mibps = check.required(At::Member("warmThroughputMiBps"), *warm_throughput_mibps);
    let mibps = check.warm_throughput(mibps);
    let (name, mibps) = check.finish(name.zip(mibps))?;
    check_allowed(context, context.stream(&name)?.mode, mibps).await?;
    let changed = context.store().change_settings(&name, move |settings| settings.warm_throughput_mibps = Some(mibps));
    let changed = changed.await.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    Ok(UpdateStreamWarmThroughputResponse {
        stream_name: Some(name.to_string()),
        stream_arn: Some(context.arn(&name)),
        warm_throughput: shape::warm_throughput(&changed.stream),
    })
}

/// Whether a stream of this mode may have it.
pub(super) async fn check_allowed(context: &Context<'_>, mode: StreamMode, mibps: u32) -> Result<(), ApiError> {
    let refused = |message: &str| Err(ApiError::new(ErrorKind::Validation, message));
    if mode == StreamMode::Provisioned {
        return refused("WarmThroughputMiBps is for ON_DEMAND streams: a PROVISIONED one has shards.");
    }
    if mibps > WARM_THROUGHPUT_MIBPS_MAX {
        let message = format!("WarmThroughputMiBps {mibps} is too much: the most is {WARM_THROUGHPUT_MIBPS_MAX}.");
        return Err(ApiError::new(ErrorKind::LimitExceeded, message));
    }
    if !context.is_committed().await? {
        return refused(
            "WarmThroughputMiBps needs MinimumThroughputBillingCommitment: enable it with UpdateAccountSettings.",
        );
    }
    Ok(())
}
