//! `GET` and `POST /deployment`: what the node has, and the order to read its manifest again.
//!
//! Promises that a web page can order nothing, and that orders wait in a bounded line. It must not know what a manifest
//! is: both halves are given to it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{ORIGIN, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::StatusProvider;
use super::dispatch::Door;
use super::limits::APPLY_TIMEOUT;
use super::operator::answer;

/// How a deployment is looked at and ordered.
#[derive(Clone)]
pub struct DeploymentAccess {
    /// What `GET /deployment` shows.
    pub shown: StatusProvider,
    /// Who carries out what `POST /deployment` orders, if anybody does.
    pub orders: Option<mpsc::Sender<ApplyOrder>>,
}

/// The order to read the manifest again and to apply it.
#[derive(Debug)]
pub struct ApplyOrder {
    /// Takes what was done, or why nothing was.
    pub reply: oneshot::Sender<Result<Value, NotApplied>>,
}

/// Why a manifest was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// It cannot be read, or has mistakes.
    #[error("{0}")]
    Invalid(String),
    /// The node cannot become what it says.
    #[error("{0}")]
    Failed(String),
}

/// `GET /deployment`
pub(super) async fn show(State(door): State<Arc<Door>>) -> Response {
    answer(StatusCode::OK, &(door.state().deployment.shown)())
}

/// `POST /deployment`: 200 with what was done.
pub(super) async fn apply(State(door): State<Arc<Door>>, headers: HeaderMap) -> Response {
    // Only pages send one: a node that listens on its user's own machine shall not be commanded by them.
    if headers.contains_key(ORIGIN) {
        return refusal(StatusCode::FORBIDDEN, "origin_not_allowed", "web pages may not have the node apply anything");
    }
    let Some(orders) = &door.state().deployment.orders else {
        let message = "this node is not run from a manifest";
        return refusal(StatusCode::CONFLICT, "no_manifest", message);
    };
    let (reply, answered) = oneshot::channel();
    match orders.try_send(ApplyOrder { reply }) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(_)) => return later("busy", "others wait for the manifest to be applied"),
        Err(mpsc::error::TrySendError::Closed(_)) => return later("stopping", "the node is stopping"),
    }
    match tokio::time::timeout(APPLY_TIMEOUT, answered).await {
        Ok(Ok(outcome)) => of_outcome(outcome),
        Ok(Err(_)) => later("stopping", "the node is stopping"),
        Err(_) => later("busy", "it takes very long to apply the manifest; the node's log tells the outcome"),
    }
}

fn of_outcome(outcome: Result<Value, NotApplied>) -> Response {
    match outcome {
        Ok(done) => answer(StatusCode::OK, &done),
        Err(NotApplied::Invalid(message)) => refusal(StatusCode::UNPROCESSABLE_ENTITY, "invalid_manifest", &message),
        Err(NotApplied::Failed(message)) => refusal(StatusCode::CONFLICT, "not_applied", &message),
    }
}

fn refusal(status: StatusCode, error: &str, message: &str) -> Response {
    answer(status, &json!({ "error": error, "message": message }))
}

fn later(error: &str, message: &str) -> Response {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, error, message).into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
