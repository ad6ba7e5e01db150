//! From the samples of many rounds to one number.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::report;

/// Counts rounds on standard error.
pub(super) fn rounds(name: &'static str, count: usize) -> impl Iterator<Item = usize> {
    (1..=count).inspect(move |round| report::say(&format!("{name}: round {round} of {count}")))
}

/// What the rounds of a figure and of its limit measured.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    values: Vec<f64>,
    limits: Vec<f64>,
}

impl Pairs {
    /// One round of both. They are shown, so that a restless machine is seen.
    pub(super) fn note(&mut self, limit: f64, value: f64) {
        report::say(&format!("  limit {}, value {}", report::shown(limit), report::shown(value)));
        self.limits.push(limit);
        self.values.push(value);
    }

    pub(super) fn value(&self) -> Result<f64> {
        median(&self.values)
    }

    pub(super) fn limit(&self) -> Result<f64> {
        median(&self.limits)
    }
}

/// What lies in the middle.
pub(super) fn median(samples: &[f64]) -> Result<f64> {
    percentile(samples, 50)
}

/// The sample that so many percent do not exceed (nearest rank).
pub(super) fn percentile(samples: &[f64], percent: usize) -> Result<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().context("nothing was measured")
}

/// In microseconds.
pub(super) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// How often a second something was done that was done `count` times since `start`.
pub(super) fn per_second(count: usize, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "a percentile is one of the samples, bit for bit")]
    fn percentiles_are_samples() {
        let samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&samples, 50).unwrap(), 100.0);
        assert_eq!(percentile(&samples, 99).unwrap(), 198.0);
        assert_eq!(percentile(&samples, 100).unwrap(), 200.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]).unwrap(), 2.0);
        assert_eq!(median(&[7.0]).unwrap(), 7.0);
        assert!(median(&[]).is_err());
    }
}
