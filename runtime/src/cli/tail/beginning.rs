//! Where a tail begins.

use std::str::FromStr;
use std::time::Duration;

use tidemill_client::Start;
use tidemill_stream::clock::{Clock, Timestamp};

/// As it was said on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    TrimHorizon,
    Latest,
    At(Timestamp),
}

impl Beginning {
    pub(super) fn start(self) -> Start {
        match self {
            Self::TrimHorizon => Start::TrimHorizon,
            Self::Latest => Start::Latest,
            Self::At(time) => Start::Timestamp(time.as_millis()),
        }
    }
}

impl FromStr for Beginning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, Clock::system().now()).ok_or_else(|| {
            format!("'{text}' is no place; write trim-horizon, latest, a time like 2026-11-22T08:00:00Z, or 15m for 15 minutes ago")
        })
    }
}

fn parse(text: &str, now: Timestamp) -> Option<Beginning> {
    match text {
        "trim-horizon" => return Some(Beginning::TrimHorizon),
        "latest" => return Some(Beginning::Latest),
        _ => {}
    }
    if let Ok(ago) = text.parse::<jiff::SignedDuration>() {
        return Duration::try_from(ago).ok().map(|ago| Beginning::At(now.minus(ago)));
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(|millis| Beginning::At(Timestamp::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_words_times_and_spans() {
        let now = Timestamp::from_millis(10_000_000);
        let at = |millis| Some(Beginning::At(Timestamp::from_millis(millis)));
        for (text, expected) in [
            ("trim-horizon", Some(Beginning::TrimHorizon)),
            ("latest", Some(Beginning::Latest)),
            ("1970-01-01T00:00:01Z", at(1000)),
            ("1970-01-01T01:00:01.5+01:00", at(1500)),
            ("90s", at(9_910_000)),
            ("2h", at(2_800_000)),
            ("1000h", at(0)),
            ("-5m", None),
            ("yesterday", None),
            ("2026-11-22", None),
            ("", None),
        ] {
            assert_eq!(parse(text, now), expected, "{text}");
        }
    }
}
