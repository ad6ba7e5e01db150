//! `TagResource`, `UntagResource` and `ListTagsForResource`, for streams and consumers.

use tidemill_wire::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest, UntagResourceRequest,
};

use super::tags_of_stream::shaped;
use crate::http::constraint::At;
use crate::http::context::Context;
use crate::http::error::ApiError;

pub(super) async fn tag(context: &Context<'_>, request: TagResourceRequest) -> Result<(), ApiError> {
    let mut check = context.check();
    let resource = check.resource(request.resource_arn.as_deref(), request.stream_id.as_deref());
    let tags = check.required(At::Member("tags"), request.tags);
    let tags = check.tags(tags);
    let (resource, tags) = check.finish(resource.zip(tags))?;
    context.stream(&resource.stream)?;
    let tagged = context.store().tag(&resource.stream, resource.holder, tags).await;
    tagged.map_err(|error| ApiError::of_attach(error, &resource.stream, context.account()))
}

pub(super) async fn untag(context: &Context<'_>, request: UntagResourceRequest) -> Result<(), ApiError> {
    let mut check = context.check();
    let resource = check.resource(request.resource_arn.as_deref(), request.stream_id.as_deref());
    let keys = check.tag_keys(request.tag_keys);
    let (resource, keys) = check.finish(resource.zip(keys))?;
    context.stream(&resource.stream)?;
    let untagged = context.store().untag(&resource.stream, resource.holder, keys).await;
    untagged.map_err(|error| ApiError::of_attach(error, &resource.stream, context.account()))
}

pub(super) async fn list(
    context: &Context<'_>,
    request: &ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, ApiError> {
    let mut check = context.check();
    let resource = check.resource(request.resource_arn.as_deref(), request.stream_id.as_deref());
    let resource = check.finish(resource)?;
    let stream = context.stream(&resource.stream)?;
    let attached = context.store().attached(&stream).await?;
    let labels = attached.labels(&resource.holder);
    let labels = labels.map_err(|error| ApiError::of_attach(error, &resource.stream, context.account()))?;
    Ok(ListTagsForResourceResponse { tags: shaped(&labels.tags) })
}
