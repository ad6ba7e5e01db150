//! The requests of HTTP/2 connections, each a task of its own.
//!
//! Promises that each ends in time: a client that takes no more of an answer, and keeps its connection alive, would hold the
//! answer for ever. It must not know what is asked.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};

use crate::tasks::Tasks;

/// Runs requests, each for so long at most unless it says otherwise.
#[derive(Clone)]
pub(super) struct Streams {
    tasks: Tasks,
    at_most: Duration,
}

tokio::task_local! {
    /// When the request that this task runs is given up.
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

/// Has the request that is running be given up so long from now. Without effect over HTTP/1.1, where the connection
/// watches its writes.
pub(super) fn give_up_after(time: Duration) {
    let _ = GIVEN_UP.try_with(|given_up| given_up.set(Instant::now() + time));
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
