//! The reader takes as JSON what `serde_json` takes, and nothing makes it panic.

use proptest::prelude::*;
use serde_json::Value;

use crate::pattern::Filter;
use crate::pattern::found::{Found, Wanted};
use crate::pattern::tree::Json;

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"a\"",
    "\"a\":",
    "{\"a\":",
    "[1",
    "1]",
    "\\",
    "\\n",
    "\\u00e9",
    "\\ud83d",
    "\\ude00",
    "u0041",
    "1",
    "0",
    "-",
    ".",
    "e",
    "E",
    "+",
    "true",
    "false",
    "null",
    "nul",
    " ",
    "\t",
    "\n",
    "\u{1}",
    "ø",
    "😀",
    "a string of text",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn takes_the_bytes_that_serde_json_takes_in_a_string() {
    for (byte, at) in (0..0x80_u8).flat_map(|byte| (0..20).map(move |at| (byte, at))) {
        let mut string = "x".repeat(20);
        string.insert(at, char::from(byte));
        let text = format!("\"{string}\"");
        assert_eq!(Json::parse(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn takes_what_serde_json_takes(text in text()) {
        let theirs = serde_json::from_str::<Value>(&text);
        // They must fit a number into a type.
        prop_assume!(!theirs.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")));
        prop_assert_eq!(Found::read(text.as_bytes(), &Wanted::default()).is_some(), theirs.is_ok());
        prop_assert_eq!(Json::parse(&text).is_ok(), theirs.is_ok());
    }

    #[test]
    fn takes_any_string(string in ".*") {
        let text = Value::String(string.clone()).to_string();
        match Json::parse(&text) {
            Ok(Json::Scalar(crate::pattern::reader::Scalar::String(read))) => prop_assert_eq!(read, string),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn survives_any_pattern_and_data(pieces in text(), data in prop::collection::vec(any::<u8>(), 0..64)) {
        let _error = Filter::parse([pieces]);
        let _found = Found::read(&data, &Wanted::default());
    }
}
