//! Values, operators and how they combine.

use super::{FILTERED, PASSES, check_all};

#[test]
fn values_are_equal() {
    check_all(&[
        (r#"{"a": ["x"]}"#, r#"{"a": "x"}"#, PASSES),
        (r#"{"a": ["x"]}"#, r#"{"a": "X"}"#, FILTERED),
        (r#"{"a": ["x"]}"#, r#"{"a": "xx"}"#, FILTERED),
        (r#"{"a": ["x"]}"#, r#"{"A": "x"}"#, FILTERED),
        (r#"{"a": ["x"]}"#, r#"{"b": "x"}"#, FILTERED),
        (r#"{"a": ["x"]}"#, "{}", FILTERED),
        (r#"{"a": [""]}"#, r#"{"a": ""}"#, PASSES),
        (r#"{"a": [""]}"#, r#"{"a": null}"#, FILTERED),
        (r#"{"a": [""]}"#, "{}", FILTERED),
        (r#"{"a": [null]}"#, r#"{"a": null}"#, PASSES),
        (r#"{"a": [null]}"#, r#"{"a": ""}"#, FILTERED),
        (r#"{"a": [null]}"#, r#"{"a": "null"}"#, FILTERED),
        (r#"{"a": [null]}"#, r#"{"a": {}}"#, FILTERED),
        (r#"{"a": [null]}"#, "{}", FILTERED),
        (r#"{"a": [true]}"#, r#"{"a": true}"#, PASSES),
        (r#"{"a": [true]}"#, r#"{"a": false}"#, FILTERED),
        (r#"{"a": [true]}"#, r#"{"a": "true"}"#, FILTERED),
        (r#"{"a": [true]}"#, r#"{"a": 1}"#, FILTERED),
        (r#"{"a": [false]}"#, r#"{"a": false}"#, PASSES),
        (r#"{"a": [false]}"#, r#"{"a": null}"#, FILTERED),
        (r#"{"a": ["1"]}"#, r#"{"a": 1}"#, FILTERED),
        (r#"{"a": [1]}"#, r#"{"a": "1"}"#, FILTERED),
    ]);
}

#[test]
fn numbers_are_equal_that_are_written_alike() {
    check_all(&[
        (r#"{"a": [300]}"#, r#"{"a": 300}"#, PASSES),
        (r#"{"a": [300]}"#, r#"{"a": 300.0}"#, FILTERED),
        (r#"{"a": [300]}"#, r#"{"a": 3.0e2}"#, FILTERED),
        (r#"{"a": [300.0]}"#, r#"{"a": 300.0}"#, PASSES),
        (r#"{"a": [3.0e2]}"#, r#"{"a": 3.0e2}"#, PASSES),
        (r#"{"a": [3.0e2]}"#, r#"{"a": 3.0E2}"#, FILTERED),
        (r#"{"a": [0]}"#, r#"{"a": -0}"#, FILTERED),
        (r#"{"a": [123456789012345678901234567890]}"#, r#"{"a": 123456789012345678901234567890}"#, PASSES),
        (r#"{"a": [123456789012345678901234567890]}"#, r#"{"a": 123456789012345678901234567891}"#, FILTERED),
        (r#"{"a": [0.1]}"#, r#"{"a": 0.1000000000000000055}"#, FILTERED),
        (r#"{"a": [{"anything-but": 300}]}"#, r#"{"a": 300.0}"#, PASSES),
    ]);
}

#[test]
fn strings_are_compared_without_their_escapes() {
    check_all(&[
        (r#"{"a": ["\u0078"]}"#, r#"{"a": "x"}"#, PASSES),
        (r#"{"a": ["x"]}"#, r#"{"\u0061": "\u0078"}"#, PASSES),
        (r#"{"\u0061": ["x"]}"#, r#"{"a": "x"}"#, PASSES),
        (r#"{"a": ["a\"b\\c\/d\b\f\n\r\t"]}"#, r#"{"a": "a\u0022b\u005cc/d\u0008\u000c\u000a\u000D\u0009"}"#, PASSES),
        (r#"{"a": ["😀"]}"#, r#"{"a": "\ud83d\ude00"}"#, PASSES),
        (r#"{"a": ["Tromsø"]}"#, r#"{"a": "Tromsø"}"#, PASSES),
        (r#"{"ø": ["å"]}"#, r#"{"ø": "å"}"#, PASSES),
        // Composed and decomposed are not the same characters.
        (r#"{"a": ["é"]}"#, r#"{"a": "e\u0301"}"#, FILTERED),
        (r#"{"a": ["a\u0000b"]}"#, r#"{"a": "a\u0000b"}"#, PASSES),
    ]);
}

#[test]
fn values_of_an_array_are_an_or_and_fields_an_and() {
    check_all(&[
        (r#"{"a": ["x", "y"]}"#, r#"{"a": "y"}"#, PASSES),
        (r#"{"a": ["x", 1, null, {"prefix": "p"}]}"#, r#"{"a": null}"#, PASSES),
        (r#"{"a": ["x", 1, null, {"prefix": "p"}]}"#, r#"{"a": "pp"}"#, PASSES),
        (r#"{"a": ["x", 1, null, {"prefix": "p"}]}"#, r#"{"a": 2}"#, FILTERED),
        (r#"{"a": ["x"], "b": [1]}"#, r#"{"b": 1, "a": "x"}"#, PASSES),
        (r#"{"a": ["x"], "b": [1]}"#, r#"{"b": 2, "a": "x"}"#, FILTERED),
        (r#"{"a": ["x"], "b": [1]}"#, r#"{"a": "x"}"#, FILTERED),
        (r#"{"a": {"b": {"c": [1]}}}"#, r#"{"a": {"b": {"c": 1}}}"#, PASSES),
        (r#"{"a": {"b": {"c": [1]}}}"#, r#"{"a": {"b": {"c": 2}}}"#, FILTERED),
        (r#"{"a": {"b": {"c": [1]}}}"#, r#"{"a": {"b": 1}}"#, FILTERED),
        (r#"{"a": {"b": {"c": [1]}}}"#, r#"{"c": 1}"#, FILTERED),
        (r#"{"a": {"b": [1]}}"#, r#"{"a.b": 1}"#, FILTERED),
        (r#"{"a.b": [1]}"#, r#"{"a": {"b": 1}}"#, FILTERED),
        (r#"{"a.b": [1]}"#, r#"{"a.b": 1}"#, PASSES),
        (r#"{"": [1]}"#, r#"{"": 1}"#, PASSES),
    ]);
}

#[test]
fn prefix_and_suffix() {
    check_all(&[
        (r#"{"a": [{"prefix": "ab"}]}"#, r#"{"a": "abc"}"#, PASSES),
        (r#"{"a": [{"prefix": "ab"}]}"#, r#"{"a": "ab"}"#, PASSES),
        (r#"{"a": [{"prefix": "ab"}]}"#, r#"{"a": "Abc"}"#, FILTERED),
        (r#"{"a": [{"prefix": "ab"}]}"#, r#"{"a": "a"}"#, FILTERED),
        (r#"{"a": [{"prefix": "ab"}]}"#, r#"{"a": "xab"}"#, FILTERED),
        (r#"{"a": [{"prefix": "1"}]}"#, r#"{"a": 12}"#, FILTERED),
        (r#"{"a": [{"prefix": ""}]}"#, r#"{"a": "any"}"#, PASSES),
        (r#"{"a": [{"prefix": ""}]}"#, r#"{"a": null}"#, FILTERED),
        (r#"{"a": [{"suffix": ".png"}]}"#, r#"{"a": "b.png"}"#, PASSES),
        (r#"{"a": [{"suffix": ".png"}]}"#, r#"{"a": "b.PNG"}"#, FILTERED),
        (r#"{"a": [{"suffix": ".png"}]}"#, r#"{"a": ".png.gz"}"#, FILTERED),
        (r#"{"a": [{"prefix": {"equals-ignore-case": "EventB"}}]}"#, r#"{"a": "eventBRIDGE"}"#, PASSES),
        (r#"{"a": [{"prefix": {"equals-ignore-case": "EventB"}}]}"#, r#"{"a": "event"}"#, FILTERED),
        (r#"{"a": [{"suffix": {"equals-ignore-case": "BRidge"}}]}"#, r#"{"a": "eventbRIDGE"}"#, PASSES),
        (r#"{"a": [{"suffix": {"equals-ignore-case": "BRidge"}}]}"#, r#"{"a": "bridges"}"#, FILTERED),
        (r#"{"a": [{"suffix": {"equals-ignore-case": "ØL"}}]}"#, r#"{"a": "vørterøl"}"#, PASSES),
    ]);
}

#[test]
fn equals_ignore_case() {
    check_all(&[
        (r#"{"a": [{"equals-ignore-case": "Alice"}]}"#, r#"{"a": "aLICE"}"#, PASSES),
        (r#"{"a": [{"equals-ignore-case": "Alice"}]}"#, r#"{"a": "alices"}"#, FILTERED),
        (r#"{"a": [{"equals-ignore-case": "Alice"}]}"#, r#"{"a": "alic"}"#, FILTERED),
        (r#"{"a": [{"equals-ignore-case": "ÅSE"}]}"#, r#"{"a": "åse"}"#, PASSES),
        (r#"{"a": [{"equals-ignore-case": "straße"}]}"#, r#"{"a": "STRASSE"}"#, FILTERED),
        (r#"{"a": [{"equals-ignore-case": ""}]}"#, r#"{"a": ""}"#, PASSES),
        (r#"{"a": [{"equals-ignore-case": ""}]}"#, r#"{"a": "x"}"#, FILTERED),
        (r#"{"a": [{"equals-ignore-case": "true"}]}"#, r#"{"a": true}"#, FILTERED),
    ]);
}

#[test]
fn anything_but_values() {
    check_all(&[
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": "y"}"#, PASSES),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": "x"}"#, FILTERED),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": 1}"#, PASSES),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": null}"#, PASSES),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": {}}"#, FILTERED),
        (r#"{"a": [{"anything-but": "x"}]}"#, "{}", FILTERED),
        (r#"{"a": [{"anything-but": 1}]}"#, r#"{"a": 1}"#, FILTERED),
        (r#"{"a": [{"anything-but": 1}]}"#, r#"{"a": 2}"#, PASSES),
        (r#"{"a": [{"anything-but": 1}]}"#, r#"{"a": "1"}"#, PASSES),
        (r#"{"a": [{"anything-but": ["x", "y"]}]}"#, r#"{"a": "y"}"#, FILTERED),
        (r#"{"a": [{"anything-but": ["x", "y"]}]}"#, r#"{"a": "z"}"#, PASSES),
        (r#"{"a": [{"anything-but": [1, 2]}]}"#, r#"{"a": 2}"#, FILTERED),
        (r#"{"a": [{"anything-but": [1, 2]}]}"#, r#"{"a": 3}"#, PASSES),
        (r#"{"a": [{"anything-but": ""}]}"#, r#"{"a": ""}"#, FILTERED),
        // Two of them side by side are an or.
        (r#"{"a": [{"anything-but": "x"}, {"anything-but": "y"}]}"#, r#"{"a": "x"}"#, PASSES),
    ]);
}

#[test]
fn anything_but_texts() {
    check_all(&[
        (r#"{"a": [{"anything-but": {"prefix": "us-"}}]}"#, r#"{"a": "eu-1"}"#, PASSES),
        (r#"{"a": [{"anything-but": {"prefix": "us-"}}]}"#, r#"{"a": "us-1"}"#, FILTERED),
        (r#"{"a": [{"anything-but": {"prefix": "us-"}}]}"#, r#"{"a": 12}"#, PASSES),
        (r#"{"a": [{"anything-but": {"prefix": "us-"}}]}"#, "{}", FILTERED),
        (r#"{"a": [{"anything-but": {"prefix": ["us-", "eu-"]}}]}"#, r#"{"a": "eu-1"}"#, FILTERED),
        (r#"{"a": [{"anything-but": {"prefix": ["us-", "eu-"]}}]}"#, r#"{"a": "ap-1"}"#, PASSES),
        (r#"{"a": [{"anything-but": {"suffix": ".png"}}]}"#, r#"{"a": "b.png"}"#, FILTERED),
        (r#"{"a": [{"anything-but": {"suffix": ".png"}}]}"#, r#"{"a": "b.jpg"}"#, PASSES),
        (r#"{"a": [{"anything-but": {"suffix": [".png", ".jpg"]}}]}"#, r#"{"a": "b.jpg"}"#, FILTERED),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": "init"}}]}"#, r#"{"a": "INIT"}"#, FILTERED),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": "init"}}]}"#, r#"{"a": "inits"}"#, PASSES),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": ["a", "b"]}}]}"#, r#"{"a": "B"}"#, FILTERED),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": ["a", "b"]}}]}"#, r#"{"a": null}"#, PASSES),
    ]);
}

#[test]
fn numeric() {
    check_all(&[
        (r#"{"a": [{"numeric": ["=", 100]}]}"#, r#"{"a": 100}"#, PASSES),
        (r#"{"a": [{"numeric": ["=", 100]}]}"#, r#"{"a": 1.0e2}"#, PASSES),
        (r#"{"a": [{"numeric": ["=", 100]}]}"#, r#"{"a": "100"}"#, FILTERED),
        (r#"{"a": [{"numeric": ["=", 100]}]}"#, r#"{"a": null}"#, FILTERED),
        (r#"{"a": [{"numeric": ["<", 10]}]}"#, r#"{"a": 9.99}"#, PASSES),
        (r#"{"a": [{"numeric": ["<", 10]}]}"#, r#"{"a": 10}"#, FILTERED),
        (r#"{"a": [{"numeric": ["<=", 10]}]}"#, r#"{"a": 10}"#, PASSES),
        (r#"{"a": [{"numeric": ["<=", 10]}]}"#, r#"{"a": 10.000001}"#, FILTERED),
        (r#"{"a": [{"numeric": [">", 10]}]}"#, r#"{"a": 10}"#, FILTERED),
        (r#"{"a": [{"numeric": [">", 10]}]}"#, r#"{"a": 11}"#, PASSES),
        (r#"{"a": [{"numeric": [">=", 10]}]}"#, r#"{"a": 10}"#, PASSES),
        (r#"{"a": [{"numeric": [">=", -10]}]}"#, r#"{"a": -10.5}"#, FILTERED),
        (r#"{"a": [{"numeric": [">", 10, "<=", 20]}]}"#, r#"{"a": 10}"#, FILTERED),
        (r#"{"a": [{"numeric": [">", 10, "<=", 20]}]}"#, r#"{"a": 20}"#, PASSES),
        (r#"{"a": [{"numeric": [">=", 10, "<", 20]}]}"#, r#"{"a": 10}"#, PASSES),
        (r#"{"a": [{"numeric": [">=", 10, "<", 20]}]}"#, r#"{"a": 20}"#, FILTERED),
        (r#"{"a": [{"numeric": [">", 10, "<=", 20]}]}"#, r#"{"a": 21}"#, FILTERED),
        (r#"{"a": [{"numeric": ["<", 0]}, {"numeric": [">", 9]}]}"#, r#"{"a": 10}"#, PASSES),
        (r#"{"a": [{"numeric": [">=", 5e9]}]}"#, r#"{"a": 5000000000}"#, PASSES),
        (r#"{"a": [{"numeric": [">", 1]}]}"#, r#"{"a": 5000000000.1}"#, FILTERED),
        (r#"{"a": [{"numeric": ["<", 1]}]}"#, r#"{"a": -5000000001}"#, FILTERED),
        (r#"{"a": [{"numeric": [">", 1]}]}"#, r#"{"a": 1e999}"#, FILTERED),
        (r#"{"a": [{"numeric": ["=", 0]}]}"#, r#"{"a": -0.0}"#, PASSES),
    ]);
}

#[test]
fn exists() {
    check_all(&[
        (r#"{"a": [{"exists": true}]}"#, r#"{"a": 0}"#, PASSES),
        (r#"{"a": [{"exists": true}]}"#, r#"{"a": null}"#, PASSES),
        (r#"{"a": [{"exists": true}]}"#, r#"{"a": [1]}"#, PASSES),
        (r#"{"a": [{"exists": true}]}"#, r#"{"a": []}"#, FILTERED),
        (r#"{"a": [{"exists": true}]}"#, r#"{"a": {"b": 1}}"#, FILTERED),
        (r#"{"a": [{"exists": true}]}"#, r#"{"b": 1}"#, FILTERED),
        (r#"{"a": [{"exists": false}]}"#, r#"{"b": 1}"#, PASSES),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": 1}"#, FILTERED),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": null}"#, FILTERED),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": []}"#, PASSES),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": {"b": 1}}"#, PASSES),
        (r#"{"a": {"b": [{"exists": false}]}}"#, r#"{"a": {"c": 1}}"#, PASSES),
        (r#"{"a": {"b": [{"exists": false}]}}"#, r#"{"a": 1}"#, PASSES),
        (r#"{"a": {"b": [{"exists": false}]}}"#, r#"{"c": 1}"#, PASSES),
        (r#"{"a": {"b": [{"exists": false}]}}"#, r#"{"a": {"b": 1}}"#, FILTERED),
        (r#"{"a": [{"exists": false}, "x"]}"#, r#"{"a": "x"}"#, PASSES),
        (r#"{"a": [{"exists": false}, "x"]}"#, r#"{"a": "y"}"#, FILTERED),
        (r#"{"a": {"b": [{"anything-but": ["x"]}, {"exists": false}]}}"#, r#"{"c": {}}"#, PASSES),
        (r#"{"a": [{"exists": false}], "b": [1]}"#, r#"{"b": 1}"#, PASSES),
        (r#"{"a": [{"exists": false}], "b": [1]}"#, "{}", FILTERED),
    ]);
}

#[test]
fn cidr() {
    check_all(&[
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, r#"{"a": "10.0.0.255"}"#, PASSES),
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, r#"{"a": "10.0.1.0"}"#, FILTERED),
        (r#"{"a": [{"cidr": "10.0.0.7/24"}]}"#, r#"{"a": "10.0.0.1"}"#, PASSES),
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, r#"{"a": "10.0.0"}"#, FILTERED),
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, r#"{"a": 10}"#, FILTERED),
        (r#"{"a": [{"cidr": "0.0.0.0/0"}]}"#, r#"{"a": "255.1.2.3"}"#, PASSES),
        (r#"{"a": [{"cidr": "0.0.0.0/0"}]}"#, r#"{"a": "::1"}"#, FILTERED),
        (r#"{"a": [{"cidr": "10.0.0.1/32"}]}"#, r#"{"a": "10.0.0.1"}"#, PASSES),
        (r#"{"a": [{"cidr": "10.0.0.1/32"}]}"#, r#"{"a": "10.0.0.0"}"#, FILTERED),
        (r#"{"a": [{"cidr": "2001:db8::/32"}]}"#, r#"{"a": "2001:0DB8:0::1"}"#, PASSES),
        (r#"{"a": [{"cidr": "2001:db8::/32"}]}"#, r#"{"a": "2001:db9::1"}"#, FILTERED),
        (r#"{"a": [{"cidr": "::/0"}]}"#, r#"{"a": "2001:db9::1"}"#, PASSES),
        (r#"{"a": [{"cidr": "::1/128"}]}"#, r#"{"a": "::1"}"#, PASSES),
    ]);
}

#[test]
fn or_across_fields() {
    let either = r#"{"$or": [{"a": [1]}, {"b": [2]}]}"#;
    let with_sibling = r#"{"s": ["x"], "$or": [{"a": [1]}, {"b": [2], "c": [3]}]}"#;
    let nested = r#"{"$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": {"$or": [{"e": [4]}, {"f": [5]}]}}]}]}"#;
    let two = r#"{"$or": [{"a": [1]}, {"b": [2]}], "o": {"$or": [{"a": [1]}, {"b": [2]}]}}"#;
    check_all(&[
        (either, r#"{"a": 1}"#, PASSES),
        (either, r#"{"b": 2}"#, PASSES),
        (either, r#"{"a": 2, "b": 1}"#, FILTERED),
        (either, "{}", FILTERED),
        (with_sibling, r#"{"s": "x", "a": 1}"#, PASSES),
        (with_sibling, r#"{"s": "x", "b": 2}"#, FILTERED),
        (with_sibling, r#"{"s": "x", "b": 2, "c": 3}"#, PASSES),
        (with_sibling, r#"{"a": 1}"#, FILTERED),
        (nested, r#"{"a": 1}"#, PASSES),
        (nested, r#"{"b": 2}"#, FILTERED),
        (nested, r#"{"b": 2, "c": 3}"#, PASSES),
        (nested, r#"{"b": 2, "d": {"f": 5}}"#, PASSES),
        (nested, r#"{"b": 2, "d": {"f": 4}}"#, FILTERED),
        (two, r#"{"a": 1, "o": {"b": 2}}"#, PASSES),
        (two, r#"{"a": 1, "o": {"b": 1}}"#, FILTERED),
        (two, r#"{"o": {"b": 2}}"#, FILTERED),
        // A field that is named beside a `$or` and in it must satisfy both.
        (r#"{"a": ["x", "y"], "$or": [{"a": ["y", "z"]}, {"b": [1]}]}"#, r#"{"a": "y"}"#, PASSES),
        (r#"{"a": ["x", "y"], "$or": [{"a": ["y", "z"]}, {"b": [1]}]}"#, r#"{"a": "z"}"#, FILTERED),
        (r#"{"a": ["x", "y"], "$or": [{"a": ["y", "z"]}, {"b": [1]}]}"#, r#"{"a": "x"}"#, FILTERED),
        // Without the array's help it is no key of the data.
        (either, r#"{"$or": [{"a": 1}]}"#, FILTERED),
    ]);
}

#[test]
fn the_last_of_equal_keys_counts() {
    check_all(&[
        (r#"{"a": [1], "a": [2]}"#, r#"{"a": 2}"#, PASSES),
        (r#"{"a": [1], "a": [2]}"#, r#"{"a": 1}"#, FILTERED),
        (r#"{"a": {"b": [1]}, "a": {"c": [2]}}"#, r#"{"a": {"c": 2}}"#, PASSES),
        (r#"{"a": [{"prefix": "x", "prefix": "y"}]}"#, r#"{"a": "y"}"#, PASSES),
        (r#"{"a": [1]}"#, r#"{"a": 2, "a": 1}"#, PASSES),
        (r#"{"a": [1]}"#, r#"{"a": 1, "a": 2}"#, FILTERED),
        (r#"{"a": {"b": [1]}}"#, r#"{"a": {"b": 1}, "a": {}}"#, FILTERED),
        (r#"{"a": {"b": [1]}}"#, r#"{"a": {"b": 1}, "a": 7}"#, FILTERED),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": 1, "a": {}}"#, PASSES),
        (r#"{"a": [1], "\u0061": [2]}"#, r#"{"a": 2}"#, PASSES),
    ]);
}
