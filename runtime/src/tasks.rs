//! Tasks: each has a name, an owner and an end. The only place that spawns.
//!
//! An owner holds a [`Tasks`]; what it spawns ends when the owner stops it. A task that panics is logged, and harms no
//! other. This module must not know what the tasks do.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, error, warn};

/// The tasks of one owner. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    dropping: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` until it ends, or until [`Tasks::stop`] runs out of patience and drops it.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(self.guarded(name, future).in_current_span());
    }

    /// The same on the threads of another runtime.
    pub fn spawn_on(&self, name: &'static str, threads: &Handle, future: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(self.guarded(name, future).in_current_span(), threads);
    }

    fn guarded(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let dropping = self.dropping.clone();
        async move {
            tokio::select! {
                biased;
                () = caught(name, future) => {}
                () = dropping.cancelled() => warn!(task = name, "dropped: it did not end in time"),
            }
        }
    }

    /// Cancelled when the owner wants its tasks to end.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// How many tasks have not ended.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether all tasks have ended.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Asks all tasks to end and waits for it; those that have not after `deadline` are dropped at their next await.
    /// Returns whether all ended by themselves.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok() {
            return true;
        }
        self.dropping.cancel();
        self.tracker.wait().await;
        false
    }
}

/// Runs a future to its end; a panic ends it and is logged.
async fn caught(name: &'static str, future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(panic) => {
            error!(task = name, panic = message_of(panic.as_ref()), "a task panicked");
            Poll::Ready(())
        }
    })
    .await;
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn tasks_that_heed_the_stop_end_by_themselves() {
        let tasks = Tasks::new();
        let ended = Arc::new(AtomicBool::new(false));
        let (stopping, flag) = (tasks.stopping(), ended.clone());
        tasks.spawn("heeds", async move {
            stopping.cancelled().await;
            flag.store(true, Ordering::SeqCst);
        });
        assert_eq!(tasks.len(), 1);
        assert!(tasks.stop(DEADLINE).await);
        assert!(ended.load(Ordering::SeqCst) && tasks.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_dropped_at_the_deadline() {
        let tasks = Tasks::new();
        let held = Arc::new(());
        let inside = held.clone();
        tasks.spawn("stays", async move {
            std::future::pending::<()>().await;
            drop(inside);
        });
        assert!(!tasks.stop(DEADLINE).await);
        assert_eq!(Arc::strong_count(&held), 1, "the future was dropped");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_one_task_only() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        tasks.spawn("panics", async { panic!("as it should") });
        tasks.spawn("stays", async move { stopping.cancelled().await });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(tasks.len(), 1);
        assert!(tasks.stop(DEADLINE).await);
    }
}
