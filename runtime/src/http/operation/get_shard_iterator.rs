//! `GetShardIterator`.

use tidemill_stream::clock::Timestamp;
use tidemill_stream::read::StartAt;
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::ShardIndex;
use tidemill_wire::{GetShardIteratorRequest, GetShardIteratorResponse};

use crate::http::constraint::{At, SEQUENCE_NUMBER, SHARD_ID, StreamRef};
use crate::http::context::{Context, stop_dry_run, timestamp};
use crate::http::error::ApiError;
use crate::http::iterator::{ShardPlace, Token};

/// The place is fixed now: records that come later do not move a `LATEST` iterator.
pub(super) async fn run(
    context: &Context<'_>,
    request: GetShardIteratorRequest,
) -> Result<GetShardIteratorResponse, ApiError> {
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let shard_id = check.required_text(At::Member("shardId"), request.shard_id.as_deref(), &SHARD_ID);
    let kind = check.required(At::Member("shardIteratorType"), request.shard_iterator_type.as_deref());
    let kind = check.word(At::Member("shardIteratorType"), kind, &TYPES);
    let number = request.starting_sequence_number.as_deref();
    let number = check.text(At::Member("startingSequenceNumber"), number, &SEQUENCE_NUMBER);
    let ((name, shard_id), kind) = check.finish(name.zip(shard_id).zip(kind))?;
    let stream = context.stream(&name)?;
    let unknown = || ApiError::no_shard(&shard_id, &name, context.account());
    let shard = ShardIndex::parse_id(shard_id).ok().and_then(|index| stream.shard(index)).ok_or_else(unknown)?.index;
    let start = start(kind, number, request.timestamp.map(timestamp), context.now())?;
    let position = context.store().position(&stream, shard, start).await;
    let from = position.map_err(|error| ApiError::of_position(error, context.account()))?;
    stop_dry_run(request.dry_run)?;
    let place = ShardPlace { stream: name, id: stream.id, shard, from };
    let shard_iterator = context.state.iterator_key.seal(&Token::Shard(place), context.now())?;
    Ok(GetShardIteratorResponse { shard_iterator })
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    AfterSequenceNumber,
    AtSequenceNumber,
    AtTimestamp,
    Latest,
    TrimHorizon,
}

pub(super) const TYPES: [(&str, Type); 5] = [
    ("AFTER_SEQUENCE_NUMBER", Type::AfterSequenceNumber),
    ("AT_SEQUENCE_NUMBER", Type::AtSequenceNumber),
    ("AT_TIMESTAMP", Type::AtTimestamp),
    ("LATEST", Type::Latest),
    ("TRIM_HORIZON", Type::TrimHorizon),
];

pub(super) fn start(
    kind: Type,
    number: Option<&str>,
    time: Option<Timestamp>,
    now: Timestamp,
) -> Result<StartAt, ApiError> {
    match kind {
        Type::AfterSequenceNumber => sequence(number).map(StartAt::AfterSequence),
        Type::AtSequenceNumber => sequence(number).map(StartAt::AtSequence),
        Type::AtTimestamp => moment(time, now).map(StartAt::Time),
        Type::Latest => no_number(number).map(|()| StartAt::Latest),
        Type::TrimHorizon => no_number(number).map(|()| StartAt::TrimHorizon),
    }
}

fn sequence(number: Option<&str>) -> Result<SequenceNumber, ApiError> {
    let missing = "AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER need a StartingSequenceNumber, and there is none.";
    let number = number.ok_or_else(|| ApiError::invalid(missing))?;
    SequenceNumber::parse(number)
        .map_err(|error| ApiError::invalid(format!("StartingSequenceNumber is invalid: {error}.")))
}

fn no_number(number: Option<&str>) -> Result<(), ApiError> {
    match number {
        Some(_) => Err(ApiError::invalid("TRIM_HORIZON and LATEST take no StartingSequenceNumber, and there is one.")),
        None => Ok(()),
    }
}

fn shown(time: Timestamp) -> jiff::Timestamp {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}

fn moment(time: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, ApiError> {
    let time = time.ok_or_else(|| ApiError::invalid("AT_TIMESTAMP needs a Timestamp, and there is none."))?;
    if time > now {
        let (time, now) = (shown(time), shown(now));
        return Err(ApiError::invalid(format!("The Timestamp lies in the future: {time}, and now is {now}.")));
    }
    Ok(time)
}
