//! What a poller needs of a function: hand it a batch, learn how it went.
//!
//! This file promises that a call ends, within the function's time limit, and that whatever the function did is one of
//! the [`InvokeError`]s, or success and what it emitted. It must not know of wasm: a closure invokes as well as a component does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::ShardIndex;

use super::emit::Emitted;
use crate::home::Arns;

/// Something that handles batches, one at a time. Two implementations: a [`FunctionLane`](super::FunctionLane), and any
/// closure `FnMut(Invocation) -> Future`.
#[async_trait::async_trait]
pub trait Invoke: Send {
    /// Hands over a batch and waits for the outcome. Dropping the future stops the call.
    async fn invoke(&mut self, batch: &Invocation) -> Result<Answer, InvokeError>;
}

#[async_trait::async_trait]
impl<F, Outcome, Output> Invoke for F
where
    F: FnMut(Invocation) -> Outcome + Send,
    Outcome: Future<Output = Result<Output, InvokeError>> + Send,
    Output: Into<Answer>,
{
    async fn invoke(&mut self, batch: &Invocation) -> Result<Answer, InvokeError> {
        self(batch.clone()).await.map(Into::into)
    }
}

/// What a call that succeeded hands back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// What the function wants to be put on other streams.
    pub emitted: Emitted,
    /// What it says of the batch.
    pub reply: Reply,
}

/// What a function says of a batch that it did not fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reply {
    /// It took the batch.
    #[default]
    Taken,
    /// The response of a handler of Lambda's shape, as it came: JSON if the handler is right. Whether it took all records
    /// stands there.
    Response(Bytes),
}

impl From<Emitted> for Answer {
    /// The batch was taken.
    fn from(emitted: Emitted) -> Self {
        Self { emitted, reply: Reply::Taken }
    }
}

impl From<()> for Answer {
    /// The batch was taken, and nothing emitted.
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// One call: records of one shard, in order. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Names the call in the log; another attempt has another one.
    pub request_id: String,
    /// The stream that the records come from.
    pub stream: StreamName,
    /// The shard that the records come from.
    pub shard: ShardIndex,
    /// When the shard was created: a part of sequence numbers.
    pub shard_created: Timestamp,
    /// 1 at the first delivery of these records.
    pub attempt: u32,
    /// The records; none only in the last call of a window.
    pub records: Arc<[StoredRecord]>,
    /// How the world calls the stream and the function.
    pub arns: Arc<Arns>,
    /// The tumbling window that the records lie in, of a trigger with such windows.
    pub window: Option<WindowCall>,
}

/// A call within a tumbling window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowCall {
    /// Where the window begins.
    pub start: Timestamp,
    /// Where it ends; what arrives then lies in the next one.
    pub end: Timestamp,
    /// What the call before it returned as its state: JSON; `{}` in the first call of a window.
    pub state: Bytes,
    /// Whether this is the window's last call, which has no records.
    pub is_final: bool,
    /// Whether it ends here because its state has become too large.
    pub is_terminated_early: bool,
}

/// Why a call failed. Texts that come from the function are at most [`FAILURE_BYTES_MAX`](super::limits::FAILURE_BYTES_MAX)
/// bytes, one line, free of control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function returned an error.
    #[error("the function failed: {message}")]
    Failed {
        /// What it said.
        message: String,
    },
    /// The function panicked or did something else that WebAssembly stops.
    #[error("the function was stopped: {message}")]
    Trapped {
        /// The text of the panic if there was one, or what the engine says.
        message: String,
    },
    /// The call took too long.
    #[error("the function ran longer than its timeout of {limit:?}")]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// The function wanted more memory than it may have.
    #[error("the function wanted more memory than its limit of {limit_bytes} bytes")]
    OutOfMemory {
        /// How much it may have.
        limit_bytes: usize,
    },
    /// There was no function to call: none of this name is deployed, or it does not start.
    #[error("the function cannot be called: {message}")]
    Unavailable {
        /// Why not.
        message: String,
    },
}
