//! The time. Nothing else in the house asks the operating system for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// How long `earlier` was before this; zero when it was not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This time less `span`, at least 1970.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This time and `span`.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// How far a clock is ahead of the system's, or behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockOffset {
    /// So far ahead.
    Ahead(Duration),
    /// So far behind.
    Behind(Duration),
}

impl Default for ClockOffset {
    fn default() -> Self {
        Self::Ahead(Duration::ZERO)
    }
}

/// Where the time comes from: the system, or a test's hand.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System(ClockOffset),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self::system_with(ClockOffset::Ahead(Duration::ZERO))
    }

    /// The system's clock, so far ahead or behind.
    pub const fn system_with(offset: ClockOffset) -> Self {
        Self(Source::System(offset))
    }

    /// A clock that stands still until [`Clock::set`] moves it; its clones move with it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(start.0))))
    }

    /// The time now. A system clock before 1970 reads as 1970.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System(ClockOffset::Ahead(offset)) => system_now().plus(*offset),
            Source::System(ClockOffset::Behind(offset)) => system_now().minus(*offset),
            Source::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// The time now as others know it, without the offset.
    pub fn now_elsewhere(&self) -> Timestamp {
        match &self.0 {
            Source::System(_) => system_now(),
            Source::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock, forwards or backwards; a system clock takes no notice.
    pub fn set(&self, time: Timestamp) {
        if let Source::Manual(millis) = &self.0 {
            millis.store(time.0, Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks for the time")]
fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_with_an_offset_goes_like_the_systems_and_knows_it() {
        let hour = Duration::from_hours(1);
        for offset in [ClockOffset::Ahead(hour), ClockOffset::Behind(hour)] {
            let clock = Clock::system_with(offset);
            let (before, shifted, after) = (clock.now_elsewhere(), clock.now(), Clock::system().now());
            let around = match offset {
                ClockOffset::Ahead(hour) => [before.plus(hour), after.plus(hour)],
                ClockOffset::Behind(hour) => [before.minus(hour), after.minus(hour)],
            };
            assert!(around[0] <= shifted && shifted <= around[1], "{offset:?}: {shifted:?} is not in {around:?}");
        }
    }
}
