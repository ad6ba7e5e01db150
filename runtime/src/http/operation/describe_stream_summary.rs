//! `DescribeStreamSummary`.

use tidemill_stream::limits::RECORD_BYTES_MAX;
use tidemill_wire::{DescribeStreamSummaryRequest, DescribeStreamSummaryResponse, StreamDescriptionSummary};

use super::shape;
use crate::http::constraint::Check;
use crate::http::context::Context;
use crate::http::error::ApiError;

pub(super) fn run(
    context: &Context<'_>,
    request: &DescribeStreamSummaryRequest,
) -> Result<DescribeStreamSummaryResponse, ApiError> {
    let mut check = Check::default();
    let name = check.stream(request.stream_name.as_deref(), request.stream_arn.as_deref());
    let stream = context.stream(&check.finish(name)?)?;
    let summary = StreamDescriptionSummary {
        stream_name: stream.name.to_string(),
        stream_arn: context.arn(&stream.name),
        stream_status: shape::status(&stream),
        stream_mode_details: Some(shape::mode(&stream)),
        retention_period_hours: shape::retention_hours(&stream),
        stream_creation_timestamp: shape::created(&stream),
        enhanced_monitoring: shape::no_monitoring(),
        encryption_type: Some("NONE".to_owned()),
        open_shard_count: stream.open_shards().count() as u64,
        consumer_count: Some(0),
        max_record_size_kib: Some(RECORD_BYTES_MAX as u64 / 1024),
    };
    Ok(DescribeStreamSummaryResponse { stream_description_summary: summary })
}
