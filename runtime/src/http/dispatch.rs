//! One request of the API: from its head to its answer.
//!
//! Promises that every answer carries a request id, that no request outlives its deadline, and that the bytes of bodies
//! that have arrived and of answers that are not sent are bounded: what finds no room is refused, nothing waits for room.
//! It must not know what an operation does.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use tidemill_wire::{OPERATION_NAMES, Operation, TARGET_PREFIX};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Level, Span};

use super::HttpState;
use super::auth::Target;
use super::codec::Codec;
use super::context::Context;
use super::error::{ApiError, ErrorKind};
use super::event_stream;
use super::limits::{BODY_RESERVED_BYTES_MAX, EVENT_INTERVAL, SMALL_ANSWER_BYTES_MAX, USER_AGENT_CHARS_MAX};
use super::operation::{self, Said};
use super::subscriptions::Subscriptions;
use crate::harmless;

/// What requests share.
pub(super) struct Door {
    state: HttpState,
    /// A permit for each byte that may still arrive in request bodies.
    bodies: Semaphore,
    /// A permit for each byte of answers that may still be made before one is sent.
    answers: Arc<Semaphore>,
    subscriptions: Subscriptions,
    /// The node stops: what lasts ends.
    stopping: CancellationToken,
}

impl Door {
    pub(super) fn new(state: HttpState, stopping: CancellationToken) -> Self {
        // One body of the largest size always finds room.
        let bytes = state.limits.bodies_bytes_max.max(state.limits.body_bytes_max);
        let bodies = Semaphore::new(bytes.min(Semaphore::MAX_PERMITS));
        let answers = Arc::new(Semaphore::new(state.limits.answers_bytes_max.min(Semaphore::MAX_PERMITS)));
        Self { state, bodies, answers, subscriptions: Subscriptions::new(stopping.clone()), stopping }
    }

    /// Room for so many bytes of a request body.
    fn room_for_body(&self, bytes: usize) -> Result<SemaphorePermit<'_>, ApiError> {
        let room = self.bodies.try_acquire_many(u32::try_from(bytes).unwrap_or(u32::MAX));
        room.map_err(|_| no_room("request bodies in work", self.state.limits.bodies_bytes_max))
    }

    /// The answer with its room in memory, which it gives back with its last byte.
    pub(super) fn keep(&self, answer: Bytes) -> Result<Bytes, ApiError> {
        if answer.len() <= SMALL_ANSWER_BYTES_MAX {
            return Ok(answer);
        }
        let permits = u32::try_from(answer.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.answers).try_acquire_many_owned(permits);
        let room = room.map_err(|_| no_room("answers not sent yet", self.state.limits.answers_bytes_max))?;
        Ok(Bytes::from_owner(Kept { answer, _room: room }))
    }

    /// Whether there is room for an answer of so many bytes, or for as much as can be kept at all. Nobody queues for it: who
    /// wants much would keep out who wants little.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.answers.available_permits() >= bytes.min(self.state.limits.answers_bytes_max)
    }

    pub(super) fn state(&self) -> &HttpState {
        &self.state
    }

    pub(super) fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }
}

/// Marks an answer whose body goes on: its request is in work until that ends. A part of it comes at least so often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting(pub(super) Duration);

/// The bytes of an answer. A connection may buffer them long after it has dropped the body they came in, so the room is
/// bound to the bytes.
struct Kept {
    answer: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

fn no_room(what: &str, bytes_max: usize) -> ApiError {
    let message = format!("The node is busy: its room for {what}, {bytes_max} bytes, is taken. Try again later.");
    ApiError::new(ErrorKind::ServiceUnavailable, message)
}

/// `POST /`
pub(super) async fn kinesis(State(door): State<Arc<Door>>, request: Request) -> Response {
    let started = Instant::now();
    let id = RequestId::random();
    let (head, body) = request.into_parts();
    let target = target(&head);
    let name = target.as_ref().map_or("unknown", |operation| operation.name());
    // A span costs as much as the work for a record; where it is frequent and all goes well, nothing is said in it.
    let is_frequent = target.as_ref().is_ok_and(|operation| is_frequent(*operation));
    let span = if is_frequent && !tracing::enabled!(Level::DEBUG) { Span::none() } else { request_span(name, &id) };
    let codec = Codec::of(&head.headers);
    let answer = async {
        let answer = match (&target, &codec) {
            (Ok(operation), Ok(codec)) => run(&door, &id, *operation, *codec, &head, body, started).await,
            (Err(error), _) | (Ok(_), Err(error)) => Err(error.clone()),
        };
        let status = answer.as_ref().map_or_else(|error| error.kind.status(), |_| StatusCode::OK);
        Span::current().record("status", status.as_u16());
        tracing::debug!(
            took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            http_version = ?head.version,
            user_agent = user_agent(&head.headers),
            "answered"
        );
        answer
    };
    let answer = answer.instrument(span.clone()).await;
    if let Err(error) = &answer {
        error.log(|| if span.is_none() { request_span(name, &id) } else { span });
    }
    let error = answer.as_ref().map_or_else(|error| error.kind.name(), |_| "none");
    let (response, bytes) = respond(&id, codec.unwrap_or(Codec::AwsJson), answer);
    door.state.metrics.answered(name, error, started.elapsed(), bytes);
    response
}

/// What log lines of a request are told in.
pub(super) fn request_span(operation: &'static str, id: &RequestId) -> Span {
    tracing::info_span!("request", operation, request_id = %id, stream = Empty, status = Empty)
}

/// Whether a client asks it for every few records.
const fn is_frequent(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::PutRecord | Operation::PutRecords | Operation::GetRecords | Operation::GetShardIterator
    )
}

/// What the client calls itself: the beginning, on one line.
fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(USER_AGENT)?.as_bytes());
    let beginning: String = text.chars().take(USER_AGENT_CHARS_MAX).collect();
    Some(harmless::on_one_line(&beginning))
}

async fn run(
    door: &Arc<Door>,
    id: &RequestId,
    operation: Operation,
    codec: Codec,
    head: &Parts,
    body: Body,
    started: Instant,
) -> Result<Said, ApiError> {
    let limits = &door.state.limits;
    let deadline = started + limits.request_timeout;
    let late = |_| body_is_late(limits.request_timeout);
    let claimed = door.state.access.claim(head, &door.state.defaults, door.state.store.clock().now_elsewhere())?;
    let received = timeout_at(deadline, receive(door, head, body)).await;
    // Held to the end: the decoded request lies in memory as long as its body.
    let (body, _permit) = received.map_err(late)??;
    door.state.metrics.received(body.len());
    let caller = claimed.check(head, &body)?;
    caller.permit(operation.name(), target_of(operation))?;
    if let Some(errors) = &door.state.errors {
        errors.strike_call(operation)?;
    }
    let context = Context { state: &door.state, caller: &caller, codec, operation, id, asked: OnceLock::new() };
    let late = |_| ApiError::internal("a request missed its deadline", &operation.name());
    let said = timeout_at(deadline, operation::run(operation, &context, door, &body)).await.map_err(late)??;
    context.note_change();
    match said {
        Said::Whole(answer) => door.keep(answer).map(Said::Whole),
        Said::Events(events) => Ok(Said::Events(events)),
    }
}

/// What is known of what an operation is done to before its request is read.
fn target_of(operation: Operation) -> Target<'static> {
    let is_whole = matches!(
        operation,
        Operation::DescribeLimits | Operation::DescribeAccountSettings | Operation::UpdateAccountSettings
    );
    if is_whole { Target::Account } else { Target::Something }
}

fn body_is_late(timeout: Duration) -> ApiError {
    let message = format!("The request was not complete after {} ms.", timeout.as_millis());
    ApiError::new(ErrorKind::RequestTimeout, message)
}

fn body_is_stuck(timeout: Duration) -> ApiError {
    let message = format!("The request body made no progress for {} ms.", timeout.as_millis());
    ApiError::new(ErrorKind::RequestTimeout, message)
}

/// The operation that `X-Amz-Target` names.
fn target(head: &Parts) -> Result<Operation, ApiError> {
    let unknown = |message: String| ApiError::new(ErrorKind::UnknownOperation, message);
    let Some(target) = head.headers.get("x-amz-target").map(|value| value.to_str().unwrap_or_default()) else {
        return Err(unknown(format!("The header X-Amz-Target is missing: use {TARGET_PREFIX}<operation>.")));
    };
    let name = target.strip_prefix(TARGET_PREFIX).unwrap_or_default();
    match Operation::parse(name) {
        Some(operation) => Ok(operation),
        None if OPERATION_NAMES.contains(&name) => Err(unknown(not_served(name))),
        None => {
            let target: String = target.chars().take(super::limits::ECHO_CHARS_MAX).collect();
            Err(unknown(format!("There is no operation '{target}': use {TARGET_PREFIX}<operation>.")))
        }
    }
}

/// Why an operation of the API is none of this node's.
fn not_served(name: &str) -> String {
    let hint = if name.contains("Channel") { "a node has no channels" } else { "a node has no queues" };
    format!("The operation {name} is not supported: {hint}.")
}

/// The whole body, and the room in memory that it was granted.
pub(super) async fn receive<'d>(
    door: &'d Door,
    head: &Parts,
    mut body: Body,
) -> Result<(Bytes, SemaphorePermit<'d>), ApiError> {
    let bytes_max = door.state.limits.body_bytes_max;
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(body_too_large(bytes_max));
    }
    // What was announced costs the client nothing, so it takes no room here.
    let mut room = door.room_for_body(0)?;
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(0).min(BODY_RESERVED_BYTES_MAX));
    let patience = door.state.limits.body_progress_timeout;
    while let Some(frame) = timeout(patience, body.frame()).await.map_err(|_| body_is_stuck(patience))? {
        let broken = |error| ApiError::new(ErrorKind::Serialization, format!("The request broke off: {error}"));
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if whole.len() + data.len() > bytes_max {
            return Err(body_too_large(bytes_max));
        }
        room.merge(door.room_for_body(data.len())?);
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), room))
}

fn body_too_large(bytes_max: usize) -> ApiError {
    let message = format!("The request body is larger than {bytes_max} bytes.");
    ApiError::new(ErrorKind::RequestTooLarge, message)
}

/// The answer and the bytes of its body.
fn respond(id: &RequestId, codec: Codec, answer: Result<Said, ApiError>) -> (Response, usize) {
    let (status, error, body) = match answer {
        Ok(Said::Events(events)) => return (lasting(id, events), 0),
        Ok(Said::Whole(body)) => (StatusCode::OK, None, body),
        Err(error) => {
            let body = codec.encode(&error.body(), error.message.len() + 64).unwrap_or_default();
            (error.kind.status(), Some(error.kind), body)
        }
    };
    let bytes = body.len();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, codec.content_type());
    id.name(headers);
    if let Some(kind) = error {
        headers.insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(kind.name()));
    }
    (response, bytes)
}

/// An answer of events.
fn lasting(id: &RequestId, events: Body) -> Response {
    let mut response = Response::new(events);
    response.extensions_mut().insert(Lasting(EVENT_INTERVAL));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(event_stream::CONTENT_TYPE));
    id.name(headers);
    response
}

/// Names one request in the logs of both sides.
pub(super) struct RequestId {
    first: String,
    second: String,
}

impl RequestId {
    pub(super) fn random() -> Self {
        let bits: u128 = rand::random();
        // The shape of a version 4 UUID (RFC 9562).
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let (time_low, time_mid, time_high) = ((bits >> 96) as u32, (bits >> 80) as u16, (bits >> 64) as u16);
        let (sequence, node) = ((bits >> 48) as u16, bits as u64 & 0xffff_ffff_ffff);
        let first = format!("{time_low:08x}-{time_mid:04x}-{time_high:04x}-{sequence:04x}-{node:012x}");
        Self { first, second: format!("{:032x}", rand::random::<u128>()) }
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.first).unwrap_or(HeaderValue::from_static(""))
    }

    /// Names the request to its client.
    fn name(&self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), self.header());
        headers.insert(HeaderName::from_static("x-amz-id-2"), self.second_header());
    }

    fn second_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.second).unwrap_or(HeaderValue::from_static(""))
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_version_4_uuid() {
        let id = RequestId::random().to_string();
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
        assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
        assert_ne!(id, RequestId::random().to_string());
    }

    #[test]
    fn a_user_agent_is_logged_harmless_and_bounded() {
        let logged = |bytes: &[u8]| {
            let value = HeaderValue::from_bytes(bytes).unwrap();
            user_agent(&HeaderMap::from_iter([(USER_AGENT, value)])).unwrap()
        };
        assert_eq!(logged(b"aws-cli/1.46.3 md/Botocore#1.44.5"), "aws-cli/1.46.3 md/Botocore#1.44.5");
        assert_eq!(logged("a\u{9b}b\tc".as_bytes()), r"a\u{9b}b\tc");
        assert_eq!(logged(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(logged(&[b'x'; USER_AGENT_CHARS_MAX + 1]).len(), USER_AGENT_CHARS_MAX);
        assert_eq!(user_agent(&HeaderMap::new()), None);
    }
}
