//! What a function's reply means for its batch: pure.
//!
//! The rules are Lambda's for `ReportBatchItemFailures` and for tumbling windows: nothing, and an empty list of failures, is
//! success; a name that is no record of the batch fails all of it; of several names the lowest counts.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::policy::Outcome;
use crate::functions::Reply;

/// What is asked of a response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Which records were not taken, if any.
    pub(super) failures: bool,
    /// The state of the window.
    pub(super) state: bool,
}

/// What a reply says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// Records that it names as not taken.
    pub(super) reported: usize,
    /// The window's state, where one is asked for and there.
    pub(super) state: Option<Bytes>,
}

/// Why a reply cannot be used: the batch has failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResponseError {
    #[error("the function's response is not what a batch is answered with: {reason}")]
    Malformed { reason: String },
    #[error("the function's response names '{given}', which is no sequence number of the batch")]
    Unknown { given: String },
    #[error("the function's response has no 'state', which a tumbling window needs")]
    NoState,
}

#[derive(Default, Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
    #[serde(rename = "batchItemFailures", default)]
    failures: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "itemIdentifier", default)]
    identifier: Option<String>,
}

/// Reads a reply. `place_of` finds a record of the batch by its sequence number.
pub(super) fn read(
    reply: &Reply,
    expected: Expected,
    place_of: impl Fn(&str) -> Option<usize>,
) -> Result<Verdict, ResponseError> {
    let taken = Verdict { outcome: Outcome::Succeeded, reported: 0, state: None };
    let Reply::Response(response) = reply else { return Ok(taken) };
    if !expected.failures && !expected.state {
        return Ok(taken);
    }
    let response = parse(response)?;
    let state = response.state.map(|state| Bytes::copy_from_slice(state.get().as_bytes()));
    if expected.state && state.is_none() {
        return Err(ResponseError::NoState);
    }
    let failures = response.failures.filter(|_| expected.failures).unwrap_or_default();
    let first = first_of(&failures, place_of)?;
    let outcome = first.map_or(Outcome::Succeeded, |taken| Outcome::TookSome { taken });
    Ok(Verdict { outcome, reported: failures.len(), state })
}

fn parse(text: &[u8]) -> Result<Response<'_>, ResponseError> {
    let text = text.trim_ascii();
    let is_nothing = matches!(text, b"" | b"null" | b"\"\"" | b"[]");
    if is_nothing {
        return Ok(Response::default());
    }
    if !text.starts_with(b"{") {
        return Err(ResponseError::Malformed { reason: "it is no JSON object".to_owned() });
    }
    serde_json::from_slice(text).map_err(|error| ResponseError::Malformed { reason: error.to_string() })
}

/// The first record that was not taken.
fn first_of(failures: &[Item], place_of: impl Fn(&str) -> Option<usize>) -> Result<Option<usize>, ResponseError> {
    let mut first: Option<usize> = None;
    for Item { identifier } in failures {
        let given = identifier.as_deref().unwrap_or_default();
        let place =
            place_of(given).ok_or_else(|| ResponseError::Unknown { given: given.chars().take(100).collect() })?;
        first = Some(first.map_or(place, |first| first.min(place)));
    }
    Ok(first)
}

#[cfg(test)]
#[path = "response/tests.rs"]
mod tests;
