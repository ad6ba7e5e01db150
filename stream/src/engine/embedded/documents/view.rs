//! sled, in which documents are looked up. What it holds the meta log holds too, as far as it must be durable: so sled can
//! be closed and opened again at any time, which is the only way to make it forget an error.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use parking_lot::RwLock;

use super::change::{Content, StoredChange};
use crate::engine::embedded::disk::FOLDER_MODE;
use crate::engine::embedded::parse_log_id;
use crate::engine::{Key, LogId, Position, Revision};
use crate::limits::{DOCUMENT_CACHE_BYTES, LIST_BYTES_MAX, REOPEN_PAUSE, REOPEN_TRIES_MAX, SLED_CLOSE_WAIT_MAX};

/// Names that no document has: they hold what sled must know beside the documents.
const APPLIED: &[u8] = b"\0applied";
const REVISION: &[u8] = b"\0revision";
/// A change of it stands in the meta log for revisions that are reserved.
const RESERVED: &str = "\0reserved";
/// The number of a log's newest segment.
const NEWEST: &str = "\0newest/";

#[derive(Debug)]
pub(in crate::engine::embedded) struct View {
    folder: PathBuf,
    open: RwLock<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    database: sled::Db,
    tree: sled::Tree,
}

/// Why sled did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("sled in {}: {reason}", folder.display())]
pub(in crate::engine::embedded) struct ViewError {
    folder: PathBuf,
    pub(super) reason: String,
    pub(super) is_full: bool,
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// A document's revision and content.
pub(super) type Found = (Revision, Content);

/// Where sled stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The last position of the meta log that it has seen.
    pub(super) applied: Position,
    /// The highest revision that may have been given.
    pub(super) reserved: u64,
}

impl View {
    pub(in crate::engine::embedded) fn open(folder: &Path) -> Result<Self, ViewError> {
        let view = Self { folder: folder.to_owned(), open: RwLock::new(None) };
        view.reopen()?;
        Ok(view)
    }

    /// Lets sled go, with whatever error it has. Until it is opened again there are no documents.
    pub(super) fn close(&self) -> Result<(), ViewError> {
        let Some(open) = self.open.write().take() else { return Ok(()) };
        // After some failures sled waits for itself: then it is left to a thread of its own, and the lock with it.
        let (done, is_done) = crossbeam_channel::bounded(1);
        let let_go = thread::Builder::new().name("sled-close".to_owned()).spawn(move || {
            drop(open);
            let _ = done.send(());
        });
        let_go.map_err(|error| self.broken(&error.to_string()))?;
        is_done.recv_timeout(SLED_CLOSE_WAIT_MAX).map_err(|_| self.broken("it does not close; restart the node"))
    }

    /// Opens sled, which is closed.
    pub(super) fn reopen(&self) -> Result<(), ViewError> {
        self.wait_for_writers();
        let mut open = self.open.write();
        // sled makes its files for everybody to read, so they lie in a folder of ours.
        let made = fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder);
        made.map_err(|error| self.failed(&error.into()))?;
        let config = sled::Config::new().path(&self.folder).cache_capacity(DOCUMENT_CACHE_BYTES);
        let database = config.flush_every_ms(Some(500)).open().map_err(|error| self.failed(&error))?;
        let tree = database.open_tree("documents").map_err(|error| self.failed(&error))?;
        *open = Some(Open { database, tree });
        Ok(())
    }

    /// The writing threads of a sled that was open before may have its file, and the lock on it, a moment longer than it
    /// lives.
    fn wait_for_writers(&self) {
        let is_free = || fs::File::open(self.folder.join("db")).map_or(true, |file| file.try_lock().is_ok());
        for _ in 0..REOPEN_TRIES_MAX {
            if is_free() {
                return;
            }
            thread::sleep(REOPEN_PAUSE);
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn standing(&self) -> Result<Standing, ViewError> {
        self.with(|open| {
            let number = |key| -> sled::Result<u64> {
                let stored = open.tree.get(key)?;
                Ok(stored.and_then(|value| value.as_ref().try_into().ok().map(u64::from_le_bytes)).unwrap_or(0))
            };
            Ok(Standing { applied: Position(number(APPLIED)?), reserved: number(REVISION)? })
        })
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Found>, ViewError> {
        let stored = self.with(|open| open.tree.get(key))?;
        stored.map(|stored| self.decode(&stored)).transpose()
    }

    /// Documents by name: those that begin with `prefix` and sort behind `after`, at most `limit` and, but for the first,
    /// [`LIST_BYTES_MAX`].
    pub(super) fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Found)>, ViewError> {
        let from = after.map_or(prefix, Key::as_str).max(prefix).to_owned();
        let (mut page, mut bytes) = (Vec::new(), 0);
        for entry in self.entries(from.as_bytes(), limit.saturating_add(1))? {
            let (key, stored) = entry;
            let Ok(key) = std::str::from_utf8(&key) else { continue };
            let found = self.decode(&stored)?;
            bytes += match &found.1 {
                Content::Inline(value) => value.len(),
                Content::Blob(blob) => usize::try_from(blob.len).unwrap_or(usize::MAX),
            };
            let is_full = page.len() >= limit || (bytes > LIST_BYTES_MAX && !page.is_empty());
            if is_full || !key.starts_with(prefix) {
                break;
            }
            if after.is_none_or(|after| key > after.as_str()) {
                page.push((Key::new(key), found));
            }
        }
        Ok(page)
    }

    /// The sha256 of all blobs that documents refer to.
    pub(super) fn blobs(&self) -> Result<HashSet<[u8; 32]>, ViewError> {
        let blob = |stored: &sled::IVec| match Content::decode(stored) {
            Some((_, Content::Blob(blob))) => Some(blob.sha256),
            Some((_, Content::Inline(_))) | None => None,
        };
        self.with(|open| {
            let entries = open.tree.range(behind_own_keys()..);
            entries.filter_map(|entry| entry.map(|(_, stored)| blob(&stored)).transpose()).collect()
        })
    }

    /// The number of each log's newest segment.
    pub(in crate::engine::embedded) fn newest(&self) -> Result<Vec<(LogId, u32)>, ViewError> {
        let entries = self.with(|open| open.tree.scan_prefix(NEWEST).collect::<Result<Vec<_>, _>>())?;
        let newest = |(key, value): &(sled::IVec, sled::IVec)| {
            let name = std::str::from_utf8(key).ok()?.strip_prefix(NEWEST)?;
            let (_, Content::Inline(number)) = Content::decode(value)? else { return None };
            Some((parse_log_id(name)?, u32::from_le_bytes(number.try_into().ok()?)))
        };
        Ok(entries.iter().filter_map(newest).collect())
    }

    /// Makes all these changes at once, together with where sled stands then.
    pub(super) fn apply<'a>(
        &self,
        changes: impl Iterator<Item = &'a StoredChange>,
        standing: Standing,
    ) -> Result<(), ViewError> {
        let mut batch = sled::Batch::default();
        for change in changes {
            match &change.content {
                Some(content) => batch.insert(change.key.as_bytes(), content.encode(change.revision)),
                None => batch.remove(change.key.as_bytes()),
            }
        }
        batch.insert(APPLIED, &standing.applied.0.to_le_bytes());
        batch.insert(REVISION, &standing.reserved.to_le_bytes());
        self.with(|open| open.tree.apply_batch(batch))
    }

    /// Hands everything to the system.
    pub(super) fn flush(&self) -> Result<(), ViewError> {
        self.with(|open| open.database.flush().map(drop))
    }

    pub(super) fn entries(&self, from: &[u8], limit: usize) -> Result<Vec<(sled::IVec, sled::IVec)>, ViewError> {
        let from = from.max(behind_own_keys());
        self.with(|open| open.tree.range(from..).take(limit).collect())
    }

    fn with<T>(&self, work: impl FnOnce(&Open) -> sled::Result<T>) -> Result<T, ViewError> {
        let open = self.open.read();
        let closed = || self.broken("it could not be opened again");
        work(open.as_ref().ok_or_else(closed)?).map_err(|error| self.failed(&error))
    }

    fn decode(&self, stored: &[u8]) -> Result<Found, ViewError> {
        Content::decode(stored).ok_or_else(|| self.broken("a document cannot be read"))
    }

    fn failed(&self, error: &sled::Error) -> ViewError {
        let is_full = matches!(error, sled::Error::Io(cause) if cause.kind() == io::ErrorKind::StorageFull);
        ViewError { folder: self.folder.clone(), reason: error.to_string(), is_full }
    }

    fn broken(&self, reason: &str) -> ViewError {
        ViewError { folder: self.folder.clone(), reason: reason.to_owned(), is_full: false }
    }
}

/// The change that remembers a log's newest segment, or forgets the log.
pub(super) fn newest_change(log: LogId, number: Option<u32>) -> StoredChange {
    let content = number.map(|number| Content::Inline(number.to_le_bytes().to_vec()));
    StoredChange { key: format!("{NEWEST}{log}"), revision: 0, content }
}

/// The change that reserves all revisions up to this one.
pub(super) fn reserve_change(revision: u64) -> StoredChange {
    StoredChange { key: RESERVED.to_owned(), revision, content: None }
}

/// Documents sort behind sled's own keys.
fn behind_own_keys() -> &'static [u8] {
    b"\x01"
}
