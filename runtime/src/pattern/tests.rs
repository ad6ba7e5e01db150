//! Many short cases of pattern, data and verdict.

mod arrays;
mod errors;
mod json;
mod operators;
mod property;
mod records;

use super::{Event, Filter, Verdict};

const PASSES: Verdict = Verdict::Passes;
const FILTERED: Verdict = Verdict::Filtered;
const NOT_JSON: Verdict = Verdict::NotJson;

/// What one whole pattern says of a record with the partition key `key`.
fn verdict(pattern: &str, data: impl AsRef<[u8]>) -> Verdict {
    let filter = Filter::parse([pattern]).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    filter.verdict(&Event { data: data.as_ref(), partition_key: "key" })
}

/// Checks what a pattern's `data` says of JSON data.
fn check(pattern_data: &str, data: &str, expected: Verdict) {
    let pattern = format!(r#"{{"data": {pattern_data}}}"#);
    assert_eq!(verdict(&pattern, data), expected, "{pattern} on {data}");
}

fn check_all(cases: &[(&str, &str, Verdict)]) {
    for (pattern_data, data, expected) in cases {
        check(pattern_data, data, *expected);
    }
}
