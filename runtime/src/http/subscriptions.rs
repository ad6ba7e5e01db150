//! Who is subscribed to which shard.
//!
//! Promises that a registered consumer has one subscription to a shard at a time: another one takes its place, but not
//! within [`SUBSCRIPTION_LOCK`] of it. It must not know what a subscription sends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidemill_stream::attached::Consumer;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::StreamId;
use tidemill_stream::name::ConsumerName;
use tidemill_stream::shard::ShardIndex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::{EVENT_GRID, EVENT_INTERVAL, SUBSCRIPTION_LOCK};

/// A shard for a consumer. Another consumer of the same name is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Seat {
    stream: StreamId,
    shard: ShardIndex,
    consumer: ConsumerName,
    created: Timestamp,
}

impl Seat {
    pub(super) fn of(stream: StreamId, shard: ShardIndex, consumer: &Consumer) -> Self {
        Self { stream, shard, consumer: consumer.name.clone(), created: consumer.created }
    }
}

/// The subscriptions of a node. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Subscriptions {
    seats: Arc<Mutex<HashMap<Seat, Taken>>>,
    /// The node stops: all of them end.
    stopping: CancellationToken,
    /// What the times of events are counted from.
    since: Instant,
}

#[derive(Debug)]
struct Taken {
    since: Instant,
    /// Cancelled when it is over.
    over: CancellationToken,
}

/// The seat was taken a moment ago.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooSoon;

/// A seat until this is dropped, or another takes it.
#[derive(Debug)]
pub(super) struct Subscribed {
    over: CancellationToken,
}

impl Subscriptions {
    pub(super) fn new(stopping: CancellationToken) -> Self {
        Self { seats: Arc::default(), stopping, since: Instant::now() }
    }

    /// When a subscriber that has an event now is to have the next one. Those of all subscriptions fall together: what is
    /// sent of many at once costs a fraction of what it costs one by one.
    pub(super) fn next_event(&self) -> Instant {
        let due = self.since.elapsed() + EVENT_INTERVAL;
        self.since + due - Duration::from_nanos((due.as_nanos() % EVENT_GRID.as_nanos()) as u64)
    }

    /// Ends what a consumer is subscribed to: it is not registered any more.
    pub(super) fn end_of(&self, stream: StreamId, consumer: &Consumer) {
        let is_its =
            |seat: &Seat| seat.stream == stream && seat.consumer == consumer.name && seat.created == consumer.created;
        for (_, taken) in self.seats.lock().iter().filter(|(seat, _)| is_its(seat)) {
            taken.over.cancel();
        }
    }

    /// Takes a seat from whoever has it.
    pub(super) fn take(&self, seat: Seat) -> Result<Subscribed, TooSoon> {
        let now = Instant::now();
        let is_locked = |taken: &Taken| now.saturating_duration_since(taken.since) < SUBSCRIPTION_LOCK;
        let mut seats = self.seats.lock();
        // Those that are left, and not locked any more, are as if they had never been.
        seats.retain(|_, taken| !taken.over.is_cancelled() || is_locked(taken));
        if seats.get(&seat).is_some_and(is_locked) {
            return Err(TooSoon);
        }
        let over = self.stopping.child_token();
        if let Some(before) = seats.insert(seat, Taken { since: now, over: over.clone() }) {
            before.over.cancel();
        }
        Ok(Subscribed { over })
    }
}

impl Subscribed {
    /// Ends when another one has the seat, the consumer is not registered any more, or the node stops.
    pub(super) async fn lost(&self) {
        self.over.cancelled().await;
    }

    pub(super) fn is_lost(&self) -> bool {
        self.over.is_cancelled()
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(name: &str, created: u64) -> Consumer {
        Consumer { name: ConsumerName::parse(name).unwrap(), created: Timestamp::from_millis(created) }
    }

    fn seat(name: &str, shard: u32) -> Seat {
        Seat::of(StreamId(1), ShardIndex(shard), &consumer(name, 1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_taken_over_but_not_at_once() {
        let subscriptions = Subscriptions::new(CancellationToken::new());
        let first = subscriptions.take(seat("a", 0)).unwrap();
        let _others = [seat("b", 0), seat("a", 1)].map(|seat| subscriptions.take(seat).unwrap());
        assert_eq!(subscriptions.take(seat("a", 0)).unwrap_err(), TooSoon);
        tokio::time::advance(SUBSCRIPTION_LOCK).await;
        assert!(!first.is_lost());
        let second = subscriptions.take(seat("a", 0)).unwrap();
        first.lost().await;
        drop(first);
        assert!(!second.is_lost(), "who lost a seat does not give it back");
        drop(second);
        assert_eq!(subscriptions.take(seat("a", 0)).unwrap_err(), TooSoon, "it was taken a moment ago");
        tokio::time::advance(SUBSCRIPTION_LOCK + Duration::from_millis(1)).await;
        subscriptions.take(seat("a", 0)).unwrap();
        assert_eq!(subscriptions.seats.lock().len(), 3, "{subscriptions:?}");
    }
    #[tokio::test(start_paused = true)]
    async fn who_is_not_registered_any_more_is_told_and_nobody_else() {
        let subscriptions = Subscriptions::new(CancellationToken::new());
        let gone = [seat("a", 0), seat("a", 1)].map(|seat| subscriptions.take(seat).unwrap());
        let stays = subscriptions.take(seat("b", 0)).unwrap();
        subscriptions.end_of(StreamId(2), &consumer("a", 1));
        subscriptions.end_of(StreamId(1), &consumer("a", 2));
        assert!(!gone[0].is_lost());
        subscriptions.end_of(StreamId(1), &consumer("a", 1));
        assert_eq!(gone.each_ref().map(Subscribed::is_lost), [true, true]);
        assert!(!stays.is_lost());
    }

    #[tokio::test(start_paused = true)]
    async fn events_fall_together_and_never_later_than_they_must() {
        let subscriptions = Subscriptions::new(CancellationToken::new());
        let mut dues = Vec::new();
        for _ in 0..40 {
            let due = subscriptions.next_event();
            let wait = due.duration_since(Instant::now());
            assert!(wait <= EVENT_INTERVAL && wait + EVENT_GRID > EVENT_INTERVAL, "{wait:?}");
            dues.push(due);
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        dues.dedup();
        assert_eq!(dues.len(), 5, "40 events within two seconds");
    }
}
