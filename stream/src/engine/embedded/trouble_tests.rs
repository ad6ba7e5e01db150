//! Troubles that come together: files that vanish while nobody looks, commits that break down, a sled whose sync fails or
//! that comes back empty. Whoever waits is answered, and nothing acknowledged is given up in silence.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ::bytes::Bytes;

use super::*;
use crate::engine::Expect;
use crate::limits::BLOB_SWEEP_BYTES;
use crate::record::{PartitionKey, Record};

const LOG: LogId = LogId { stream: StreamId(1), part: 0 };
const SETTINGS: LogSettings = LogSettings::kept_for(Duration::from_hours(24));
const A: ShardIndex = ShardIndex(0);

/// A disk that fails or breaks down so often.
#[derive(Debug, Default)]
struct Troubled {
    meta_syncs_that_fail: AtomicU32,
    sled_syncs_that_fail: AtomicU32,
    commits_that_panic: AtomicU32,
    sled_writes: AtomicU32,
}

impl Disk for Troubled {
    fn write_at(&self, file: &fs::File, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.sled_writes.fetch_add(u32::from(is_below(path, "sled")), Ordering::SeqCst);
        System.write_at(file, path, bytes, offset)
    }

    fn sync_data(&self, file: &fs::File, path: &Path) -> io::Result<()> {
        assert!(!(is_below(path, "logs") && strikes(&self.commits_that_panic)), "a mistake in a commit");
        if is_below(path, "meta") && strikes(&self.meta_syncs_that_fail) {
            return Err(io::Error::from_raw_os_error(5));
        }
        System.sync_data(file, path)
    }

    fn sync_all(&self, file: &fs::File, path: &Path) -> io::Result<()> {
        if is_below(path, "sled") && strikes(&self.sled_syncs_that_fail) {
            return Err(io::Error::from_raw_os_error(5));
        }
        System.sync_all(file, path)
    }
}

fn is_below(path: &Path, folder: &str) -> bool {
    path.ancestors().any(|above| above.ends_with(folder))
}

fn strikes(times: &AtomicU32) -> bool {
    times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn open_on(disk: Arc<dyn Disk>, path: &Path) -> Embedded {
    let options =
        EmbeddedOptions { segment_bytes: [16 << 10; 4], checkpoint_bytes: 50_000, ..EmbeddedOptions::default() };
    Embedded::open_on(disk, path, Clock::system(), options).unwrap()
}

fn open(path: &Path) -> Embedded {
    open_on(Arc::new(System), path)
}

async fn append(engine: &Embedded, bytes: usize) -> Result<Appended, AppendError> {
    let data = Bytes::from(vec![7; bytes]);
    let record = Record { partition_key: PartitionKey::parse("k").unwrap(), explicit_hash: None, data };
    engine.append(LOG, Generation::FIRST, Append { records: vec![(A, record)], marks: vec![] }).await
}

async fn change(
    engine: &Embedded,
    key: &str,
    value: Option<Vec<u8>>,
    durability: Durability,
) -> Result<Revision, DocumentError> {
    let change = Change { key: Key::new(key), expect: Expect::Any, value: value.map(Bytes::from) };
    engine.compare_and_set(vec![change], durability).await.map(|revisions| revisions[0])
}

async fn set(engine: &Embedded, key: &str, value: Vec<u8>) -> Result<Revision, DocumentError> {
    change(engine, key, Some(value), Durability::Synced).await
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

/// A closed log of six segments; no document has changed since the first.
async fn six_segments(folder: &Path) -> Vec<PathBuf> {
    let engine = open(folder);
    engine.log_put(LOG, SETTINGS).await.unwrap();
    set(&engine, "d", vec![1]).await.unwrap();
    for _ in 0..6 {
        append(&engine, 9000).await.unwrap();
    }
    engine.close();
    let segments = segments(&folder.join("logs").join(LOG.to_string()));
    assert_eq!(segments.len(), 6);
    segments
}

async fn check_missing(segment: &Path, folder: &Path) {
    fs::remove_file(segment).unwrap();
    let engine = open(folder);
    let error = engine.stats(LOG).await.unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains(&segment.display().to_string()), "{error}");
    assert!(matches!(engine.health(), Health::Degraded(_)));
}

#[tokio::test]
async fn a_missing_oldest_segment_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let segments = six_segments(folder.path()).await;
    check_missing(&segments[0], folder.path()).await;
}

#[tokio::test]
async fn a_missing_newest_segment_is_an_error_though_no_document_changed_since() {
    let folder = tempfile::tempdir().unwrap();
    let segments = six_segments(folder.path()).await;
    check_missing(&segments[5], folder.path()).await;
}

async fn check_break_down(bytes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Troubled::default());
    let engine = Arc::new(open_on(disk.clone(), folder.path()));
    engine.log_put(LOG, SETTINGS).await.unwrap();
    append(&engine, 100).await.unwrap();
    disk.commits_that_panic.store(1, Ordering::SeqCst);
    assert!(append(&engine, bytes).await.is_err());
    let later = append(&engine, 100).await.unwrap_err().to_string();
    assert!(later.contains("a commit broke down"), "{later}");
    assert!(matches!(engine.health(), Health::Degraded(_)));
    let other = LogId { part: 1, ..LOG };
    engine.log_put(other, SETTINGS).await.unwrap();
    engine.append(other, Generation::FIRST, Append::default()).await.unwrap();
    drop(engine);
    append(&open(folder.path()), 100).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_breaks_down_on_its_callers_thread_hangs_nobody() {
    check_break_down(100).await;
}

#[tokio::test]
async fn a_commit_that_breaks_down_on_a_thread_of_its_own_hangs_nobody() {
    check_break_down(100_000).await;
}

#[tokio::test]
async fn after_a_failed_sync_of_sled_its_files_are_written_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Troubled::default());
    let engine = open_on(disk.clone(), folder.path());
    set(&engine, "precious", vec![1; 10]).await.unwrap();
    disk.sled_syncs_that_fail.store(1, Ordering::SeqCst);
    for number in 0..3 {
        set(&engine, "fill", vec![number; 20_000]).await.unwrap();
    }
    drop(engine);
    assert_eq!(disk.sled_syncs_that_fail.load(Ordering::SeqCst), 0, "it struck");
    let note = folder.path().join("sled.unsynced");
    // The failure was that of the last checkpoint, or a change since has brought all in order.
    let engine = open_on(disk.clone(), folder.path());
    assert!(disk.sled_writes.load(Ordering::SeqCst) > 0, "sled's files were not written once more");
    assert!(!note.exists());
    assert_eq!(engine.get(&Key::new("precious")).await.unwrap().unwrap().value[..], [1; 10]);
    for number in 0..6 {
        set(&engine, "fill", vec![number; 20_000]).await.unwrap();
    }
    assert!(engine.counts().checkpoints > 0);
    assert_eq!(engine.health(), Health::Healthy);
}

#[tokio::test]
async fn a_sled_that_comes_back_empty_is_an_error_and_never_no_document() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Troubled::default());
    let engine = open_on(disk.clone(), folder.path());
    set(&engine, "precious", vec![1; 10]).await.unwrap();
    for number in 0..12 {
        set(&engine, "fill", vec![number; 20_000]).await.unwrap();
    }
    assert!(!segments(&folder.path().join("meta"))[0].ends_with("0000000001.seg"), "the log of documents was trimmed");
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    fs::create_dir(folder.path().join("sled")).unwrap();
    // The next checkpoint finds nothing that it knows; from then on there is no answer that is wrong.
    let mut refused = None;
    for number in 0..100 {
        if let Err(error) = set(&engine, "fill", vec![number; 20_000]).await {
            refused = Some(error.to_string());
            break;
        }
    }
    assert!(refused.is_some_and(|error| error.contains("sled")));
    let found = engine.get(&Key::new("precious")).await;
    assert!(!matches!(found, Ok(None)), "a synced document is gone without an error");
}

#[tokio::test]
async fn large_documents_that_nothing_refers_to_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path(), Clock::system(), EmbeddedOptions::default()).unwrap();
    let versions = 2 * BLOB_SWEEP_BYTES / (1 << 20);
    for version in 0..versions {
        set(&engine, "f", vec![version as u8; 1 << 20]).await.unwrap();
    }
    let left = fs::read_dir(folder.path().join("blobs")).unwrap().count() as u64;
    assert!(left <= versions / 2 + 1, "{left} MiB of large documents are kept, and one is needed");
}

#[tokio::test]
async fn a_damaged_large_document_is_mended_by_setting_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    set(&engine, "f", vec![5; 100_000]).await.unwrap();
    let blob = fs::read_dir(folder.path().join("blobs")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&blob).unwrap();
    bytes[7] ^= 1;
    fs::write(&blob, bytes).unwrap();
    assert!(engine.get(&Key::new("f")).await.is_err());
    set(&engine, "f", vec![5; 100_000]).await.unwrap();
    assert_eq!(engine.get(&Key::new("f")).await.unwrap().unwrap().value, vec![5; 100_000]);
}

#[tokio::test]
async fn the_revision_of_a_change_that_failed_is_not_given_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Troubled::default());
    let engine = open_on(disk.clone(), folder.path());
    change(&engine, "k", Some(vec![0]), Durability::Lazy).await.unwrap();
    disk.meta_syncs_that_fail.store(1, Ordering::SeqCst);
    set(&engine, "k", b"failed".to_vec()).await.unwrap_err();
    let lazy = change(&engine, "k", Some(b"lazy".to_vec()), Durability::Lazy).await.unwrap();
    drop(engine);
    let found = open(folder.path()).get(&Key::new("k")).await.unwrap().unwrap();
    assert!(found.revision != lazy || &found.value[..] == b"lazy", "{found:?}");
}

#[tokio::test]
async fn an_append_after_the_close_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.close();
    let _ = engine.log_put(LOG, SETTINGS).await;
    assert!(append(&engine, 100).await.is_err());
}
