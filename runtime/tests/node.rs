//! The whole node: real functions, a real data folder, real clients.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

#[path = "functions/guests.rs"]
#[allow(dead_code, reason = "shared with the tests of functions")]
mod guests;
#[allow(dead_code, reason = "shared with the tests of other commands")]
mod program;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use program::{Program, client, status_where};
use tempfile::TempDir;
use tidemill::deploy::{Action, Manifest, Plan};
use tidemill::functions::FunctionName;
use tidemill::node::{Node, NodeOptions, Place};
use tidemill::status::Report;
use tidemill_client::{Client, PutRecord, Start};
use tidemill_stream::capacity::Capacity;
use tidemill_stream::demand::DemandRules;
use tidemill_stream::limits::RETENTION_DEFAULT;
use tidemill_stream::name::StreamName;
use tidemill_stream::stream::StreamMode;

/// What a client made of a stream is no reason to stay down.
#[tokio::test]
async fn a_node_starts_with_a_stream_that_a_client_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = |text: &str| Manifest::parse("deploy.yaml", folder.path(), text).unwrap();
    let mut node = Node::start(NodeOptions::in_memory()).await.unwrap();
    let events = tidemill_stream::name::StreamName::parse("events").unwrap();
    let mode = tidemill_stream::stream::StreamMode::OnDemand;
    node.store().create_stream(&events, 3, mode, std::time::Duration::from_hours(24)).await.unwrap();
    node.apply(&manifest("streams: { events: { shards: 2 }, other: }")).await.unwrap();
    let names: Vec<String> = node.status().streams.into_iter().map(|stream| stream.name).collect();
    assert_eq!(names, ["events", "other"]);
    assert_eq!(node.status().streams[0].open_shards, 2, "the manifest has the last word");
    node.stop().await;
}

#[tokio::test]
async fn a_stream_changes_with_the_manifest_while_the_node_runs() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = |stream: &str| {
        Manifest::parse("deploy.yaml", folder.path(), &format!("streams: {{ events: {{ {stream} }} }}")).unwrap()
    };
    let name = StreamName::parse("events").unwrap();
    let mut node = Node::start(NodeOptions::in_memory()).await.unwrap();
    for (stream, mode, shards, bytes) in [
        ("mode: on-demand, retention_bytes: 1GiB", StreamMode::OnDemand, 4, Some(1 << 30)),
        ("shards: 3, retention_bytes: 1GiB", StreamMode::Provisioned, 3, Some(1 << 30)),
        ("shards: 3, retention_bytes: 8MiB", StreamMode::Provisioned, 3, Some(8 << 20)),
        ("mode: on-demand", StreamMode::OnDemand, 3, None),
        ("mode: provisioned", StreamMode::Provisioned, 1, None),
    ] {
        let manifest = manifest(stream);
        node.apply(&manifest).await.unwrap();
        let found = node.store().stream(&name).unwrap();
        let open = found.open_shards().count();
        assert_eq!((found.mode, open, found.retention_bytes), (mode, shards, bytes), "{stream}");
        let again = node.apply(&manifest).await.unwrap();
        assert!(!again.has_changes(), "{stream}: {again:?}");
    }
    node.stop().await;
}

struct House {
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap() };
        for (name, wasm) in
            [("recorder", guests::recorder()), ("misbehave", guests::misbehave()), ("stranger", guests::stranger())]
        {
            std::fs::write(house.path(&format!("{name}.wasm")), wasm).unwrap();
        }
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn node(&self) -> Node {
        let place = Place::Folder(self.path("data"));
        Node::start(NodeOptions { place, ..NodeOptions::in_memory() }).await.unwrap()
    }

    fn manifest(&self, text: &str) -> Manifest {
        Manifest::parse("deploy.yaml", self.folder.path(), text).unwrap()
    }

    fn write_manifest(&self, text: &str) -> String {
        let path = self.path("deploy.yaml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// A manifest with one stream, the function `f` with this configuration, and a trigger between them.
fn manifest(shards: u32, wasm: &str, mode: &str) -> String {
    format!(
        "streams:\n  orders: {{ shards: {shards} }}\nfunctions:\n  f: {{ path: {wasm}, config: {{ mode: \"{mode}\" }} }}\n\
         triggers:\n  - {{ name: t, stream: orders, function: f, start: trim-horizon }}\n"
    )
}

async fn put(client: &Client, texts: &[&str]) {
    let record = |text: &&str| PutRecord {
        partition_key: (*text).to_owned(),
        explicit_hash_key: None,
        data: Bytes::copy_from_slice(text.as_bytes()),
    };
    let records: Vec<_> = texts.iter().map(record).collect();
    client.put_records("orders", &records).await.unwrap();
}

fn steps(plan: &Plan) -> Vec<(Action, &str)> {
    plan.steps.iter().map(|step| (step.action, step.name.as_str())).collect()
}

fn records(report: &Report) -> u64 {
    report.triggers.iter().map(|trigger| trigger.counts.records).sum()
}

#[tokio::test]
async fn records_reach_the_function_and_a_restart_goes_on_behind_them() {
    let house = House::new();
    let manifest = house.manifest(&manifest(2, "recorder.wasm", ""));
    let mut node = house.node().await;
    let applied = node.apply(&manifest).await.unwrap();
    assert_eq!(steps(&applied), [(Action::Add, "orders"), (Action::Add, "f"), (Action::Add, "t")]);
    let client = client(node.address());
    put(&client, &["a", "b", "c", "d", "e"]).await;
    let shard = client.list_shards("orders").await.unwrap()[0].shard_id.clone();
    let iterator = client.get_shard_iterator("orders", &shard, Start::TrimHorizon).await.unwrap();
    // How far behind a trigger is goes on with the clock until its batch is settled.
    let report = status_where(&client, |report| records(report) == 5 && *report == node.status()).await;
    assert_eq!(report.functions[0].name, "f");
    node.stop().await;

    let mut node = house.node().await;
    let applied = node.apply(&manifest).await.unwrap();
    assert_eq!(steps(&applied), [(Action::Add, "f")], "the stream and the trigger are kept");
    let client = program::client(node.address());
    let read = client.get_records(&iterator, None).await.unwrap();
    assert!(!read.records.is_empty(), "an iterator outlives the restart");
    put(&client, &["f", "g"]).await;
    let report = status_where(&client, |report| records(report) >= 2).await;
    assert_eq!(records(&report), 2, "nothing is delivered again: {report:?}");
    node.stop().await;
}

#[tokio::test]
async fn applying_the_same_again_changes_nothing() {
    let house = House::new();
    let manifest = house.manifest(&manifest(2, "recorder.wasm", ""));
    let mut node = house.node().await;
    node.apply(&manifest).await.unwrap();
    let before = node.inventory();
    assert_eq!(node.apply(&manifest).await.unwrap(), Plan { steps: Vec::new(), unchanged: 3 });
    assert_eq!(node.inventory(), before);
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_in_the_plan_is_not_touched() {
    let house = House::new();
    let text = "streams: { orders: { shards: 1 } }\nfunctions:\n  f: { path: recorder.wasm }\n  g: { path: recorder.wasm }\n\
                triggers:\n  - { name: t, stream: orders, function: f, start: trim-horizon }\n  \
                - { name: u, stream: orders, function: g, start: trim-horizon, batch_size: 5 }\n";
    let mut node = house.node().await;
    node.apply(&house.manifest(text)).await.unwrap();
    let client = client(node.address());
    put(&client, &["a", "b"]).await;
    status_where(&client, |report| records(report) == 4).await;
    let watch = |name: &str| node.functions().watch(&FunctionName::parse(name).unwrap());
    let (kept, changed) = (watch("f"), watch("g"));

    let text = text.replace("  g: { path: recorder.wasm }", "  g: { path: recorder.wasm, timeout: 7s }");
    let text = text.replace("batch_size: 5", "batch_size: 6");
    let plan = node.apply(&house.manifest(&text)).await.unwrap();
    assert_eq!(steps(&plan), [(Action::Change, "g"), (Action::Change, "u")]);
    assert_eq!(plan.unchanged, 3);
    assert!(!kept.has_changed().unwrap() && changed.has_changed().unwrap());
    let report = node.status();
    let of = |trigger: &str| report.triggers.iter().find(|row| row.trigger == trigger).unwrap().counts.records;
    assert_eq!((of("t"), of("u")), (2, 0), "a poller that was started again begins to count anew");
    node.stop().await;
}

#[tokio::test]
async fn a_start_that_was_changed_while_the_node_was_away_is_seen() {
    let house = House::new();
    let text = manifest(1, "recorder.wasm", "");
    let mut node = house.node().await;
    node.apply(&house.manifest(&text)).await.unwrap();
    node.stop().await;
    let mut node = house.node().await;
    assert_eq!(node.inventory().triggers["t"].start, "trim-horizon", "it is known before anything is applied");
    let plan = node.apply(&house.manifest(&text.replace("trim-horizon", "latest"))).await.unwrap();
    assert_eq!(steps(&plan), [(Action::Add, "f"), (Action::Change, "t")]);
    let line = plan.steps[1].to_string();
    assert!(line.contains("trim-horizon -> latest") && line.contains("starts afresh at latest"), "{line}");
    node.stop().await;
}

#[tokio::test]
async fn another_number_of_shards_is_reached_by_splits_and_merges() {
    let house = House::new();
    let mut node = house.node().await;
    node.apply(&house.manifest(&manifest(2, "recorder.wasm", ""))).await.unwrap();
    for shards in [7, 1] {
        let plan = node.apply(&house.manifest(&manifest(shards, "recorder.wasm", ""))).await.unwrap();
        assert_eq!(plan.steps.len(), 1);
        assert!(plan.steps[0].to_string().starts_with("~ stream orders: shards "), "{}", plan.steps[0]);
        assert_eq!(node.status().streams[0].open_shards, shards as usize);
        let again = node.apply(&house.manifest(&manifest(shards, "recorder.wasm", ""))).await.unwrap();
        assert!(!again.has_changes(), "{again:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_stream_has_the_capacity_that_its_manifest_says_or_that_of_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let options = NodeOptions { capacity: Capacity::Provisioned, ..NodeOptions::in_memory() };
    let mut node = Node::start(options).await.unwrap();
    let name = StreamName::parse("events").unwrap();
    for (stream, capacity) in [
        ("capacity: unlimited", Capacity::Unlimited),
        ("capacity: provisioned", Capacity::Provisioned),
        ("capacity: unlimited", Capacity::Unlimited),
        ("shards: 1", Capacity::Provisioned),
    ] {
        let manifest = format!("streams: {{ events: {{ {stream} }} }}");
        let manifest = Manifest::parse("deploy.yaml", folder.path(), &manifest).unwrap();
        assert!(node.apply(&manifest).await.unwrap().has_changes());
        assert_eq!(node.store().capacity(&node.store().stream(&name).unwrap()), capacity, "{stream}");
        assert!(!node.apply(&manifest).await.unwrap().has_changes());
    }
    node.stop().await;
}

#[tokio::test]
async fn another_retention_counts_at_once() {
    let house = House::new();
    let mut node = house.node().await;
    node.apply(&house.manifest(&manifest(2, "recorder.wasm", ""))).await.unwrap();
    let longer = house.manifest(&manifest(3, "recorder.wasm", "").replace("shards: 3", "shards: 3, retention: 48h"));
    let plan = node.apply(&longer).await.unwrap();
    assert_eq!(plan.steps[0].to_string(), "~ stream orders: shards 2 -> 3; retention 24h -> 48h");
    let stream = &node.status().streams[0];
    assert_eq!((stream.open_shards, stream.retention_hours), (3, 48));
    assert!(!node.apply(&longer).await.unwrap().has_changes());
    node.stop().await;
}

#[tokio::test]
async fn a_function_that_cannot_be_deployed_takes_the_others_back() {
    let house = House::new();
    let mut node = house.node().await;
    node.apply(&house.manifest("functions:\n  a: { path: recorder.wasm }\n")).await.unwrap();
    let before = node.status();
    let wrong =
        "functions:\n  a: { path: misbehave.wasm }\n  b: { path: recorder.wasm }\n  c: { path: stranger.wasm }\n";
    let error = node.apply(&house.manifest(wrong)).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot deploy the function 'c'"), "{error:#}");
    assert_eq!(node.status().functions, before.functions);
    let missing = "functions:\n  a: { path: misbehave.wasm }\n  b: { path: no.wasm }\n";
    let error = format!("{:#}", node.apply(&house.manifest(missing)).await.unwrap_err());
    assert!(error.contains("function 'b'") && error.contains("no.wasm"), "{error}");
    assert_eq!(node.status().functions, before.functions);
    node.stop().await;
}

#[tokio::test]
async fn a_failing_batch_is_shown_and_a_new_version_takes_it() {
    let house = House::new();
    let mut node = house.node().await;
    node.apply(&house.manifest(&manifest(1, "misbehave.wasm", "error"))).await.unwrap();
    let client = client(node.address());
    put(&client, &["poison", "fine"]).await;
    let report = status_where(&client, |report| report.triggers[0].counts.failures >= 2).await;
    let trigger = &report.triggers[0];
    assert_eq!((trigger.state.as_str(), trigger.counts.records), ("retrying", 0));
    let last_error = trigger.last_error.clone().unwrap();
    assert!(last_error.message.contains("the poison failed the batch") && last_error.attempt >= 2, "{last_error:?}");
    node.apply(&house.manifest(&manifest(1, "misbehave.wasm", "ok"))).await.unwrap();
    status_where(&client, |report| records(report) == 2 && report.triggers[0].state == "running").await;
    node.stop().await;
}

#[tokio::test]
async fn a_function_and_a_trigger_that_are_wanted_no_more_are_gone() {
    let house = House::new();
    let mut node = house.node().await;
    node.apply(&house.manifest(&manifest(1, "recorder.wasm", ""))).await.unwrap();
    let applied = node.apply(&house.manifest("")).await.unwrap();
    assert_eq!(steps(&applied), [(Action::Remove, "f"), (Action::Remove, "t"), (Action::Keep, "orders")]);
    let report = node.status();
    assert!(report.functions.is_empty() && report.triggers.is_empty(), "{report:?}");
    assert_eq!(report.streams.len(), 1, "a stream holds data: it stays");
    node.stop().await;
}

#[tokio::test]
async fn the_program_serves_reads_its_manifest_again_and_stops_cleanly() {
    let house = House::new();
    let file = house.write_manifest(&manifest(1, "misbehave.wasm", "error"));
    let data = house.path("data").to_str().unwrap().to_owned();
    let mut node = Program::start(&[
        "serve",
        "--manifest",
        &file,
        "--data",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--ready-json",
        "--log-format",
        "json",
    ]);
    let address = node.ready().await;
    let client = client(address);
    put(&client, &["poison"]).await;
    status_where(&client, |report| report.triggers[0].counts.failures >= 1).await;

    house.write_manifest("streams: { orders: { shard: 1 } }");
    node.signal("HUP");
    let line = node.log_line("the manifest was not applied").await;
    assert!(line.contains("unknown field 'shard'") && line.contains("did you mean 'shards'"), "{line}");
    assert_eq!(status_where(&client, |_| true).await.triggers.len(), 1, "nothing has changed");

    house.write_manifest(&manifest(1, "misbehave.wasm", "ok"));
    node.signal("HUP");
    node.log_line("the manifest was read again").await;
    status_where(&client, |report| records(report) == 1).await;
    node.signal("INT");
    assert_eq!(node.exit_code().await, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_ephemeral_folder_goes_with_its_node() {
    let house = House::new();
    let file = house.write_manifest("streams: { orders: { shards: 1 } }");
    let mut node =
        Program::start(&["serve", "--manifest", &file, "--ephemeral", "--listen", "127.0.0.1:0", "--ready-json"]);
    node.ready().await;
    let data = node.data_folder().expect("a node with files");
    assert!(data.join("logs").is_dir(), "it is a data folder as any other");
    node.signal("TERM");
    assert_eq!(node.exit_code().await, 0);
    assert!(!data.exists(), "{} stayed", data.display());
}

#[tokio::test]
async fn put_goes_on_at_its_checkpoint_and_status_shows_the_rest() {
    let house = House::new();
    let file = house.write_manifest(&manifest(2, "recorder.wasm", ""));
    let mut node =
        Program::start(&["serve", "--manifest", &file, "--memory", "--listen", "127.0.0.1:0", "--ready-json"]);
    let url = format!("http://{}", node.ready().await);
    let input = house.path("in.jsonl");
    let (input, checkpoint) = (input.to_str().unwrap(), house.path("feed"));
    let put = [
        "put",
        "orders",
        input,
        "--key-field",
        "k",
        "--json",
        "--node",
        &url,
        "--checkpoint",
        checkpoint.to_str().unwrap(),
    ];

    std::fs::write(input, "{\"k\":\"a\"}\n\n{\"k\":\"b\"}\n{\"x\":1}\n{\"k\":\"d\"}\n").unwrap();
    let run = program::run(&put, "").await;
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("line 4 of") && run.stderr.contains("it has no field 'k'"), "{}", run.stderr);

    std::fs::write(input, "{\"k\":\"a\"}\n\n{\"k\":\"b\"}\n{\"k\":\"c\"}\n{\"k\":\"d\"}\n").unwrap();
    let run = program::run(&put, "").await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let done: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&done["records"], &done["lines"]), (&2.into(), &5.into()), "the first two were done before");

    let run = program::run(&["put", "orders", "--node", &url, "--key", "k"], "from a pipe\n").await;
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    assert!(run.stderr.contains("put 1 record into orders"), "{}", run.stderr);

    let client = Client::new(&url).unwrap();
    status_where(&client, |report| records(report) == 5).await;
    let shown = program::run(&["status", "--node", &url], "").await;
    assert_eq!(shown.code, 0);
    assert!(shown.stdout.contains("orders") && shown.stdout.contains("running"), "{}", shown.stdout);
    let said = program::run(&["status", "--json", "--node", &url], "").await;
    assert_eq!(records(&serde_json::from_str(&said.stdout).unwrap()), 5);

    let run = program::run(&["put", "none", "--node", &url], "x\n").await;
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("line 1 was not put into the stream 'none': there is no stream 'none'"),
        "{}",
        run.stderr
    );
    node.signal("TERM");
    assert_eq!(node.exit_code().await, 0);
}

#[tokio::test]
async fn check_says_all_that_is_wrong() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bad_range.yaml");
    let run = program::run(&["check", golden.to_str().unwrap()], "").await;
    assert_eq!((run.code, run.stderr.lines().count(), run.stdout.as_str()), (1, 9, ""), "{}", run.stderr);
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy.yaml");
    let run = program::run(&["check", demo.to_str().unwrap()], "").await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("is right: 2 streams, 3 functions, 3 triggers"), "{}", run.stdout);
}

#[tokio::test]
async fn a_node_that_cannot_start_says_why() {
    let house = House::new();
    let file = house.write_manifest("streams: { a: }");
    for (arguments, expected) in [
        (vec!["serve", "--memory", "--manifest", file.as_str(), "--listen", "0.0.0.0:0"], "say --insecure"),
        (vec!["serve", "--memory", "--manifest", "no/such.yaml"], "cannot read the manifest no/such.yaml"),
        (vec!["serve", "--memory", "--manifest", file.as_str(), "--account", "1"], "'1' is not an account"),
        (vec!["serve", "--memory", "--manifest", file.as_str(), "--log", "a=b=c"], "the log filter 'a=b=c'"),
    ] {
        let run = program::run(&arguments, "").await;
        assert_eq!(run.code, 1, "{arguments:?}");
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
}

#[tokio::test]
async fn an_on_demand_stream_splits_a_shard_that_is_hot() {
    let rules = DemandRules { hot_records: 0, split_after: Duration::ZERO, ..DemandRules::default() };
    let node = Node::start(NodeOptions { demand: rules, ..NodeOptions::in_memory() }).await.unwrap();
    let client = client(node.address());
    let name = StreamName::parse("orders").unwrap();
    node.store().create_stream(&name, 4, StreamMode::OnDemand, RETENTION_DEFAULT).await.unwrap();
    let mut changes = node.store().changes();
    // Every record makes its shard hot, from the next look on.
    put(&client, &["one"]).await;
    let split = async {
        while node.store().stream(&name).unwrap().open_shards().count() == 4 {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(program::PATIENCE, split).await.unwrap();
    put(&client, &["two"]).await;
    node.stop().await;
}
