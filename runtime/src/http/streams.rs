//! The requests of HTTP/2 connections, each a task of its own.
//!
//! Promises that each ends in time: a client that takes no more of an answer, and keeps its connection alive, would hold the
//! answer for ever. It must not know what is asked.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};

use super::limits::PART_BYTES;
use crate::tasks::Tasks;

/// Runs requests, each for so long at most until its answer begins.
#[derive(Clone)]
pub(super) struct Streams {
    tasks: Tasks,
    at_most: Duration,
}

tokio::task_local! {
    /// When the request that this task runs is given up: each part of its answer puts that off.
    static GIVEN_UP: Cell<Instant>;
}

impl Streams {
    pub(super) fn new(tasks: &Tasks, at_most: Duration) -> Self {
        Self { tasks: tasks.clone(), at_most }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, request: F) {
        let given_up = Cell::new(Instant::now() + self.at_most);
        self.tasks.spawn("http2-request", GIVEN_UP.scope(given_up, in_time(request)));
    }
}

/// A body in parts, each of which its client has so long to take. Handed over in one piece, all of it would lie where nobody
/// sees whether it is taken.
pub(super) struct Parts {
    body: Body,
    /// Of a piece of the body: what is not handed over yet.
    rest: Bytes,
    patience: Duration,
}

impl Parts {
    pub(super) fn new(body: Body, patience: Duration) -> Self {
        Self { body, rest: Bytes::new(), patience }
    }

    fn part(&self, data: Bytes) -> Frame<Bytes> {
        let _ = GIVEN_UP.try_with(|given_up| given_up.set(Instant::now() + self.patience));
        Frame::data(data)
    }

    fn next_part(&mut self) -> Frame<Bytes> {
        let rest = self.rest.split_to(self.rest.len().min(PART_BYTES));
        // Nobody waits for the last part to be taken: it must not keep the whole piece.
        let data = if self.rest.is_empty() { Bytes::copy_from_slice(&rest) } else { rest };
        self.part(data)
    }
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.next_part())));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map_ok(|frame| match frame.into_data() {
            Ok(piece) if piece.len() <= PART_BYTES => self.part(piece),
            Ok(piece) => {
                self.rest = piece;
                self.next_part()
            }
            Err(trailers) => trailers,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

/// Runs a connection so that what its requests say in one moment is sent together: whenever one has something to say, the
/// others that are about to run are let go first. Each part by itself would cost a call of the system.
pub(super) async fn together<T>(connection: impl Future<Output = T>) -> T {
    let mut connection = pin!(connection);
    let mut has_waited = false;
    poll_fn(|context| {
        has_waited = !has_waited;
        if has_waited {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        connection.as_mut().poll(context)
    })
    .await
}

/// Runs a request until it is given up.
async fn in_time(request: impl Future<Output = ()>) {
    let mut request = pin!(request);
    let mut alarm = pin!(sleep_until(GIVEN_UP.with(Cell::get)));
    poll_fn(|context| {
        if request.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let given_up = GIVEN_UP.with(Cell::get);
        if given_up < alarm.deadline() {
            alarm.as_mut().reset(given_up);
        }
        // One that was put off is set anew when it rings.
        while alarm.as_mut().poll(context).is_ready() {
            if given_up <= alarm.deadline() {
                tracing::debug!("an answer that its client did not take was cut off");
                return Poll::Ready(());
            }
            alarm.as_mut().reset(given_up);
        }
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;
    use hyper::body::Body as _;

    use super::*;

    #[tokio::test]
    async fn a_body_in_parts_is_the_same_body() {
        let piece = |bytes: usize, first: u8| -> Bytes { (0..bytes).map(|at| first.wrapping_add(at as u8)).collect() };
        for sizes in
            [vec![], vec![1], vec![PART_BYTES], vec![PART_BYTES + 1], vec![5, 3 * PART_BYTES + 7, 2 * PART_BYTES, 9]]
        {
            let pieces: Vec<Bytes> = sizes.iter().zip(1..).map(|(size, first)| piece(*size, first)).collect();
            let expected = pieces.concat();
            let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, axum::Error>)));
            let mut parts = Parts::new(body, Duration::ZERO);
            let mut found = Vec::new();
            while let Some(frame) = parts.frame().await {
                let data = frame.unwrap().into_data().unwrap();
                assert!(!data.is_empty() && data.len() <= PART_BYTES, "{sizes:?}: {}", data.len());
                found.extend_from_slice(&data);
            }
            assert!(found == expected, "{sizes:?}");
        }
    }

    #[tokio::test]
    async fn a_body_in_parts_says_how_long_it_is() {
        let mut parts = Parts::new(Body::from(vec![7; 2 * PART_BYTES + 1]), Duration::ZERO);
        let mut left = vec![parts.size_hint().exact()];
        while parts.frame().await.is_some() {
            left.push(parts.size_hint().exact());
        }
        let part = PART_BYTES as u64;
        assert_eq!(left, [2 * part + 1, part + 1, 1, 0].map(Some));
    }
}
