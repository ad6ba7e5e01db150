//! What can go wrong between a client and a node.

use crate::trust::NoTrust;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node refused.
    #[error("{kind} ({status}): {message}")]
    Api {
        /// The error's name, such as `ResourceNotFoundException`.
        kind: String,
        /// What was wrong.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// The node was not reached, or the connection broke.
    #[error("the node did not answer: {0}")]
    Transport(#[from] reqwest::Error),
    /// It is not known whether the node is the one that was meant; nothing was sent.
    #[error(transparent)]
    NoTrust(#[from] NoTrust),
    /// The answer is not what the API says.
    #[error("the answer to {operation} cannot be read: {source}")]
    Unreadable {
        /// What was asked.
        operation: &'static str,
        /// What is wrong with the answer.
        source: serde_json::Error,
    },
    /// The request could not be signed; nothing was sent.
    #[error("the request cannot be signed: {reason}")]
    Unsigned {
        /// Why.
        reason: String,
    },
    /// Records were refused one by one, and again after every retry.
    #[error("{records} records were not taken in {attempts} attempts, the last one because of {code}: {message}")]
    Refused {
        /// How many.
        records: usize,
        /// How often they were sent.
        attempts: u32,
        /// The last refusal's name.
        code: String,
        /// The last refusal's message.
        message: String,
    },
}

impl ClientError {
    /// Nobody listens where the node should be.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_connect())
    }

    /// The endpoint is not one that could be asked.
    pub fn is_endpoint_wrong(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_builder())
    }

    /// What was named does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { kind, .. } if kind == "ResourceNotFoundException")
    }

    /// The node wants to know who asks, and the request did not say.
    pub fn is_unsigned(&self) -> bool {
        matches!(self, Self::Api { kind, .. } if kind == "MissingAuthenticationTokenException")
    }

    /// The place in a shard was given out too long ago.
    pub fn is_iterator_expired(&self) -> bool {
        matches!(self, Self::Api { kind, .. } if kind == "ExpiredIteratorException")
    }

    /// The node cannot answer now: what changes nothing, such as a read, may simply be asked again.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport(error) => !error.is_builder(),
            Self::Api { .. } => self.is_retryable(),
            Self::NoTrust(_) | Self::Unreadable { .. } | Self::Unsigned { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether the same request may go well later. After a server's own failure it may have happened all the same.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Api { kind, status, .. } => kind == "ProvisionedThroughputExceededException" || *status >= 500,
            Self::Transport(error) => error.is_connect(),
            Self::NoTrust(_) | Self::Unreadable { .. } | Self::Unsigned { .. } | Self::Refused { .. } => false,
        }
    }
}
