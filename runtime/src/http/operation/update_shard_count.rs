//! `UpdateShardCount`.

use tidemill_stream::reshard::Scale;
use tidemill_wire::{UpdateShardCountRequest, UpdateShardCountResponse};

use crate::http::constraint::{At, StreamRef};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::quota;

const SCALING_TYPES: [(&str, Uniform); 1] = [("UNIFORM_SCALING", Uniform)];

/// All open shards are of one size: the only way to scale that there is.
#[derive(Debug, Clone, Copy)]
struct Uniform;

/// The stream has its new shards when this returns.
pub(super) async fn run(
    context: &Context<'_>,
    request: UpdateShardCountRequest,
) -> Result<UpdateShardCountResponse, ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let at = At::Member("targetShardCount");
    let target = check.required(at, request.target_shard_count);
    let target = check.integer(at, target, 1..=u32::MAX);
    let at = At::Member("scalingType");
    let scaling = check.required(at, request.scaling_type.as_deref());
    let scaling = check.word(at, scaling, &SCALING_TYPES);
    let ((name, target), Uniform) = check.finish(name.zip(target).zip(scaling))?;
    let current = context.stream(&name)?.open_shards().count() as u64;
    quota::check_shards(context, (target as usize).saturating_sub(current as usize))?;
    let updated = context.store().update_shard_count(&name, target, Scale::Twofold).await;
    let stream = updated.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    tracing::info!(stream = %name, from = current, to = target, "the number of shards was changed");
    Ok(UpdateShardCountResponse {
        stream_name: stream.name.to_string(),
        current_shard_count: current,
        target_shard_count: u64::from(target),
        stream_arn: Some(context.arn(&name)),
    })
}
