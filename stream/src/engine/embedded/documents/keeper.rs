//! The thread that makes all changes of documents, one group after another.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::blobs::Blobs;
use super::change::{Content, StoredChange};
use super::view::{Standing, View, ViewError, newest_change, reserve_change};
use super::{SHARD, unavailable};
use crate::engine::embedded::META;
use crate::engine::embedded::frame::{Body, Notes};
use crate::engine::embedded::log::{Log, Shared};
use crate::engine::embedded::read::Source;
use crate::engine::{
    Bound, Change, DocumentError, Durability, Key, LogError, LogId, Position, ReadLimits, Revision, check_expected,
};
use crate::limits::{BLOB_BYTES_MIN, COMMIT_CHANGES_MAX, LAZY_BYTES_MAX, REOPEN_FREE_BYTES};
use crate::record::{PartitionKey, Record};

/// Revisions of lazy changes that are reserved at once. A crash may take the changes back; their revisions are never
/// given again.
const REVISIONS_RESERVED: u64 = 1 << 20;
/// Records of the meta log that are replayed at once.
const REPLAY_LIMITS: ReadLimits = ReadLimits { records_max: 1000, bytes_max: 16 << 20 };

/// Changes that somebody asks for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) changes: Vec<Change>,
    pub(super) durability: Durability,
    pub(super) answer: oneshot::Sender<Result<Vec<Revision>, DocumentError>>,
    /// Room among the bytes that wait, given back when this is answered.
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) struct Keeper {
    view: Arc<View>,
    blobs: Arc<Blobs>,
    log: Arc<Log>,
    shared: Arc<Shared>,
    standing: Standing,
    /// The last revision that was given; at most the one that is reserved.
    revision: u64,
    checkpoint_bytes: u64,
    bytes_since_checkpoint: u64,
    /// Changes that sled has and may not have handed to the system, by key: it forgets them when it is opened anew.
    lazy: HashMap<String, StoredChange>,
    lazy_bytes: usize,
    /// Newest segments that sled does not remember yet.
    news: HashMap<LogId, Option<u32>>,
    /// Why sled does not have what the meta log has: it is opened anew before anything else is changed.
    behind: Option<String>,
    changed: watch::Sender<u64>,
    failed: Arc<Mutex<Option<String>>>,
}

impl Keeper {
    /// Brings sled up to the meta log.
    pub(super) fn new(
        view: Arc<View>,
        blobs: Arc<Blobs>,
        log: Arc<Log>,
        checkpoint_bytes: u64,
        changed: watch::Sender<u64>,
        failed: Arc<Mutex<Option<String>>>,
    ) -> Result<Self, LogError> {
        let standing = view.standing().map_err(|error| log.unavailable(&error.to_string()))?;
        let mut keeper = Self {
            shared: Arc::clone(&log.shared),
            view,
            blobs,
            log,
            standing,
            revision: 0,
            checkpoint_bytes,
            bytes_since_checkpoint: 0,
            lazy: HashMap::new(),
            lazy_bytes: 0,
            news: HashMap::new(),
            behind: None,
            changed,
            failed,
        };
        keeper.check_reach()?;
        keeper.replay()?;
        keeper.revision = keeper.standing.reserved;
        Ok(keeper)
    }

    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = vec![first];
            while group.len() < COMMIT_CHANGES_MAX
                && let Ok(next) = requests.try_recv()
            {
                group.push(next);
            }
            self.serve(group);
            if self.bytes_since_checkpoint > self.checkpoint_bytes || self.lazy_bytes > LAZY_BYTES_MAX {
                self.checkpoint_or_warn();
            }
        }
        self.checkpoint_or_warn();
    }

    /// Judges each request on top of those before it, commits the durable ones in one frame, applies all, answers.
    fn serve(&mut self, group: Vec<Request>) {
        if let Err(reason) = self.catch_up_if_behind() {
            *self.failed.lock() = Some(reason.clone());
            for request in group {
                let _ = request.answer.send(Err(DocumentError::Unavailable(reason.clone())));
            }
            return;
        }
        let mut staged = Staged { revision: self.revision, overlay: Vec::new() };
        let mut accepted = Vec::with_capacity(group.len());
        for request in group {
            match staged.judge(&self.view, &self.blobs, &request) {
                Ok(changes) => accepted.push((request, changes)),
                Err(error) => drop(request.answer.send(Err(error))),
            }
        }
        let done = self.make(&accepted, staged.revision);
        *self.failed.lock() = match &done {
            Done::Made => None,
            Done::NotMade(reason) => Some(reason.clone()),
            Done::Unknown => self.behind.clone(),
        };
        if done == Done::Made {
            self.changed.send_modify(|count| *count += 1);
        }
        for (request, changes) in accepted {
            drop(request.room);
            let _ = request.answer.send(match &done {
                Done::Made => Ok(changes.iter().map(|change| Revision(change.revision)).collect()),
                Done::NotMade(reason) => Err(DocumentError::Unavailable(reason.clone())),
                Done::Unknown => Err(DocumentError::Unknown),
            });
        }
    }

    fn make(&mut self, accepted: &[(Request, Vec<StoredChange>)], revision: u64) -> Done {
        let is_synced = |request: &Request| request.durability == Durability::Synced;
        let synced = accepted.iter().filter(|(request, _)| is_synced(request)).map(|(_, changes)| changes);
        let mut records: Vec<Record> = synced.map(|changes| stored_record(changes)).collect();
        let is_lazy = accepted.iter().any(|(request, _)| !is_synced(request));
        let reserved = self.reserved(revision, is_lazy);
        let is_new_reserve = is_lazy && reserved > self.standing.reserved;
        let has_synced = !records.is_empty();
        if is_new_reserve {
            records.push(stored_record(&[reserve_change(reserved)]));
        }
        let news = self.news();
        if !records.is_empty() && !news.is_empty() {
            records.push(stored_record(&news));
        }
        if let Err(reason) = self.log_records(&records) {
            return Done::NotMade(reason);
        }
        self.revision = revision;
        self.standing.reserved = reserved;
        for (request, changes) in accepted {
            self.keep_if_lazy(request.durability, changes);
        }
        let changes = accepted.iter().flat_map(|(_, changes)| changes).chain(&news);
        let applied = match self.view.apply(changes, self.standing) {
            Ok(()) => {
                self.news.clear();
                Ok(())
            }
            Err(error) => {
                self.behind = Some(error.to_string());
                self.catch_up_if_behind()
            }
        };
        match applied {
            Ok(()) => Done::Made,
            Err(reason) if !has_synced => {
                self.forget_lazy(accepted.iter().flat_map(|(_, changes)| changes));
                Done::NotMade(reason)
            }
            Err(_) => Done::Unknown,
        }
    }

    /// The revision up to which none may be given again after a crash: those of synced changes stand in the meta log
    /// themselves, those of lazy ones are reserved there in advance.
    fn reserved(&self, revision: u64, is_lazy: bool) -> u64 {
        let reserved = self.standing.reserved.max(revision);
        if is_lazy && revision > self.standing.reserved { revision + REVISIONS_RESERVED } else { reserved }
    }

    fn log_records(&mut self, records: &[Record]) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        let sorted: Vec<_> = records.iter().map(|record| (SHARD, record)).collect();
        let body = Body::encode(&sorted, Vec::new());
        let committed = self.log.commit(vec![body], &Notes::default(), records.len() as u32);
        let (head, _) = committed.map_err(|error| error.to_string())?;
        self.standing.applied = Position(head.next().0.saturating_sub(1));
        self.bytes_since_checkpoint += u64::from(head.frame_bytes);
        Ok(())
    }

    /// What sled is to remember of the logs' newest segments.
    fn news(&mut self) -> Vec<StoredChange> {
        self.news.extend(self.shared.newest.take_news().into_iter().filter(|(log, _)| *log != META));
        self.news.iter().map(|(log, number)| newest_change(*log, *number)).collect()
    }

    /// Lazy changes are remembered until sled has handed them to the system; a synced one is in the meta log, and ends
    /// what was remembered of its document.
    fn keep_if_lazy(&mut self, durability: Durability, changes: &[StoredChange]) {
        for change in changes {
            match durability {
                Durability::Synced => drop(self.lazy.remove(&change.key)),
                Durability::Lazy => {
                    self.lazy_bytes += change.key.len() + change.content.as_ref().map_or(0, Content::bytes);
                    self.lazy.insert(change.key.clone(), change.clone());
                }
            }
        }
    }

    fn forget_lazy<'a>(&mut self, changes: impl Iterator<Item = &'a StoredChange>) {
        for change in changes {
            self.lazy.remove(&change.key);
        }
    }

    /// Opens sled anew if it failed, and brings it up: from the meta log, and with what was only in its memory.
    fn catch_up_if_behind(&mut self) -> Result<(), String> {
        let Some(reason) = self.behind.clone() else { return Ok(()) };
        self.catch_up().map_err(|error| format!("{reason}; it is not yet opened anew: {error}"))?;
        tracing::warn!(reason, "sled was opened anew after it had failed; nothing is lost");
        self.shared.counters.documents_reopened.inc();
        self.behind = None;
        Ok(())
    }

    fn catch_up(&mut self) -> Result<(), LogError> {
        self.check_space()?;
        self.view.reopen().map_err(|error| self.unavailable(&error))?;
        self.standing = self.view.standing().map_err(|error| self.unavailable(&error))?;
        self.check_reach()?;
        self.replay()?;
        self.restore_lazy().map_err(|error| self.unavailable(&error))
    }

    pub(super) fn unavailable(&self, error: &ViewError) -> LogError {
        self.log.unavailable(&error.to_string())
    }

    fn restore_lazy(&self) -> Result<(), ViewError> {
        let mut missing = Vec::new();
        for change in self.lazy.values() {
            let found = self.view.get(&change.key)?.map_or(0, |(revision, _)| revision.0);
            if found < change.revision {
                missing.push(change);
            }
        }
        self.view.apply(missing.into_iter(), self.standing)
    }

    /// An error while the disk is so full that sled would fail again at once: until then it answers at least reads.
    fn check_space(&self) -> Result<(), LogError> {
        let probe = self.view.folder().with_extension("probe.tmp");
        let allocated = self.shared.files.create(&probe).and_then(|file| file.allocate(REOPEN_FREE_BYTES));
        self.shared.files.remove(&probe)?;
        allocated
    }

    /// An error when sled and the meta log do not meet: one of them was lost, or brought back from an older time.
    fn check_reach(&self) -> Result<(), LogError> {
        let (applied, first) = (self.standing.applied, self.log.first_kept());
        let folder = self.view.folder().display();
        if first > Position(applied.0 + 1) {
            let what = format!(
                "sled in {folder} is older than the meta log reaches: it has position {}, and the log begins at {}",
                applied.0, first.0
            );
            return Err(self.log.unavailable(&what));
        }
        let end = self.log.view.read().state.next;
        if applied >= end {
            let what = format!(
                "the meta log ends at position {}, and sled in {folder} has seen {}: segments of the log are missing",
                end.0.saturating_sub(1),
                applied.0
            );
            return Err(self.log.unavailable(&what));
        }
        Ok(())
    }

    /// Brings sled up to the meta log.
    fn replay(&mut self) -> Result<(), LogError> {
        let mut from = Bound::after(self.standing.applied);
        loop {
            let batch = self.log.read(SHARD, from, REPLAY_LIMITS, Source::Disk)?;
            let Some(batch) = batch.filter(|batch| !batch.records.is_empty() || !batch.is_at_tip()) else {
                return Ok(());
            };
            from = batch.next;
            for record in batch.records {
                let changes = read_record(&record.data)
                    .ok_or_else(|| self.log.unavailable("a document's change in the meta log cannot be read"))?;
                let highest = changes.iter().map(|change| change.revision).max().unwrap_or(0);
                let reserved = self.standing.reserved.max(highest);
                self.standing = Standing { applied: record.position, reserved };
                let applied = self.view.apply(changes.iter(), self.standing);
                applied.map_err(|error| self.unavailable(&error))?;
            }
        }
    }

    fn checkpoint_or_warn(&mut self) {
        if self.behind.is_some() {
            return;
        }
        match self.checkpoint() {
            Ok(()) => self.shared.counters.checkpoints.inc(),
            Err(error) => {
                tracing::warn!(%error, "the documents were not brought to a checkpoint; the meta log keeps them");
            }
        }
    }

    /// Brings sled's files to the disk; then the meta log need not keep what they hold, nor the blobs what nothing
    /// refers to.
    fn checkpoint(&mut self) -> Result<(), LogError> {
        if let Err(error) = self.view.flush() {
            self.behind = Some(error.to_string());
            return Err(self.unavailable(&error));
        }
        self.lazy.clear();
        self.lazy_bytes = 0;
        super::sync_tree(self.view.folder(), &self.shared.files)?;
        self.bytes_since_checkpoint = 0;
        self.log.trim(Position(self.standing.applied.0 + 1))?;
        // A change that failed may yet be found in the log by the next start, and needs its blob then.
        if self.log.is_in_doubt() || self.blobs.names()?.is_empty() {
            return Ok(());
        }
        let kept = self.view.blobs().map_err(|error| self.unavailable(&error))?;
        self.blobs.sweep(&kept)
    }
}

/// What became of a group of changes.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Made,
    NotMade(String),
    /// They are in the log and not in sled: they are made when sled is opened anew.
    Unknown,
}

/// Changes that are accepted but not yet applied.
struct Staged {
    revision: u64,
    overlay: Vec<(String, Option<Revision>)>,
}

impl Staged {
    fn judge(&mut self, view: &View, blobs: &Blobs, request: &Request) -> Result<Vec<StoredChange>, DocumentError> {
        for change in &request.changes {
            check_expected(change, self.found(view, &change.key)?)?;
        }
        let contents = request.changes.iter().map(|change| content(blobs, change.value.as_ref()));
        let contents: Vec<_> = contents.collect::<Result<_, _>>()?;
        Ok(request.changes.iter().zip(contents).map(|(change, content)| self.accept(change, content)).collect())
    }

    fn found(&self, view: &View, key: &Key) -> Result<Option<Revision>, DocumentError> {
        if let Some((_, revision)) = self.overlay.iter().rev().find(|(staged, _)| staged == key.as_str()) {
            return Ok(*revision);
        }
        Ok(view.get(key.as_str()).map_err(unavailable)?.map(|(revision, _)| revision))
    }

    fn accept(&mut self, change: &Change, content: Option<Content>) -> StoredChange {
        self.revision += 1;
        let key = change.key.as_str().to_owned();
        self.overlay.push((key.clone(), content.is_some().then_some(Revision(self.revision))));
        StoredChange { key, revision: self.revision, content }
    }
}

/// A large value goes to a file of its own, before anything refers to it.
fn content(blobs: &Blobs, value: Option<&Bytes>) -> Result<Option<Content>, DocumentError> {
    match value {
        None => Ok(None),
        Some(value) if value.len() < BLOB_BYTES_MIN => Ok(Some(Content::Inline(value.to_vec()))),
        Some(value) => blobs.put(value).map(|blob| Some(Content::Blob(blob))).map_err(unavailable),
    }
}

fn stored_record(changes: &[StoredChange]) -> Record {
    let data = minicbor::to_vec(changes).map(Bytes::from).unwrap_or_default();
    Record { partition_key: PartitionKey::stored(ByteString::new()), explicit_hash: None, data }
}

/// The changes that a record of the meta log holds.
pub(in crate::engine::embedded) fn read_record(data: &[u8]) -> Option<Vec<StoredChange>> {
    minicbor::decode(data).ok()
}
