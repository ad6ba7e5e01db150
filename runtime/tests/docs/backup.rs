//! What `docs/operations.md` says of backups: a copy of the folder of a node that is paused is as good as one of a node
//! that has stopped.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use tidemill_client::{Client, PutRecord, Start};

use crate::program::{self, Program};

const PUTS_BEFORE: usize = 100;

fn serve(manifest: &Path, data: &Path) -> Program {
    let (manifest, data) = (manifest.to_str().unwrap(), data.to_str().unwrap());
    Program::start(&["serve", "--manifest", manifest, "--data", data, "--listen", "127.0.0.1:0", "--ready-json"])
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Puts records one by one until it is dropped, and notes what was acknowledged.
async fn produce(client: &Client, acknowledged: &tokio::sync::watch::Sender<usize>) {
    for number in 0_usize.. {
        let data = Bytes::from(format!("record {number} {}", "x".repeat(1000)));
        let record = PutRecord { partition_key: number.to_string(), explicit_hash_key: None, data };
        client.put_records("orders", &[record]).await.unwrap();
        acknowledged.send_replace(number + 1);
    }
}

/// How many records there are, of those that were put.
async fn count(client: &Client) -> usize {
    let mut numbers = std::collections::BTreeSet::new();
    for shard in client.list_shards("orders").await.unwrap() {
        let mut iterator = client.get_shard_iterator("orders", &shard.shard_id, Start::TrimHorizon).await.unwrap();
        loop {
            let read = client.get_records(&iterator, None).await.unwrap();
            let number =
                |data: &Bytes| String::from_utf8_lossy(data).split(' ').nth(1).unwrap().parse::<usize>().unwrap();
            numbers.extend(read.records.iter().map(|record| number(&record.data)));
            if read.behind_ms == 0 && read.records.is_empty() {
                break;
            }
            iterator = read.next.unwrap();
        }
    }
    assert!(numbers.iter().copied().eq(0..numbers.len()), "there is a gap");
    numbers.len()
}

#[tokio::test]
async fn a_copy_of_a_paused_nodes_folder_has_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, data, backup) =
        (folder.path().join("m.yaml"), folder.path().join("data"), folder.path().join("copy"));
    fs::write(&manifest, "streams:\n  orders: { shards: 2 }\n").unwrap();
    let mut node = serve(&manifest, &data);
    let client = program::client(node.ready().await);
    let (acknowledged, mut counted) = tokio::sync::watch::channel(0);
    let back_up = async {
        counted.wait_for(|count| *count >= PUTS_BEFORE).await.unwrap();
        node.pause().await;
        let before = *acknowledged.borrow();
        copy(&data, &backup);
        node.signal("CONT");
        before
    };
    let before = tokio::select! {
        () = produce(&client, &acknowledged) => unreachable!("it goes on"),
        before = back_up => before,
    };
    client.list_streams().await.unwrap();
    node.signal("KILL");
    node.ended().await;

    let checked = program::run(&["fsck", "--data", backup.to_str().unwrap()], "").await;
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    let mut restored = serve(&manifest, &backup);
    let found = count(&program::client(restored.ready().await)).await;
    assert!(before >= PUTS_BEFORE && found >= before, "{before} were acknowledged, {found} are there");
}
