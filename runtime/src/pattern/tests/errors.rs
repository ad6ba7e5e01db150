//! What is refused, and in which words.

use crate::pattern::{Fault, Filter, FilterError, PATTERN_CHARACTERS_MAX, PATTERNS_MAX};

fn refusal(patterns: &[&str]) -> String {
    match Filter::parse(patterns.iter().copied()) {
        Ok(_) => "taken".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// `refused.txt` has a pattern and its refusal on a line each, and a blank line after them.
#[test]
fn wrong_patterns_are_refused_in_these_words() {
    let cases: Vec<&str> = include_str!("refused.txt").split("\n\n").map(str::trim).collect();
    assert!(cases.len() > 60, "{} cases", cases.len());
    for case in cases {
        let (pattern, expected) = case.split_once('\n').unwrap();
        assert_eq!(refusal(&[pattern]), expected, "{pattern}");
    }
}

#[test]
fn one_to_ten_patterns() {
    let pattern = r#"{"partitionKey": ["a"]}"#;
    assert_eq!(refusal(&[]), "a filter has 1 to 10 patterns, not 0");
    assert_eq!(refusal(&[pattern; PATTERNS_MAX]), "taken");
    assert_eq!(refusal(&[pattern; PATTERNS_MAX + 1]), "a filter has 1 to 10 patterns, not 11");
}

#[test]
fn the_wrong_one_of_several_is_named() {
    let right = r#"{"data": {"a": [1]}}"#;
    let error = Filter::parse([right, right, r#"{"data": {"a": {"b": [1, {"wildcard": "*"}]}}}"#]).unwrap_err();
    let expected = FilterError::Pattern { number: 3, path: "data.a.b[1].wildcard".to_owned(), fault: Fault::Wildcard };
    assert_eq!(error, expected);
}

#[test]
fn a_pattern_is_measured_in_characters() {
    let of = |characters: usize| {
        let around = r#"{"partitionKey": [""]}"#;
        around.replace(r#""""#, &format!("\"{}\"", "å".repeat(characters - around.len())))
    };
    assert_eq!(refusal(&[&of(PATTERN_CHARACTERS_MAX)]), "taken");
    assert_eq!(
        refusal(&[&of(PATTERN_CHARACTERS_MAX + 1)]),
        "pattern 1: a pattern has at most 4096 characters, not 4097"
    );
}

#[test]
fn ors_combine_within_a_limit() {
    let pattern = |ors: usize| {
        let or = |index| format!(r#""{index}": {{"$or": [{{"a": [1]}}, {{"b": [2]}}]}}"#);
        format!(r#"{{"data": {{{}}}}}"#, (0..ors).map(or).collect::<Vec<_>>().join(", "))
    };
    assert_eq!(refusal(&[&pattern(9)]), "taken");
    assert_eq!(
        refusal(&[&pattern(80)]),
        "pattern 1, at data.9: the \"$or\"s of a pattern may combine to 20000 fields, not to 22528: give some a \
         pattern of their own"
    );
    let siblings: Vec<String> = (0..380).map(|index| format!(r#""{index}": [1]"#)).collect();
    assert_eq!(refusal(&[&format!(r#"{{"data": {{{}}}}}"#, siblings.join(","))]), "taken");
}

#[test]
fn a_pattern_that_nests_too_deep_is_no_json() {
    assert_eq!(
        refusal(&[&r#"{"data":"#.repeat(500)]),
        "pattern 1: not JSON: no more than 127 brackets in one another was expected at byte 1017"
    );
}
