//! `DescribeStreamSummary`.

use tidemill_wire::{DescribeStreamSummaryRequest, DescribeStreamSummaryResponse, StreamDescriptionSummary};

use super::shape;
use crate::http::constraint::StreamRef;
use crate::http::context::Context;
use crate::http::error::ApiError;

pub(super) async fn run(
    context: &Context<'_>,
    request: &DescribeStreamSummaryRequest,
) -> Result<DescribeStreamSummaryResponse, ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let stream = context.stream(&check.finish(name)?)?;
    let consumers = context.store().attached(&stream).await?.consumers_count();
    let summary = StreamDescriptionSummary {
        stream_name: stream.name.to_string(),
        stream_arn: context.arn(&stream.name),
        stream_status: shape::status(&stream),
        stream_mode_details: Some(shape::mode(&stream)),
        retention_period_hours: shape::retention_hours(&stream),
        stream_creation_timestamp: shape::created(&stream),
        enhanced_monitoring: shape::monitoring(&stream),
        encryption_type: shape::encryption_type(&stream),
        key_id: shape::key_id(&stream),
        open_shard_count: stream.open_shards().count() as u64,
        consumer_count: Some(consumers as u64),
        max_record_size_kib: Some(u64::from(stream.settings.record_kib_max)),
        warm_throughput: shape::warm_throughput(&stream),
        record_distribution_strategy: shape::distribution(&stream),
    };
    Ok(DescribeStreamSummaryResponse { stream_description_summary: summary })
}
