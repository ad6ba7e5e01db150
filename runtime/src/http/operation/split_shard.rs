//! `SplitShard`.

use tidemill_stream::shard::HashKey;
use tidemill_wire::SplitShardRequest;

use super::shape;
use crate::http::constraint::{At, HASH_KEY, SHARD_ID, StreamRef};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::quota;

/// The children take records when this returns.
pub(super) async fn run(context: &Context<'_>, request: SplitShardRequest) -> Result<(), ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let shard = check.required_text(At::Member("shardToSplit"), request.shard_to_split.as_deref(), &SHARD_ID);
    let at = At::Member("newStartingHashKey");
    let start = check.required_text(at, request.new_starting_hash_key.as_deref(), &HASH_KEY);
    let parsed = start.and_then(|text| text.parse().ok()).map(HashKey);
    if let (Some(text), None) = (start, parsed) {
        check.invalid(format!("NewStartingHashKey {text} is invalid: it must lie between 0 and 2^128-1."));
    }
    let checked = name.zip(shard).zip(parsed);
    let ((name, shard), new_start) = check.finish(checked)?;
    context.stream(&name)?;
    let shard = context.shard(&name, shard)?;
    quota::check_shards(context, 1)?;
    let split = context.store().split_shard(&name, shard, new_start).await;
    let stream = split.map_err(|error| ApiError::of_reshard(error, &name, context.account()))?;
    tracing::info!(stream = %name, %shard, children = shape::ids(&stream, shard), "shard split");
    Ok(())
}
