//! What an operation knows beside its request: the caller, the streams, the time.

use std::sync::{Arc, OnceLock};

use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::StreamId;
use tidemill_stream::name::StreamName;
use tidemill_stream::reshard::ReshardError;
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tidemill_stream::stream::Stream;
use tidemill_wire::Operation;
use tracing::Span;

use super::HttpState;
use super::auth::{Caller, Target};
use super::codec::Codec;
use super::constraint::Check;
use super::delay::{Asks, asks};
use super::dispatch::{RequestId, request_span};
use super::error::{ApiError, ErrorKind};

/// One request's surroundings.
pub(super) struct Context<'a> {
    pub(super) state: &'a HttpState,
    pub(super) caller: &'a Caller,
    pub(super) codec: Codec,
    pub(super) operation: Operation,
    pub(super) id: &'a RequestId,
    /// The stream that it is about, once it is known, where changes show late.
    pub(super) asked: OnceLock<StreamId>,
}

impl Context<'_> {
    pub(super) fn store(&self) -> &Store {
        &self.state.store
    }

    /// What log lines of this request are told in.
    pub(super) fn span(&self) -> Span {
        let current = Span::current();
        if current.is_none() { request_span(self.operation.name(), self.id) } else { current }
    }

    /// Checks a request of this operation.
    pub(super) fn check(&self) -> Check<'_> {
        Check::of(self.caller, self.operation.name())
    }

    pub(super) fn account(&self) -> &str {
        &self.caller.account
    }

    pub(super) fn now(&self) -> Timestamp {
        self.store().clock().now()
    }

    /// The ARN of a stream, as this caller names it.
    pub(super) fn arn(&self, stream: &StreamName) -> String {
        let Caller { account, region, .. } = self.caller;
        format!("arn:aws:kinesis:{region}:{account}:stream/{stream}")
    }

    /// Whether the account has committed itself to a least throughput.
    pub(super) async fn is_committed(&self) -> Result<bool, ApiError> {
        let commitment = self.store().commitment().await?;
        Ok(commitment.is_some_and(|commitment| commitment.holds(self.now())))
    }

    /// The stream of this name; the request's span carries it from here on.
    pub(super) fn stream(&self, name: &StreamName) -> Result<Arc<Stream>, ApiError> {
        Span::current().record("stream", name.as_str());
        // One that a token names is in no space, and was not asked about yet.
        let name = name.clone().within(&self.caller.space());
        self.caller.permit(self.operation.name(), Target::Stream(&name))?;
        let found = self.store().stream(&name);
        let Some(delays) = &self.state.delays else {
            return found.map_err(|error| ApiError::no_stream(&error.name, self.account()));
        };
        let shown = match found {
            Ok(stream) => Some(delays.show(&stream, self.now())),
            Err(_) => delays.deleting(&name, self.now()),
        };
        self.admit(shown.ok_or_else(|| ApiError::no_stream(&name, self.account()))?)
    }

    /// Refuses what a stream in this status does not take.
    fn admit(&self, stream: Arc<Stream>) -> Result<Arc<Stream>, ApiError> {
        let (asks, status) = (asks(self.operation), stream.status);
        if asks.is_met_by(status) {
            self.asked.get_or_init(|| stream.id);
            return Ok(stream);
        }
        if asks == Asks::Records {
            return Err(ApiError::no_stream(&stream.name, self.account()));
        }
        let error = ReshardError::NotActive { name: stream.name.clone(), status };
        Err(ApiError::of_reshard(error, &stream.name, self.account()))
    }

    /// All streams, by name.
    pub(super) fn streams(&self) -> Vec<Arc<Stream>> {
        let streams = self.store().streams();
        self.state.delays.as_ref().map(|delays| delays.show_all(&streams, self.now())).unwrap_or(streams)
    }

    /// Whether a stream of this name is gone, and shows as being deleted.
    pub(super) fn is_deleting(&self, name: &StreamName) -> bool {
        self.state.delays.as_ref().is_some_and(|delays| delays.deleting(name, self.now()).is_some())
    }

    /// Has a change that was made show for its while.
    pub(super) fn note_change(&self) {
        if let Some(delays) = &self.state.delays
            && let Some(stream) = self.asked.get()
            && asks(self.operation) == Asks::Rest
        {
            delays.note_updated(*stream, self.now());
        }
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
