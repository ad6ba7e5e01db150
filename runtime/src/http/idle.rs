//! Connections that have no request in work: how long they may stay, when they rest, and which of them goes when another
//! needs its place.
//!
//! Promises that a connection without a request is closed in time, that the head of a request may not trickle, and that
//! where every place is taken the connection that has been idle longest gives up its own. A request costs a few notes in
//! memory: timers are set anew when they ring, and who is idle is found out when it is asked. Only one that is long tells of its
//! end. It must not know what is asked.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};

use super::HttpLimits;

/// Where a connection is between two requests.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// Requests between their head and their answer.
    in_work: usize,
    /// When that became none.
    idle_since: Instant,
    /// When the first bytes since the last request came.
    head_since: Option<Instant>,
    /// HTTP/2 has bytes that belong to no request.
    is_http2: bool,
    /// Whether the socket has no room for an answer's next bytes.
    is_writing: bool,
    /// Whether who watches it wants to know when its work ends: that was long enough already.
    is_awaited: bool,
    /// What it is asked to do, until it begins a request.
    asked: Option<Turn>,
}

/// What a connection does that asks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It keeps no buffers until it asks again.
    Rest,
    /// It is closed: it asked nothing for too long.
    Idle,
    /// It is closed: another one needs its place.
    Crowded,
    /// It is closed, whatever it does: the node stops.
    Stop,
}

/// What one connection's progress is told to. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<Life>);

#[derive(Debug)]
struct Life {
    progress: Mutex<Progress>,
    /// Who watches it.
    watcher: AtomicWaker,
}

impl Life {
    /// What was in work has ended, or a wait for the socket has.
    fn idle(&self, mut progress: MutexGuard<'_, Progress>) {
        progress.idle_since = Instant::now();
        if progress.is_at_rest() && std::mem::take(&mut progress.is_awaited) {
            drop(progress);
            self.watcher.wake();
        }
    }
}

impl Pulse {
    pub(super) fn new() -> Self {
        let progress = Progress {
            in_work: 0,
            idle_since: Instant::now(),
            head_since: None,
            is_http2: false,
            is_writing: false,
            is_awaited: false,
            asked: None,
        };
        Self(Arc::new(Life { progress: Mutex::new(progress), watcher: AtomicWaker::new() }))
    }

    /// Bytes have come.
    pub(super) fn received(&self) {
        let mut progress = self.0.progress.lock();
        if progress.in_work == 0 && !progress.is_http2 && progress.head_since.is_none() {
            progress.head_since = Some(Instant::now());
        }
    }

    /// The bytes that have come were of TLS; none of a request has.
    pub(super) fn greeted(&self) {
        let mut progress = self.0.progress.lock();
        progress.head_since = None;
        progress.idle_since = Instant::now();
    }

    /// Whether bytes wait for room in the socket.
    pub(super) fn writing(&self, is_writing: bool) {
        let mut progress = self.0.progress.lock();
        progress.is_writing = is_writing;
        self.0.idle(progress);
    }

    /// A request's head is there; it is in work until this is dropped.
    pub(super) fn begin(&self, is_http2: bool) -> InWork {
        let mut progress = self.0.progress.lock();
        let asked = progress.asked.filter(|turn| *turn == Turn::Stop);
        *progress = Progress { in_work: progress.in_work + 1, head_since: None, is_http2, asked, ..*progress };
        InWork(self.clone())
    }

    /// Whether no request is in work and the socket takes what it is given.
    pub(super) fn is_at_rest(&self) -> bool {
        self.0.progress.lock().is_at_rest()
    }

    /// Whether nothing is lost with the connection once it has said what it could. An answer of HTTP/2 may still wait for
    /// its reader where nobody sees it.
    pub(super) fn is_done(&self) -> bool {
        let progress = self.0.progress.lock();
        progress.is_at_rest() && !progress.is_http2
    }

    /// Ends when the connection's turn has come. It must be polled by the task that serves the connection: what happens to
    /// that wakes this.
    pub(super) async fn watch(&self, limits: &HttpLimits, is_resting: bool) -> Turn {
        let mut alarm = pin!(sleep_until(Instant::now()));
        poll_fn(|context| {
            self.0.watcher.register(context.waker());
            let progress = *self.0.progress.lock();
            if let Some(asked) = progress.asked {
                return Poll::Ready(asked);
            }
            let next = progress.next(limits, is_resting);
            if let Some((when, _)) = next
                && when < alarm.deadline()
            {
                alarm.as_mut().reset(when);
            }
            while alarm.as_mut().poll(context).is_ready() {
                let now = Instant::now();
                let mut progress = self.0.progress.lock();
                match progress.next(limits, is_resting) {
                    Some((when, turn)) if when <= now => return Poll::Ready(turn),
                    Some((when, _)) => alarm.as_mut().reset(when),
                    None => {
                        progress.is_awaited = true;
                        alarm.as_mut().reset(now + limits.header_timeout);
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    fn ask(&self, turn: Turn) {
        self.0.progress.lock().asked = Some(turn);
        self.0.watcher.wake();
    }
}

impl Progress {
    const fn is_at_rest(&self) -> bool {
        self.in_work == 0 && !self.is_writing
    }

    /// What is next to come if nothing happens, and when; `None` while a request is in work, or its answer is taken.
    fn next(&self, limits: &HttpLimits, is_resting: bool) -> Option<(Instant, Turn)> {
        if !self.is_at_rest() {
            return None;
        }
        let HttpLimits { header_timeout, head_timeout, .. } = *limits;
        let end = match self.head_since {
            Some(head_since) => head_since + head_timeout.min(header_timeout),
            None => self.idle_since + header_timeout,
        };
        let rest = self.idle_since + limits.rest_after;
        let may_rest = !is_resting && !self.is_http2 && self.head_since.is_none();
        Some(if may_rest && rest < end { (rest, Turn::Rest) } else { (end, Turn::Idle) })
    }
}

/// One request between its head and its answer, in the count of its connection.
pub(super) struct InWork(Pulse);

impl Drop for InWork {
    fn drop(&mut self) {
        let mut progress = self.0.0.progress.lock();
        progress.in_work -= 1;
        if progress.in_work == 0 {
            self.0.0.idle(progress);
        }
    }
}

/// The connections of a server. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Pulse>,
    is_stopped: bool,
}

impl Connections {
    /// A connection, until its place is dropped.
    pub(super) fn enter(&self) -> Place {
        let pulse = Pulse::new();
        let mut open = self.0.lock();
        if open.is_stopped {
            pulse.ask(Turn::Stop);
        }
        let number = open.next;
        open.next += 1;
        open.all.insert(number, pulse.clone());
        drop(open);
        Place { connections: self.clone(), number, pulse }
    }

    /// The connection that has been idle longest is to close, if there is one, and before any whose answer is still taken.
    /// Those that were asked already are passed over.
    pub(super) fn close_oldest(&self) {
        let open = self.0.lock();
        let idle_since = |pulse: &Pulse| {
            let progress = pulse.0.progress.lock();
            let order = (progress.is_writing, progress.idle_since);
            (progress.in_work == 0 && progress.asked.is_none()).then_some(order)
        };
        let idle = open.all.values().filter_map(|pulse| Some((idle_since(pulse)?, pulse)));
        if let Some((_, pulse)) = idle.min_by_key(|(since, _)| *since) {
            pulse.ask(Turn::Crowded);
        }
    }

    /// All connections are to end, and those that come.
    pub(super) fn stop(&self) {
        let mut open = self.0.lock();
        open.is_stopped = true;
        for pulse in open.all.values() {
            pulse.ask(Turn::Stop);
        }
    }
}

/// A connection among the others.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    number: u64,
    pub(super) pulse: Pulse,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.0.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_has_ten_seconds_and_silence_a_minute() {
        let limits = HttpLimits::default();
        for (bytes_every, expected_s) in [(None, 60), (Some(Duration::from_secs(1)), 13)] {
            let pulse = Pulse::new();
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
            let watched = async {
                tokio::select! {
                    turn = pulse.watch(&limits, true) => turn,
                    () = trickle => Turn::Rest,
                }
            };
            assert_eq!((watched.await, started.elapsed().as_secs()), (Turn::Idle, expected_s));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_long_is_seldom_looked_at_and_its_end_is_seen_at_once() {
        let limits = HttpLimits::default();
        let pulse = Pulse::new();
        let (started, in_work) = (Instant::now(), pulse.begin(true));
        let work = async {
            tokio::time::sleep(Duration::from_mins(10)).await;
            drop(in_work);
        };
        let (mut watched, mut looks) = (pin!(pulse.watch(&limits, false)), 0);
        let watched = poll_fn(|context| {
            looks += 1;
            watched.as_mut().poll(context)
        });
        let (turn, ()) = tokio::join!(watched, work);
        assert_eq!((turn, started.elapsed()), (Turn::Idle, Duration::from_mins(11)));
        assert!(looks < 20, "{looks}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_for_a_head_begins_behind_the_agreement_on_tls() {
        let limits = HttpLimits::default();
        let pulse = Pulse::new();
        pulse.received();
        tokio::time::sleep(Duration::from_secs(9)).await;
        pulse.greeted();
        let started = Instant::now();
        assert_eq!((pulse.watch(&limits, true).await, started.elapsed().as_secs()), (Turn::Idle, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_when_nothing_of_it_is_in_work() {
        let limits = HttpLimits::default();
        let pulse = Pulse::new();
        let started = Instant::now();
        let in_work = pulse.begin(false);
        let work = async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            pulse.writing(true);
            drop(in_work);
            // Its client takes the answer slowly.
            tokio::time::sleep(Duration::from_secs(205)).await;
            pulse.writing(false);
        };
        let (turn, ()) = tokio::join!(pulse.watch(&limits, false), work);
        assert_eq!((turn, started.elapsed()), (Turn::Rest, Duration::from_secs(306)));
        let started = Instant::now();
        assert_eq!(pulse.watch(&limits, true).await, Turn::Idle);
        assert_eq!(started.elapsed(), Duration::from_secs(59), "not counted from before the answer was taken");
        let second = Pulse::new();
        drop(second.begin(true));
        assert_eq!(second.watch(&limits, false).await, Turn::Idle, "HTTP/2 has a state that would be lost");
    }

    #[tokio::test]
    async fn who_has_been_idle_longest_goes_and_who_works_stays() {
        let limits = HttpLimits::default();
        let connections = Connections::default();
        let (first, second) = (connections.enter(), connections.enter());
        drop(first.pulse.begin(false));
        let working = first.pulse.begin(false);
        let mut first_turn = Box::pin(first.pulse.watch(&limits, false));
        assert!(futures_util::poll!(&mut first_turn).is_pending());
        connections.close_oldest();
        assert_eq!(second.pulse.watch(&limits, false).await, Turn::Crowded);
        connections.close_oldest();
        assert!(futures_util::poll!(&mut first_turn).is_pending(), "it has a request in work");
        drop(working);
        assert!(futures_util::poll!(&mut first_turn).is_pending());
        connections.close_oldest();
        assert_eq!(first_turn.await, Turn::Crowded);
        drop(first.pulse.begin(false));
        let mut first_turn = Box::pin(first.pulse.watch(&limits, false));
        assert!(futures_util::poll!(&mut first_turn).is_pending(), "it was faster than who asked it to go");
        connections.stop();
        assert_eq!(first_turn.await, Turn::Stop);
        assert_eq!(connections.enter().pulse.watch(&limits, false).await, Turn::Stop, "it came too late");
    }
}
