//! The one table from what went wrong here to its name and HTTP status.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tidemill_stream::error::NoStream;
use tidemill_stream::name::StreamName;
use tidemill_stream::put::{PutError, PutFailure, PutOnceError};
use tidemill_stream::store::Store;

use crate::http::error::{ApiError, ErrorKind};

/// How unlike a stream's name may be and still be proposed (0 is nothing alike, 1 the same).
const LIKENESS_MIN: f64 = 0.7;
/// How long a client is told to wait where nobody knows better.
const WAIT: Duration = Duration::from_secs(1);
/// The same on a full disk, which somebody has to clear.
const FULL_WAIT: Duration = Duration::from_secs(30);

/// An error's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    BodyBroken,
    BodyTimeout,
    Busy,
    DiskFull,
    EmptyBody,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    Internal,
    InvalidIdempotencyKey,
    InvalidJson,
    InvalidPartitionKey,
    InvalidQuery,
    InvalidStreamName,
    KeyMissing,
    OriginNotAllowed,
    OverCapacity,
    PlacesUnknown,
    RecordTooLarge,
    RequestTooLarge,
    SeveralContentTypes,
    SeveralKeySources,
    StreamDamaged,
    StreamNotActive,
    StreamNotFound,
    TooManyIdempotencyKeys,
    Unauthorized,
    UnsupportedMediaType,
}

impl Code {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BodyBroken => "body_broken",
            Self::BodyTimeout => "body_timeout",
            Self::Busy => "busy",
            Self::DiskFull => "disk_full",
            Self::EmptyBody => "empty_body",
            Self::IdempotencyKeyInUse => "idempotency_key_in_use",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::Internal => "internal",
            Self::InvalidIdempotencyKey => "invalid_idempotency_key",
            Self::InvalidJson => "invalid_json",
            Self::InvalidPartitionKey => "invalid_partition_key",
            Self::InvalidQuery => "invalid_query",
            Self::InvalidStreamName => "invalid_stream_name",
            Self::KeyMissing => "key_missing",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::OverCapacity => "over_capacity",
            Self::PlacesUnknown => "places_unknown",
            Self::RecordTooLarge => "record_too_large",
            Self::RequestTooLarge => "request_too_large",
            Self::SeveralContentTypes => "several_content_types",
            Self::SeveralKeySources => "several_key_sources",
            Self::StreamDamaged => "stream_damaged",
            Self::StreamNotActive => "stream_not_active",
            Self::StreamNotFound => "stream_not_found",
            Self::TooManyIdempotencyKeys => "too_many_idempotency_keys",
            Self::Unauthorized => "unauthorized",
            Self::UnsupportedMediaType => "unsupported_media_type",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::BodyBroken
            | Self::EmptyBody
            | Self::InvalidIdempotencyKey
            | Self::InvalidJson
            | Self::InvalidPartitionKey
            | Self::InvalidQuery
            | Self::InvalidStreamName
            | Self::SeveralContentTypes
            | Self::SeveralKeySources => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::OriginNotAllowed => StatusCode::FORBIDDEN,
            Self::StreamNotFound => StatusCode::NOT_FOUND,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::IdempotencyKeyInUse | Self::PlacesUnknown => StatusCode::CONFLICT,
            Self::RecordTooLarge | Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::OverCapacity | Self::TooManyIdempotencyKeys => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal | Self::KeyMissing | Self::StreamDamaged => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::StreamNotActive => StatusCode::SERVICE_UNAVAILABLE,
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// How long to wait before it is of use to try again, if it is.
    const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Busy | Self::IdempotencyKeyInUse | Self::OverCapacity | Self::StreamNotActive => Some(WAIT),
            Self::DiskFull => Some(FULL_WAIT),
            Self::BodyBroken
            | Self::BodyTimeout
            | Self::EmptyBody
            | Self::IdempotencyKeyReused
            | Self::Internal
            | Self::InvalidIdempotencyKey
            | Self::InvalidJson
            | Self::InvalidPartitionKey
            | Self::InvalidQuery
            | Self::InvalidStreamName
            | Self::KeyMissing
            | Self::OriginNotAllowed
            | Self::PlacesUnknown
            | Self::RecordTooLarge
            | Self::RequestTooLarge
            | Self::SeveralContentTypes
            | Self::SeveralKeySources
            | Self::StreamDamaged
            | Self::StreamNotFound
            | Self::TooManyIdempotencyKeys
            | Self::Unauthorized
            | Self::UnsupportedMediaType => None,
        }
    }
}

/// What a caller is told instead of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IngestError {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl IngestError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: code.retry_after() }
    }

    pub(super) fn body(&self) -> Bytes {
        json!({ "error": self.code.name(), "message": self.message }).to_string().into()
    }

    pub(super) fn no_stream(name: &StreamName, store: &Store) -> Self {
        let mut streams = store.streams();
        streams.retain(|stream| stream.name.space().is_own());
        let scored = streams.iter().map(|stream| (strsim::jaro_winkler(name.as_str(), stream.name.as_str()), stream));
        let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
        let remedy = match best {
            Some((_, stream)) => format!("did you mean '{}'?", stream.name),
            None => "create it, or name one that is there".to_owned(),
        };
        Self::new(Code::StreamNotFound, format!("there is no stream '{name}'; {remedy}"))
    }

    /// A body that was not received, or an answer that has no room.
    pub(super) fn of_receiving(error: ApiError) -> Self {
        let code = match error.kind {
            ErrorKind::RequestTimeout => Code::BodyTimeout,
            ErrorKind::RequestTooLarge => Code::RequestTooLarge,
            ErrorKind::ServiceUnavailable => Code::Busy,
            ErrorKind::Serialization => Code::BodyBroken,
            ErrorKind::AccessDenied
            | ErrorKind::DryRun
            | ErrorKind::ExpiredIterator
            | ErrorKind::ExpiredNextToken
            | ErrorKind::IncompleteSignature
            | ErrorKind::InternalFailure
            | ErrorKind::InvalidArgument
            | ErrorKind::KmsNotFound
            | ErrorKind::InvalidSignature
            | ErrorKind::LimitExceeded
            | ErrorKind::MissingAuthenticationToken
            | ErrorKind::ProvisionedThroughputExceeded
            | ErrorKind::ResourceInUse
            | ErrorKind::ResourceNotFound
            | ErrorKind::UnknownOperation
            | ErrorKind::UnrecognizedClient
            | ErrorKind::UnsupportedMediaType
            | ErrorKind::Validation => Code::Internal,
        };
        Self::new(code, error.message)
    }

    pub(super) fn of_put(error: PutError, store: &Store) -> Self {
        match error {
            PutError::NoStream(NoStream { name }) => Self::no_stream(&name, store),
            error @ PutError::NotActive { .. } => Self::new(Code::StreamNotActive, error.to_string()),
            PutError::RecordTooLarge { index, bytes, max } => {
                let message = format!(
                    "record {} has {bytes} bytes of data and partition key; a record has at most {max}",
                    index + 1
                );
                Self::new(Code::RecordTooLarge, message)
            }
            error @ (PutError::Count { .. } | PutError::TooLarge { .. }) => {
                Self::new(Code::RequestTooLarge, format!("{error}; send them in several requests"))
            }
        }
    }

    pub(super) fn of_put_once(error: PutOnceError, store: &Store) -> Self {
        match error {
            PutOnceError::Put(error) => Self::of_put(error, store),
            PutOnceError::InWork => {
                let message = "a request with this Idempotency-Key is in work; send it again when that has ended";
                Self::new(Code::IdempotencyKeyInUse, message)
            }
            PutOnceError::OtherContent => {
                let message = "this Idempotency-Key came with another body, content type or key source less than 10 \
                               minutes ago; use a new one for another request";
                Self::new(Code::IdempotencyKeyReused, message)
            }
            error @ PutOnceError::TooManyKeys { free_in } => {
                let message = format!("{error}; send larger requests, or send this one then");
                Self { retry_after: Some(free_in), ..Self::new(Code::TooManyIdempotencyKeys, message) }
            }
            error @ PutOnceError::PlacesUnknown => Self::new(Code::PlacesUnknown, error.to_string()),
            error @ PutOnceError::SeveralLogs => Self::new(Code::InvalidIdempotencyKey, error.to_string()),
            PutOnceError::Store(error) if error.is_full() => Self::new(Code::DiskFull, error.to_string()),
            PutOnceError::Store(error) => Self::internal(&error.to_string()),
        }
    }

    pub(super) fn of_failure(failure: &PutFailure) -> Self {
        match failure {
            PutFailure::Throughput(reason) => Self::new(
                Code::OverCapacity,
                format!("more comes in than can be committed: {reason}; send it again later"),
            ),
            PutFailure::OverCapacity(over) => {
                let retry_after = Some(Duration::from_secs(over.wait.as_millis().div_ceil(1000) as u64));
                Self { retry_after, ..Self::new(Code::OverCapacity, format!("{failure}; send it again then")) }
            }
            PutFailure::Full(_) => Self::new(Code::DiskFull, format!("{failure}; send it again when there is space")),
            PutFailure::NoKey(reason) => Self::new(Code::KeyMissing, reason.clone()),
            PutFailure::Damaged(_) => Self::new(Code::StreamDamaged, failure.to_string()),
            PutFailure::Internal(reason) => Self::internal(reason),
        }
    }

    fn internal(reason: &str) -> Self {
        tracing::error!(error = reason, "records were not put");
        Self::new(Code::Internal, "the node could not put the records; its log says why")
    }
}
