//! Tumbling windows: the function keeps a state from call to call, of one stretch of arrival time.
//!
//! A window is open from its first batch on. It is closed, with a call of its own, when a later record has come, when its
//! time is over and all that arrived in it was read, or when the shard ends. What is settled within it counts only then:
//! after a restart a window begins anew, with no state.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidemill_stream::clock::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::{Runner, Stopped};
use crate::functions::WindowCall;
use crate::limits::{WINDOW_GRACE, WINDOW_STATE_BYTES_MAX};
use crate::trigger::lane::Batch;
use crate::trigger::{output, window};

/// How long a runner waits at least before it looks again whether a window's time is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A window that is open.
#[derive(Debug, Clone)]
pub(super) struct Open {
    start: Timestamp,
    end: Timestamp,
    /// What the function has returned last: JSON.
    state: Bytes,
}

impl Open {
    fn at(time: Timestamp, length: Duration) -> Self {
        let length_ms = window::millis(length);
        let start = window::start(time, length_ms);
        Self { start, end: window::end(start, length_ms), state: Self::no_state() }
    }

    fn no_state() -> Bytes {
        Bytes::from_static(b"{}")
    }

    fn includes(&self, time: Timestamp) -> bool {
        (self.start..self.end).contains(&time)
    }

    /// When nothing can come any more that arrived in it: a commit that is in work now may have arrived earlier.
    fn is_over_at(&self) -> Timestamp {
        self.end.plus(WINDOW_GRACE)
    }

    /// A call with records.
    pub(super) fn call(&self) -> WindowCall {
        let Self { start, end, state } = self.clone();
        WindowCall { start, end, state, is_final: false, is_terminated_early: false }
    }

    fn final_call(&self, is_terminated_early: bool) -> WindowCall {
        WindowCall { is_final: true, is_terminated_early, ..self.call() }
    }
}

impl Runner {
    /// The window of a batch is open when it is delivered, and the one before it is closed.
    pub(super) async fn begin_window(&mut self, batch: &Batch) -> Result<(), Stopped> {
        let Some(length) = self.place.rules.tumbling_window else { return Ok(()) };
        let Some(first) = batch.records.first() else { return Ok(()) };
        if self.window.as_ref().is_some_and(|open| !open.includes(first.arrival)) {
            self.close_window().await?;
        }
        self.window.get_or_insert_with(|| Open::at(first.arrival, length));
        self.place.desk.hold(self.lane);
        Ok(())
    }

    /// Nothing waits: closes the window when its time is over. Whether a window is open.
    pub(super) async fn end_window_in_time(&mut self) -> Result<bool, Stopped> {
        let Some(over) = self.window.as_ref().map(Open::is_over_at) else { return Ok(false) };
        let place = Arc::clone(&self.place);
        if place.desk.has_all_before(self.lane, over) {
            self.close_window().await?;
            return Ok(false);
        }
        let now = place.store.clock().now();
        if now >= over {
            place.desk.ask_for_a_look();
        }
        let wait = over.since(now).max(LOOK_INTERVAL);
        self.wait_until(Instant::now() + wait).await.map(|()| true)
    }

    /// The last call of a window. Nothing goes on before it has succeeded.
    async fn close_window(&mut self) -> Result<(), Stopped> {
        if let Some(open) = self.window.clone() {
            self.final_call(open.final_call(false)).await?;
        }
        self.window = None;
        self.place.desk.release(self.lane);
        Ok(())
    }

    /// The state for the next call. One that is too large ends the window early: it goes on with none.
    pub(super) async fn keep_state(&mut self, state: Bytes) -> Result<(), Stopped> {
        let Some(open) = &mut self.window else { return Ok(()) };
        open.state = state;
        if open.state.len() > WINDOW_STATE_BYTES_MAX {
            warn!(bytes = open.state.len(), "the state of the window is too large; the window ends early");
            let call = open.final_call(true);
            self.final_call(call).await?;
            if let Some(open) = &mut self.window {
                open.state = Open::no_state();
            }
        }
        Ok(())
    }

    async fn final_call(&mut self, window: WindowCall) -> Result<(), Stopped> {
        for attempt in 1.. {
            let invocation = self.invocation(Arc::default(), attempt, Some(window.clone()));
            let emitted = match self.invoke(&invocation).await {
                Ok(answer) => output::put(&self.place.store, answer.emitted).await.map_err(|error| error.to_string()),
                Err(failure) => Err(failure.to_string()),
            };
            match emitted {
                Ok(count) => {
                    self.place.row.update(|status| {
                        status.counts.emitted += count;
                        status.blocked.remove(&self.lane);
                    });
                    break;
                }
                Err(failure) => {
                    warn!(
                        attempt,
                        error = failure,
                        "the last call of a window failed; nothing goes on before it succeeds"
                    );
                    self.note_failure(&invocation, &failure);
                }
            }
            self.back_off(attempt).await?;
        }
        Ok(())
    }
}
