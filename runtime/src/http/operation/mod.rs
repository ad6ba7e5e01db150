//! The operations, one file each: wire shape in, domain call, wire shape out.
//!
//! This is the last place where a text of the request is doubted.

mod account;
mod create_stream;
mod delete_stream;
mod describe_stream;
mod describe_stream_summary;
mod encryption;
mod enhanced_monitoring;
mod get_records;
mod get_shard_iterator;
mod list_shards;
mod list_streams;
mod merge_shards;
mod put_record;
mod put_records;
mod record_distribution;
mod resource_policy;
mod retention_period;
mod shape;
mod split_shard;
mod stream_consumers;
mod subscribe_to_shard;
mod tags_of_resource;
mod tags_of_stream;
mod update_max_record_size;
mod update_shard_count;
mod update_stream_mode;
mod warm_throughput;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use serde::Serialize;
use tidemill_wire::Operation;

use super::context::Context;
use super::dispatch::Door;
use super::error::ApiError;

/// Bytes that an answer of no particular size is expected to have.
const ANSWER_BYTES: usize = 512;

/// What an operation answers with.
pub(super) enum Said {
    /// All of it; some operations answer with nothing.
    Whole(Bytes),
    /// Events, as they come.
    Events(Body),
}

/// Runs an operation on a request body.
pub(super) async fn run(
    operation: Operation,
    context: &Context<'_>,
    door: &Arc<Door>,
    body: &[u8],
) -> Result<Said, ApiError> {
    let codec = context.codec;
    let whole = match operation {
        Operation::AddTagsToStream => empty(tags_of_stream::add(context, codec.decode(body)?).await),
        Operation::CreateStream => empty(create_stream::run(context, codec.decode(body)?).await),
        Operation::DecreaseStreamRetentionPeriod => {
            empty(retention_period::decrease(context, codec.decode(body)?).await)
        }
        Operation::DeleteResourcePolicy => empty(resource_policy::delete(context, codec.decode(body)?).await),
        Operation::DeleteStream => empty(delete_stream::run(context, codec.decode(body)?).await),
        Operation::DeregisterStreamConsumer => {
            empty(stream_consumers::deregister(context, door.subscriptions(), codec.decode(body)?).await)
        }
        Operation::DescribeAccountSettings => told(context, &account::describe(context, codec.decode(body)?).await?),
        Operation::DescribeLimits => told(context, &account::limits(context, codec.decode(body)?)),
        Operation::DescribeStream => told(context, &describe_stream::run(context, &codec.decode(body)?)?),
        Operation::DescribeStreamConsumer => {
            told(context, &stream_consumers::describe(context, &codec.decode(body)?).await?)
        }
        Operation::DescribeStreamSummary => {
            told(context, &describe_stream_summary::run(context, &codec.decode(body)?).await?)
        }
        Operation::DisableEnhancedMonitoring => {
            told(context, &enhanced_monitoring::disable(context, &codec.decode(body)?).await?)
        }
        Operation::EnableEnhancedMonitoring => {
            told(context, &enhanced_monitoring::enable(context, &codec.decode(body)?).await?)
        }
        Operation::GetRecords => get_records::run(context, codec.decode(body)?).await,
        Operation::GetResourcePolicy => told(context, &resource_policy::get(context, &codec.decode(body)?).await?),
        Operation::GetShardIterator => told(context, &get_shard_iterator::run(context, codec.decode(body)?).await?),
        Operation::IncreaseStreamRetentionPeriod => {
            empty(retention_period::increase(context, codec.decode(body)?).await)
        }
        Operation::ListShards => told(context, &list_shards::run(context, &codec.decode(body)?)?),
        Operation::ListStreamConsumers => told(context, &stream_consumers::list(context, &codec.decode(body)?).await?),
        Operation::ListStreams => told(context, &list_streams::run(context, &codec.decode(body)?)?),
        Operation::ListTagsForResource => told(context, &tags_of_resource::list(context, &codec.decode(body)?).await?),
        Operation::ListTagsForStream => told(context, &tags_of_stream::list(context, &codec.decode(body)?).await?),
        Operation::MergeShards => empty(merge_shards::run(context, codec.decode(body)?).await),
        Operation::PutRecord => told(context, &put_record::run(context, codec.decode(body)?).await?),
        Operation::PutRecords => put_records::run(context, codec.decode(body)?).await,
        Operation::PutResourcePolicy => empty(resource_policy::put(context, codec.decode(body)?).await),
        Operation::RegisterStreamConsumer => {
            told(context, &stream_consumers::register(context, codec.decode(body)?).await?)
        }
        Operation::RemoveTagsFromStream => empty(tags_of_stream::remove(context, codec.decode(body)?).await),
        Operation::SplitShard => empty(split_shard::run(context, codec.decode(body)?).await),
        Operation::StartStreamEncryption => empty(encryption::start(context, codec.decode(body)?).await),
        Operation::StopStreamEncryption => empty(encryption::stop(context, codec.decode(body)?).await),
        Operation::SubscribeToShard => {
            return subscribe_to_shard::run(context, door, codec.decode(body)?).await.map(Said::Events);
        }
        Operation::TagResource => empty(tags_of_resource::tag(context, codec.decode(body)?).await),
        Operation::UntagResource => empty(tags_of_resource::untag(context, codec.decode(body)?).await),
        Operation::UpdateAccountSettings => told(context, &account::update(context, &codec.decode(body)?).await?),
        Operation::UpdateMaxRecordSize => empty(update_max_record_size::run(context, codec.decode(body)?).await),
        Operation::UpdateShardCount => told(context, &update_shard_count::run(context, codec.decode(body)?).await?),
        Operation::UpdateStreamMode => empty(update_stream_mode::run(context, codec.decode(body)?).await),
        Operation::UpdateStreamRecordDistributionStrategy => {
            empty(record_distribution::run(context, codec.decode(body)?).await)
        }
        Operation::UpdateStreamWarmThroughput => {
            told(context, &warm_throughput::run(context, &codec.decode(body)?).await?)
        }
    };
    whole.map(Said::Whole)
}

/// The body of an operation that answers nothing.
fn empty(done: Result<(), ApiError>) -> Result<Bytes, ApiError> {
    done.map(|()| Bytes::new())
}

fn told<T: Serialize>(context: &Context<'_>, answer: &T) -> Result<Bytes, ApiError> {
    context.codec.encode(answer, ANSWER_BYTES)
}
