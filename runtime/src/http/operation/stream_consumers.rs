//! `RegisterStreamConsumer`, `DeregisterStreamConsumer`, `DescribeStreamConsumer` and `ListStreamConsumers`.

use std::sync::Arc;

use tidemill_stream::attached::Consumer;
use tidemill_stream::limits::CONSUMERS_COMMITTED_MAX;
use tidemill_stream::name::ConsumerName;
use tidemill_stream::stream::{Stream, StreamMode};
use tidemill_wire::{
    self as wire, ConsumerDescription, DescribeStreamConsumerResponse, ListStreamConsumersRequest,
    ListStreamConsumersResponse, RegisterStreamConsumerRequest, RegisterStreamConsumerResponse, StreamConsumerRequest,
    Timestamp,
};

use crate::http::constraint::{At, CONSUMER_NAME, NEXT_TOKEN, StreamRef};
use crate::http::context::{Context, timestamp};
use crate::http::error::ApiError;
use crate::http::iterator::{ConsumersPlace, Token};
use crate::http::limits::LIST_CONSUMERS_MAX;
use crate::http::subscriptions::Subscriptions;

const ACTIVE: &str = "ACTIVE";

/// The consumer is active when this returns.
pub(super) async fn register(
    context: &Context<'_>,
    request: RegisterStreamConsumerRequest,
) -> Result<RegisterStreamConsumerResponse, ApiError> {
    let mut check = context.check();
    let name = check.stream_by_arn(request.stream_arn.as_deref(), request.stream_id.as_deref());
    let at = At::Member("consumerName");
    let consumer = check.required_text(at, request.consumer_name.as_deref(), &CONSUMER_NAME);
    let consumer = consumer.and_then(|name| ConsumerName::parse(name).ok());
    let tags = check.tags(request.tags).unwrap_or_default();
    let (name, consumer) = check.finish(name.zip(consumer))?;
    let stream = context.stream(&name)?;
    let most = consumers_max(context, &stream).await?;
    let registered = context.store().register_consumer(&name, consumer, tags, most).await;
    let consumer = registered.map_err(|error| ApiError::of_attach(error, &name, context.account()))?;
    tracing::info!(stream = %name, consumer = %consumer.name, "consumer registered");
    Ok(RegisterStreamConsumerResponse { consumer: shaped(context, &stream, &consumer) })
}

async fn consumers_max(context: &Context<'_>, stream: &Stream) -> Result<usize, ApiError> {
    let is_committed = stream.mode == StreamMode::OnDemand && context.is_committed().await?;
    let quota = context.state.quotas.consumers_max as usize;
    Ok(if is_committed { quota.max(CONSUMERS_COMMITTED_MAX) } else { quota })
}

/// The consumer is gone when this returns.
pub(super) async fn deregister(
    context: &Context<'_>,
    subscriptions: &Subscriptions,
    request: StreamConsumerRequest,
) -> Result<(), ApiError> {
    let mut check = context.check();
    let given = StreamRef { name: None, arn: request.stream_arn.as_deref(), id: request.stream_id.as_deref() };
    let meant = check.consumer(given, request.consumer_name.as_deref(), request.consumer_arn.as_deref());
    let (name, meant) = check.finish(meant)?;
    let stream = context.stream(&name)?;
    let refused = |error| ApiError::of_attach(error, &name, context.account());
    let consumer = context.store().attached(&stream).await?.consumer(&meant).map_err(refused)?;
    context.store().deregister_consumer(&name, meant.clone()).await.map_err(refused)?;
    subscriptions.end_of(stream.id, &consumer);
    tracing::info!(stream = %name, consumer = %meant, "consumer deregistered");
    Ok(())
}

pub(super) async fn describe(
    context: &Context<'_>,
    request: &StreamConsumerRequest,
) -> Result<DescribeStreamConsumerResponse, ApiError> {
    let mut check = context.check();
    let given = StreamRef { name: None, arn: request.stream_arn.as_deref(), id: request.stream_id.as_deref() };
    let meant = check.consumer(given, request.consumer_name.as_deref(), request.consumer_arn.as_deref());
    let (name, meant) = check.finish(meant)?;
    let stream = context.stream(&name)?;
    let found = context.store().attached(&stream).await?.consumer(&meant);
    let found = found.map_err(|error| ApiError::of_attach(error, &name, context.account()))?;
    let wire::Consumer { consumer_name, consumer_arn, consumer_status, consumer_creation_timestamp } =
        shaped(context, &stream, &found);
    let stream_arn = context.arn(&name);
    let consumer_description =
        ConsumerDescription { consumer_name, consumer_arn, consumer_status, consumer_creation_timestamp, stream_arn };
    Ok(DescribeStreamConsumerResponse { consumer_description })
}

pub(super) async fn list(
    context: &Context<'_>,
    request: &ListStreamConsumersRequest,
) -> Result<ListStreamConsumersResponse, ApiError> {
    let mut check = context.check();
    let name = check.stream_by_arn(request.stream_arn.as_deref(), request.stream_id.as_deref());
    let limit = check.integer(At::Member("maxResults"), request.max_results, 1..=10_000);
    let token = check.text(At::Member("nextToken"), request.next_token.as_deref(), &NEXT_TOKEN);
    let created = request.stream_creation_timestamp.map(timestamp);
    if token.is_some() && created.is_some() {
        check.invalid("NextToken and StreamCreationTimestamp cannot be given together.");
    }
    let name = check.finish(name)?;
    let place = token.map(|token| context.state.iterator_key.open_consumers(token, context.now()));
    let place = place.transpose().map_err(ApiError::of_next_token)?;
    let stream = context.stream(&name)?;
    if created.is_some_and(|created| created.as_secs() != stream.created.as_secs()) {
        return Err(ApiError::no_stream(&name, context.account()));
    }
    if place.as_ref().is_some_and(|place| place.id != stream.id) {
        return Err(ApiError::invalid("NextToken and StreamARN are not of the same stream."));
    }
    let page = limit.map_or(LIST_CONSUMERS_MAX, |limit| limit as usize).min(LIST_CONSUMERS_MAX);
    page_of(context, &stream, place, page).await
}

async fn page_of(
    context: &Context<'_>,
    stream: &Arc<Stream>,
    place: Option<ConsumersPlace>,
    page: usize,
) -> Result<ListStreamConsumersResponse, ApiError> {
    let attached = context.store().attached(stream).await?;
    let is_behind = |consumer: &Consumer| place.as_ref().is_none_or(|place| consumer.name > place.after);
    let mut consumers = attached.consumers().filter(is_behind);
    let listed: Vec<Consumer> = consumers.by_ref().take(page).collect();
    let last = listed.last().filter(|_| consumers.next().is_some());
    let token = last.map(|last| Token::Consumers(ConsumersPlace { id: stream.id, after: last.name.clone() }));
    Ok(ListStreamConsumersResponse {
        consumers: listed.iter().map(|consumer| shaped(context, stream, consumer)).collect(),
        next_token: token.map(|token| context.state.iterator_key.seal(&token, context.now())).transpose()?,
    })
}

fn shaped(context: &Context<'_>, stream: &Stream, consumer: &Consumer) -> wire::Consumer {
    let Consumer { name, created } = consumer;
    wire::Consumer {
        consumer_name: name.to_string(),
        consumer_arn: format!("{}/consumer/{name}:{}", context.arn(&stream.name), created.as_secs()),
        consumer_status: ACTIVE.to_owned(),
        consumer_creation_timestamp: Timestamp::from_millis(created.as_millis()),
    }
}
