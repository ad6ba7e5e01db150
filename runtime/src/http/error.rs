//! The one table from what went wrong to what the wire says: the error's name and its HTTP status.
//!
//! Names are those of the Kinesis service model and of AWS JSON 1.1; `InternalFailureException` is the only one of the
//! model that is the server's fault. What the operator must know of it is logged, and the caller told to look there.

use std::fmt::Display;

use http::StatusCode;
use tidemill_stream::attached::AttachError;
use tidemill_stream::capacity::OverCapacity;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::create::CreateStreamError;
use tidemill_stream::delete::DeleteStreamError;
use tidemill_stream::encryption::SetEncryptionError;
use tidemill_stream::engine::{AppendError, LogError};
use tidemill_stream::error::StoreError;
use tidemill_stream::name::StreamName;
use tidemill_stream::put::{PutError, PutFailure};
use tidemill_stream::read::{PositionError, ReadError};
use tidemill_stream::reshard::ReshardError;
use tidemill_stream::retention::SetRetentionError;
use tidemill_wire::ErrorBody;
use tracing::Span;

use super::iterator::TokenError;
use super::limits::TOKEN_LIFETIME;

/// An error of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorKind {
    AccessDenied,
    DryRun,
    ExpiredIterator,
    ExpiredNextToken,
    IncompleteSignature,
    InternalFailure,
    InvalidArgument,
    KmsNotFound,
    InvalidSignature,
    LimitExceeded,
    MissingAuthenticationToken,
    ProvisionedThroughputExceeded,
    RequestTimeout,
    RequestTooLarge,
    ResourceInUse,
    ResourceNotFound,
    Serialization,
    ServiceUnavailable,
    UnknownOperation,
    UnrecognizedClient,
    UnsupportedMediaType,
    Validation,
}

impl ErrorKind {
    /// Its name on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::DryRun => "DryRunOperationException",
            Self::ExpiredIterator => "ExpiredIteratorException",
            Self::ExpiredNextToken => "ExpiredNextTokenException",
            Self::InternalFailure => "InternalFailureException",
            Self::InvalidArgument => "InvalidArgumentException",
            Self::KmsNotFound => "KMSNotFoundException",
            Self::LimitExceeded => "LimitExceededException",
            Self::ProvisionedThroughputExceeded => "ProvisionedThroughputExceededException",
            Self::RequestTimeout => "RequestTimeoutException",
            Self::RequestTooLarge => "RequestEntityTooLargeException",
            Self::ResourceInUse => "ResourceInUseException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Serialization => "SerializationException",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnsupportedMediaType => "UnsupportedMediaTypeException",
            Self::Validation => "ValidationException",
        }
    }

    /// Its HTTP status.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::InternalFailure => StatusCode::INTERNAL_SERVER_ERROR,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::AccessDenied
            | Self::DryRun
            | Self::ExpiredIterator
            | Self::ExpiredNextToken
            | Self::IncompleteSignature
            | Self::InvalidArgument
            | Self::KmsNotFound
            | Self::InvalidSignature
            | Self::LimitExceeded
            | Self::MissingAuthenticationToken
            | Self::ProvisionedThroughputExceeded
            | Self::ResourceInUse
            | Self::ResourceNotFound
            | Self::Serialization
            | Self::UnknownOperation
            | Self::UnrecognizedClient
            | Self::Validation => StatusCode::BAD_REQUEST,
        }
    }
}

/// What a caller is told instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    trouble: Option<Box<Trouble>>,
}

/// What the operator must know of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    /// Whether it is more than a warning.
    is_error: bool,
    what: &'static str,
    error: String,
}

impl ApiError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), trouble: None }
    }

    fn with_error(self, what: &'static str, error: &dyn Display) -> Self {
        Self { trouble: Some(Box::new(Trouble { is_error: true, what, error: error.to_string() })), ..self }
    }

    fn with_warning(self, what: &'static str, error: &dyn Display) -> Self {
        Self { trouble: Some(Box::new(Trouble { is_error: false, what, error: error.to_string() })), ..self }
    }

    /// Says in the log what the operator must know, inside the span of the request.
    pub(super) fn log(&self, span: impl FnOnce() -> Span) {
        let Some(Trouble { is_error, what, error }) = self.trouble.as_deref() else { return };
        let _entered = span().entered();
        if *is_error {
            tracing::error!(error, "{what}");
        } else {
            tracing::warn!(error, "{what}");
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// The node's own trouble: its log has it in full.
    pub(super) fn internal(what: &'static str, error: &dyn Display) -> Self {
        Self::new(ErrorKind::InternalFailure, "Internal Service Failure: the node's log says more.")
            .with_error(what, error)
    }

    /// The node's own trouble, told in full: the caller may be the one who can do something about it.
    pub(super) fn told(what: &'static str, error: &dyn Display) -> Self {
        Self::new(ErrorKind::InternalFailure, format!("Internal Service Failure: {error}.")).with_error(what, error)
    }

    pub(super) fn no_stream(name: &dyn Display, account: &str) -> Self {
        Self::new(ErrorKind::ResourceNotFound, format!("Stream {name} under account {account} not found."))
    }

    pub(super) fn no_shard(shard: &dyn Display, stream: &dyn Display, account: &str) -> Self {
        let message = format!("Could not find shard {shard} in stream {stream} under account {account}.");
        Self::new(ErrorKind::ResourceNotFound, message)
    }

    /// The error as its body. AWS spells the message of a `SerializationException` with a capital.
    pub(super) fn body(&self) -> ErrorBody {
        let kind = self.kind.name().to_owned();
        let message = Some(self.message.clone());
        if self.kind == ErrorKind::Serialization {
            ErrorBody { kind, message: None, capital_message: message }
        } else {
            ErrorBody { kind, message, capital_message: None }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_full() {
            return Self::told("the store failed", &format_args!("the disk is full: {error}"));
        }
        match error {
            StoreError::Damaged(damaged) => Self::told("data is damaged", &damaged),
            error @ (StoreError::Log(LogError::NoKey { .. }) | StoreError::Append(AppendError::NoKey { .. })) => {
                Self::no_key(&error)
            }
            error @ (StoreError::Log(_)
            | StoreError::Document(_)
            | StoreError::Append(_)
            | StoreError::Unreadable { .. }
            | StoreError::CutShort(_)
            | StoreError::NoRandomness(_)) => Self::internal("the store failed", &error),
        }
    }
}

/// Errors of the store, told to a caller of this account.
impl ApiError {
    pub(super) fn of_create(error: CreateStreamError, account: &str) -> Self {
        match error {
            CreateStreamError::Exists(name) => {
                let message = format!("Stream {name} under account {account} already exists.");
                Self::new(ErrorKind::ResourceInUse, message)
            }
            CreateStreamError::ShardCount { given, max } => {
                let message = format!("A stream has at most {max} shards; {given} were asked for.");
                Self::new(ErrorKind::LimitExceeded, message)
            }
            CreateStreamError::TooManyTags { max, .. } => Self::too_many_tags(max),
            CreateStreamError::Store(error) => error.into(),
        }
    }

    pub(super) fn of_delete(error: DeleteStreamError, account: &str) -> Self {
        match error {
            DeleteStreamError::NoStream(error) => Self::no_stream(&error.name, account),
            DeleteStreamError::HasConsumers { name, consumers } => {
                let message = format!(
                    "Stream {name} under account {account} has {consumers} registered consumers: deregister them, or set \
                     EnforceConsumerDeletion."
                );
                Self::new(ErrorKind::ResourceInUse, message)
            }
            DeleteStreamError::Store(error) => error.into(),
        }
    }

    fn too_many_tags(max: usize) -> Self {
        Self::invalid(format!("A stream or a consumer cannot have more than {max} tags associated with it."))
    }

    pub(super) fn of_attach(error: AttachError, stream: &StreamName, account: &str) -> Self {
        match error {
            AttachError::NoStream(error) => Self::no_stream(&error.name, account),
            AttachError::NoConsumer(consumer) => {
                let message = format!("Consumer {consumer} of stream {stream} under account {account} not found.");
                Self::new(ErrorKind::ResourceNotFound, message)
            }
            AttachError::ConsumerExists(consumer) => {
                let message = format!("Consumer {consumer} of stream {stream} under account {account} already exists.");
                Self::new(ErrorKind::ResourceInUse, message)
            }
            AttachError::TooManyConsumers { max } => {
                let message = format!(
                    "Stream {stream} under account {account} has {max} registered consumers, the most it may have."
                );
                Self::new(ErrorKind::LimitExceeded, message)
            }
            AttachError::TooManyTags { max, .. } => Self::too_many_tags(max),
            AttachError::NoPolicy => {
                let message = format!("No resource policy found: stream {stream} under account {account}.");
                Self::new(ErrorKind::ResourceNotFound, message)
            }
            AttachError::Store(error) => error.into(),
        }
    }

    pub(super) fn of_reshard(error: ReshardError, name: &StreamName, account: &str) -> Self {
        match error {
            ReshardError::NoStream(error) => Self::no_stream(&error.name, account),
            ReshardError::NoShard(error) => Self::no_shard(&error.shard, &error.stream, account),
            ReshardError::NotActive { name, status } => {
                let status = format!("{status:?}").to_uppercase();
                let message = format!("Stream {name} under account {account} not ACTIVE, instead in state {status}");
                Self::new(ErrorKind::ResourceInUse, message)
            }
            error @ ReshardError::OnDemand { .. } => {
                Self::new(ErrorKind::Validation, format!("Under account {account}: {error}."))
            }
            ReshardError::Closed { shard } => Self::invalid(format!(
                "Shard {shard} in stream {name} under account {account} has already been merged or split, and thus is \
                 not eligible for merging or splitting."
            )),
            ReshardError::SplitPoint { shard, given, range } => Self::invalid(format!(
                "NewStartingHashKey {given} used in SplitShard() on shard {shard} in stream {name} under account \
                 {account} is not both greater than one plus the shard's StartingHashKey {} and less than the shard's \
                 EndingHashKey {}.",
                range.start, range.end
            )),
            ReshardError::NotAdjacent { one, other } => Self::invalid(format!(
                "Shards {one} and {other} in stream {name} under account {account} are not an adjacent pair of shards \
                 eligible for merging"
            )),
            ReshardError::Scale { current, target } => {
                let bound = if target as usize > current { "up over double" } else { "down below half" };
                Self::new(
                    ErrorKind::LimitExceeded,
                    format!(
                        "UpdateShardCount cannot scale {bound} your current open shard count. Current open shard \
                         count: {current}, Target shard count: {target}"
                    ),
                )
            }
            error @ (ReshardError::ShardCount { .. } | ReshardError::TooManyListed { .. }) => {
                Self::new(ErrorKind::LimitExceeded, format!("Stream {name} under account {account}: {error}."))
            }
            ReshardError::Store(error) => error.into(),
        }
    }

    pub(super) fn of_retention(error: SetRetentionError, account: &str) -> Self {
        match error {
            SetRetentionError::NoStream(error) => Self::no_stream(&error.name, account),
            SetRetentionError::NotActive { name, status } => {
                let message = format!("Stream {name} under account {account} is {status:?}, not ACTIVE.");
                Self::new(ErrorKind::ResourceInUse, message)
            }
            error @ SetRetentionError::WrongWay { .. } => Self::invalid(format!("{error}.")),
            SetRetentionError::Store(error) => error.into(),
        }
    }

    pub(super) fn of_encryption(error: SetEncryptionError, account: &str) -> Self {
        match error {
            SetEncryptionError::NoStream(error) => Self::no_stream(&error.name, account),
            SetEncryptionError::NotActive { name, status } => {
                let message = format!("Stream {name} under account {account} is {status:?}, not ACTIVE.");
                Self::new(ErrorKind::ResourceInUse, message)
            }
            SetEncryptionError::Store(error) => error.into(),
        }
    }

    /// Records are encrypted with a key that the node was not given.
    pub(super) fn no_key(error: &dyn std::fmt::Display) -> Self {
        Self::new(ErrorKind::KmsNotFound, format!("The key is not found: {error}; see --encryption-keys."))
            .with_warning("a key is missing", error)
    }

    pub(super) fn of_read(error: ReadError, account: &str) -> Self {
        match error {
            ReadError::NoStream(error) => Self::no_stream(&error.name, account),
            ReadError::NoShard(error) => Self::no_shard(&error.shard, &error.stream, account),
            ReadError::Store(error) => error.into(),
        }
    }

    pub(super) fn of_position(error: PositionError, account: &str) -> Self {
        match error {
            PositionError::Read(error) => Self::of_read(error, account),
            PositionError::ForeignSequence { sequence, shard, stream } => Self::invalid(format!(
                "StartingSequenceNumber {sequence} used in GetShardIterator on shard {shard} in stream {stream} under \
                 account {account} is invalid because it did not come from this stream."
            )),
        }
    }

    pub(super) fn of_put(error: PutError, account: &str) -> Self {
        match error {
            PutError::NoStream(error) => Self::no_stream(&error.name, account),
            PutError::NotActive { name, status } => {
                let message = format!("Stream {name} under account {account} is {status:?}, not ACTIVE or UPDATING.");
                Self::new(ErrorKind::ResourceInUse, message)
            }
            error @ (PutError::Count { .. } | PutError::RecordTooLarge { .. } | PutError::TooLarge { .. }) => {
                Self::invalid(error.to_string())
            }
        }
    }

    /// A shard iterator that is not taken.
    pub(super) fn of_iterator(error: TokenError, now: Timestamp) -> Self {
        match error {
            TokenError::Garbled => Self::invalid("Invalid ShardIterator."),
            TokenError::Expired { issued } => {
                let (issued, now, lifetime) = (issued.as_millis(), now.as_millis(), TOKEN_LIFETIME.as_millis());
                let message = format!(
                    "Iterator expired: it was created at {issued} ms, now is {now} ms, and it lives {lifetime} ms."
                );
                Self::new(ErrorKind::ExpiredIterator, message)
            }
        }
    }

    /// A paging token that is not taken.
    pub(super) fn of_next_token(error: TokenError) -> Self {
        match error {
            TokenError::Garbled => Self::invalid("Invalid NextToken."),
            TokenError::Expired { .. } => {
                let message = "NextToken expired: begin the listing anew.";
                Self::new(ErrorKind::ExpiredNextToken, message)
            }
        }
    }

    /// In AWS's words, which clients may look for.
    pub(super) fn over_capacity(over: &OverCapacity, account: &str) -> Self {
        let OverCapacity { stream, shard, wait: _ } = over;
        let message = format!("Rate exceeded for shard {shard} in stream {stream} under account {account}.");
        Self::new(ErrorKind::ProvisionedThroughputExceeded, message)
    }

    /// For a put of one record; in a put of several, a failure is told beside the record.
    pub(super) fn of_failure(failure: &PutFailure, account: &str) -> Self {
        match failure {
            PutFailure::Throughput(reason) => {
                let message = format!("Rate exceeded under account {account}: {reason}");
                Self::new(ErrorKind::ProvisionedThroughputExceeded, message)
            }
            PutFailure::OverCapacity(over) => Self::over_capacity(over, account),
            PutFailure::Full(_) => {
                Self::new(ErrorKind::InternalFailure, format!("Internal Service Failure: {failure}."))
                    .with_warning("a record found no space", failure)
            }
            PutFailure::NoKey(reason) => Self::no_key(reason),
            PutFailure::Damaged(_) => Self::told("a record could not be appended", failure),
            PutFailure::Internal(reason) => Self::internal("a record could not be appended", reason),
        }
    }
}
