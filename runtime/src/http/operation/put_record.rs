//! `PutRecord`.

use tidemill_stream::sequence::SequenceNumber;
use tidemill_wire::{PutRecordRequest, PutRecordResponse, PutRecordsEntry};

use super::put_records::{keys, record};
use super::shape;
use crate::http::constraint::{At, Check, SEQUENCE_NUMBER, StreamRef};
use crate::http::context::{Context, stop_dry_run};
use crate::http::error::ApiError;

pub(super) async fn run(context: &Context<'_>, request: PutRecordRequest<'_>) -> Result<PutRecordResponse, ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let PutRecordRequest { data, partition_key, explicit_hash_key, sequence_number_for_ordering, dry_run, .. } =
        request;
    let keys = keys(context, name.as_ref());
    let entry = PutRecordsEntry { data, partition_key, explicit_hash_key };
    let record = record(&mut check, At::Member, entry, keys);
    check_ordering(&mut check, sequence_number_for_ordering.as_deref());
    let (name, record) = check.finish(name.zip(record))?;
    let stream = context.stream(&name)?;
    stop_dry_run(dry_run)?;
    let put = context.store().put(&name, vec![record]).await;
    let outcomes = put.map_err(|error| ApiError::of_put(error, context.account()))?;
    match outcomes.into_iter().next() {
        Some(Ok(placed)) => {
            context.state.metrics.records_in.inc();
            let (shard_id, sequence_number) = (placed.shard.to_string(), placed.sequence.to_string());
            Ok(PutRecordResponse { shard_id, sequence_number, encryption_type: shape::encrypted(&stream) })
        }
        Some(Err(failure)) => Err(ApiError::of_failure(&failure, context.account())),
        None => Err(ApiError::internal("a put of one record has no outcome", &name)),
    }
}

/// Numbers of a shard always grow, so there is nothing to do but to see that it is a number.
fn check_ordering(check: &mut Check, number: Option<&str>) {
    let number = check.text(At::Member("sequenceNumberForOrdering"), number, &SEQUENCE_NUMBER);
    if let Some(Err(error)) = number.map(SequenceNumber::parse) {
        check.invalid(format!("SequenceNumberForOrdering is invalid: {error}."));
    }
}
