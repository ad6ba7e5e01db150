//! What an answer leaves unread of its request's body.
//!
//! Promises that an answer which does not wait for the body reaches its client. A socket that is closed over bytes which
//! nobody has read is reset, and the client may lose the answer with it; so the rest is thrown away first, within the
//! limits of a body. It must not know what is asked.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Version};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::HttpLimits;
use super::limits::LEFTOVER_BYTES_MAX;

/// The body of one request, once whoever reads it lets go of it.
pub(super) struct Leftover {
    body: Arc<Mutex<Option<Incoming>>>,
    /// When the head of the request was there.
    begun: Instant,
    /// Whether the client sends the body only when it is asked for it.
    waits: bool,
}

/// The body while it is read.
struct Lent {
    body: Option<Incoming>,
    leftover: Arc<Mutex<Option<Incoming>>>,
}

impl Leftover {
    /// The request for those who read it, and its leftover where there may be one: HTTP/2 ends a request's stream alone.
    pub(super) fn of(request: Request<Incoming>) -> (Request<Body>, Option<Self>) {
        if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
            return (request.map(Body::new), None);
        }
        let body = Arc::new(Mutex::new(None));
        let waits = request.headers().contains_key(EXPECT);
        let leftover = Self { body: Arc::clone(&body), begun: Instant::now(), waits };
        (request.map(|incoming| Body::new(Lent { body: Some(incoming), leftover: body })), Some(leftover))
    }

    /// Throws the rest away before the answer goes out. Where there is too much of it, or it takes too long, the answer is
    /// the connection's last.
    pub(super) async fn discard(self, answer: &mut Response, limits: &HttpLimits) {
        let rest = self.body.lock().take().filter(|body| !body.is_end_stream());
        let Some(rest) = rest else { return };
        let deadline = self.begun + limits.body_progress_timeout.min(limits.request_timeout);
        let is_over = !self.waits && timeout_at(deadline, drain(rest)).await == Ok(true);
        if !is_over {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether the body comes to its end within its limit.
async fn drain(mut body: Incoming) -> bool {
    let mut left = LEFTOVER_BYTES_MAX;
    while body.size_hint().lower() <= left {
        let Some(frame) = body.frame().await else { return true };
        let Ok(frame) = frame else { return false };
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(rest) = left.checked_sub(bytes) else { return false };
        left = rest;
    }
    false
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        // The end of a body whose length nobody said is known only from here.
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Incoming::size_hint).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.leftover.lock() = self.body.take();
    }
}
