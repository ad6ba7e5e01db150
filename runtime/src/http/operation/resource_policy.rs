//! `PutResourcePolicy`, `GetResourcePolicy` and `DeleteResourcePolicy`, for streams and consumers.
//!
//! A policy is kept as it was given. Nothing is allowed or denied by it.

use tidemill_stream::attached::{AttachError, Labels};
use tidemill_wire::{GetResourcePolicyResponse, PutResourcePolicyRequest, ResourcePolicyRequest};

use crate::http::constraint::{At, Resource};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::limits::POLICY_BYTES_MAX;

pub(super) async fn put(context: &Context<'_>, request: PutResourcePolicyRequest) -> Result<(), ApiError> {
    let mut check = context.check();
    let resource = check.resource(request.resource_arn.as_deref(), request.stream_id.as_deref());
    let policy = check.required(At::Member("policy"), request.policy);
    let (resource, policy) = check.finish(resource.zip(policy))?;
    check_policy(&policy)?;
    context.stream(&resource.stream)?;
    let put = context.store().set_policy(&resource.stream, resource.holder, policy).await;
    put.map_err(|error| ApiError::of_attach(error, &resource.stream, context.account()))
}

fn check_policy(policy: &str) -> Result<(), ApiError> {
    if policy.len() > POLICY_BYTES_MAX {
        let bytes = policy.len();
        let message = format!("The Policy has {bytes} bytes: the most is {POLICY_BYTES_MAX}.");
        return Err(ApiError::invalid(message));
    }
    let parsed = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(policy);
    parsed.map(drop).map_err(|error| ApiError::invalid(format!("The Policy is no JSON object: {error}.")))
}

pub(super) async fn get(
    context: &Context<'_>,
    request: &ResourcePolicyRequest,
) -> Result<GetResourcePolicyResponse, ApiError> {
    let resource = addressed(context, request)?;
    let stream = context.stream(&resource.stream)?;
    let attached = context.store().attached(&stream).await?;
    let policy = attached.labels(&resource.holder).and_then(of_labels);
    let policy = policy.map_err(|error| ApiError::of_attach(error, &resource.stream, context.account()))?;
    Ok(GetResourcePolicyResponse { policy })
}

pub(super) async fn delete(context: &Context<'_>, request: ResourcePolicyRequest) -> Result<(), ApiError> {
    let resource = addressed(context, &request)?;
    context.stream(&resource.stream)?;
    let dropped = context.store().drop_policy(&resource.stream, resource.holder).await;
    dropped.map_err(|error| ApiError::of_attach(error, &resource.stream, context.account()))
}

fn addressed(context: &Context<'_>, request: &ResourcePolicyRequest) -> Result<Resource, ApiError> {
    let mut check = context.check();
    let resource = check.resource(request.resource_arn.as_deref(), request.stream_id.as_deref());
    check.finish(resource)
}

fn of_labels(labels: &Labels) -> Result<String, AttachError> {
    labels.policy.clone().ok_or(AttachError::NoPolicy)
}
