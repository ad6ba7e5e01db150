//! Documents: durable in the `meta` log, looked up in sled, the large ones in files of their own.
//!
//! sled's own flush does not reach the platter, so a document that must be durable is a frame of the meta log first, and
//! then goes to sled together with the position that was applied. At a checkpoint sled's files are synced and the log is
//! trimmed; at the start, and after sled has failed, what lies above the applied position is replayed. One thread makes
//! all changes, in order.

mod blobs;
mod catch_up;
mod change;
mod fsck;
mod keeper;
mod reserve;
mod rewrite;
mod staged;
mod view;

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub(super) use self::fsck::{Blob, Copied, DocumentFound};
pub(super) use self::reserve::Reserve;
pub(super) use self::rewrite::rewrite_if_remembered;
pub(super) use self::view::View;

use self::blobs::Blobs;
use self::change::{BlobId, Content};
use self::keeper::{Keeper, Parts, Request};
use self::view::ViewError;
use super::file::Files;
use super::log::Log;
use super::{META, PERMIT_BYTES, blocking};
use crate::engine::{Change, Document, DocumentError, Durability, Key, LogError, Revision, check_changes};
use crate::limits::{PENDING_CHANGE_BYTES_MAX, PENDING_CHANGES_MAX, PENDING_WAIT};
use crate::shard::ShardIndex;

/// The meta log has one shard.
const SHARD: ShardIndex = ShardIndex(0);
/// How often a document is looked up again whose blob went while it was read.
const LOOK_UPS_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Documents {
    view: Arc<View>,
    blobs: Arc<Blobs>,
    pub(super) reserve: Arc<Reserve>,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    pub(super) room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    changed: watch::Sender<u64>,
    /// Why the last change failed, until one succeeds.
    failed: Arc<Mutex<Option<String>>>,
}

impl Documents {
    /// Brings sled up to the meta log, and starts the thread. Blobs lie in `folder/blobs`.
    pub(super) fn open(
        view: View,
        folder: &Path,
        log: Arc<Log>,
        reserve: Arc<Reserve>,
        checkpoint_bytes: u64,
    ) -> Result<Self, LogError> {
        let view = Arc::new(view);
        let shared = Arc::clone(&log.shared);
        let blobs = Arc::new(Blobs::open(folder.join("blobs"), Arc::clone(&shared))?);
        let (changed, failed) = (watch::Sender::new(0), Arc::default());
        let parts = Parts { view: Arc::clone(&view), blobs: Arc::clone(&blobs), reserve: Arc::clone(&reserve), log };
        let keeper = Keeper::new(parts, checkpoint_bytes, changed.clone(), Arc::clone(&failed))?;
        for (log, number) in view.newest().map_err(|error| keeper.unavailable(&error))? {
            shared.newest.remember(log, number);
        }
        let (sender, requests) = mpsc::channel(PENDING_CHANGES_MAX);
        let run = thread::Builder::new().name("documents".to_owned()).spawn(move || keeper.run(requests));
        let thread = run.map_err(|source| LogError::Io {
            action: "start the thread of",
            path: folder.display().to_string(),
            cause: source,
        })?;
        let (requests, thread) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        let room = Arc::new(Semaphore::new(PENDING_CHANGE_BYTES_MAX / PERMIT_BYTES));
        Ok(Self { view, blobs, reserve, requests, room, thread, changed, failed })
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Document>, DocumentError> {
        for _ in 0..LOOK_UPS_MAX {
            let Some((revision, content)) = self.view.get(key.as_str()).map_err(|error| view_failed(&error))? else {
                return Ok(None);
            };
            if let Some(value) = self.value(content).await? {
                return Ok(Some(Document { key: key.clone(), revision, value }));
            }
        }
        Err(DocumentError::Unavailable(format!("the file of the large document {key:?} is missing")))
    }

    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Document>, DocumentError> {
        let mut page = Vec::new();
        for (key, (revision, content)) in self.view.list(prefix, after, limit).map_err(|error| view_failed(&error))? {
            match content {
                Content::Inline(value) => page.push(Document { key, revision, value: value.into() }),
                Content::Blob(_) => page.extend(self.get(&key).await?),
            }
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
        let bytes: usize = changes.iter().map(|change| change.value.as_ref().map_or(0, Bytes::len)).sum();
        let permits = bytes.div_ceil(PERMIT_BYTES).clamp(1, PENDING_CHANGE_BYTES_MAX / PERMIT_BYTES);
        let room = tokio::time::timeout(PENDING_WAIT, Arc::clone(&self.room).acquire_many_owned(permits as u32)).await;
        let overloaded = |_| DocumentError::Unavailable("too many changes of documents are waiting".to_owned());
        let room = room.map_err(overloaded)?.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        requests.send(Request { changes, durability, answer, room }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Why documents do not change, if they do not.
    pub(super) fn trouble(&self) -> Option<String> {
        let failed = self.failed.lock().clone();
        let failed = failed.map(|reason| format!("documents did not change at the last try: {reason}"));
        failed.or_else(|| self.reserve.trouble())
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Hands what sled has in memory to the system.
    #[cfg(test)]
    pub(super) fn flush(&self) -> Result<(), DocumentError> {
        self.view.flush().map_err(|error| view_failed(&error))
    }

    /// Ends the thread, after a checkpoint.
    pub(super) fn close(&self) {
        drop(self.requests.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    /// `None` when its blob went meanwhile: the document was changed.
    async fn value(&self, content: Content) -> Result<Option<Bytes>, DocumentError> {
        match content {
            Content::Inline(value) => Ok(Some(value.into())),
            Content::Blob(blob) => self.blob(blob).await,
        }
    }

    async fn blob(&self, blob: BlobId) -> Result<Option<Bytes>, DocumentError> {
        let blobs = Arc::clone(&self.blobs);
        let read = blocking(META, move || blobs.get(&blob)).await.map_err(|error| log_failed(&error))?;
        Ok(read.map(Bytes::from))
    }
}

/// Why a change was not made, for all whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    reason: String,
    is_full: bool,
}

impl Trouble {
    fn error(&self) -> DocumentError {
        let reason = self.reason.clone();
        if self.is_full { DocumentError::Full(reason) } else { DocumentError::Unavailable(reason) }
    }
}

impl From<&LogError> for Trouble {
    fn from(error: &LogError) -> Self {
        Self { reason: error.to_string(), is_full: error.is_full() }
    }
}

impl From<&ViewError> for Trouble {
    fn from(error: &ViewError) -> Self {
        Self { reason: error.to_string(), is_full: error.is_full }
    }
}

fn log_failed(error: &LogError) -> DocumentError {
    Trouble::from(error).error()
}

fn view_failed(error: &ViewError) -> DocumentError {
    Trouble::from(error).error()
}

/// Syncs every file below a folder, and the folders.
fn sync_tree(folder: &Path, files: &Files) -> Result<(), LogError> {
    for name in files.names(folder)? {
        let path = folder.join(name);
        if path.is_dir() {
            sync_tree(&path, files)?;
        } else if path.exists() {
            files.open_to_read(&path)?.sync_all()?;
        }
    }
    files.sync_folder(folder)
}
