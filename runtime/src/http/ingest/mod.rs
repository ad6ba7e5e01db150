//! `POST /streams/NAME/records`: records from those who have no SDK, as they are or as JSON.
//!
//! Promises that a body is one put: all of it is in the stream or nothing, as far as the stream has one log, which all of
//! this node's have; and that each refusal says in JSON what was wrong and what would be right. It must not know the
//! Kinesis API.

mod answer;
mod body;
mod cors;
mod error;
mod key;
mod settings;
mod token;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};
use tidemill_stream::name::StreamName;
use tidemill_stream::put::{OnceKey, OncePut};
use tidemill_stream::record::Record;
use tokio::time::{Instant, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use self::answer::Answer;
use self::body::Media;
use self::error::{Code, IngestError};
use self::key::KeySource;
pub use self::settings::{Ingest, IngestSettings, InvalidOrigin, InvalidToken, Origin, Origins, TokenDigest};
use super::dispatch::{Door, RequestId, receive};
use super::limits::IDEMPOTENCY_KEY_BYTES_MAX;

/// What metrics and logs call a request here.
const OPERATION: &str = "IngestRecords";

/// `POST /streams/NAME/records`
pub(super) async fn records(State(door): State<Arc<Door>>, request: Request) -> Response {
    let started = Instant::now();
    let id = RequestId::random();
    let (head, body) = request.into_parts();
    let span = tracing::info_span!("request", operation = OPERATION, request_id = %id, stream = Empty, status = Empty);
    let Some(settings) = door.state().ingest.settings() else {
        let error = IngestError::new(Code::Busy, "the node has not read its manifest yet; try again in a moment");
        return respond(Err(error)).0;
    };
    let work = Work { door: &door, settings: &settings, head: &head, started };
    let taken = async {
        let taken = work.take(body).await;
        let status = taken.as_ref().map_or_else(|error| error.code.status(), |answer| answer.status);
        Span::current().record("status", status.as_u16());
        tracing::debug!(took_us = started.elapsed().as_micros(), "answered");
        taken
    };
    let taken = taken.instrument(span).await;
    let metrics = &door.state().metrics;
    let outcome = taken.as_ref().map_or_else(|error| error.code.name(), |answer| answer.outcome);
    let (mut response, bytes) = respond(taken);
    metrics.answered(OPERATION, outcome, started.elapsed(), bytes);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-request-id"), id.header());
    cors::allow(&settings, &head, headers);
    response
}

/// `OPTIONS /streams/NAME/records`: what a browser asks before it puts for a page.
pub(super) async fn preflight(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(settings) = door.state().ingest.settings() {
        cors::allow_preflight(&settings, &head, response.headers_mut());
    }
    response
}

fn respond(taken: Result<Answer, IngestError>) -> (Response, usize) {
    let (status, body, retry_after, is_repeat) = match taken {
        Ok(answer) => (answer.status, answer.body, answer.retry_after, answer.is_repeat),
        Err(error) => (error.code.status(), error.body(), error.retry_after, false),
    };
    let bytes = body.len();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if is_repeat {
        headers.insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    (response, bytes)
}

/// One request in work.
struct Work<'a> {
    door: &'a Door,
    settings: &'a IngestSettings,
    head: &'a Parts,
    started: Instant,
}

/// What the head of a request says.
struct Asked {
    stream: StreamName,
    media: Media,
    key: KeySource,
    idempotency_key: Option<[u8; 32]>,
}

impl Work<'_> {
    async fn take(&self, body: Body) -> Result<Answer, IngestError> {
        cors::check(self.settings, self.head)?;
        token::check(self.settings, &self.door.state().access, self.head)?;
        let asked = self.asked()?;
        let state = self.door.state();
        let limits = &state.limits;
        let deadline = self.started + limits.request_timeout;
        let received = timeout_at(deadline, receive(self.door, self.head, body)).await;
        let late = |_| IngestError::new(Code::BodyTimeout, "the request was not complete in time: send it faster");
        // Held to the end: the records lie in memory as long as the body.
        let (body, _room) = received.map_err(late)?.map_err(IngestError::of_receiving)?;
        state.metrics.received(body.len());
        let records = body::records(asked.media, &asked.key, &body)?;
        let bytes: usize = records.iter().map(Record::size_bytes).sum();
        let counted = (records.len(), bytes);
        let put = timeout_at(deadline, self.put(&asked, &body, records)).await;
        let late = |_| IngestError::new(Code::Internal, "the records were not put in time; they may still be");
        let put = put.map_err(late).flatten().and_then(|put| Answer::of(&put));
        let outcome = put.as_ref().map_or_else(|error| error.code.name(), |answer| answer.outcome);
        state.metrics.ingested(outcome, counted.0, counted.1);
        let answer = put?;
        state.metrics.records_in.inc_by(answer.placed);
        let kept = self.door.keep(answer.body).map_err(IngestError::of_receiving)?;
        Ok(Answer { body: kept, ..answer })
    }

    /// What is asked for, as far as the head says.
    fn asked(&self) -> Result<Asked, IngestError> {
        let stream = self.stream()?;
        let media = Media::of(&self.head.headers)?;
        let key = KeySource::of(self.head)?;
        Ok(Asked { stream, media, key, idempotency_key: idempotency_key(self.head)? })
    }

    fn stream(&self) -> Result<StreamName, IngestError> {
        let path = self.head.uri.path();
        let name = path.strip_prefix("/streams/").and_then(|rest| rest.strip_suffix("/records")).unwrap_or_default();
        let name = StreamName::parse(name);
        let name = name.map_err(|error| IngestError::new(Code::InvalidStreamName, error.to_string()))?;
        Span::current().record("stream", name.as_str());
        let store = &self.door.state().store;
        store.stream(&name).map(|_| ()).map_err(|_| IngestError::no_stream(&name, store))?;
        Ok(name)
    }

    async fn put(&self, asked: &Asked, body: &Bytes, records: Vec<Record>) -> Result<OncePut, IngestError> {
        let store = &self.door.state().store;
        let Some(key) = asked.idempotency_key else {
            let put = store.put_whole(&asked.stream, records).await;
            let outcomes = put.map_err(|error| IngestError::of_put(error, store))?;
            return Ok(OncePut { outcomes, is_repeat: false });
        };
        let once = OnceKey { key, content: content(asked, body) };
        store.put_keyed(&asked.stream, once, records).await.map_err(|error| IngestError::of_put_once(error, store))
    }
}

/// The key of a request that may come twice, as it is kept.
fn idempotency_key(head: &Parts) -> Result<Option<[u8; 32]>, IngestError> {
    let mut all = head.headers.get_all("idempotency-key").iter();
    let Some(given) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        let message = "the header Idempotency-Key comes more than once; give one";
        return Err(IngestError::new(Code::InvalidIdempotencyKey, message));
    }
    let bytes = given.as_bytes();
    if (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Ok(Some(Sha256::digest(bytes).into()));
    }
    let message = format!(
        "the Idempotency-Key of {} bytes is not one: use 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters",
        bytes.len()
    );
    Err(IngestError::new(Code::InvalidIdempotencyKey, message))
}

/// A digest of all that decides which records a request makes.
fn content(asked: &Asked, body: &Bytes) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update([asked.media.number()]);
    let (kind, text) = asked.key.describe();
    digest.update([kind]);
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text);
    digest.update(body);
    digest.finalize().into()
}
