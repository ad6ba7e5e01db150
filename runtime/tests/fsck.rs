//! `tidemill fsck`: what it prints, and how it ends.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

#[allow(dead_code, reason = "shared with the tests of the node")]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::{Program, Run, run};
use serde_json::Value;
use tempfile::TempDir;

const RECORDS: usize = 300;

/// A folder with a manifest, and data in `data`.
struct House(TempDir);

impl House {
    fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        fs::write(house.path("deploy.yaml"), "streams:\n  orders: { shards: 2 }\n").unwrap();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A node that has taken records and runs.
    async fn serve(&self) -> Program {
        let (manifest, data) = (self.text("deploy.yaml"), self.text("data"));
        let arguments = ["serve", "--manifest", &manifest, "--data", &data, "--listen", "127.0.0.1:0", "--ready-json"];
        let mut node = Program::start(&arguments);
        let address = format!("http://{}", node.ready().await);
        let lines = (0..RECORDS).map(|number| format!("record {number}")).collect::<Vec<_>>().join("\n");
        let put = run(&["put", "orders", "--node", &address], &lines).await;
        assert_eq!(put.code, 0, "{}", put.stderr);
        node
    }

    async fn fsck(&self, more: &[&str]) -> Run {
        let data = self.text("data");
        run(&[&["fsck", "--data", &data], more].concat(), "").await
    }

    /// The one segment of the stream.
    fn segment(&self) -> PathBuf {
        let log = only_entry(&self.path("data").join("logs"));
        only_entry(&log)
    }
}

fn only_entry(folder: &Path) -> PathBuf {
    let entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap()
}

#[tokio::test]
async fn a_killed_nodes_folder_is_sound_and_one_in_use_is_refused() {
    let house = House::new();
    let node = house.serve().await;
    let refused = house.fsck(&[]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("is in use by another node"), "{}", refused.stderr);
    node.signal("KILL");
    node.ended().await;
    let sound = house.fsck(&[]).await;
    assert_eq!((sound.code, sound.stderr.as_str()), (0, ""), "{}", sound.stdout);
    assert_eq!(sound.stdout.lines().count(), 1, "{}", sound.stdout);
    assert!(sound.stdout.contains("is sound; 1 stream, 2 logs, "), "{}", sound.stdout);
    assert!(sound.stdout.contains(&format!("{RECORDS} records")), "{}", sound.stdout);
    let sound = json(&house.fsck(&["--json"]).await);
    assert_eq!(
        (&sound["sound"], &sound["errors"], &sound["findings"]),
        (&true.into(), &0.into(), &Value::Array(vec![]))
    );
    assert_eq!(sound["counts"]["records"], RECORDS);
}

#[tokio::test]
async fn damage_is_told_with_file_byte_and_stream() {
    let house = House::new();
    let node = house.serve().await;
    node.signal("TERM");
    assert_eq!(node.exit_code().await, 0);
    let segment = house.segment();
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(9).position(|window| window == b"record 77").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let damaged = house.fsck(&[]).await;
    let lines: Vec<_> = damaged.stdout.lines().collect();
    assert_eq!((damaged.code, lines.len()), (1, 2), "{}", damaged.stdout);
    let place = format!("error: {} at byte ", segment.display());
    assert!(lines[0].starts_with(&place) && lines[0].contains("(stream 'orders')"), "{}", lines[0]);
    assert!(lines[1].contains("is damaged: 1 error; 1 stream"), "{}", lines[1]);
    let damaged = house.fsck(&["--json"]).await;
    let found = json(&damaged);
    assert_eq!((damaged.code, &found["sound"], &found["errors"]), (1, &false.into(), &1.into()));
    let finding = &found["findings"][0];
    assert_eq!((&finding["severity"], &finding["stream"]), (&"error".into(), &"orders".into()));
    assert_eq!(finding["file"], segment.to_str().unwrap());
    assert!(finding["offset"].as_u64().unwrap() < at as u64, "{finding}");
    fs::remove_dir_all(house.path("data/sled")).unwrap();
    let noted = house.fsck(&[]).await;
    assert!(noted.stdout.contains("note: ") && noted.stdout.contains("1 error, 1 note"), "{}", noted.stdout);
}

#[tokio::test]
async fn a_note_alone_is_no_failure() {
    let house = House::new();
    let node = house.serve().await;
    node.signal("TERM");
    assert_eq!(node.exit_code().await, 0);
    fs::write(house.path("data/notes.txt"), "words").unwrap();
    let noted = house.fsck(&[]).await;
    assert_eq!(noted.code, 0, "{}", noted.stdout);
    assert!(noted.stdout.contains("is sound (1 note); "), "{}", noted.stdout);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let house = House::new();
    let missing = house.fsck(&["--json"]).await;
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
    assert!(
        missing.stderr.contains(&format!("there is no data folder at {}", house.text("data"))),
        "{}",
        missing.stderr
    );
    assert!(!house.path("data").exists(), "nothing was made");
}
