//! From a request to who answers it.
//!
//! Promises that nobody answers what the guard does not let in. It must not know how an answer is made.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{Method, Request};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::dispatch::{Door, kinesis};
use super::guard::{self, Guard, Peer};
use super::{HttpState, deployment, ingest, operator};

/// All that a node answers.
pub(super) struct Routes {
    guard: Guard,
    door: Arc<Door>,
    router: Router,
}

impl Routes {
    pub(super) fn new(state: HttpState, guard: Guard, stopping: CancellationToken) -> Self {
        let door = Arc::new(Door::new(state, stopping));
        let router = Router::new()
            .route("/", post(kinesis))
            .route("/streams/{name}/records", post(ingest::records).options(ingest::preflight))
            .route("/health", get(operator::health))
            .route("/metrics", get(operator::metrics))
            .route("/status", get(operator::status))
            .route("/deployment", get(deployment::show).post(deployment::apply))
            .route("/functions/{name}/log", get(operator::function_log))
            .with_state(Arc::clone(&door));
        Self { guard, door, router }
    }

    pub(super) async fn answer(&self, request: Request<Body>, peer: Peer) -> Response {
        let (head, body) = request.into_parts();
        if let Err(refusal) = self.guard.judge(&head, peer) {
            return guard::refuse(&refusal, &head);
        }
        let is_kinesis = head.method == Method::POST && head.uri.path() == "/";
        let request = Request::from_parts(head, body);
        // Almost all requests are such: the router's own way there costs several allocations.
        if is_kinesis {
            return kinesis(State(Arc::clone(&self.door)), request).await;
        }
        self.router.clone().oneshot(request).await.into_response()
    }
}
