//! Which pages may put from a browser (the CORS protocol of the Fetch standard).
//!
//! A browser sends a plain text to any server without asking, and this node may listen where only its user's browser
//! gets: so a request from a page that may not put is refused, not only kept from reading its answer.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::error::{Code, IngestError};
use super::settings::{IngestSettings, Origins};

/// Refuses a request from a page that may not put. Clients that are no browsers name no origin.
pub(super) fn check(settings: &IngestSettings, head: &Parts) -> Result<(), IngestError> {
    let Some(origin) = head.headers.get(ORIGIN).filter(|origin| !settings.origins.allow(origin.as_bytes())) else {
        return Ok(());
    };
    let shown: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(256).collect();
    let message =
        format!("pages of the origin '{shown}' may not put here; name it in ingest.cors.origins of the manifest");
    Err(IngestError::new(Code::OriginNotAllowed, message))
}

/// Lets the page read the answer.
pub(super) fn allow(settings: &IngestSettings, head: &Parts, headers: &mut HeaderMap) {
    if settings.origins != Origins::Any {
        headers.insert(VARY, HeaderValue::from_static("origin"));
    }
    let Some(origin) = head.headers.get(ORIGIN).filter(|origin| settings.origins.allow(origin.as_bytes())) else {
        return;
    };
    let origin = if settings.origins == Origins::Any { HeaderValue::from_static("*") } else { origin.clone() };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = HeaderValue::from_static("retry-after, idempotency-replayed, x-request-id");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// Lets the page send the request that it asks about.
pub(super) fn allow_preflight(settings: &IngestSettings, head: &Parts, headers: &mut HeaderMap) {
    allow(settings, head, headers);
    headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    let allowed = HeaderValue::from_static("authorization, content-type, idempotency-key, x-partition-key");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
