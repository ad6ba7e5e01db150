//! `MergeShards`.

use tidemill_wire::MergeShardsRequest;

use super::shape;
use crate::http::constraint::{At, SHARD_ID, StreamRef};
use crate::http::context::Context;
use crate::http::error::ApiError;

/// The child takes records when this returns.
pub(super) async fn run(context: &Context<'_>, request: MergeShardsRequest) -> Result<(), ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let one = check.required_text(At::Member("shardToMerge"), request.shard_to_merge.as_deref(), &SHARD_ID);
    let other = request.adjacent_shard_to_merge.as_deref();
    let other = check.required_text(At::Member("adjacentShardToMerge"), other, &SHARD_ID);
    let ((name, one), other) = check.finish(name.zip(one).zip(other))?;
    context.stream(&name)?;
    let (one, other) = (context.shard(&name, one)?, context.shard(&name, other)?);
    let merged = context.store().merge_shards(&name, one, other).await;
    let stream = merged.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    tracing::info!(stream = %name, %one, %other, child = shape::ids(&stream, one), "shards merged");
    Ok(())
}
