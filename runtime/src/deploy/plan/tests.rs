//! What is planned for each kind of difference, as one line a step.

use std::path::Path;

use super::*;
use crate::deploy::Manifest;
use crate::functions::Version;

const BASE: &str = "
streams:
  orders: { shards: 2 }
functions:
  score: { path: a, config: { threshold: '5.5' } }
triggers:
  - { name: t, stream: orders, function: score, start: trim-horizon }
";

/// What a manifest asks for; the path of a function stands for its wasm.
fn inventory(text: &str) -> Inventory {
    let manifest = Manifest::parse("deploy.yaml", Path::new(""), text).unwrap();
    let version = |path: &Path| Version::of(path.as_os_str().as_encoded_bytes());
    let versions = manifest.functions.iter().map(|spec| (spec.name.clone(), version(&spec.path))).collect();
    Inventory::wanted(&manifest, &versions)
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

/// What is planned when a text of the manifest becomes another.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(BASE.contains(from), "{from}");
    lines(&Plan::between(&inventory(BASE), &inventory(&BASE.replace(from, to))))
}

fn check(from: &str, to: &str, expected: &[&str]) {
    assert_eq!(changed(from, to), expected, "{from:?} becomes {to:?}");
}

#[test]
fn all_of_it_is_new_to_a_node_that_has_nothing() {
    let plan = Plan::between(&Inventory::default(), &inventory(BASE));
    let version = &Version::of(b"a").to_string()[..12];
    let expected = [
        "+ stream orders: shards 2, retention 24h".to_owned(),
        format!("+ function score: version {version}, memory 64MiB, timeout 5s, config.threshold \"5.5\""),
        "+ trigger t: stream orders, function score, start trim-horizon, batch_size 100".to_owned(),
    ];
    assert_eq!(lines(&plan), expected);
    assert_eq!(plan.summary(), "3 new.");
}

#[test]
fn the_same_again_is_nothing() {
    let plan = Plan::between(&inventory(BASE), &inventory(BASE));
    assert_eq!((plan.steps.len(), plan.unchanged, plan.has_changes()), (0, 3, false));
    assert_eq!(plan.summary(), "Nothing changes: the node is as the manifest says.");
}

#[test]
fn a_function_changes_in_just_what_is_another() {
    check("'5.5'", "'6'", &["~ function score: config.threshold \"5.5\" -> \"6\""]);
    check(
        "{ threshold: '5.5' }",
        "{ limit: a }",
        &["~ function score: config.limit \"a\" (new); config.threshold \"5.5\" -> nothing"],
    );
    check(
        "path: a",
        "path: a, memory: 1GiB, timeout: 90s",
        &["~ function score: memory 64MiB -> 1GiB; timeout 5s -> 90s"],
    );
    let (old, new) = (Version::of(b"a").to_string(), Version::of(b"b").to_string());
    check("path: a", "path: b", &[&format!("~ function score: version {} -> {}", &old[..12], &new[..12])]);
}

#[test]
fn a_trigger_goes_on_or_starts_afresh() {
    check("start: trim-horizon", "start: trim-horizon, batch_size: 7", &["~ trigger t: batch_size 100 -> 7"]);
    check("start: trim-horizon", "start: trim-horizon, semantics: tidemill", &[]);
    check(
        "start: trim-horizon",
        "start: trim-horizon, semantics: lambda",
        &["~ trigger t: semantics tidemill -> lambda"],
    );
    check(
        "start: trim-horizon",
        "start: 2026-11-22T00:00:00Z",
        &[
            "~ trigger t: start trim-horizon -> 2026-11-22T00:00:00Z; it forgets how far it has come, and starts afresh at \
         2026-11-22T00:00:00Z of 'orders'",
        ],
    );
    check(
        "name: t",
        "name: u",
        &[
            "+ trigger u: stream orders, function score, start trim-horizon, batch_size 100",
            "- trigger t: how far it has come is forgotten",
        ],
    );
}

/// A trigger that gets this field, and no other, changes so on line; without it again it changes back.
fn check_rule(field: &str, there: &str, back: &str) {
    let start = "start: trim-horizon";
    let (plain, ruled) = (inventory(BASE), inventory(&BASE.replace(start, &format!("{start}, {field}"))));
    assert_eq!(lines(&Plan::between(&plain, &ruled)), [format!("~ trigger t: {there}")], "{field}");
    assert_eq!(lines(&Plan::between(&ruled, &plain)), [format!("~ trigger t: {back}")], "{field}");
}

#[test]
fn every_rule_of_a_trigger_changes_on_line() {
    check_rule("enabled: false", "enabled true -> false", "enabled false -> true");
    check_rule("window: 90s", "window 0ms -> 90s", "window 90s -> 0ms");
    check_rule("parallelization: 4", "parallelization 1 -> 4", "parallelization 4 -> 1");
    check_rule("retries: 0", "retries unlimited -> 0", "retries 0 -> unlimited");
    check_rule("max_age: 1d", "max_age unlimited -> 24h", "max_age 24h -> unlimited");
    check_rule("bisect: true", "bisect false -> true", "bisect true -> false");
    check_rule("report_failures: true", "report_failures false -> true", "report_failures true -> false");
    let filter = r#"filter {"data":{"a":[1]}}, {"partitionKey":["k"]}"#;
    check_rule(
        "filter: [{ data: { a: [1] } }, '{\"partitionKey\":[\"k\"]}']",
        &format!("{filter} (new)"),
        &format!("{filter} -> nothing"),
    );
    check_rule("on_failure: orders", "on_failure orders (new)", "on_failure orders -> nothing");
    check_rule("on_failure: { folder: /l }", "on_failure { folder: /l } (new)", "on_failure { folder: /l } -> nothing");
    let url = "on_failure { url: http://a/b, secret: KEY }";
    check_rule("on_failure: { url: 'http://a/b', secret: KEY }", &format!("{url} (new)"), &format!("{url} -> nothing"));
    check_rule("tumbling_window: 60s", "tumbling_window 1m (new)", "tumbling_window 1m -> nothing");
    check_rule("semantics: lambda", "semantics tidemill -> lambda", "semantics lambda -> tidemill");
}

#[test]
fn what_is_the_default_is_no_rule() {
    let defaults = "start: trim-horizon, enabled: true, window: 0s, parallelization: 1, retries: unlimited, max_age: unlimited, \
                    bisect: false, report_failures: false, semantics: tidemill, batch_size: 100";
    check("start: trim-horizon", defaults, &[]);
    let text = serde_json::to_string(&inventory(BASE).triggers).unwrap();
    assert_eq!(text, r#"{"t":{"stream":"orders","function":"score","start":"trim-horizon","batch_size":100}}"#);
}

#[test]
fn the_rules_of_a_trigger_are_json_that_can_be_read_again() {
    let rules = "start: latest, enabled: false, window: 1s, parallelization: 2, retries: 0, max_age: 1h, bisect: true, \
                 report_failures: true, filter: [{ partitionKey: [k] }], semantics: lambda, on_failure: ";
    for told in ["orders", "{ folder: /l }", "{ url: 'https://a/b' }", "{ url: 'https://a/b', secret: KEY }"] {
        let rules = BASE.replace("start: trim-horizon", &format!("{rules}{told}"));
        let text = serde_json::to_string(&inventory(&rules)).unwrap();
        assert_eq!(serde_json::from_str::<Inventory>(&text).unwrap(), inventory(&rules), "{text}");
    }
    let older = r#"{"stream":"orders","function":"score","start":"trim-horizon","batch_size":100}"#;
    assert_eq!(serde_json::from_str::<TriggerItem>(older).unwrap(), inventory(BASE).triggers["t"]);
}

#[test]
fn what_is_not_known_of_a_trigger_is_no_change() {
    let mut has = inventory(BASE);
    let there = has.triggers.get_mut("t").unwrap();
    *there = TriggerItem::unknown(there.stream.clone(), there.function.clone(), there.start.clone());
    let wanted =
        BASE.replace("start: trim-horizon", "start: trim-horizon, retries: 3, enabled: false, semantics: lambda");
    assert_eq!(lines(&Plan::between(&has, &inventory(&wanted))), Vec::<String>::new());
}

#[test]
fn a_stream_that_is_not_named_stays() {
    let wanted = inventory("streams: { new: }");
    let plan = Plan::between(&inventory(BASE), &wanted);
    assert_eq!(
        lines(&plan),
        [
            "+ stream new: shards 1, retention 24h",
            "- function score",
            "- trigger t: how far it has come is forgotten",
            "= stream orders: is not in the manifest and stays, with its data; 'tidemill stream delete orders' deletes it",
        ]
    );
    assert_eq!(plan.summary(), "1 new, 2 removed.");
    let only_kept = Plan::between(&inventory("streams: { old: }"), &Inventory::default());
    assert!(!only_kept.has_changes() && only_kept.steps.len() == 1, "{only_kept:?}");
}

#[test]
fn a_stream_gets_another_number_of_shards() {
    check("shards: 2", "shards: 4", &["~ stream orders: shards 2 -> 4"]);
    check("shards: 2", "shards: 1", &["~ stream orders: shards 2 -> 1"]);
    let plan = Plan::between(&inventory(BASE), &inventory(&BASE.replace("shards: 2", "shards: 9")));
    assert!(plan.has_changes() && plan.does(Action::Change, Kind::Stream, "orders"));
}

#[test]
fn a_streams_retention_becomes_another() {
    let (day, days) = (inventory(BASE), inventory(&BASE.replace("shards: 2", "shards: 2, retention: 48h")));
    assert_eq!(lines(&Plan::between(&day, &days)), ["~ stream orders: retention 24h -> 48h"]);
    assert_eq!(
        lines(&Plan::between(&days, &day)),
        ["~ stream orders: retention 48h -> 24h; records beyond that are gone at once"]
    );
    check(
        "shards: 2",
        "shards: 2, retention_bytes: 1GiB",
        &["~ stream orders: retention_bytes 1GiB (new); records beyond that are gone at once"],
    );
    check("shards: 2", "mode: on-demand", &["~ stream orders: shards 2 -> on-demand"]);
}

#[test]
fn a_streams_capacity_becomes_another() {
    check("shards: 2", "shards: 2, capacity: provisioned", &["~ stream orders: capacity provisioned (new)"]);
    let (limited, free) = ("shards: 2, capacity: provisioned", "shards: 2, capacity: unlimited");
    let (limited, free) = (inventory(&BASE.replace("shards: 2", limited)), inventory(&BASE.replace("shards: 2", free)));
    let lines = lines(&Plan::between(&limited, &free));
    assert_eq!(lines, ["~ stream orders: capacity provisioned -> unlimited"]);
}

#[test]
fn a_trigger_of_a_stream_that_is_made_anew_starts_afresh() {
    let mut has = inventory(BASE);
    has.streams.clear();
    let plan = Plan::between(&has, &inventory(BASE));
    assert_eq!(lines(&plan)[1], "~ trigger t: the stream 'orders' is made anew: it starts afresh there");
    assert_eq!((plan.steps.len(), plan.unchanged), (2, 1));
}

#[test]
fn who_may_put_is_named_and_no_token_shown() {
    let digest = "9e78bcb94091b75109fd6773524fc8d6a4f8a6dfb3dae39a9c26c5001879bcf3";
    let ingest = format!("ingest: {{ tokens: [{{ env: A }}, {{ sha256: {digest} }}], cors: {{ origins: ['*'] }} }}");
    let (open, guarded) = (Inventory::default(), inventory(&ingest));
    assert_eq!(
        lines(&Plan::between(&open, &guarded)),
        ["~ ingest: tokens env A, sha256 9e78bcb9… (new); cors.origins * (new)"]
    );
    assert_eq!(
        lines(&Plan::between(&guarded, &open)),
        ["~ ingest: tokens env A, sha256 9e78bcb9… -> nothing; cors.origins * -> nothing",]
    );
    assert!(!serde_json::to_string(&guarded).unwrap().contains(&digest[8..]), "{guarded:?}");
}

#[test]
fn a_long_value_is_cut_and_an_odd_one_escaped() {
    let of = |value: String| {
        let mut inventory = inventory(BASE);
        inventory.functions.get_mut("score").unwrap().config.insert("threshold".to_owned(), value);
        inventory
    };
    let (long, longer) = (of("x".repeat(60)), of("x".repeat(61)));
    let cut = format!("config.threshold changes behind \"{}…\"", "x".repeat(48));
    assert_eq!(lines(&Plan::between(&long, &longer)), [format!("~ function score: {cut}")]);
    let odd = Plan::between(&long, &of("\u{1b}[2J".to_owned()));
    assert!(lines(&odd)[0].ends_with(r#"-> "\u{1b}[2J""#), "{odd:?}");
}

#[test]
fn a_plan_is_json_that_can_be_read_again() {
    let plan = Plan::between(&inventory("streams: { old: }"), &inventory(BASE));
    let text = serde_json::to_string(&plan).unwrap();
    assert!(
        text.contains(r#"{"action":"add","kind":"stream","name":"orders","settings":[{"name":"shards","from":null"#)
    );
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}
