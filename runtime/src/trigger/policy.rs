//! What follows from the outcome of a call: pure, so that every rule is a test.
//!
//! The rules are those of Lambda's event source mappings for streams: a failed batch is delivered again until it succeeds,
//! its retries are used up, or its records are too old; a batch may be cut in two; what was taken before a reported failure
//! is not delivered again, and the count of failures begins anew behind it.

use std::time::Duration;

use tidemill_stream::clock::Timestamp;

use crate::deploy::TriggerRules;
use crate::limits::{RETRY_BACKOFF_BASE, RETRY_BACKOFF_CAP, TIP_WAIT_FIRST, TIP_WAIT_MAX};

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The function took the batch, and what it emitted is put.
    Succeeded,
    /// It took so many records from the start, fewer than there are, and says so.
    TookSome { taken: usize },
    /// It refused the batch, trapped, took too long, or its response is none.
    Failed,
    /// It was not called, or what it emitted was not put: that is not the batch's fault.
    NotReached,
}

/// A batch or a part of one, as it stands before a call's outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// How many records it has.
    pub(super) records: usize,
    /// How often the function failed it before.
    pub(super) failures: u32,
    /// How many calls of the lane failed one after another before: each makes the next wait longer.
    pub(super) in_row: u32,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// All of it is processed.
    Commit,
    /// Deliver it again after this wait. Only a failure that counts uses up retries.
    Again { after: Duration, counts: bool },
    /// So many records are processed; the rest is delivered after this wait, as if for the first time.
    Rest { taken: usize, after: Duration },
    /// Deliver it again in two parts, of which the first has so many records; that uses up no retry.
    Split { at: usize, after: Duration },
    /// It is not delivered again.
    GiveUp,
}

/// Why records are given up, in Lambda's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// They were delivered as often as they may.
    RetryAttemptsExhausted,
    /// They are older than they may be.
    RecordAgeExceeded,
}

impl Condition {
    /// As the document for the destination has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// What follows from a call. `random` lies in `0.0..1.0`.
pub(super) fn decide(rules: &TriggerRules, standing: Standing, outcome: Outcome, random: f64) -> Decision {
    let Standing { records, failures, in_row } = standing;
    let after = backoff(in_row.saturating_add(1), random);
    match outcome {
        Outcome::Succeeded => Decision::Commit,
        Outcome::NotReached => Decision::Again { after, counts: false },
        Outcome::TookSome { taken } if taken > 0 => Decision::Rest { taken, after },
        Outcome::Failed if rules.bisects && records > 1 => Decision::Split { at: records / 2, after },
        Outcome::TookSome { .. } | Outcome::Failed => match rules.retries_max {
            Some(retries) if failures >= retries => Decision::GiveUp,
            _ => Decision::Again { after, counts: true },
        },
    }
}

/// How many records, from the first on, are older than they may be now: they arrived before this.
pub(super) fn oldest_delivered(now: Timestamp, age_max: Option<Duration>) -> Timestamp {
    age_max.map_or(Timestamp::from_millis(0), |age| now.minus(age))
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
#[path = "policy/tests.rs"]
mod tests;
