//! What follows from the outcome of a call: pure, so that every rule is a test.

use std::time::Duration;

use crate::limits::{RETRY_BACKOFF_BASE, RETRY_BACKOFF_CAP, TIP_WAIT_FIRST, TIP_WAIT_MAX};

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The function took the batch, and what it emitted is put.
    Succeeded,
    /// It refused it, trapped, took too long, or could not be called; or what it emitted was not put.
    Failed,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Move the cursor behind the batch.
    Commit,
    /// Deliver the same batch again after this wait.
    RetryAfter(Duration),
}

/// A failed batch is delivered again for ever: its shard waits for it, no record is skipped.
///
/// `attempt` counts from 1; `random` lies in `0.0..1.0`.
pub(super) fn decide(outcome: Outcome, attempt: u32, random: f64) -> Decision {
    match outcome {
        Outcome::Succeeded => Decision::Commit,
        Outcome::Failed => Decision::RetryAfter(backoff(attempt, random)),
    }
}

/// Exponential backoff with full jitter: any wait up to a bound that doubles with each attempt, up to a cap.
pub(super) fn backoff(attempt: u32, random: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(u32::BITS - 1);
    let bound = RETRY_BACKOFF_BASE.saturating_mul(1 << doublings).min(RETRY_BACKOFF_CAP);
    bound.mul_f64(random.clamp(0.0, 1.0))
}

/// How long a poller rests that found nothing so many times in a row. Whoever puts wakes it: the clock is for wake-ups that
/// were lost, and of ten thousand shards most are idle.
pub(super) fn rest(looks_in_vain: u32) -> Duration {
    let doublings = looks_in_vain.saturating_sub(1).min(u32::BITS - 1);
    TIP_WAIT_FIRST.saturating_mul(1 << doublings).min(TIP_WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_commits_at_any_attempt() {
        for attempt in [1, 2, 100, u32::MAX] {
            assert_eq!(decide(Outcome::Succeeded, attempt, 0.5), Decision::Commit);
        }
    }

    #[test]
    fn a_failure_is_retried_for_ever_with_doubling_bounds() {
        let waits_ms = [(1, 100), (2, 200), (3, 400), (7, 6400), (8, 10_000), (9, 10_000), (1000, 10_000)];
        for (attempt, bound_ms) in waits_ms {
            let bound = Duration::from_millis(bound_ms);
            assert_eq!(decide(Outcome::Failed, attempt, 1.0), Decision::RetryAfter(bound), "attempt {attempt}");
            assert_eq!(decide(Outcome::Failed, attempt, 0.5), Decision::RetryAfter(bound / 2), "attempt {attempt}");
            assert_eq!(decide(Outcome::Failed, attempt, 0.0), Decision::RetryAfter(Duration::ZERO));
        }
        assert_eq!(backoff(u32::MAX, 1.0), RETRY_BACKOFF_CAP);
    }

    #[test]
    fn rests_grow_to_their_bound() {
        let rests: Vec<u64> = (0..8).map(|looks| rest(looks).as_secs()).collect();
        assert_eq!(rests, [1, 1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(rest(u32::MAX), TIP_WAIT_MAX);
    }
}
