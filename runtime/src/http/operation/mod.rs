//! The operations, one file each: wire shape in, domain call, wire shape out.
//!
//! This is the last place where a text of the request is doubted.

mod create_stream;
mod delete_stream;
mod describe_stream;
mod describe_stream_summary;
mod get_records;
mod get_shard_iterator;
mod list_shards;
mod list_streams;
mod merge_shards;
mod put_record;
mod put_records;
mod retention_period;
mod shape;
mod split_shard;
mod update_shard_count;
mod update_stream_mode;

use bytes::Bytes;
use tidemill_wire::Operation;

use super::context::Context;
use super::error::ApiError;

/// Bytes that an answer of no particular size is expected to have.
const ANSWER_BYTES: usize = 512;

/// Runs an operation on a request body. Returns the answer's body; some operations answer with an empty one.
pub(super) async fn run(operation: Operation, context: &Context<'_>, body: &[u8]) -> Result<Bytes, ApiError> {
    let codec = context.codec;
    match operation {
        Operation::CreateStream => create_stream::run(context, codec.decode(body)?).await.map(|()| Bytes::new()),
        Operation::DecreaseStreamRetentionPeriod => {
            retention_period::decrease(context, codec.decode(body)?).await.map(|()| Bytes::new())
        }
        Operation::IncreaseStreamRetentionPeriod => {
            retention_period::increase(context, codec.decode(body)?).await.map(|()| Bytes::new())
        }
        Operation::DeleteStream => delete_stream::run(context, codec.decode(body)?).await.map(|()| Bytes::new()),
        Operation::DescribeStream => codec.encode(&describe_stream::run(context, &codec.decode(body)?)?, ANSWER_BYTES),
        Operation::DescribeStreamSummary => {
            codec.encode(&describe_stream_summary::run(context, &codec.decode(body)?)?, ANSWER_BYTES)
        }
        Operation::GetRecords => get_records::run(context, codec.decode(body)?).await,
        Operation::GetShardIterator => {
            codec.encode(&get_shard_iterator::run(context, codec.decode(body)?).await?, ANSWER_BYTES)
        }
        Operation::ListShards => codec.encode(&list_shards::run(context, &codec.decode(body)?)?, ANSWER_BYTES),
        Operation::ListStreams => codec.encode(&list_streams::run(context, &codec.decode(body)?)?, ANSWER_BYTES),
        Operation::MergeShards => merge_shards::run(context, codec.decode(body)?).await.map(|()| Bytes::new()),
        Operation::PutRecord => codec.encode(&put_record::run(context, codec.decode(body)?).await?, ANSWER_BYTES),
        Operation::PutRecords => put_records::run(context, codec.decode(body)?).await,
        Operation::SplitShard => split_shard::run(context, codec.decode(body)?).await.map(|()| Bytes::new()),
        Operation::UpdateShardCount => {
            codec.encode(&update_shard_count::run(context, codec.decode(body)?).await?, ANSWER_BYTES)
        }
        Operation::UpdateStreamMode => {
            update_stream_mode::run(context, codec.decode(body)?).await.map(|()| Bytes::new())
        }
    }
}
