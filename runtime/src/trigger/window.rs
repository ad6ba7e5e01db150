//! Tumbling windows: stretches of arrival time that a function keeps state for.
//!
//! A window of length L begins at a multiple of L since 1970, UTC. This file is pure arithmetic: what is called when is the
//! runner's to do.

use std::time::Duration;

use tidemill_stream::clock::Timestamp;

/// A length in milliseconds, at least 1.
pub(super) fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Where the window begins that a time lies in.
pub(super) fn start(time: Timestamp, length_ms: u64) -> Timestamp {
    let millis = time.as_millis();
    Timestamp::from_millis(millis - millis % length_ms.max(1))
}

/// Where a window ends: what arrives then lies in the next one.
pub(super) fn end(start: Timestamp, length_ms: u64) -> Timestamp {
    Timestamp::from_millis(start.as_millis().saturating_add(length_ms))
}
