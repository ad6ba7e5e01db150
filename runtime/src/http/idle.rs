//! Connections that have no request in work: how long they may stay, and which of them goes when another needs its place.
//!
//! Promises that a connection without a request is closed in time, that the head of a request may not trickle, and that
//! where every place is taken the connection that has been idle longest gives up its own. It must not know what is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::limits::HttpLimits;

/// Where a connection is between two requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Requests between their head and their answer.
    in_work: usize,
    /// Whether bytes have come since the last one.
    has_head_begun: bool,
    /// HTTP/2 has bytes that belong to no request.
    is_http2: bool,
    /// Whether the socket has no room for an answer's next bytes.
    is_writing: bool,
}

impl Progress {
    const fn is_idle(&self) -> bool {
        self.in_work == 0
    }

    /// Whether no request is in work and the socket takes what it is given.
    pub(super) const fn is_at_rest(&self) -> bool {
        self.in_work == 0 && !self.is_writing
    }

    /// Whether nothing is lost with the connection once it has said what it could. An answer of HTTP/2 may still wait for
    /// its reader where nobody sees it.
    pub(super) const fn is_done(&self) -> bool {
        self.is_at_rest() && !self.is_http2
    }
}

/// What one connection's progress is told to. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<watch::Sender<Progress>>);

impl Pulse {
    pub(super) fn new() -> (Self, watch::Receiver<Progress>) {
        let (sender, receiver) = watch::channel(Progress::default());
        (Self(Arc::new(sender)), receiver)
    }

    /// Bytes have come.
    pub(super) fn received(&self) {
        self.0.send_if_modified(|progress| {
            let begins = progress.in_work == 0 && !progress.is_http2 && !progress.has_head_begun;
            progress.has_head_begun |= begins;
            begins
        });
    }

    /// Whether bytes wait for room in the socket. It wakes nobody: it is looked at when the connection is to close.
    pub(super) fn writing(&self, is_writing: bool) {
        self.0.send_if_modified(|progress| {
            progress.is_writing = is_writing;
            false
        });
    }

    /// A request's head is there; it is in work until this is dropped.
    pub(super) fn begin(&self, is_http2: bool) -> InWork {
        self.0.send_modify(|progress| {
            *progress = Progress { in_work: progress.in_work + 1, has_head_begun: false, is_http2, ..*progress };
        });
        InWork(self.clone())
    }
}

/// One request between its head and its answer, in the count of its connection.
pub(super) struct InWork(Pulse);

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.0.send_modify(|progress| progress.in_work -= 1);
    }
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// It asked nothing for too long.
    Idle,
    /// Another one needs its place.
    Crowded,
}

/// The idle connections of a server, in the order in which they became so. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Idlers(Arc<Room>);

#[derive(Debug, Default)]
struct Room {
    line: Mutex<Line>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Idlers {
    /// The connection that has been idle longest is to close, if there is one.
    pub(super) fn close_oldest(&self) {
        if let Some((_, asked)) = self.0.line.lock().waiting.pop_first() {
            asked.cancel();
        }
    }

    /// Ends when another connection becomes idle, counted from this call on.
    pub(super) fn came(&self) -> Notified<'_> {
        self.0.came.notified()
    }

    fn enter(&self) -> Place<'_> {
        let asked = CancellationToken::new();
        let mut line = self.0.line.lock();
        let number = line.next;
        line.next += 1;
        line.waiting.insert(number, asked.clone());
        drop(line);
        self.0.came.notify_waiters();
        Place { idlers: self, number, asked }
    }

    /// Ends when a connection shall be closed.
    pub(super) async fn watch(&self, mut progress: watch::Receiver<Progress>, limits: &HttpLimits) -> Close {
        // The connection has ended and dropped its service where the progress has no sender any more.
        while progress.wait_for(Progress::is_idle).await.is_ok() {
            let place = self.enter();
            let asks = tokio::select! {
                () = place.asked.cancelled() => return Close::Crowded,
                asks = asks_in_time(&mut progress, limits) => asks,
            };
            if !asks {
                return Close::Idle;
            }
        }
        Close::Idle
    }
}

/// Whether a request comes in time.
async fn asks_in_time(progress: &mut watch::Receiver<Progress>, limits: &HttpLimits) -> bool {
    loop {
        let Progress { in_work, has_head_begun, .. } = *progress.borrow_and_update();
        if in_work > 0 {
            return true;
        }
        let head_timeout = limits.head_timeout.min(limits.header_timeout);
        let patience = if has_head_begun { head_timeout } else { limits.header_timeout };
        if !timeout(patience, progress.changed()).await.is_ok_and(|changed| changed.is_ok()) {
            return false;
        }
    }
}

/// A connection's place among the idle ones.
struct Place<'a> {
    idlers: &'a Idlers,
    number: u64,
    asked: CancellationToken,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.idlers.0.line.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_has_ten_seconds_and_silence_a_minute() {
        let limits = HttpLimits::default();
        for (bytes_every, expected_s) in [(None, 60), (Some(Duration::from_secs(1)), 13)] {
            let idlers = Idlers::default();
            let (pulse, progress) = Pulse::new();
            drop(pulse.begin(false));
            let started = Instant::now();
            let trickle = async {
                let Some(every) = bytes_every else { return std::future::pending().await };
                tokio::time::sleep(Duration::from_secs(3)).await;
                loop {
                    pulse.received();
                    tokio::time::sleep(every).await;
                }
            };
            tokio::select! {
                close = idlers.watch(progress, &limits) => assert_eq!(close, Close::Idle),
                () = trickle => {}
            }
            assert_eq!(started.elapsed().as_secs(), expected_s);
        }
    }

    #[tokio::test]
    async fn who_has_been_idle_longest_goes_and_who_works_stays() {
        let limits = HttpLimits::default();
        let idlers = Idlers::default();
        let (first, first_progress) = Pulse::new();
        let (_second, second_progress) = Pulse::new();
        let mut first_end = Box::pin(idlers.watch(first_progress, &limits));
        let mut second_end = Box::pin(idlers.watch(second_progress, &limits));
        assert!(futures_util::poll!(&mut first_end).is_pending() && futures_util::poll!(&mut second_end).is_pending());
        let working = first.begin(false);
        assert!(futures_util::poll!(&mut first_end).is_pending());
        idlers.close_oldest();
        assert_eq!(second_end.await, Close::Crowded);
        idlers.close_oldest();
        assert!(futures_util::poll!(&mut first_end).is_pending(), "it has a request in work");
        drop(working);
        assert!(futures_util::poll!(&mut first_end).is_pending());
        idlers.close_oldest();
        assert_eq!(first_end.await, Close::Crowded);
    }
}
