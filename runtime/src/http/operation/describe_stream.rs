//! `DescribeStream`.

use tidemill_stream::shard::ShardIndex;
use tidemill_wire::{DescribeStreamRequest, DescribeStreamResponse, StreamDescription};

use super::shape;
use crate::http::constraint::{At, StreamRef};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::limits::DESCRIBE_SHARDS_MAX;

pub(super) fn run(context: &Context<'_>, request: &DescribeStreamRequest) -> Result<DescribeStreamResponse, ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let limit = check.integer(At::Member("limit"), request.limit, 1..=10_000);
    let after = check.start_shard(request.exclusive_start_shard_id.as_deref());
    let stream = context.stream(&check.finish(name)?)?;
    let page = limit.map_or(DESCRIBE_SHARDS_MAX, |limit| limit as usize).min(DESCRIBE_SHARDS_MAX);
    let behind = |index: ShardIndex| after.is_none_or(|after| index > after);
    let mut shards = stream.shards.iter().filter(|shard| behind(shard.index));
    let description = StreamDescription {
        stream_name: stream.name.to_string(),
        stream_arn: context.arn(&stream.name),
        stream_status: shape::status(&stream),
        stream_mode_details: Some(shape::mode(&stream)),
        shards: shards.by_ref().take(page).map(|shard| shape::shard(&stream, shard)).collect(),
        has_more_shards: shards.next().is_some(),
        retention_period_hours: shape::retention_hours(&stream),
        stream_creation_timestamp: shape::created(&stream),
        enhanced_monitoring: shape::monitoring(&stream),
        encryption_type: shape::encryption_type(&stream),
        key_id: shape::key_id(&stream),
    };
    Ok(DescribeStreamResponse { stream_description: description })
}
