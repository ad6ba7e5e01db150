//! `GetRecords`. Payloads go from the store's shared buffers straight into the answer.

use std::sync::Arc;

use bytes::Bytes;
use tidemill_stream::engine::ReadLimits;
use tidemill_stream::limits::{READ_BYTES_MAX, READ_RECORDS_MAX};
use tidemill_stream::read::Read;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::Shard;
use tidemill_stream::stream::Stream;
use tidemill_wire::{Blob, GetRecordsRequest, GetRecordsResponse, Record, Timestamp};

use super::shape;
use crate::http::constraint::{At, ITERATOR, StreamRef};
use crate::http::context::{Context, stop_dry_run};
use crate::http::error::ApiError;
use crate::http::iterator::{ShardPlace, Token};

/// Bytes of one record beside its key and payload: its number, its time and the words around them.
pub(super) const RECORD_FRAME_BYTES: usize = 192;

pub(super) async fn run(context: &Context<'_>, request: GetRecordsRequest) -> Result<Bytes, ApiError> {
    let (stream, place, records_max) = check(context, &request)?;
    let unknown = || ApiError::no_shard(&place.shard, &place.stream, context.account());
    let shard = stream.shard(place.shard).ok_or_else(unknown)?;
    stop_dry_run(request.dry_run)?;
    let begun = context.store().begin_read(&stream, place.shard);
    begun.map_err(|over| ApiError::over_capacity(&over, context.account()))?;
    let limits = ReadLimits { records_max, bytes_max: READ_BYTES_MAX };
    let read = context.store().read(&stream, place.shard, place.from, limits).await;
    let read = read.map_err(|error| ApiError::of_read(error, context.account()))?;
    context.store().count_read(&stream, place.shard, read.records.iter().map(StoredRecord::size_bytes).sum());
    context.state.metrics.records_out.inc_by(read.records.len() as u64);
    answer(context, &stream, shard, &read)
}

/// The stream, the place in it, and how many records at most.
fn check(context: &Context<'_>, request: &GetRecordsRequest) -> Result<(Arc<Stream>, ShardPlace, usize), ApiError> {
    let mut check = context.check();
    let iterator = check.required_text(At::Member("shardIterator"), request.shard_iterator.as_deref(), &ITERATOR);
    let limit = check.integer(At::Member("limit"), request.limit, 1..=READ_RECORDS_MAX as u32);
    let named = check.optional_stream(StreamRef {
        name: None,
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let iterator = check.finish(iterator)?;
    let now = context.now();
    let opened = context.state.iterator_key.open_iterator(iterator, now);
    let place = opened.map_err(|error| ApiError::of_iterator(error, now))?;
    if named.is_some_and(|named| named.as_str() != place.stream.as_str()) {
        return Err(ApiError::invalid("ShardIterator and StreamARN are not of the same stream."));
    }
    let stream = context.stream(&place.stream)?;
    if stream.id != place.id {
        return Err(ApiError::no_stream(&place.stream, context.account()));
    }
    let records_max = limit.map_or(READ_RECORDS_MAX, |limit| limit as usize);
    Ok((stream, place, records_max))
}

fn answer(context: &Context<'_>, stream: &Stream, shard: &Shard, read: &Read) -> Result<Bytes, ApiError> {
    // A shard whose children are not known yet is at its end only in a moment: whoever reads it comes again for them.
    let children = if read.is_at_end { shape::children(stream, shard.index) } else { Vec::new() };
    let is_at_end = !children.is_empty();
    let next = ShardPlace { stream: stream.name.clone(), id: stream.id, shard: shard.index, from: read.next };
    let next = (!is_at_end).then(|| context.state.iterator_key.seal(&Token::Shard(next), context.now()));
    let response = GetRecordsResponse {
        records: read.records.iter().map(|stored| record(stream, shard, stored)).collect(),
        next_shard_iterator: next.transpose()?,
        millis_behind_latest: Some(u64::try_from(read.behind.as_millis()).unwrap_or(u64::MAX)),
        child_shards: is_at_end.then_some(children),
    };
    let record_bytes = |stored: &StoredRecord| context.codec.blob_bytes(stored.size_bytes()) + RECORD_FRAME_BYTES;
    let bytes_expected: usize = read.records.iter().map(record_bytes).sum();
    context.codec.encode(&response, bytes_expected + RECORD_FRAME_BYTES * 4)
}

pub(super) fn record<'a>(stream: &Stream, shard: &Shard, stored: &'a StoredRecord) -> Record<'a> {
    Record {
        sequence_number: stream.sequence_number(shard, stored.position, stored.arrival).to_string(),
        approximate_arrival_timestamp: Some(Timestamp::from_millis(stored.arrival.as_millis())),
        data: Blob(stored.data.clone()),
        partition_key: Some(stored.partition_key.as_str().into()),
        encryption_type: shape::encrypted(stream),
    }
}
