//! A whole node whose clock is wrong on purpose.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidemill::http::{Access, Credentials};
use tidemill::node::{Node, NodeOptions, Place, TestingAids};
use tidemill_client::{AccessKey, Client, PutRecord, Start};
use tidemill_stream::clock::ClockOffset;

const KEYS: &str = "AKIATIDEMILL: { secret: a-secret-of-the-test, account: \"111122223333\" }\n";

/// A node over this folder, and a client that signs by the system's clock.
async fn started(folder: &Path, clock: ClockOffset) -> (Node, Client) {
    let keys = folder.join("keys.yaml");
    std::fs::write(&keys, KEYS).unwrap();
    let options = NodeOptions {
        place: Place::Folder(folder.join("data")),
        access: Access::Keys(Arc::new(Credentials::load(&keys).unwrap())),
        aids: TestingAids { clock, ..TestingAids::default() },
        ..NodeOptions::in_memory()
    };
    let node = Node::start(options).await.unwrap();
    let key = AccessKey {
        id: "AKIATIDEMILL".to_owned(),
        secret: "a-secret-of-the-test".to_owned(),
        session_token: None,
        region: "us-east-1".to_owned(),
    };
    let client = Client::new(&format!("http://{}", node.address())).unwrap().signing_with(key);
    (node, client)
}

#[tokio::test]
async fn iterators_and_records_expire_when_the_clock_is_ahead_and_signatures_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let (node, client) = started(folder.path(), ClockOffset::default()).await;
    assert_eq!(node.status().testing_aids, Vec::<String>::new());
    client.create_stream("s", 1).await.unwrap();
    let record = PutRecord { partition_key: "k".into(), explicit_hash_key: None, data: "1".into() };
    client.put_records("s", &[record]).await.unwrap();
    let shard = client.list_shards("s").await.unwrap()[0].shard_id.clone();
    let iterator = client.get_shard_iterator("s", &shard, Start::TrimHorizon).await.unwrap();
    assert_eq!(client.get_records(&iterator, None).await.unwrap().records.len(), 1);
    node.stop().await;

    for (ahead, told, records) in [(6, "--clock-offset 6m", 1), (25 * 60, "--clock-offset 25h", 0)] {
        let ahead = ClockOffset::Ahead(Duration::from_mins(ahead));
        let (node, client) = started(folder.path(), ahead).await;
        assert_eq!(node.status().testing_aids, [told]);
        assert!(client.get_records(&iterator, None).await.unwrap_err().is_iterator_expired());
        let again = client.get_shard_iterator("s", &shard, Start::TrimHorizon).await.unwrap();
        assert_eq!(client.get_records(&again, None).await.unwrap().records.len(), records, "{told}");
        node.stop().await;
    }
}
