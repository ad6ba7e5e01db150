//! Arrays in the data.

use super::{FILTERED, PASSES, check_all};

#[test]
fn one_value_of_an_array_is_enough() {
    check_all(&[
        (r#"{"a": ["x", "y"]}"#, r#"{"a": ["z", "y"]}"#, PASSES),
        (r#"{"a": ["x", "y"]}"#, r#"{"a": ["z"]}"#, FILTERED),
        (r#"{"a": ["x"]}"#, r#"{"a": []}"#, FILTERED),
        (r#"{"a": [null]}"#, r#"{"a": []}"#, FILTERED),
        (r#"{"a": [null]}"#, r#"{"a": [null]}"#, PASSES),
        (r#"{"a": ["x"]}"#, r#"{"a": [["w"], ["v", ["x"]]]}"#, PASSES),
        (r#"{"a": [{"prefix": "x"}]}"#, r#"{"a": [1, "w", "xx"]}"#, PASSES),
        (r#"{"a": [{"numeric": [">", 5]}]}"#, r#"{"a": [1, 9]}"#, PASSES),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": ["x", "y"]}"#, PASSES),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": ["x", "x"]}"#, FILTERED),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": []}"#, FILTERED),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": [[], {}]}"#, PASSES),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": [[], [1]]}"#, FILTERED),
    ]);
}

#[test]
fn the_same_object_of_an_array_must_match() {
    let people = r#"{"people": [
        {"first": "Anna", "last": "Smith"}, {"first": "John", "last": "Doe"}, [{"first": "Peter", "last": "Jones"}]
    ]}"#;
    check_all(&[
        (r#"{"people": {"first": ["Anna"]}}"#, people, PASSES),
        (r#"{"people": {"first": ["Peter"]}}"#, people, PASSES),
        (r#"{"people": {"first": ["Anna"], "last": ["Smith"]}}"#, people, PASSES),
        (r#"{"people": {"first": ["Anna"], "last": ["Doe"]}}"#, people, FILTERED),
        (r#"{"people": {"first": ["Anna", "John"], "last": ["Doe"]}}"#, people, PASSES),
        (r#"{"people": {"first": ["Peter"], "$or": [{"last": ["Doe"]}, {"last": ["Jones"]}]}}"#, people, PASSES),
        (r#"{"people": {"first": ["Anna"], "$or": [{"last": ["Doe"]}, {"last": ["Jones"]}]}}"#, people, FILTERED),
        // Also where the fields are given at different levels.
        (r#"{"people": {"first": ["Anna"]}, "$or": [{"people": {"last": ["Doe"]}}, {"x": [1]}]}"#, people, FILTERED),
        (r#"{"people": {"first": ["Anna"]}, "$or": [{"people": {"last": ["Smith"]}}, {"x": [1]}]}"#, people, PASSES),
        (r#"{"people": ["Anna"]}"#, people, FILTERED),
    ]);
}

#[test]
fn different_arrays_match_on_their_own() {
    let data = r#"{"a": [{"x": 1}, {"x": 2}], "b": [{"x": 3}, {"y": [{"z": 4}, {"z": 5, "w": 6}]}]}"#;
    check_all(&[
        (r#"{"a": {"x": [2]}, "b": {"x": [3]}}"#, data, PASSES),
        (r#"{"a": {"x": [3]}, "b": {"x": [3]}}"#, data, FILTERED),
        (r#"{"b": {"y": {"z": [5], "w": [6]}}}"#, data, PASSES),
        (r#"{"b": {"y": {"z": [4], "w": [6]}}}"#, data, FILTERED),
        (r#"{"b": {"x": [3], "y": {"z": [4]}}}"#, data, FILTERED),
    ]);
}

#[test]
fn absent_from_the_object_that_matched_or_from_all() {
    let absent = r#"{"a": {"b": [{"exists": false}]}}"#;
    let absent_beside = r#"{"a": {"b": [{"exists": false}], "c": [2]}}"#;
    let absent_or_one = r#"{"a": {"b": [{"exists": false}, 1]}}"#;
    check_all(&[
        (absent, r#"{"a": [{"b": 1}, {"c": 2}]}"#, FILTERED),
        (absent, r#"{"a": [{"c": 1}, {"c": 2}]}"#, PASSES),
        (absent, r#"{"a": []}"#, PASSES),
        (absent, r#"{"a": [1, "x", null]}"#, PASSES),
        (absent, r#"{"a": [[{"c": 1}], [{"b": 1}]]}"#, FILTERED),
        (absent_beside, r#"{"a": [{"b": 1}, {"c": 2}]}"#, PASSES),
        (absent_beside, r#"{"a": [{"b": 1, "c": 2}]}"#, FILTERED),
        (absent_beside, r#"{"a": []}"#, FILTERED),
        (absent_or_one, r#"{"a": [{"b": 1}, {"b": 2}]}"#, PASSES),
        (absent_or_one, r#"{"a": [{"b": 2}, {"c": 2}]}"#, FILTERED),
        (absent_or_one, r#"{"a": [{"c": 2}]}"#, PASSES),
        // A match elsewhere says nothing of the array.
        (r#"{"k": [1], "a": {"b": [{"exists": false}]}}"#, r#"{"k": 1, "a": [{"b": 1}, {}]}"#, FILTERED),
        // Each way of a `$or` is absent from all or does not hold.
        (
            r#"{"a": {"$or": [{"b": [{"exists": false}]}, {"c": [{"exists": false}]}]}}"#,
            r#"{"a": [{"b": 1}, {"c": 1}]}"#,
            FILTERED,
        ),
    ]);
}

#[test]
fn data_that_is_an_array_or_a_value() {
    check_all(&[
        (r#"{"a": [1]}"#, r#"[{"a": 2}, {"a": 1}]"#, PASSES),
        (r#"{"a": [1], "b": [2]}"#, r#"[{"a": 1}, {"b": 2}]"#, FILTERED),
        (r#"{"a": [1]}"#, "5", FILTERED),
        (r#"{"a": [1]}"#, r#""a""#, FILTERED),
        (r#"{"a": [1]}"#, "null", FILTERED),
        (r#"{"a": [{"exists": false}]}"#, "null", PASSES),
        (r#"{"a": [1]}"#, "[]", FILTERED),
    ]);
}

#[test]
fn a_field_that_is_a_value_for_one_pattern_and_an_object_for_another() {
    let both = r#"{"a": [1], "$or": [{"a": {"b": [2]}}, {"c": [3]}]}"#;
    check_all(&[
        (both, r#"{"a": [1, {"b": 2}]}"#, PASSES),
        (both, r#"{"a": [{"b": 2}]}"#, FILTERED),
        (both, r#"{"a": [1]}"#, FILTERED),
        (both, r#"{"a": [1], "c": 3}"#, PASSES),
    ]);
}
