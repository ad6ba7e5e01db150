//! What `tidemill up` and `tidemill serve` take to be wrong on purpose.

use std::time::Duration;

use clap::Args;
use tidemill_stream::clock::ClockOffset;

use crate::deploy::parse_duration;
use crate::http::{DelayTimes, InjectedError};
use crate::node::TestingAids;

/// Ten years: what is dated further off is a mistake in writing.
const OFFSET_MAX: Duration = Duration::from_hours(87_600);
const DELAY_MAX: Duration = Duration::from_hours(24);

#[derive(Debug, Args)]
pub(super) struct AidArgs {
    /// For tests: a new stream shows CREATING for so long over the Kinesis API.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    delay_creating: Option<Duration>,
    /// For tests: a stream that was changed shows UPDATING for so long over the Kinesis API.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    delay_updating: Option<Duration>,
    /// For tests: a stream that was deleted shows DELETING for so long over the Kinesis API.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    delay_deleting: Option<Duration>,
    /// For tests: the node's clock is so far ahead of the system's, or behind it (-1h): what it says of the age of records,
    /// of shard iterators and of all else follows. Signatures are checked by the system's clock.
    #[arg(long, value_name = "DURATION", value_parser = clock_offset, allow_hyphen_values = true)]
    clock_offset: Option<ClockOffset>,
    /// For tests: fail so many of an operation's calls, from 0 to 1, without doing anything; may be given several times.
    /// Without an error it is `InternalFailureException`. For `PutRecords`, `ProvisionedThroughputExceededException` and
    /// `InternalFailure` fail single records instead, and the others are put.
    #[arg(long, value_name = "OPERATION=RATE[:ERROR]")]
    inject_errors: Vec<InjectedError>,
    /// What decides which calls fail: with the same number the same ones do, if the calls are. Without it, by chance.
    #[arg(long, value_name = "NUMBER", requires = "inject_errors")]
    inject_seed: Option<u64>,
}

impl AidArgs {
    pub(super) fn aids(&self) -> TestingAids {
        let delays = DelayTimes {
            creating: self.delay_creating.unwrap_or_default(),
            updating: self.delay_updating.unwrap_or_default(),
            deleting: self.delay_deleting.unwrap_or_default(),
        };
        let seed = self.inject_seed.unwrap_or_else(rand::random);
        TestingAids { clock: self.clock_offset.unwrap_or_default(), delays, errors: self.inject_errors.clone(), seed }
    }
}

fn delay(text: &str) -> Result<Duration, String> {
    at_most(text, DELAY_MAX)
}

fn at_most(text: &str, most: Duration) -> Result<Duration, String> {
    let given = parse_duration(text)?;
    if given <= most { Ok(given) } else { Err(format!("{text} is too long: {} h is the most", most.as_secs() / 3600)) }
}

fn clock_offset(text: &str) -> Result<ClockOffset, String> {
    match text.strip_prefix('-') {
        Some(behind) => at_most(behind, OFFSET_MAX).map(ClockOffset::Behind),
        None => at_most(text, OFFSET_MAX).map(ClockOffset::Ahead),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        aids: AidArgs,
    }

    fn told(line: &str) -> String {
        let words = std::iter::once("tidemill").chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().aids.aids().told().join(" ")
    }

    #[test]
    fn aids_are_told_as_they_were_written() {
        for line in [
            "",
            "--delay-creating 5s",
            "--delay-updating 500ms --delay-deleting 1h",
            "--clock-offset 25h",
            "--clock-offset -6m",
            "--inject-errors PutRecords=0.1:InternalFailure --inject-errors PutRecord=1:LimitExceededException \
             --inject-seed 7",
        ] {
            assert_eq!(told(line), line);
        }
        assert_eq!(told("--delay-creating 0s --clock-offset 0s"), "");
    }

    #[test]
    fn what_is_no_aid_is_refused() {
        for line in [
            "--inject-seed 7",
            "--inject-errors PutRecords=2",
            "--clock-offset --1h",
            "--delay-creating -1s",
            "--delay-creating 25h",
            "--clock-offset 87601h",
            "--clock-offset -99999999999d",
        ] {
            let words = std::iter::once("tidemill").chain(line.split_whitespace());
            Line::try_parse_from(words).unwrap_err();
        }
    }
}
