//! What an operation knows beside its request: the caller, the streams, the time.

use std::sync::Arc;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::name::StreamName;
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tidemill_stream::stream::Stream;
use tracing::Span;

use super::HttpState;
use super::auth::Caller;
use super::codec::Codec;
use super::error::{ApiError, ErrorKind};

/// One request's surroundings.
pub(super) struct Context<'a> {
    pub(super) state: &'a HttpState,
    pub(super) caller: &'a Caller,
    pub(super) codec: Codec,
}

impl Context<'_> {
    pub(super) fn store(&self) -> &Store {
        &self.state.store
    }

    pub(super) fn account(&self) -> &str {
        &self.caller.account
    }

    pub(super) fn now(&self) -> Timestamp {
        self.store().clock().now()
    }

    /// The ARN of a stream, as this caller names it.
    pub(super) fn arn(&self, stream: &StreamName) -> String {
        let Caller { account, region } = self.caller;
        format!("arn:aws:kinesis:{region}:{account}:stream/{stream}")
    }

    /// The stream of this name; the request's span carries it from here on.
    pub(super) fn stream(&self, name: &StreamName) -> Result<Arc<Stream>, ApiError> {
        Span::current().record("stream", name.as_str());
        self.store().stream(name).map_err(|error| ApiError::no_stream(&error.name, self.account()))
    }

    /// The shard of this id; whether the stream has it is the store's to say.
    pub(super) fn shard(&self, stream: &StreamName, id: &str) -> Result<ShardIndex, ApiError> {
        ShardIndex::parse_id(id).map_err(|_| ApiError::no_shard(&id, stream, self.account()))
    }
}

/// Stops a request that only asks whether it would work.
pub(super) fn stop_dry_run(dry_run: Option<bool>) -> Result<(), ApiError> {
    if dry_run == Some(true) {
        let message = "The request would have succeeded, but DryRun is set.";
        return Err(ApiError::new(ErrorKind::DryRun, message));
    }
    Ok(())
}

/// A time of the wire; times before 1970 are 1970.
pub(super) fn timestamp(time: tidemill_wire::Timestamp) -> Timestamp {
    Timestamp::from_millis(u64::try_from(time.millis).unwrap_or(0))
}
