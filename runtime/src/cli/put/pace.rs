//! So many records a second, and no more.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// Records of one put without a rate: what the node takes at once.
const BATCH_RECORDS_MAX: usize = 500;
/// Batches a second at a rate, so that records flow instead of coming in heaps.
const BATCHES_PER_SECOND: u32 = 10;

/// Records a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate(f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix("/s").unwrap_or(text).parse().ok();
        let rate = number.filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
        rate.map(Self)
            .ok_or_else(|| format!("'{text}' is no rate; write a number of records a second, like 20 or 20/s"))
    }
}

/// Holds records back.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<Rate>,
    /// When the next record may go.
    next: Instant,
}

impl Pace {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self { rate, next: Instant::now() }
    }

    /// How many records may go at once.
    #[expect(clippy::cast_sign_loss, reason = "rates are above zero")]
    pub(super) fn batch_records_max(&self) -> usize {
        let per_batch = |Rate(rate): Rate| (rate / f64::from(BATCHES_PER_SECOND)) as usize;
        self.rate.map_or(BATCH_RECORDS_MAX, per_batch).clamp(1, BATCH_RECORDS_MAX)
    }

    /// Waits until so many records may go. Time that nobody used is not made up for.
    pub(super) async fn wait_for(&mut self, records: usize) {
        let Some(Rate(rate)) = self.rate else { return };
        self.next = self.next.max(Instant::now());
        tokio::time::sleep_until(self.next).await;
        self.next += Duration::from_secs_f64(records as f64 / rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_records_a_second() {
        assert_eq!(("20".parse(), "20/s".parse(), "0.5/s".parse()), (Ok(Rate(20.0)), Ok(Rate(20.0)), Ok(Rate(0.5))));
        for bad in ["", "0", "-1", "inf", "20/m", "fast"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn records_go_at_the_rate() {
        let mut pace = Pace::new(Some(Rate(20.0)));
        assert_eq!(pace.batch_records_max(), 2);
        let started = Instant::now();
        for _ in 0..101 {
            pace.wait_for(2).await;
        }
        assert_eq!(started.elapsed().as_secs(), 10, "the 202nd record goes 200 records behind the first");
        let mut unpaced = Pace::new(None);
        unpaced.wait_for(1_000_000).await;
        assert_eq!((unpaced.batch_records_max(), started.elapsed().as_secs()), (500, 10));
    }
}
