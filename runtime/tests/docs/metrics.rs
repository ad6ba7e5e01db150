//! `docs/operations.md` lists the metrics of a node, each with its type and labels, and no others.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use tidemill::deploy::Manifest;
use tidemill::node::{Node, NodeOptions, Place};
use tidemill_client::{PutRecord, trusting};
use tokio_rustls::rustls::RootCertStore;

use crate::{page, program};

/// Types and labels, by name.
type Metrics = BTreeMap<String, (String, String)>;

/// What `GET /metrics` says. A counter's samples end in `_total`, a histogram's have names of their own.
fn exposed(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let (suffix, sample) = match kind {
            "counter" => ("_total", "_total"),
            "histogram" => ("", "_count"),
            _ => ("", ""),
        };
        let labels = labels(text, &format!("{name}{sample}"));
        metrics.insert(format!("{name}{suffix}"), (kind.to_owned(), labels));
    }
    metrics
}

/// The labels' names of the first sample: `a, b`.
fn labels(text: &str, sample: &str) -> String {
    let rest = text.lines().find_map(|line| line.strip_prefix(sample).filter(|rest| rest.starts_with(['{', ' '])));
    let rest = rest.unwrap_or_else(|| panic!("no sample of {sample} in\n{text}"));
    let Some((inside, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return String::new() };
    inside.split(',').map(|label| label.split_once('=').unwrap().0).collect::<Vec<_>>().join(", ")
}

fn documented() -> Metrics {
    let page = page::read("operations.md");
    let rows = page::rows(&page, "metric");
    let named = rows.iter().map(|row| (page::code(row[0]).to_owned(), (row[1].to_owned(), row[2].replace('`', ""))));
    named.collect()
}

const MANIFEST: &str = "streams: { nowhere: {} }\nfunctions: { nothing: { path: nothing.wasm } }\n\
    triggers: [{ name: waiting, stream: nowhere, function: nothing, start: latest }]\n";

/// A trigger alone, which waits for its stream: its metrics have no shard.
fn waiting() -> Manifest {
    let manifest = Manifest::parse("deploy.yaml", Path::new(""), MANIFEST).unwrap();
    Manifest { streams: Vec::new(), functions: Vec::new(), ..manifest }
}

#[tokio::test]
async fn the_page_lists_the_metrics_of_a_node_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Folder(folder.path().to_owned());
    let mut node = Node::start(NodeOptions { place, ..NodeOptions::in_memory() }).await.unwrap();
    node.apply(&waiting()).await.unwrap();
    let client = program::client(node.address());
    client.create_stream("orders", 1).await.unwrap();
    let record = PutRecord { partition_key: "k".to_owned(), explicit_hash_key: None, data: Bytes::from_static(b"x") };
    client.put_records("orders", &[record]).await.unwrap();
    let url = format!("http://{}", node.address());
    // Without TLS nobody has to be trusted.
    let nobody = trusting(RootCertStore::empty()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(nobody).build().unwrap();
    let put = http.post(format!("{url}/streams/orders/records")).body("x").send().await.unwrap();
    assert_eq!(put.status(), 200);
    let text = http.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
    node.stop().await;
    let (exposed, documented) = (exposed(&text), documented());
    for (name, facts) in &exposed {
        let found = documented.get(name);
        assert_eq!(found, Some(facts), "docs/operations.md must have a row for {name}, with its type and labels");
    }
    for name in documented.keys() {
        assert!(exposed.contains_key(name), "docs/operations.md has {name}, which no node has");
    }
}
