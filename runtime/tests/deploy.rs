//! The manifest: what is read from a good one, and what is said of a bad one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that goes wrong shall stop")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill::deploy::{DestinationSpec, LoadError, Manifest, Semantics, ShardsSpec, Start, TokenSpec, TriggerRules};
use tidemill::http::{Origin, Origins, TokenDigest};
use tidemill_stream::capacity::Capacity;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::name::StreamName;

/// Every `golden/NAME.yaml` is refused with exactly the text in `golden/NAME.txt`.
///
/// With `UPDATE_GOLDEN=1` the texts are written anew; look at the difference before you commit it.
#[test]
fn every_mistake_is_named_with_its_place_and_what_would_be_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    assert!(cases.len() >= 12, "the golden files are there: {cases:?}");
    for yaml in cases {
        check(&yaml, &yaml.with_extension("txt"));
    }
}

fn check(yaml: &Path, expected: &Path) {
    let name = yaml.file_name().unwrap().to_str().unwrap();
    let said = Manifest::parse(name, Path::new(""), &std::fs::read_to_string(yaml).unwrap()).unwrap_err().to_string();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(expected, format!("{said}\n")).unwrap();
    }
    let expected = std::fs::read_to_string(expected).unwrap();
    assert_eq!(expected.trim_end(), said, "{name}");
}

#[test]
fn a_full_manifest_is_read() {
    let text = r#"
streams:
  orders: { shards: 4, retention: 48h }
  plain:
  large: { mode: on-demand, retention_bytes: 10GiB, capacity: provisioned }
functions:
  score:
    path: functions/score
    memory: 32MiB
    timeout: 1500ms
    config: { threshold: "5.5" }
  tell: { path: /opt/tell.wasm }
triggers:
  - { name: score-orders, stream: orders, function: score, start: trim-horizon, batch_size: 7, semantics: lambda }
  - { name: tell-plain, stream: plain, function: tell, start: 2026-11-22T00:00:00Z }
"#;
    let manifest = Manifest::parse("deploy.yaml", Path::new("demo"), text).unwrap();
    let [orders, plain, large] = manifest.streams.as_slice() else { panic!("{manifest:?}") };
    assert_eq!((orders.name.as_str(), orders.shards), ("orders", ShardsSpec::Provisioned(4)));
    assert_eq!((orders.retention.as_secs(), orders.retention_bytes), (48 * 3600, None));
    assert_eq!((plain.name.as_str(), plain.shards), ("plain", ShardsSpec::Provisioned(1)));
    assert_eq!((plain.retention.as_secs(), plain.retention_bytes), (24 * 3600, None));
    assert_eq!((orders.capacity, large.capacity), (None, Some(Capacity::Provisioned)));
    assert_eq!((large.shards, large.retention_bytes), (ShardsSpec::OnDemand, Some(10 << 30)));
    let [score, tell] = manifest.functions.as_slice() else { panic!("{manifest:?}") };
    assert_eq!(score.path, Path::new("demo/functions/score"));
    assert_eq!((score.memory_bytes, score.timeout), (32 << 20, Duration::from_millis(1500)));
    assert_eq!(score.config["threshold"], "5.5");
    assert_eq!(tell.path, Path::new("/opt/tell.wasm"), "an absolute path stays");
    assert_eq!((tell.memory_bytes, tell.timeout), (64 << 20, Duration::from_secs(5)));
    let [first, second] = manifest.triggers.as_slice() else { panic!("{manifest:?}") };
    assert_eq!((first.start, first.rules.batch_records_max), (Start::TrimHorizon, 7));
    assert_eq!((first.rules.semantics, second.rules.semantics), (Semantics::Lambda, Semantics::Tidemill));
    assert_eq!(second.start, Start::At(Timestamp::from_millis(1_795_305_600_000)));
    assert_eq!(
        (second.stream.as_str(), second.function.as_str(), second.rules.batch_records_max),
        ("plain", "tell", 100)
    );
}

/// The rules of a trigger with these fields; the manifest lies in `/home/shop`.
fn rules(fields: &str) -> TriggerRules {
    let text = format!(
        "streams: {{ orders: , dead: }}\nfunctions: {{ f: {{ path: p }} }}\n\
         triggers: [{{ name: t, stream: orders, function: f, start: latest, {fields} }}]"
    );
    Manifest::parse("f", Path::new("/home/shop"), &text).unwrap().triggers[0].rules.clone()
}

#[test]
fn every_rule_of_a_trigger_is_read() {
    let rules = rules(
        "window: 1500ms, parallelization: 10, retries: 0, max_age: 7d, bisect: true, report_failures: true, \
         filter: [{ data: { a: [1] } }, '{\"partitionKey\": [\"k\"]}'], on_failure: dead",
    );
    assert_eq!((rules.window, rules.parallelization), (Duration::from_millis(1500), 10));
    assert_eq!((rules.retries_max, rules.age_max), (Some(0), Some(Duration::from_hours(168))));
    assert!(rules.bisects && rules.reports_failures);
    let filter = rules.filter.unwrap();
    assert_eq!(filter.patterns(), [r#"{"data":{"a":[1]}}"#, r#"{"partitionKey": ["k"]}"#]);
    assert_eq!(rules.on_failure, Some(DestinationSpec::Stream(StreamName::parse("dead").unwrap())));
}

#[test]
fn the_rules_of_a_trigger_have_defaults() {
    assert_eq!(rules(""), TriggerRules::default());
    let written = "window: 0ms, parallelization: 1, retries: unlimited, max_age: unlimited, bisect: false, \
                   report_failures: false, semantics: tidemill, batch_size: 100";
    assert_eq!(rules(written), TriggerRules::default());
    assert_eq!(rules("tumbling_window: 90s").tumbling_window, Some(Duration::from_secs(90)));
    assert_eq!(rules("retries: 10000").retries_max, Some(10_000));
}

#[test]
fn who_is_told_of_records_that_are_given_up_is_read() {
    let told = |on_failure: &str| rules(&format!("on_failure: {on_failure}")).on_failure.unwrap();
    let url = |url: &str, secret: Option<&str>| DestinationSpec::Url {
        url: url.to_owned(),
        secret_variable: secret.map(str::to_owned),
    };
    assert_eq!(told("{ stream: dead }"), told("dead"));
    assert_eq!(told("{ folder: letters }"), DestinationSpec::Folder(PathBuf::from("/home/shop/letters")));
    assert_eq!(told("{ folder: /var/letters }"), DestinationSpec::Folder(PathBuf::from("/var/letters")));
    assert_eq!(told("{ url: 'http://[::1]:80/a?b=c' }"), url("http://[::1]:80/a?b=c", None));
    assert_eq!(told("{ url: https://a, secret: A_1 }"), url("https://a", Some("A_1")));
}

#[test]
fn a_trigger_may_be_switched_off() {
    let text = "streams: { s: }\nfunctions: { f: { path: p } }\ntriggers:\n\
                - { name: t, stream: s, function: f, start: latest, enabled: false }\n\
                - { name: u, stream: s, function: f, start: latest }\n";
    let manifest = Manifest::parse("f", Path::new(""), text).unwrap();
    assert_eq!(manifest.triggers.iter().map(|trigger| trigger.is_enabled).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn who_may_put_over_plain_http_is_read() {
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let text = format!(
        "ingest:\n  tokens: [{{ env: TOKEN_1 }}, {{ sha256: {digest} }}]\n  cors: {{ origins: [http://a:1] }}\n"
    );
    let ingest = Manifest::parse("f", Path::new(""), &text).unwrap().ingest;
    let digest = TokenDigest::of_token("abc").unwrap();
    assert_eq!(ingest.tokens, [TokenSpec::Variable("TOKEN_1".to_owned()), TokenSpec::Digest(digest)]);
    assert_eq!(ingest.origins, Origins::These(vec![Origin::parse("http://a:1").unwrap()]));
    let any = Manifest::parse("f", Path::new(""), "ingest: { cors: { origins: ['*'] } }").unwrap().ingest;
    assert_eq!((any.origins, any.tokens.len()), (Origins::Any, 0));
}

#[test]
fn a_manifest_may_be_empty() {
    for text in ["", "# nothing\n", "{}", "streams:\nfunctions:\ntriggers:\n", "triggers: []", "ingest:"] {
        assert_eq!(Manifest::parse("f", Path::new(""), text).unwrap(), Manifest::default(), "{text:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Manifest::load(Path::new("no/such/deploy.yaml")).unwrap_err();
    assert!(matches!(&error, LoadError::Read { .. }), "{error:?}");
    assert!(error.to_string().contains("no/such/deploy.yaml"), "{error}");
}
