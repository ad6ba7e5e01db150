//! The house rules that no compiler checks: how long a file may be, and which room may know of which.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};

use tidemill_tests::build::repository;

const FILE_LINES_MAX: usize = 500;

/// In the files below `room`, none of these words may stand, but in the files named.
struct Rule {
    room: &'static str,
    never: &'static [&'static str],
    but_in: &'static [&'static str],
}

const RULES: [Rule; 10] = [
    Rule { room: "stream/src", never: &["tokio::net", "serde", "hyper", "axum", "wasmtime", "reqwest"], but_in: &[] },
    Rule { room: "stream/src", never: &["sled::"], but_in: &["stream/src/engine/embedded"] },
    Rule { room: "stream/src", never: &["std::fs", "fdatasync("], but_in: &["stream/src/engine/embedded"] },
    Rule { room: "runtime/src/http", never: &["crate::trigger", "crate::functions", "crate::deploy"], but_in: &[] },
    Rule { room: "runtime/src/trigger", never: &["crate::http", "wasmtime", "axum", "hyper"], but_in: &[] },
    Rule { room: "runtime/src/functions", never: &["crate::trigger", "crate::http", "crate::deploy"], but_in: &[] },
    Rule { room: "runtime/src", never: &["wasmtime::", "wasmtime_wasi"], but_in: &["runtime/src/functions"] },
    Rule { room: "runtime/src", never: &["axum::"], but_in: &["runtime/src/http"] },
    Rule { room: "sdk", never: &["tidemill_stream", "use tidemill::"], but_in: &[] },
    Rule { room: "runtime/src", never: &["tokio::spawn("], but_in: &["runtime/src/tasks.rs"] },
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn all_sources() -> Vec<PathBuf> {
    let rooms = ["stream", "runtime", "sdk", "functions", "testing", "tests"];
    rooms.iter().flat_map(|room| sources(&repository().join(room))).collect()
}

/// The code of a file: no comments, and nothing behind its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_file_is_too_long() {
    let long = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count() > FILE_LINES_MAX;
    let found: Vec<_> = all_sources().into_iter().filter(long).collect();
    assert!(found.is_empty(), "over {FILE_LINES_MAX} lines: {found:?}");
}

#[test]
fn no_room_knows_what_it_must_not_know() {
    for rule in RULES {
        for path in sources(&repository().join(rule.room)) {
            let excepted = rule.but_in.iter().any(|place| path.starts_with(repository().join(place)));
            let is_test = path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
            let code = if excepted || is_test { String::new() } else { code(&path) };
            for word in rule.never {
                assert!(!code.contains(word), "{} knows of '{word}'", path.display());
            }
        }
    }
}

#[test]
fn nothing_is_left_to_be_done() {
    let marks = ["TO", "FIX"].map(|start| format!("{start}{}", if start == "TO" { "DO" } else { "ME" }));
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!marks.iter().any(|mark| text.contains(mark)), "{}", path.display());
    }
}
