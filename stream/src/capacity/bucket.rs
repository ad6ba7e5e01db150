//! A bucket of tokens: so many a second come in, as many fit into it, and it may be overdrawn.

use std::time::Duration;

use crate::clock::Timestamp;

/// Tokens are counted in thousandths: a millisecond brings a whole number of them.
const PARTS: i64 = 1000;

#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// What comes in a second, and the most that is in it.
    per_s: i64,
    /// Thousandths of tokens when it was last looked at; less than none is a debt.
    level: i64,
    at: Timestamp,
    /// It was emptied, and is not full again.
    is_drained: bool,
}

impl Bucket {
    pub(super) fn full(per_s: u64, now: Timestamp) -> Self {
        let per_s = i64::try_from(per_s).unwrap_or(i64::MAX / PARTS);
        Self { per_s, level: per_s * PARTS, at: now, is_drained: false }
    }

    fn most(&self) -> i64 {
        self.per_s * PARTS
    }

    /// What is in it now. A clock that steps back brings nothing.
    fn level(&self, now: Timestamp) -> i64 {
        let passed = i64::try_from(now.since(self.at).as_millis()).unwrap_or(i64::MAX);
        self.level.saturating_add(passed.saturating_mul(self.per_s)).min(self.most())
    }

    pub(super) fn is_full(&self, now: Timestamp) -> bool {
        self.level(now) == self.most()
    }

    /// How long it is until so many may be taken; zero: now. What is more than fits may be taken from a full one.
    pub(super) fn wait(&self, tokens: u64, now: Timestamp) -> Duration {
        let wanted = parts(tokens).min(self.most());
        self.until(wanted, now)
    }

    /// How long it is until it is full again, if it was emptied; zero: it may be taken from.
    pub(super) fn wait_while_in_debt(&self, now: Timestamp) -> Duration {
        if self.is_drained { self.until(self.most(), now) } else { Duration::ZERO }
    }

    fn until(&self, wanted: i64, now: Timestamp) -> Duration {
        let missing = u64::try_from(wanted.saturating_sub(self.level(now))).unwrap_or(0);
        Duration::from_millis(missing.div_ceil(self.per_s.unsigned_abs().max(1)))
    }

    /// Takes them, whether or not they are there.
    pub(super) fn take(&mut self, tokens: u64, now: Timestamp) {
        self.fill(now);
        self.level = self.level.saturating_sub(parts(tokens));
        self.is_drained |= self.level <= 0;
    }

    /// Puts in what came until now. From a clock that stepped back on it comes by the new time.
    pub(super) fn fill(&mut self, now: Timestamp) {
        self.level = self.level(now);
        self.is_drained &= self.level < self.most();
        self.at = now;
    }
}

fn parts(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(PARTS)
}
