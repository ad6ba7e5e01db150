//! `ListStreams`.

use std::sync::Arc;

use tidemill_stream::stream::Stream;
use tidemill_wire::{ListStreamsRequest, ListStreamsResponse, StreamSummary};

use super::shape;
use crate::http::constraint::{At, NEXT_TOKEN, STREAM_NAME};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::iterator::Token;
use crate::http::limits::PAGE_STREAMS_MAX;

pub(super) fn run(context: &Context<'_>, request: &ListStreamsRequest) -> Result<ListStreamsResponse, ApiError> {
    let (after, page) = check(context, request)?;
    let mut streams = context.streams();
    let is_behind = |name: &str| after.as_deref().is_none_or(|after| name > after);
    streams.retain(|stream| context.caller.sees(&stream.name) && is_behind(stream.name.as_str()));
    let has_more_streams = streams.len() > page;
    streams.truncate(page);
    let last = streams.last().filter(|_| has_more_streams);
    let token = last.map(|stream| Token::Streams { after: stream.name.to_string() });
    Ok(ListStreamsResponse {
        stream_names: streams.iter().map(|stream| stream.name.to_string()).collect(),
        has_more_streams,
        next_token: token.map(|token| context.state.iterator_key.seal(&token, context.now())).transpose()?,
        stream_summaries: Some(streams.iter().map(|stream| summary(context, stream)).collect()),
    })
}

/// The name behind which the page begins, and its size.
fn check(context: &Context<'_>, request: &ListStreamsRequest) -> Result<(Option<String>, usize), ApiError> {
    let mut check = context.check();
    let limit = check.integer(At::Member("limit"), request.limit, 1..=10_000);
    let start = request.exclusive_start_stream_name.as_deref();
    let start = check.text(At::Member("exclusiveStartStreamName"), start, &STREAM_NAME);
    let token = check.text(At::Member("nextToken"), request.next_token.as_deref(), &NEXT_TOKEN);
    if token.is_some() && start.is_some() {
        check.invalid("NextToken and ExclusiveStartStreamName cannot be given together.");
    }
    let page = limit.map_or(PAGE_STREAMS_MAX, |limit| limit as usize).min(PAGE_STREAMS_MAX);
    check.finish(Some(()))?;
    let Some(token) = token else { return Ok((start.map(str::to_owned), page)) };
    let after = context.state.iterator_key.open_streams(token, context.now()).map_err(ApiError::of_next_token)?;
    Ok((Some(after), page))
}

fn summary(context: &Context<'_>, stream: &Arc<Stream>) -> StreamSummary {
    StreamSummary {
        stream_name: stream.name.to_string(),
        stream_arn: context.arn(&stream.name),
        stream_status: shape::status(stream),
        stream_mode_details: Some(shape::mode(stream)),
        stream_creation_timestamp: Some(shape::created(stream)),
    }
}
