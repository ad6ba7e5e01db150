use super::*;

const REPORTS: Expected = Expected { failures: true, state: false };

/// The batch has the records "5", "6" and "7".
fn verdict(response: &str, expected: Expected) -> Result<Verdict, ResponseError> {
    let place_of = |number: &str| ["5", "6", "7"].iter().position(|known| *known == number);
    read(&Reply::Response(Bytes::copy_from_slice(response.as_bytes())), expected, place_of)
}

fn outcome(response: &str) -> Option<Outcome> {
    verdict(response, REPORTS).ok().map(|verdict| verdict.outcome)
}

#[test]
fn nothing_to_report_is_success() {
    let successes = ["", "null", "\"\"", "[]", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#];
    for response in successes.into_iter().chain([" { } ", r#"{"statusCode":200}"#]) {
        assert_eq!(outcome(response), Some(Outcome::Succeeded), "{response}");
    }
}

#[test]
fn a_name_that_is_none_fails_the_batch() {
    let bad = [r#""""#, "null", r#""123""#, r#""05""#, "5", "{}", "[]", r#"" 5""#];
    for name in bad {
        let response = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":{name}}}]}}"#);
        assert_eq!(outcome(&response), None, "{response}");
        let beside = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"5"}},{{"itemIdentifier":{name}}}]}}"#);
        assert_eq!(outcome(&beside), None, "{beside}");
    }
    for response in [
        r#"{"batchItemFailures":[{"foo":"5"}]}"#,
        r#"{"batchItemFailures":[{}]}"#,
        r#"{"batchItemFailures":["5"]}"#,
        r#"{"batchItemFailures":"5"}"#,
        r#"{"batchItemFailures":{"itemIdentifier":"5"}}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"5"}]"#,
        "true",
        "7",
        "[1]",
        "\"5\"",
        "{",
        "\u{0}",
    ] {
        assert_eq!(outcome(response), None, "{response}");
    }
    let message = verdict(r#"{"batchItemFailures":[{"itemIdentifier":"123"}]}"#, REPORTS).unwrap_err().to_string();
    assert_eq!(message, "the function's response names '123', which is no sequence number of the batch");
}

#[test]
fn the_lowest_name_counts() {
    for (names, taken) in [(&["5"][..], 0), (&["6"], 1), (&["7"], 2), (&["7", "6"], 1), (&["6", "7", "6"], 1)] {
        let items: Vec<_> = names.iter().map(|name| format!(r#"{{"itemIdentifier":"{name}"}}"#)).collect();
        let response = format!(r#"{{"batchItemFailures":[{}]}}"#, items.join(","));
        let verdict = verdict(&response, REPORTS).unwrap();
        assert_eq!((verdict.outcome, verdict.reported), (Outcome::TookSome { taken }, names.len()), "{response}");
    }
}

#[test]
fn what_nobody_asks_for_is_not_read() {
    let nothing = Expected { failures: false, state: false };
    for response in [r#"{"batchItemFailures":[{"itemIdentifier":"6"}]}"#, "no JSON", "{"] {
        assert_eq!(verdict(response, nothing).unwrap().outcome, Outcome::Succeeded);
    }
    let state_alone = Expected { failures: false, state: true };
    let both = r#"{"state":{"n":1},"batchItemFailures":[{"itemIdentifier":"6"}]}"#;
    assert_eq!(verdict(both, state_alone).unwrap().outcome, Outcome::Succeeded);
    assert_eq!(read(&Reply::Taken, REPORTS, |_| None).unwrap().outcome, Outcome::Succeeded);
}

#[test]
fn a_window_needs_its_state_and_gets_it_as_it_is() {
    let window = Expected { failures: true, state: true };
    for response in ["", "null", "{}", "[]", r#"{"state":null}"#, r#"{"batchItemFailures":[]}"#] {
        assert_eq!(verdict(response, window), Err(ResponseError::NoState), "{response}");
    }
    for state in ["{\"1\": 282}", "{}", "[ 1,2 ]", "0", "\"x\"", "{\"b\":1,\"a\":2}"] {
        let found = verdict(&format!(r#"{{"state":{state},"batchItemFailures":[]}}"#), window).unwrap();
        assert_eq!(found.state.as_deref(), Some(state.as_bytes()));
        assert_eq!(found.outcome, Outcome::Succeeded);
    }
    let both = verdict(r#"{"state":{"n":1},"batchItemFailures":[{"itemIdentifier":"6"}]}"#, window).unwrap();
    assert_eq!((both.outcome, both.state.as_deref()), (Outcome::TookSome { taken: 1 }, Some(&b"{\"n\":1}"[..])));
}
