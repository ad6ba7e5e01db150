//! Who is subscribed to which shard.
//!
//! Promises that a registered consumer has one subscription to a shard at a time: another one takes its place, but not
//! within [`SUBSCRIPTION_LOCK`] of it. It must not know what a subscription sends.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_stream::attached::Consumer;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::StreamId;
use tidemill_stream::name::ConsumerName;
use tidemill_stream::shard::ShardIndex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::SUBSCRIPTION_LOCK;

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
#[derive(Debug, Clone, Default)]
pub(super) struct Subscriptions(Arc<Mutex<HashMap<Seat, Taken>>>);

#[derive(Debug)]
struct Taken {
    since: Instant,
    /// Cancelled when it is over: another one has the seat, or nobody.
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
    /// Takes a seat from whoever has it.
    pub(super) fn take(&self, seat: Seat) -> Result<Subscribed, TooSoon> {
        let now = Instant::now();
        let is_locked = |taken: &Taken| now.saturating_duration_since(taken.since) < SUBSCRIPTION_LOCK;
        let mut seats = self.0.lock();
        // Those that are left, and not locked any more, are as if they had never been.
        seats.retain(|_, taken| !taken.over.is_cancelled() || is_locked(taken));
        if seats.get(&seat).is_some_and(is_locked) {
            return Err(TooSoon);
        }
        let over = CancellationToken::new();
        if let Some(before) = seats.insert(seat, Taken { since: now, over: over.clone() }) {
            before.over.cancel();
        }
        Ok(Subscribed { over })
    }
}

impl Subscribed {
    /// Ends when another one has the seat.
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
    use std::time::Duration;

    use super::*;

    fn seat(name: &str, shard: u32) -> Seat {
        let consumer = Consumer { name: ConsumerName::parse(name).unwrap(), created: Timestamp::from_millis(1) };
        Seat::of(StreamId(1), ShardIndex(shard), &consumer)
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_taken_over_but_not_at_once() {
        let subscriptions = Subscriptions::default();
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
        assert_eq!(subscriptions.0.lock().len(), 3, "{subscriptions:?}");
    }
}
