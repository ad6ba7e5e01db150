//! Documents: durable in the `meta` log, looked up in sled.
//!
//! sled's own flush does not reach the platter, so a document that must be durable is a frame of the meta log first, and
//! then goes to sled together with the position that was applied. At a checkpoint sled's files are synced and the log is
//! trimmed; at the start what lies above the applied position is replayed. One thread makes all changes, in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use bytestring::ByteString;
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::file;
use super::frame::Notes;
use super::log::Log;
use crate::engine::{
    Bound, Change, Document, DocumentError, Durability, Key, LogError, Position, ReadLimits, Revision, check_changes,
    check_expected,
};
use crate::limits::{CHECKPOINT_BYTES, COMMIT_CHANGES_MAX, DOCUMENT_CACHE_BYTES, PENDING_CHANGES_MAX};
use crate::record::{PartitionKey, Record};
use crate::shard::ShardIndex;

/// Names that no document has: they hold what sled must know beside the documents.
const APPLIED: &[u8] = b"\0applied";
const REVISION: &[u8] = b"\0revision";
/// Lazy changes that may be lost in a crash: their revisions are never given again.
const REVISIONS_SKIPPED: u64 = 1 << 20;
/// The meta log has one shard.
const SHARD: ShardIndex = ShardIndex(0);
/// Frames that are replayed at once.
const REPLAY_LIMITS: ReadLimits = ReadLimits { records_max: 1000, bytes_max: 16 << 20 };

#[derive(Debug)]
pub(super) struct Documents {
    view: sled::Tree,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    changed: watch::Sender<u64>,
    /// Why the last change failed, until one succeeds.
    failed: Arc<Mutex<Option<String>>>,
}

#[derive(Debug)]
struct Request {
    changes: Vec<Change>,
    durability: Durability,
    answer: oneshot::Sender<Result<Vec<Revision>, DocumentError>>,
}

/// A document's change as it stands in the meta log.
#[derive(Debug, Clone, Encode, Decode)]
struct StoredChange {
    #[n(0)]
    key: String,
    #[n(1)]
    revision: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    value: Option<Vec<u8>>,
}

/// What the thread works with.
struct Keeper {
    database: sled::Db,
    folder: PathBuf,
    view: sled::Tree,
    log: Arc<Log>,
    revision: u64,
    applied: Position,
    bytes_since_checkpoint: u64,
    /// Why sled did not take what the log has: nothing more is changed until the next start brings it up.
    behind: Option<String>,
    changed: watch::Sender<u64>,
    failed: Arc<Mutex<Option<String>>>,
}

impl Documents {
    /// Opens sled in `folder` and brings it up to the meta log.
    pub(super) fn open(folder: &Path, log: Arc<Log>) -> Result<Self, LogError> {
        let unusable = |error: sled::Error| log.unavailable(&format!("sled in {}: {error}", folder.display()));
        let config = sled::Config::new().path(folder).cache_capacity(DOCUMENT_CACHE_BYTES).flush_every_ms(Some(500));
        let database = config.open().map_err(unusable)?;
        let view = database.open_tree("documents").map_err(unusable)?;
        let (applied, revision) =
            (number(&view, APPLIED).map_err(unusable)?, number(&view, REVISION).map_err(unusable)?);
        let changed = watch::Sender::new(0);
        let failed = Arc::new(Mutex::default());
        let mut keeper = Keeper {
            database,
            folder: folder.to_owned(),
            view: view.clone(),
            log,
            revision,
            applied: Position(applied),
            bytes_since_checkpoint: 0,
            behind: None,
            changed: changed.clone(),
            failed: Arc::clone(&failed),
        };
        keeper.replay()?;
        keeper.revision += REVISIONS_SKIPPED;
        let (sender, requests) = mpsc::channel(PENDING_CHANGES_MAX);
        let run = thread::Builder::new().name("documents".to_owned()).spawn(move || keeper.run(requests));
        let thread = run.map_err(|source| LogError::Io {
            action: "start the thread of",
            path: folder.display().to_string(),
            cause: source,
        })?;
        Ok(Self { view, requests: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), changed, failed })
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Document>, DocumentError> {
        let found = self.view.get(key.as_str()).map_err(|error| unavailable(&error))?;
        Ok(found.and_then(|value| document(key.clone(), &value)))
    }

    pub(super) fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<Document>, DocumentError> {
        let from = after.map_or(prefix, Key::as_str).max(prefix);
        let mut page = Vec::new();
        for entry in self.view.range(from.as_bytes()..) {
            let (key, value) = entry.map_err(|error| unavailable(&error))?;
            let Ok(key) = std::str::from_utf8(&key) else { continue };
            if page.len() >= limit || (!key.starts_with(prefix) && !key.starts_with('\0')) {
                break;
            }
            let is_document = !key.starts_with('\0') && after.is_none_or(|after| key > after.as_str());
            page.extend(is_document.then(|| document(Key::new(key), &value)).flatten());
        }
        Ok(page)
    }

    pub(super) async fn compare_and_set(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<Vec<Revision>, DocumentError> {
        check_changes(&changes)?;
        let closed = || DocumentError::Unavailable("the store is closed".to_owned());
        let requests = self.requests.lock().clone().ok_or_else(closed)?;
        let (answer, answered) = oneshot::channel();
        requests.send(Request { changes, durability, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Why documents do not change, if they do not.
    pub(super) fn trouble(&self) -> Option<String> {
        let failed = self.failed.lock().clone();
        failed.map(|reason| format!("documents did not change at the last try: {reason}"))
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Ends the thread, after a checkpoint.
    pub(super) fn close(&self) {
        drop(self.requests.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Keeper {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = vec![first];
            while group.len() < COMMIT_CHANGES_MAX
                && let Ok(next) = requests.try_recv()
            {
                group.push(next);
            }
            self.serve(group);
            if self.bytes_since_checkpoint > CHECKPOINT_BYTES {
                self.checkpoint_or_warn();
            }
        }
        self.checkpoint_or_warn();
    }

    /// Judges each request on top of those before it, commits the durable ones in one frame, applies all, answers.
    fn serve(&mut self, group: Vec<Request>) {
        let mut staged = Staged { revision: self.revision, overlay: Vec::new() };
        let mut accepted = Vec::with_capacity(group.len());
        for request in group {
            match staged.judge(&self.view, &request) {
                Ok(changes) => accepted.push((request, changes)),
                Err(error) => drop(request.answer.send(Err(error))),
            }
        }
        let records: Vec<Record> = accepted
            .iter()
            .filter(|(request, _)| request.durability == Durability::Synced)
            .map(|(_, changes)| stored_record(changes))
            .collect();
        let done = self.make(&records, accepted.iter().flat_map(|(_, made)| made));
        *self.failed.lock() = match &done {
            Done::Made => None,
            Done::NotMade(reason) => Some(reason.clone()),
            Done::Unknown => self.behind.clone(),
        };
        if done == Done::Made {
            self.revision = staged.revision;
            self.changed.send_modify(|count| *count += 1);
        }
        for (request, changes) in accepted {
            let _ = request.answer.send(match &done {
                Done::Made => Ok(changes.iter().map(|change| Revision(change.revision)).collect()),
                Done::NotMade(reason) => Err(DocumentError::Unavailable(reason.clone())),
                Done::Unknown => Err(DocumentError::Unknown),
            });
        }
    }

    fn make<'a>(&mut self, records: &[Record], changes: impl Iterator<Item = &'a StoredChange>) -> Done {
        if let Some(reason) = &self.behind {
            return Done::NotMade(reason.clone());
        }
        if let Err(reason) = self.log_records(records) {
            return Done::NotMade(reason);
        }
        match self.apply(changes) {
            Ok(()) => Done::Made,
            Err(reason) if records.is_empty() => Done::NotMade(reason),
            Err(reason) => {
                tracing::error!(reason, "sled does not take what the meta log has; restart the node");
                self.behind = Some(reason);
                Done::Unknown
            }
        }
    }

    fn log_records(&mut self, records: &[Record]) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        let sorted: Vec<_> = records.iter().map(|record| (SHARD, record)).collect();
        let committed = self.log.commit(&sorted, &Notes::default(), records.len() as u32);
        let (head, _) = committed.map_err(|error| error.to_string())?;
        self.applied = Position(head.next().0.saturating_sub(1));
        self.bytes_since_checkpoint += u64::from(head.frame_bytes);
        Ok(())
    }

    fn apply<'a>(&self, changes: impl Iterator<Item = &'a StoredChange>) -> Result<(), String> {
        let mut batch = sled::Batch::default();
        let mut revision = self.revision;
        for change in changes {
            revision = revision.max(change.revision);
            match &change.value {
                Some(value) => {
                    let stored = [&change.revision.to_le_bytes(), value.as_slice()].concat();
                    batch.insert(change.key.as_bytes(), stored);
                }
                None => batch.remove(change.key.as_bytes()),
            }
        }
        batch.insert(APPLIED, &self.applied.0.to_le_bytes());
        batch.insert(REVISION, &revision.to_le_bytes());
        self.view.apply_batch(batch).map_err(|error| error.to_string())
    }

    /// Brings sled up to the meta log. A log that begins behind what sled has seen cannot.
    fn replay(&mut self) -> Result<(), LogError> {
        let mut from = Bound::after(self.applied);
        let first = self.log.first_kept();
        if first > Position(self.applied.0 + 1) {
            let what = format!(
                "sled in {} is older than the meta log reaches: it has position {}, and the log begins at {}",
                self.folder.display(),
                self.applied.0,
                first.0
            );
            return Err(self.log.unavailable(&what));
        }
        let end = self.log.view.read().state.next;
        if self.applied >= end {
            let what = format!(
                "the meta log ends at position {}, and sled in {} has seen {}: segments of the log are missing",
                end.0.saturating_sub(1),
                self.folder.display(),
                self.applied.0
            );
            return Err(self.log.unavailable(&what));
        }
        loop {
            let batch = self.log.read(SHARD, from, REPLAY_LIMITS, super::read::Source::Disk)?;
            let Some(batch) = batch.filter(|batch| !batch.records.is_empty() || !batch.is_at_tip()) else {
                return Ok(());
            };
            from = batch.next;
            for record in batch.records {
                let unreadable = |_| self.log.unavailable("a document's change in the meta log cannot be read");
                let changes: Vec<StoredChange> = minicbor::decode(&record.data).map_err(unreadable)?;
                self.applied = record.position;
                self.apply(changes.iter()).map_err(|reason| self.log.unavailable(&reason))?;
                self.revision = changes.iter().fold(self.revision, |highest, change| highest.max(change.revision));
            }
        }
    }

    fn checkpoint_or_warn(&mut self) {
        match self.checkpoint() {
            Ok(()) => self.bytes_since_checkpoint = 0,
            Err(error) => {
                tracing::warn!(%error, "the documents were not brought to a checkpoint; the meta log keeps them");
            }
        }
    }

    /// Brings sled's files to the disk; then the meta log need not keep what they hold.
    fn checkpoint(&self) -> Result<(), LogError> {
        self.database.flush().map_err(|error| self.log.unavailable(&error.to_string()))?;
        sync_tree(&self.folder)?;
        self.log.trim(Position(self.applied.0 + 1))
    }
}

/// What became of a group of changes.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Made,
    NotMade(String),
    /// They are in the log and not in sled: the next start makes them.
    Unknown,
}

/// Changes that are accepted but not yet applied.
struct Staged {
    revision: u64,
    overlay: Vec<(String, Option<Revision>)>,
}

impl Staged {
    fn judge(&mut self, view: &sled::Tree, request: &Request) -> Result<Vec<StoredChange>, DocumentError> {
        for change in &request.changes {
            check_expected(change, self.found(view, &change.key)?)?;
        }
        Ok(request.changes.iter().map(|change| self.accept(change)).collect())
    }

    fn found(&self, view: &sled::Tree, key: &Key) -> Result<Option<Revision>, DocumentError> {
        if let Some((_, revision)) = self.overlay.iter().rev().find(|(staged, _)| staged == key.as_str()) {
            return Ok(*revision);
        }
        let found = view.get(key.as_str()).map_err(|error| unavailable(&error))?;
        Ok(found.and_then(|value| document(key.clone(), &value)).map(|document| document.revision))
    }

    fn accept(&mut self, change: &Change) -> StoredChange {
        self.revision += 1;
        let key = change.key.as_str().to_owned();
        let value = change.value.as_ref().map(|value| value.to_vec());
        self.overlay.push((key.clone(), value.is_some().then_some(Revision(self.revision))));
        StoredChange { key, revision: self.revision, value }
    }
}

fn stored_record(changes: &[StoredChange]) -> Record {
    let data = minicbor::to_vec(changes).map(Bytes::from).unwrap_or_default();
    Record { partition_key: PartitionKey::stored(ByteString::new()), explicit_hash: None, data }
}

fn document(key: Key, stored: &[u8]) -> Option<Document> {
    let (revision, value) = stored.split_first_chunk::<8>()?;
    let revision = Revision(u64::from_le_bytes(*revision));
    Some(Document { key, revision, value: Bytes::copy_from_slice(value) })
}

fn number(view: &sled::Tree, key: &[u8]) -> sled::Result<u64> {
    let stored = view.get(key)?;
    Ok(stored.and_then(|value| value.as_ref().try_into().ok().map(u64::from_le_bytes)).unwrap_or(0))
}

fn unavailable(error: &sled::Error) -> DocumentError {
    DocumentError::Unavailable(error.to_string())
}

/// Syncs every file below a folder, and the folders.
fn sync_tree(folder: &Path) -> Result<(), LogError> {
    for name in file::names(folder)? {
        let path = folder.join(name);
        if path.is_dir() {
            sync_tree(&path)?;
        } else if path.exists() {
            file::sync_all(&file::open_to_read(&path)?, &path)?;
        }
    }
    file::sync_folder(folder)
}
