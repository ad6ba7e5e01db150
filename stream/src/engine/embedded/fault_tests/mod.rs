//! Faults of the disk: what was acknowledged stays, what failed says why, and service is back when the cause is gone.

mod expiry;
mod faulty;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use tempfile::TempDir;

use self::faulty::{Call, Fault, Faulty, Kind, UNTIL_MENDED};
use super::*;
use crate::engine::Expect;
use crate::limits::BLOB_BYTES_MIN;
use crate::record::{PartitionKey, Record};

const LOG: LogId = LogId { stream: StreamId(1), part: 0 };
const OTHER: LogId = LogId { stream: StreamId(2), part: 0 };
const NEW: LogId = LogId { stream: StreamId(3), part: 0 };
const SETTINGS: LogSettings = LogSettings::kept_for(Duration::from_hours(24));
const ALL: ReadLimits = ReadLimits { records_max: 100_000, bytes_max: 1 << 30 };
const A: ShardIndex = ShardIndex(0);
const LOG_FOLDER: &str = "/logs/0000000000000001-0";
const SEGMENT: &str = "/logs/0000000000000001-0/0000000001.seg";
const ROLLED: &str = "/logs/0000000000000001-0/new.tmp";
const NEW_FOLDER: &str = "/logs/0000000000000003-0";

/// Where a fault can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Append,
    Roll,
    LogPut,
    LogDrop,
    Document,
    Blob,
    Read,
}

/// Every file is opened for each use, and every read comes from it; a segment holds three small records.
fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        open_files_max: 1,
        tail_bytes_max: 0,
        segment_bytes: [16 << 10; 4],
        checkpoint_bytes: 50_000,
        reserve_bytes: 4096,
        ..EmbeddedOptions::default()
    }
}

struct World {
    folder: TempDir,
    disk: Arc<Faulty>,
    engine: Option<Embedded>,
    /// Numbers of records, and of documents, that were acknowledged, and of those that failed.
    done: Vec<u32>,
    failed: Vec<u32>,
    documents: Vec<u32>,
    next: u32,
}

/// What went wrong, and whether it said that the disk is full.
type Refusal = (String, bool);

fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Embedded, OpenError> {
    Embedded::open_on(disk, folder, Clock::system(), options())
}

fn number(data: &[u8]) -> u32 {
    u32::from_le_bytes(data[..4].try_into().unwrap())
}

fn records(number: u32, bytes: usize) -> Append {
    let mut data = vec![7; bytes];
    data[..4].copy_from_slice(&number.to_le_bytes());
    let record = Record { partition_key: PartitionKey::parse("k").unwrap(), explicit_hash: None, data: data.into() };
    Append { records: vec![(A, record)], marks: vec![] }
}

fn log_refusal(error: &LogError) -> Refusal {
    (error.to_string(), error.is_full())
}

impl World {
    /// Two logs of two records each, and a document.
    async fn new() -> Self {
        let (folder, disk) = (tempfile::tempdir().unwrap(), Arc::new(Faulty::default()));
        let engine = Some(open(disk.clone(), folder.path()).unwrap());
        let (done, failed, documents) = (vec![], vec![], vec![]);
        let mut world = Self { folder, disk, engine, done, failed, documents, next: 0 };
        for log in [LOG, OTHER] {
            world.engine().log_put(log, SETTINGS).await.unwrap();
        }
        world.append(3000).await.unwrap();
        world.append(3000).await.unwrap();
        world.document(10).await.unwrap();
        world.append_other().await;
        world
    }

    fn engine(&self) -> &Embedded {
        self.engine.as_ref().unwrap()
    }

    async fn append(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.next += 1;
        match self.engine().append(LOG, Generation::FIRST, records(self.next, bytes)).await {
            Ok(_) => self.done.push(self.next),
            Err(error) => {
                self.failed.push(self.next);
                return Err((error.to_string(), matches!(error, AppendError::Full(_))));
            }
        }
        Ok(())
    }

    async fn append_other(&self) {
        self.engine().append(OTHER, Generation::FIRST, records(0, 100)).await.unwrap();
    }

    async fn document(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.next += 1;
        let mut value = vec![0; bytes];
        value[..4].copy_from_slice(&self.next.to_le_bytes());
        let key = Key::new(format!("document/{}", self.next));
        let change = Change { key, expect: Expect::Absent, value: Some(Bytes::from(value)) };
        match self.engine().compare_and_set(vec![change], Durability::Synced).await {
            Ok(_) => self.documents.push(self.next),
            Err(error) => return Err((error.to_string(), matches!(error, DocumentError::Full(_)))),
        }
        Ok(())
    }

    async fn read(&self) -> Result<Vec<u32>, Refusal> {
        let batch = self.engine().read(LOG, A, Bound::START, ALL).await;
        let batch = batch.map_err(|error| log_refusal(&error))?;
        Ok(batch.records.iter().map(|record| number(&record.data)).collect())
    }

    async fn attempt(&mut self, place: Place) -> Result<(), Refusal> {
        match place {
            Place::Append => self.append(100).await,
            Place::Roll => self.append(9000).await,
            Place::LogPut => self.engine().log_put(NEW, SETTINGS).await.map_err(|error| log_refusal(&error)),
            Place::LogDrop => self.engine().log_drop(OTHER).await.map_err(|error| log_refusal(&error)),
            Place::Document => self.document(100).await,
            Place::Blob => self.document(BLOB_BYTES_MIN).await,
            Place::Read => self.read().await.map(drop),
        }
    }

    /// All that was acknowledged is there, once and in order, and what failed at most once.
    async fn check_kept(&self, when: &str) {
        let found = self.read().await.unwrap();
        let kept: Vec<u32> = found.iter().copied().filter(|number| self.done.contains(number)).collect();
        assert_eq!(kept, self.done, "{when}");
        let others: Vec<u32> = found.into_iter().filter(|number| !self.done.contains(number)).collect();
        let mut once = others.clone();
        once.dedup();
        assert!(once == others && others.iter().all(|number| self.failed.contains(number)), "{when}: {others:?}");
        self.check_documents(when).await;
    }

    async fn check_documents(&self, when: &str) {
        for document in &self.documents {
            let found = self.engine().get(&Key::new(format!("document/{document}"))).await.unwrap();
            assert_eq!(found.map(|found| number(&found.value)), Some(*document), "{when}");
        }
    }

    /// Opens the folder again, without faults.
    async fn reopen(&mut self) {
        drop(self.engine.take());
        self.engine = Some(open(Arc::new(System), self.folder.path()).unwrap());
        assert_eq!(self.engine().health(), Health::Healthy);
        self.check_kept("opened again").await;
    }
}

/// While a fault lasts the work at this place fails and says why; then it is done, on the same engine.
async fn check(place: Place, call: Call, kind: Kind, path: &'static str, action: &str) {
    let case = format!("{place:?}: {call:?} {kind:?} {path}");
    let mut world = World::new().await;
    for tries in [1, 3] {
        world.disk.fail(Fault { call, kind, path, times: UNTIL_MENDED });
        for _ in 0..tries {
            let (text, is_full) = world.attempt(place).await.expect_err(&case);
            assert!(text.contains(path) && text.contains(&kind.text()), "{case}: {text}");
            assert!(text.contains(action), "{case}: {text} has no {action:?}");
            assert_eq!(is_full, kind == Kind::Full, "{case}: {text}");
            world.check_documents(&case).await;
            if ![Call::Open, Call::Read].contains(&call) {
                world.check_kept(&case).await;
            }
            if place != Place::LogDrop {
                world.append_other().await;
            }
            if ![Place::Document, Place::Blob].contains(&place) {
                world.document(10).await.expect(&case);
            }
        }
        assert!(world.disk.mend() >= 1, "{case}: never struck");
        world.attempt(place).await.expect(&case);
        world.append(10).await.expect(&case);
        world.document(10).await.expect(&case);
        assert_eq!(world.engine().health(), Health::Healthy, "{case}");
        world.check_kept(&case).await;
        if [Place::Roll, Place::LogPut, Place::LogDrop].contains(&place) {
            // The same is not done twice.
            break;
        }
        world.append_other().await;
    }
    world.reopen().await;
}

#[tokio::test]
async fn an_append_fails_and_goes_on_with_the_disk() {
    check(Place::Append, Call::Write, Kind::Full, LOG_FOLDER, "write").await;
    check(Place::Append, Call::Write, Kind::Broken, LOG_FOLDER, "write").await;
    check(Place::Append, Call::Write, Kind::Short, LOG_FOLDER, "write").await;
    check(Place::Append, Call::SyncData, Kind::Broken, LOG_FOLDER, "sync").await;
    check(Place::Append, Call::Open, Kind::Vanished, LOG_FOLDER, "open").await;
    check(Place::Append, Call::Open, Kind::Denied, LOG_FOLDER, "open").await;
}

#[tokio::test]
async fn a_roll_fails_and_goes_on_with_the_disk() {
    check(Place::Roll, Call::Create, Kind::Full, ROLLED, "create").await;
    check(Place::Roll, Call::Create, Kind::Denied, ROLLED, "create").await;
    check(Place::Roll, Call::Write, Kind::Full, ROLLED, "write").await;
    check(Place::Roll, Call::Write, Kind::Short, ROLLED, "write").await;
    check(Place::Roll, Call::Allocate, Kind::Full, ROLLED, "allocate").await;
    check(Place::Roll, Call::SyncAll, Kind::Broken, ROLLED, "sync").await;
    check(Place::Roll, Call::Rename, Kind::Denied, ROLLED, "rename").await;
    check(Place::Roll, Call::SyncFolder, Kind::Broken, LOG_FOLDER, "sync the folder").await;
}

#[tokio::test]
async fn logs_are_made_and_dropped_when_the_disk_lets() {
    check(Place::LogPut, Call::Create, Kind::Full, NEW_FOLDER, "create").await;
    check(Place::LogPut, Call::Create, Kind::Denied, NEW_FOLDER, "create").await;
    check(Place::LogPut, Call::Write, Kind::Full, NEW_FOLDER, "write").await;
    check(Place::LogPut, Call::Write, Kind::Short, NEW_FOLDER, "write").await;
    check(Place::LogPut, Call::SyncAll, Kind::Broken, NEW_FOLDER, "sync").await;
    check(Place::LogPut, Call::Rename, Kind::Denied, NEW_FOLDER, "rename").await;
    check(Place::LogPut, Call::SyncFolder, Kind::Broken, NEW_FOLDER, "sync the folder").await;
    check(Place::LogDrop, Call::RemoveFolder, Kind::Broken, "/logs/0000000000000002-0", "remove the folder").await;
    check(Place::LogDrop, Call::SyncFolder, Kind::Broken, "/logs", "sync the folder").await;
}

#[tokio::test]
async fn documents_fail_and_go_on_with_the_disk() {
    check(Place::Document, Call::Write, Kind::Full, "/meta/", "write").await;
    check(Place::Document, Call::Write, Kind::Broken, "/meta/", "write").await;
    check(Place::Document, Call::Write, Kind::Short, "/meta/", "write").await;
    check(Place::Document, Call::SyncData, Kind::Broken, "/meta/", "sync").await;
    check(Place::Document, Call::Open, Kind::Denied, "/meta/", "open").await;
    check(Place::Blob, Call::Create, Kind::Full, "/blobs/", "create").await;
    check(Place::Blob, Call::Write, Kind::Full, "/blobs/", "write").await;
    check(Place::Blob, Call::Write, Kind::Short, "/blobs/", "write").await;
    check(Place::Blob, Call::SyncAll, Kind::Broken, "/blobs/", "sync").await;
    check(Place::Blob, Call::Rename, Kind::Denied, "/blobs/", "rename").await;
    check(Place::Blob, Call::SyncFolder, Kind::Broken, "/blobs", "sync the folder").await;
}

#[tokio::test]
async fn reads_fail_and_go_on_with_the_disk() {
    check(Place::Read, Call::Read, Kind::Broken, SEGMENT, "read").await;
    check(Place::Read, Call::Open, Kind::Vanished, SEGMENT, "open").await;
    check(Place::Read, Call::Open, Kind::Denied, SEGMENT, "open").await;
}

/// A fault behind the back of a log: nobody is refused, and nothing is lost.
async fn check_unseen(call: Call, kind: Kind, path: &'static str, times: u32) {
    let case = format!("{call:?} {kind:?} {path}");
    let mut world = World::new().await;
    world.disk.fail(Fault { call, kind, path, times });
    for _ in 0..8 {
        world.append(9000).await.expect(&case);
        world.document(20_000).await.expect(&case);
    }
    assert!(world.disk.mend() >= 1, "{case}: never struck");
    world.check_kept(&case).await;
    let checkpoints = world.engine().counts().checkpoints;
    for _ in 0..8 {
        world.document(20_000).await.expect(&case);
    }
    assert!(world.engine().counts().checkpoints > checkpoints, "{case}: no checkpoint when the cause was gone");
    assert_eq!(world.engine().health(), Health::Healthy, "{case}");
    world.reopen().await;
}

#[tokio::test]
async fn a_footer_that_cannot_be_written_is_made_at_the_next_start() {
    check_unseen(Call::Write, Kind::Full, SEGMENT, UNTIL_MENDED).await;
    check_unseen(Call::Write, Kind::Short, SEGMENT, UNTIL_MENDED).await;
    check_unseen(Call::SyncAll, Kind::Broken, SEGMENT, UNTIL_MENDED).await;
    check_unseen(Call::Truncate, Kind::Broken, SEGMENT, UNTIL_MENDED).await;
}

#[tokio::test]
async fn a_checkpoint_that_fails_is_made_later() {
    check_unseen(Call::SyncAll, Kind::Broken, "/sled/", UNTIL_MENDED).await;
    check_unseen(Call::SyncFolder, Kind::Broken, "/sled", UNTIL_MENDED).await;
    // The first of several segments stays while it cannot be removed, and so do those behind it.
    for times in [1, 2, UNTIL_MENDED] {
        check_unseen(Call::Remove, Kind::Broken, "/meta/", times).await;
        check_unseen(Call::Rename, Kind::Denied, "/meta/000000000", times).await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_opened_says_why_and_is_opened_later() {
    for (call, kind, path) in [
        (Call::Open, Kind::Denied, "/meta/"),
        (Call::Read, Kind::Broken, "/meta/"),
        (Call::Write, Kind::Full, "/meta/"),
        (Call::SyncAll, Kind::Broken, "/meta/"),
        (Call::SyncData, Kind::Broken, "/meta/"),
    ] {
        let mut world = World::new().await;
        drop(world.engine.take());
        world.disk.fail(Fault { call, kind, path, times: UNTIL_MENDED });
        let refused = open(world.disk.clone(), world.folder.path()).unwrap_err().to_string();
        assert!(refused.contains(path) && refused.contains(&kind.text()), "{call:?}: {refused}");
        assert!(world.disk.mend() >= 1);
        world.reopen().await;
    }
}
