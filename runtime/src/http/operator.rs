//! What an operator reads: health, metrics and status.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::text;
use serde::Deserialize;
use serde_json::json;
use tidemill_stream::engine::Health;

use super::LogQuestion;
use super::dispatch::Door;
use crate::limits::{LOG_PAGE_LINES_MAX, LOG_WAIT_MAX};

/// `GET /health`: 200, or 503 with a reason for each trouble.
pub(super) async fn health(State(door): State<Arc<Door>>) -> Response {
    health_answer(door.state().store.health())
}

fn health_answer(health: Health) -> Response {
    match health {
        Health::Healthy => answer(StatusCode::OK, &json!({ "status": "healthy" })),
        Health::Degraded(troubles) => {
            let reasons: Vec<String> = troubles.iter().map(ToString::to_string).collect();
            answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "degraded", "reasons": reasons }))
        }
    }
}

/// `GET /metrics`: in the text format of `OpenMetrics`, which Prometheus reads.
pub(super) async fn metrics(State(door): State<Arc<Door>>) -> Response {
    let mut body = String::new();
    if let Err(error) = text::encode(&mut body, &door.state().registry) {
        tracing::error!(%error, "metrics could not be written");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], body).into_response()
}

/// `GET /status`: what the rooms behind the store do.
pub(super) async fn status(State(door): State<Arc<Door>>) -> Response {
    answer(StatusCode::OK, &(door.state().status)())
}

/// The query of `GET /functions/NAME/log`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    after: Option<u64>,
    lines: Option<usize>,
    wait_ms: Option<u64>,
}

/// `GET /functions/NAME/log`: the last lines of a function or, with `after`, those behind a number, waiting for the first.
pub(super) async fn function_log(
    State(door): State<Arc<Door>>,
    Path(function): Path<String>,
    Query(LogQuery { after, lines, wait_ms }): Query<LogQuery>,
) -> Response {
    let lines_max = lines.unwrap_or(LOG_PAGE_LINES_MAX).min(LOG_PAGE_LINES_MAX);
    let wait = Duration::from_millis(wait_ms.unwrap_or(0)).min(LOG_WAIT_MAX);
    let question = LogQuestion { function, after, lines_max, wait };
    if let Some(lines) = (door.state().log)(question).await {
        return answer(StatusCode::OK, &lines);
    }
    let message = "no function of this name is deployed";
    answer(StatusCode::NOT_FOUND, &json!({ "__type": "ResourceNotFoundException", "message": message }))
}

pub(super) fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tidemill_stream::engine::Trouble;

    use super::*;

    #[tokio::test]
    async fn a_node_with_trouble_is_unavailable_and_says_why() {
        let trouble = Trouble { log: None, what: "the disk is full".to_owned() };
        let response = health_answer(Health::Degraded(vec![trouble]));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"reasons":["the disk is full"],"status":"degraded"}"#);
    }
}
