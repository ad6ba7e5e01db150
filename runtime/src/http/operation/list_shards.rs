//! `ListShards`.

use std::sync::Arc;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::shard::{Shard, ShardIndex};
use tidemill_stream::stream::Stream;
use tidemill_wire::{ListShardsRequest, ListShardsResponse, ShardFilter};

use super::shape;
use crate::http::constraint::{At, Check, NEXT_TOKEN, SHARD_ID, StreamRef};
use crate::http::context::{Context, timestamp};
use crate::http::error::ApiError;
use crate::http::iterator::{ShardsPlace, Token};
use crate::http::limits::LIST_SHARDS_MAX;

pub(super) fn run(context: &Context<'_>, request: &ListShardsRequest) -> Result<ListShardsResponse, ApiError> {
    let mut check = context.check();
    let limit = check.integer(At::Member("maxResults"), request.max_results, 1..=10_000);
    let page = limit.map_or(LIST_SHARDS_MAX, |limit| limit as usize).min(LIST_SHARDS_MAX);
    let token = check.text(At::Member("nextToken"), request.next_token.as_deref(), &NEXT_TOKEN);
    let Listing { stream, after, filter } = match token {
        Some(token) => continued(context, request, check, token)?,
        None => begun(context, request, check)?,
    };
    let horizon = stream.created.max(context.now().minus(stream.retention));
    let wanted = |shard: &&Shard| after.is_none_or(|after| shard.index > after) && filter.admits(shard, horizon);
    let mut shards = stream.shards.iter().filter(wanted);
    let shards_of_page: Vec<&Shard> = shards.by_ref().take(page).collect();
    let last = shards_of_page.last().filter(|_| shards.next().is_some());
    let token = last.map(|last| Token::Shards(filter.place(&stream, last.index)));
    Ok(ListShardsResponse {
        shards: shards_of_page.iter().map(|shard| shape::shard(&stream, shard)).collect(),
        next_token: token.map(|token| context.state.iterator_key.seal(&token, context.now())).transpose()?,
    })
}

struct Listing {
    stream: Arc<Stream>,
    after: Option<ShardIndex>,
    filter: Filter,
}

/// A listing that a token continues. The token says it all: what could contradict it must not be there.
fn continued(
    context: &Context<'_>,
    request: &ListShardsRequest,
    mut check: Check,
    token: &str,
) -> Result<Listing, ApiError> {
    let repeated = [
        ("StreamName", request.stream_name.is_some()),
        ("ExclusiveStartShardId", request.exclusive_start_shard_id.is_some()),
        ("StreamCreationTimestamp", request.stream_creation_timestamp.is_some()),
        ("ShardFilter", request.shard_filter.is_some()),
    ];
    for (member, _) in repeated.iter().filter(|(_, given)| *given) {
        check.invalid(format!("NextToken and {member} cannot be given together."));
    }
    let named = check.optional_stream(StreamRef {
        name: None,
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    check.finish(Some(()))?;
    let place = context.state.iterator_key.open_shards(token, context.now()).map_err(ApiError::of_next_token)?;
    if named.is_some_and(|named| named != place.stream) {
        return Err(ApiError::invalid("NextToken and StreamARN are not of the same stream."));
    }
    let stream = context.stream(&place.stream)?;
    if stream.id != place.id {
        return Err(ApiError::no_stream(&place.stream, context.account()));
    }
    Ok(Listing { stream, after: Some(place.after), filter: Filter::of_numbered(place.filter, place.at) })
}

fn begun(context: &Context<'_>, request: &ListShardsRequest, mut check: Check) -> Result<Listing, ApiError> {
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let start = check.start_shard(request.exclusive_start_shard_id.as_deref());
    let (filter, after) = match &request.shard_filter {
        Some(filter) => Filter::check(&mut check, filter, context.now()),
        None => (Filter::FromTrimHorizon, None),
    };
    let stream = context.stream(&check.finish(name)?)?;
    let created = request.stream_creation_timestamp.map(timestamp);
    // Clients send the time back as they were told it: some keep only its seconds.
    if created.is_some_and(|created| created.as_secs() != stream.created.as_secs()) {
        return Err(ApiError::no_stream(&stream.name, context.account()));
    }
    Ok(Listing { stream, after: start.max(after), filter })
}

/// Which shards are listed, by when they were open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    FromTrimHorizon,
    AtTrimHorizon,
    AtLatest,
    At(Timestamp),
    From(Timestamp),
}

#[derive(Debug, Clone, Copy)]
enum FilterType {
    AfterShardId,
    AtTrimHorizon,
    FromTrimHorizon,
    AtLatest,
    AtTimestamp,
    FromTimestamp,
}

const FILTER_TYPES: [(&str, FilterType); 6] = [
    ("AFTER_SHARD_ID", FilterType::AfterShardId),
    ("AT_TRIM_HORIZON", FilterType::AtTrimHorizon),
    ("FROM_TRIM_HORIZON", FilterType::FromTrimHorizon),
    ("AT_LATEST", FilterType::AtLatest),
    ("AT_TIMESTAMP", FilterType::AtTimestamp),
    ("FROM_TIMESTAMP", FilterType::FromTimestamp),
];

impl Filter {
    /// The filter, and the shard behind which the listing begins. When something is wrong, the check knows.
    fn check(check: &mut Check, filter: &ShardFilter, now: Timestamp) -> (Self, Option<ShardIndex>) {
        let kind = check.required(At::Member("shardFilter.type"), filter.kind.as_deref());
        let kind = check.word(At::Member("shardFilter.type"), kind, &FILTER_TYPES);
        let shard = check.text(At::Member("shardFilter.shardId"), filter.shard_id.as_deref(), &SHARD_ID);
        let time = filter.timestamp.map(timestamp);
        if time.is_some_and(|time| time > now) {
            check.invalid("The Timestamp of the ShardFilter must not lie in the future.");
        }
        match kind {
            Some(FilterType::AfterShardId) => (Self::FromTrimHorizon, check.filter_shard(shard)),
            Some(FilterType::AtTrimHorizon) => (Self::AtTrimHorizon, None),
            Some(FilterType::FromTrimHorizon) | None => (Self::FromTrimHorizon, None),
            Some(FilterType::AtLatest) => (Self::AtLatest, None),
            Some(FilterType::AtTimestamp) => (Self::At(filter_time(check, "AT_TIMESTAMP", time)), None),
            Some(FilterType::FromTimestamp) => (Self::From(filter_time(check, "FROM_TIMESTAMP", time)), None),
        }
    }

    /// Whether a shard is listed. A shard that closed before the horizon has nothing left to read.
    fn admits(self, shard: &Shard, horizon: Timestamp) -> bool {
        let open_from = |time: Timestamp| shard.closed.is_none_or(|closed| closed.at >= time.max(horizon));
        let open_at = |time: Timestamp| shard.created <= time.max(horizon) && open_from(time);
        match self {
            Self::FromTrimHorizon => open_from(horizon),
            Self::AtTrimHorizon => open_at(horizon),
            Self::AtLatest => shard.is_open(),
            Self::At(time) => open_at(time),
            Self::From(time) => open_from(time),
        }
    }

    fn place(self, stream: &Stream, after: ShardIndex) -> ShardsPlace {
        let (filter, at) = self.numbered();
        ShardsPlace { stream: stream.name.clone(), id: stream.id, after, filter, at }
    }

    /// The filter as a token carries it.
    fn numbered(self) -> (u8, Option<Timestamp>) {
        match self {
            Self::FromTrimHorizon => (0, None),
            Self::AtTrimHorizon => (1, None),
            Self::AtLatest => (2, None),
            Self::At(time) => (3, Some(time)),
            Self::From(time) => (4, Some(time)),
        }
    }

    fn of_numbered(filter: u8, at: Option<Timestamp>) -> Self {
        match (filter, at) {
            (1, _) => Self::AtTrimHorizon,
            (2, _) => Self::AtLatest,
            (3, Some(time)) => Self::At(time),
            (4, Some(time)) => Self::From(time),
            _ => Self::FromTrimHorizon,
        }
    }
}

fn filter_time(check: &mut Check, kind: &str, time: Option<Timestamp>) -> Timestamp {
    if time.is_none() {
        check.invalid(format!("A ShardFilter of type {kind} needs a Timestamp."));
    }
    time.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tidemill_stream::engine::Position;
    use tidemill_stream::shard::{Closed, HashRange};

    use super::*;

    fn time(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn shard(created: u64, closed: Option<u64>) -> Shard {
        Shard {
            index: ShardIndex(0),
            range: HashRange::uniform(1)[0],
            created: time(created),
            parents: vec![],
            closed: closed.map(|at| Closed { at: time(at), position: Position(1) }),
        }
    }

    #[test]
    fn shards_are_filtered_by_when_they_were_open() {
        let (old, past, now) = (shard(100, Some(200)), shard(100, Some(500)), shard(500, None));
        let horizon = time(300);
        for (filter, expected) in [
            (Filter::FromTrimHorizon, [false, true, true]),
            (Filter::AtTrimHorizon, [false, true, false]),
            (Filter::AtLatest, [false, false, true]),
            (Filter::At(time(150)), [false, true, false]),
            (Filter::At(time(400)), [false, true, false]),
            (Filter::At(time(600)), [false, false, true]),
            (Filter::From(time(150)), [false, true, true]),
            (Filter::From(time(600)), [false, false, true]),
        ] {
            assert_eq!([&old, &past, &now].map(|shard| filter.admits(shard, horizon)), expected, "{filter:?}");
        }
    }

    #[test]
    fn a_filter_goes_through_a_token_unchanged() {
        for filter in [
            Filter::FromTrimHorizon,
            Filter::AtTrimHorizon,
            Filter::AtLatest,
            Filter::At(time(5)),
            Filter::From(time(6)),
        ] {
            let (number, at) = filter.numbered();
            assert_eq!(Filter::of_numbered(number, at), filter);
        }
    }
}
