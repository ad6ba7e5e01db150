//! `AddTagsToStream`, `RemoveTagsFromStream` and `ListTagsForStream`.

use std::ops::Bound;

use tidemill_stream::attached::{Holder, Tags};
use tidemill_wire::{
    AddTagsToStreamRequest, ListTagsForStreamRequest, ListTagsForStreamResponse, RemoveTagsFromStreamRequest, Tag,
};

use crate::http::constraint::{At, StreamRef};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::limits::LIST_TAGS_MAX;

pub(super) async fn add(context: &Context<'_>, request: AddTagsToStreamRequest) -> Result<(), ApiError> {
    let AddTagsToStreamRequest { stream_name, stream_arn, stream_id, tags } = request;
    let mut check = context.check();
    let given = StreamRef { name: stream_name.as_deref(), arn: stream_arn.as_deref(), id: stream_id.as_deref() };
    let name = check.stream(given);
    let tags = check.required(At::Member("tags"), tags);
    let tags = check.tags(tags);
    let (name, tags) = check.finish(name.zip(tags))?;
    context.stream(&name)?;
    let added = context.store().tag(&name, Holder::Stream, tags).await;
    added.map_err(|error| ApiError::of_attach(error, &name, context.account()))
}

pub(super) async fn remove(context: &Context<'_>, request: RemoveTagsFromStreamRequest) -> Result<(), ApiError> {
    let RemoveTagsFromStreamRequest { stream_name, stream_arn, stream_id, tag_keys } = request;
    let mut check = context.check();
    let given = StreamRef { name: stream_name.as_deref(), arn: stream_arn.as_deref(), id: stream_id.as_deref() };
    let name = check.stream(given);
    let keys = check.tag_keys(tag_keys);
    let (name, keys) = check.finish(name.zip(keys))?;
    context.stream(&name)?;
    let removed = context.store().untag(&name, Holder::Stream, keys).await;
    removed.map_err(|error| ApiError::of_attach(error, &name, context.account()))
}

pub(super) async fn list(
    context: &Context<'_>,
    request: &ListTagsForStreamRequest,
) -> Result<ListTagsForStreamResponse, ApiError> {
    let mut check = context.check();
    let ListTagsForStreamRequest { stream_name, stream_arn, stream_id, .. } = request;
    let given = StreamRef { name: stream_name.as_deref(), arn: stream_arn.as_deref(), id: stream_id.as_deref() };
    let name = check.stream(given);
    let after = check.start_key(request.exclusive_start_tag_key.as_deref());
    let limit = check.integer(At::Member("limit"), request.limit, 1..=LIST_TAGS_MAX as u32);
    let stream = context.stream(&check.finish(name)?)?;
    let tags = context.store().attached(&stream).await?.stream.tags;
    let page = limit.map_or(LIST_TAGS_MAX, |limit| limit as usize);
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut listed = tags.range::<str, _>((start, Bound::Unbounded));
    let page = listed.by_ref().take(page).map(tag).collect();
    Ok(ListTagsForStreamResponse { tags: page, has_more_tags: listed.next().is_some() })
}

/// Tags as the wire has them.
pub(super) fn shaped(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(tag).collect()
}

fn tag((key, value): (&String, &String)) -> Tag {
    Tag { key: key.clone(), value: Some(value.clone()) }
}
