//! Errors that several verbs share.

use crate::engine::{AppendError, Corruption, DocumentError, LogError};
use crate::name::StreamName;
use crate::shard::ShardIndex;

/// There is no stream of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no stream '{name}'")]
pub struct NoStream {
    /// The name.
    pub name: StreamName,
}

/// The stream has no such shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stream '{stream}' has no shard {shard}")]
pub struct NoShard {
    /// The stream.
    pub stream: StreamName,
    /// The shard.
    pub shard: ShardIndex,
}

/// Data of a stream is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the data of the stream '{stream}' is damaged: {} at byte {}: {}", .corruption.file, .corruption.offset, .corruption.what
)]
pub struct Damaged {
    /// The stream.
    pub stream: StreamName,
    /// Where.
    #[source]
    pub corruption: Corruption,
}

/// The engine failed: the caller may try again later.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A log is damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Documents failed.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An append failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A document holds what this version cannot read.
    #[error("the document '{key}' cannot be read: {reason}")]
    Unreadable {
        /// Its name.
        key: String,
        /// Why.
        reason: String,
    },
    /// The work was cut short: the node is stopping, or the work broke down.
    #[error("the work was cut short: {0}")]
    CutShort(String),
    /// No random number could be had.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(String),
}

impl StoreError {
    /// Whether it is for want of space on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Log(error) => error.is_full(),
            Self::Document(error) => matches!(error, DocumentError::Full(_)),
            Self::Append(error) => matches!(error, AppendError::Full(_)),
            Self::Damaged(_) | Self::Unreadable { .. } | Self::CutShort(_) | Self::NoRandomness(_) => false,
        }
    }
}
