//! A data folder with something of everything in it, and what a check says of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::engine::embedded::{Embedded, EmbeddedOptions};
use tidemill_stream::engine::{Bound, Change, Durability, Engine, Expect, Key, StreamId};
use tidemill_stream::fsck::{self, Above, Finding, FsckError, Progress, Report, Severity};
use tidemill_stream::limits::BLOB_BYTES_MIN;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tidemill_stream::stream::{Stream, StreamMode};

pub(crate) const DAY: Duration = Duration::from_hours(24);
/// Large enough for a file of its own.
pub(crate) const BLOB: &str = "config/large";
/// Batches that [`fill`] puts into a stream.
const BATCHES: u8 = 12;
const RECORDS: u8 = 20;

/// Small segments, so that there are several.
pub(crate) fn options() -> EmbeddedOptions {
    EmbeddedOptions { shards_per_log: 4, segment_bytes: [12 << 10; 4], ..EmbeddedOptions::default() }
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

/// A node that runs over a folder.
pub(crate) struct Running {
    pub(crate) engine: Arc<Embedded>,
    pub(crate) store: Store,
}

pub(crate) async fn run(folder: &Path) -> Running {
    run_with(folder, options()).await
}

pub(crate) async fn run_with(folder: &Path, options: EmbeddedOptions) -> Running {
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    let engine = Arc::new(Embedded::open(folder, clock.clone(), options).unwrap());
    let store = Store::open(Arc::clone(&engine) as Arc<dyn Engine>, clock).await.unwrap();
    Running { engine, store }
}

impl Running {
    pub(crate) async fn create(&self, stream: &str, shards: u32) -> Arc<Stream> {
        self.store.create_stream(&name(stream), shards, StreamMode::Provisioned, DAY).await.unwrap()
    }

    pub(crate) async fn put_document(&self, key: &str, value: impl Into<Bytes>) {
        let change = Change { key: Key::new(key), expect: Expect::Any, value: Some(value.into()) };
        self.engine.compare_and_set(vec![change], Durability::Synced).await.unwrap();
    }

    /// Puts batches that spread over all shards.
    pub(crate) async fn fill(&self, stream: &str) {
        for batch in 0..BATCHES {
            let records = (0..RECORDS).map(|number| Record {
                partition_key: PartitionKey::parse(format!("key-{}", u32::from(number) % 7)).unwrap(),
                explicit_hash: None,
                data: vec![batch; 100].into(),
            });
            let placed = self.store.put(&name(stream), records.collect()).await.unwrap();
            assert_eq!(placed.len(), usize::from(RECORDS));
        }
    }

    pub(crate) async fn fix_cursor(&self, trigger: u64, stream: &Stream, shard: u32, bound: Bound) {
        let value = [trigger.to_le_bytes(), stream.id.0.to_le_bytes()].concat();
        let key = Key::new(format!("trigger/{trigger}"));
        let with = Change { key, expect: Expect::Any, value: Some(value.into()) };
        self.store.fix_cursors(TriggerId(trigger), &[(ShardIndex(shard), bound)], vec![with]).await.unwrap();
    }

    pub(crate) fn close(self) {
        self.engine.close();
    }

    /// Ends without a word; footers that were being written are waited for, as their thread would outlive the engine.
    pub(crate) fn crash(self, folder: &Path) {
        drop(self);
        for log in logs(folder) {
            let all = segments(&log);
            for segment in &all[..all.len() - 1] {
                while !ends_with_footer(segment) {
                    std::thread::yield_now();
                }
            }
        }
    }
}

fn ends_with_footer(segment: &Path) -> bool {
    let bytes = fs::read(segment).unwrap();
    bytes.get(bytes.len().saturating_sub(80)..).is_some_and(|trailer| trailer.starts_with(b"TMft"))
}

/// Two streams, one of several logs; documents, a large one among them; a cursor.
pub(crate) async fn filled(folder: &Path) -> Running {
    let running = run(folder).await;
    let orders = running.create("orders", 3).await;
    running.create("wide", 9).await;
    running.fill("orders").await;
    running.fill("wide").await;
    running.put_document("config/small", b"x".to_vec()).await;
    running.put_document(BLOB, vec![7; BLOB_BYTES_MIN + 1]).await;
    running.fix_cursor(5, &orders, 1, Bound::START).await;
    running
}

/// A filled folder that was closed.
pub(crate) async fn closed() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await.close();
    folder
}

/// A filled folder that was not.
pub(crate) async fn crashed() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await.crash(folder.path());
    folder
}

fn trigger(key: &str, value: &[u8]) -> Result<Option<(TriggerId, StreamId)>, String> {
    if !key.starts_with("trigger/") {
        return Ok(None);
    }
    let (id, stream) = value.split_first_chunk().ok_or("too short")?;
    let stream = stream.try_into().map_err(|_| "not 16 bytes")?;
    Ok(Some((TriggerId(u64::from_le_bytes(*id)), StreamId(u64::from_le_bytes(stream)))))
}

/// A check of a folder that may change by itself meanwhile.
pub(crate) fn check_running(folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Report, FsckError> {
    let scratch = tempfile::tempdir().unwrap();
    fsck::check(folder, scratch.path(), Above { names: &["functions"], trigger: &trigger }, progress)
}

pub(crate) fn try_check(folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Report, FsckError> {
    let before = hashes(folder);
    let report = check_running(folder, progress);
    assert_eq!(hashes(folder), before, "a check changes nothing");
    report
}

pub(crate) fn check(folder: &Path) -> Report {
    try_check(folder, &mut |_| {}).unwrap()
}

/// Each file with the hash of what is in it, and each folder.
fn hashes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(hashes(&path));
            found.insert(path, Vec::new());
        } else {
            let hash = Sha256::digest(fs::read(&path).unwrap()).to_vec();
            found.insert(path, hash);
        }
    }
    found
}

/// The one finding that there is.
#[track_caller]
pub(crate) fn only(report: &Report) -> &Finding {
    let [finding] = report.findings.as_slice() else { panic!("not one finding: {:#?}", report.findings) };
    let (errors, notes) = match finding.severity {
        Severity::Error => (1, 0),
        Severity::Note => (0, 1),
    };
    assert_eq!((report.errors, report.notes), (errors, notes));
    finding
}

/// That a finding names this place, and says this.
#[track_caller]
pub(crate) fn expect(finding: &Finding, severity: Severity, file: &Path, offset: Option<u64>, what: &str) {
    assert_eq!((finding.severity, finding.file.as_path(), finding.offset), (severity, file, offset), "{finding:?}");
    assert!(finding.what.contains(what), "{finding:?}");
}

/// The folders of all logs, that of the documents first.
pub(crate) fn logs(folder: &Path) -> Vec<PathBuf> {
    let mut logs = vec![folder.join("meta")];
    logs.extend(sorted(&folder.join("logs")));
    logs
}

/// The segments of a log.
pub(crate) fn segments(log: &Path) -> Vec<PathBuf> {
    sorted(log).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

/// The log's folder of the stream `orders`: the one with the most segments.
pub(crate) fn orders(folder: &Path) -> PathBuf {
    sorted(&folder.join("logs")).into_iter().max_by_key(|log| segments(log).len()).unwrap()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

pub(crate) fn flip(path: &Path, offset: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(offset).unwrap()] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

/// Where the frames of a segment begin.
pub(crate) fn frames(segment: &Path) -> Vec<u64> {
    let bytes = fs::read(segment).unwrap();
    let mut offset = u32_at(&bytes, 8) as usize;
    let mut found = Vec::new();
    while bytes[offset..].starts_with(b"TMfr") {
        found.push(offset as u64);
        offset += u32_at(&bytes, offset + 16) as usize;
    }
    found
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in sorted(from) {
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}
