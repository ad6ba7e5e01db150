//! The thread that makes all changes of documents, one group after another.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::blobs::Blobs;
use super::change::{Content, StoredChange};
use super::reserve::Reserve;
use super::rewrite;
use super::staged::{Staged, needs_no_space};
use super::view::{Standing, View, ViewError, newest_change, reserve_change};
use super::{SHARD, Trouble};
use crate::engine::embedded::META;
use crate::engine::embedded::frame::{Body, Notes};
use crate::engine::embedded::log::{Log, Shared};
use crate::engine::{Change, DocumentError, Durability, LogError, LogId, Position, Revision};
use crate::limits::{BLOB_SWEEP_BYTES, COMMIT_CHANGES_MAX, LAZY_BYTES_MAX};
use crate::record::{PartitionKey, Record};

/// Revisions of lazy changes that are reserved at once. A crash may take the changes back; their revisions are never
/// given again.
const REVISIONS_RESERVED: u64 = 1 << 20;

/// Changes that somebody asks for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) changes: Vec<Change>,
    pub(super) durability: Durability,
    pub(super) answer: oneshot::Sender<Result<Vec<Revision>, DocumentError>>,
    /// Room among the bytes that wait, given back when this is answered.
    pub(super) room: OwnedSemaphorePermit,
}

/// What documents are kept in.
pub(super) struct Parts {
    pub(super) view: Arc<View>,
    pub(super) blobs: Arc<Blobs>,
    pub(super) reserve: Arc<Reserve>,
    pub(super) log: Arc<Log>,
}

pub(super) struct Keeper {
    pub(super) view: Arc<View>,
    blobs: Arc<Blobs>,
    pub(super) reserve: Arc<Reserve>,
    pub(super) log: Arc<Log>,
    pub(super) shared: Arc<Shared>,
    pub(super) standing: Standing,
    /// The last revision that was given; at most the one that is reserved.
    revision: u64,
    checkpoint_bytes: u64,
    bytes_since_checkpoint: u64,
    blob_bytes_since_checkpoint: u64,
    /// Changes that sled has and may not have handed to the system, by key: it forgets them when it is opened anew.
    pub(super) lazy: HashMap<String, StoredChange>,
    lazy_bytes: usize,
    /// Newest segments that sled does not remember yet.
    news: HashMap<LogId, Option<u32>>,
    /// Why sled does not have what the meta log has: it is opened anew before anything else is changed.
    pub(super) behind: Option<Trouble>,
    /// Why sled's files must be written once more before the next checkpoint: a sync of them has failed.
    pub(super) unsynced: Option<Trouble>,
    changed: watch::Sender<u64>,
    failed: Arc<Mutex<Option<String>>>,
}

impl Keeper {
    /// Brings sled up to the meta log.
    pub(super) fn new(
        parts: Parts,
        checkpoint_bytes: u64,
        changed: watch::Sender<u64>,
        failed: Arc<Mutex<Option<String>>>,
    ) -> Result<Self, LogError> {
        let Parts { view, blobs, reserve, log } = parts;
        let standing = view.standing().map_err(|error| log.unavailable(&error.to_string()))?;
        let mut keeper = Self {
            shared: Arc::clone(&log.shared),
            view,
            blobs,
            reserve,
            log,
            standing,
            revision: 0,
            checkpoint_bytes,
            bytes_since_checkpoint: 0,
            blob_bytes_since_checkpoint: 0,
            lazy: HashMap::new(),
            lazy_bytes: 0,
            news: HashMap::new(),
            behind: None,
            unsynced: None,
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
            if self.needs_checkpoint() {
                self.checkpoint_or_warn();
            }
        }
        self.checkpoint_or_warn();
    }

    fn needs_checkpoint(&self) -> bool {
        self.bytes_since_checkpoint > self.checkpoint_bytes
            || self.lazy_bytes > LAZY_BYTES_MAX
            || self.blob_bytes_since_checkpoint > BLOB_SWEEP_BYTES
            // What was deleted to make room is to make it now.
            || (!self.reserve.is_held() && self.blobs.names().is_ok_and(|blobs| !blobs.is_empty()))
    }

    /// Serves a group. On a full disk what needs no space is served from the reserve, and the rest refused.
    fn serve(&mut self, group: Vec<Request>) {
        if let Err(trouble) = self.catch_up_if_behind() {
            return self.refuse(group, &trouble);
        }
        let is_held = self.reserve.hold();
        let full = self.reserve.trouble().map(|reason| Trouble { reason, is_full: true });
        let group = match full {
            Some(full) if !is_held => self.refuse_growth(group, &full),
            Some(_) | None => group,
        };
        let (accepted, revision) = self.judge(group);
        match self.make(&accepted, revision) {
            Done::NotMade(full) if full.is_full && self.gives_up_reserve(&accepted) => {
                let group = accepted.into_iter().map(|(request, _)| request).collect();
                let group = self.refuse_growth(group, &full);
                let (accepted, revision) = self.judge(group);
                let done = self.make(&accepted, revision);
                self.answer(accepted, &done);
            }
            done => self.answer(accepted, &done),
        }
    }

    fn gives_up_reserve(&self, accepted: &[Accepted]) -> bool {
        accepted.iter().any(|(request, _)| needs_no_space(request, &self.view)) && self.reserve.give_up()
    }

    /// Refuses what needs space, and returns the others.
    fn refuse_growth(&self, group: Vec<Request>, full: &Trouble) -> Vec<Request> {
        let (served, refused) = group.into_iter().partition(|request| needs_no_space(request, &self.view));
        self.refuse(refused, full);
        served
    }

    fn refuse(&self, group: Vec<Request>, trouble: &Trouble) {
        if !group.is_empty() {
            *self.failed.lock() = Some(trouble.reason.clone());
        }
        for request in group {
            let _ = request.answer.send(Err(trouble.error()));
        }
    }

    /// Judges each request on top of those before it, and answers those that are refused.
    fn judge(&self, group: Vec<Request>) -> (Vec<Accepted>, u64) {
        let mut staged = Staged::new(self.revision);
        let mut accepted = Vec::with_capacity(group.len());
        for request in group {
            match staged.judge(&self.view, &self.blobs, &request) {
                Ok(changes) => accepted.push((request, changes)),
                Err(error) => drop(request.answer.send(Err(error))),
            }
        }
        (accepted, staged.revision)
    }

    fn answer(&mut self, accepted: Vec<Accepted>, done: &Done) {
        if accepted.is_empty() {
            return;
        }
        *self.failed.lock() = match done {
            Done::Made => None,
            Done::NotMade(trouble) | Done::Unknown(trouble) => Some(trouble.reason.clone()),
        };
        if *done == Done::Made {
            self.changed.send_modify(|count| *count += 1);
        }
        for (request, changes) in accepted {
            drop(request.room);
            let _ = request.answer.send(match done {
                Done::Made => Ok(changes.iter().map(|change| Revision(change.revision)).collect()),
                Done::NotMade(trouble) => Err(trouble.error()),
                Done::Unknown(_) => Err(DocumentError::Unknown),
            });
        }
    }

    /// Commits the durable changes in one frame, and applies all.
    fn make(&mut self, accepted: &[Accepted], revision: u64) -> Done {
        let is_synced = |request: &Request| request.durability == Durability::Synced;
        let synced = accepted.iter().filter(|(request, _)| is_synced(request)).map(|(_, changes)| changes);
        let mut records: Vec<Record> = synced.map(|changes| stored_record(changes)).collect();
        let is_lazy = accepted.iter().any(|(request, _)| !is_synced(request));
        let reserved = self.reserved(revision, is_lazy);
        if is_lazy && reserved > self.standing.reserved {
            records.push(stored_record(&[reserve_change(reserved)]));
        }
        let news = self.news();
        if !records.is_empty() && !news.is_empty() {
            records.push(stored_record(&news));
        }
        if let Err(error) = self.log_records(&records) {
            // The frame may yet be found by the next start: its revisions are not given to other changes.
            self.revision = revision;
            return Done::NotMade(Trouble::from(&error));
        }
        self.revision = revision;
        self.standing.reserved = reserved;
        let contents = accepted.iter().flat_map(|(_, changes)| changes).filter_map(|change| change.content.as_ref());
        self.blob_bytes_since_checkpoint += contents.map(Content::blob_bytes).sum::<u64>();
        for (request, changes) in accepted {
            self.keep_if_lazy(request.durability, changes);
        }
        let changes = accepted.iter().flat_map(|(_, changes)| changes).chain(&news);
        match self.view.apply(changes, self.standing) {
            Ok(()) => {
                self.news.clear();
                Done::Made
            }
            Err(error) => {
                self.behind = Some(Trouble::from(&error));
                self.catch_up_if_behind().map_or_else(Done::Unknown, |()| Done::Made)
            }
        }
    }

    /// The revision up to which none may be given again after a crash: those of synced changes stand in the meta log
    /// themselves, those of lazy ones are reserved there in advance.
    fn reserved(&self, revision: u64, is_lazy: bool) -> u64 {
        let reserved = self.standing.reserved.max(revision);
        if is_lazy && revision > self.standing.reserved { revision + REVISIONS_RESERVED } else { reserved }
    }

    fn log_records(&mut self, records: &[Record]) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let sorted: Vec<_> = records.iter().map(|record| (SHARD, record)).collect();
        let body = Body::encode(&sorted, Vec::new());
        let (head, _) = self.log.commit(vec![body], &Notes::default(), records.len() as u32)?;
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

    pub(super) fn unavailable(&self, error: &ViewError) -> LogError {
        self.log.unavailable(&error.to_string())
    }

    fn checkpoint_or_warn(&mut self) {
        if self.behind.is_some() {
            return;
        }
        match self.checkpoint() {
            Ok(()) => self.shared.counters.checkpoints.inc(),
            Err(error) => {
                // It is tried again when as much was written once more.
                self.bytes_since_checkpoint = 0;
                self.blob_bytes_since_checkpoint = 0;
                tracing::warn!(%error, "the documents were not brought to a checkpoint; the meta log keeps them");
            }
        }
    }

    /// Brings sled's files to the disk; then the meta log need not keep what they hold, nor the blobs what nothing
    /// refers to.
    fn checkpoint(&mut self) -> Result<(), LogError> {
        self.write_once_more_if_unsynced()?;
        let news = self.news();
        let noted = self.view.apply(news.iter(), self.standing).map(|()| self.news.clear());
        if let Err(error) = noted.and_then(|()| self.view.flush()) {
            self.behind = Some(Trouble::from(&error));
            return Err(self.unavailable(&error));
        }
        self.lazy.clear();
        self.lazy_bytes = 0;
        let (sled, files) = (self.view.folder(), &self.shared.files);
        // Someone may have removed the file that sled writes: then nothing of it is on the disk.
        if let Err(error) = files.open_to_read(&sled.join("db")) {
            self.behind = Some(Trouble::from(&error));
            return Err(error);
        }
        if let Err(error) = super::sync_tree(sled, files) {
            // No later sync would tell.
            self.unsynced = Some(Trouble::from(&error));
            rewrite::remember(sled, files)?;
            return Err(error);
        }
        self.blob_bytes_since_checkpoint = 0;
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

/// A request and its changes.
type Accepted = (Request, Vec<StoredChange>);

/// What became of a group of changes.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Made,
    NotMade(Trouble),
    /// They are in the log, or in memory, and not in sled: they are made when sled is opened anew.
    Unknown(Trouble),
}

fn stored_record(changes: &[StoredChange]) -> Record {
    let data = minicbor::to_vec(changes).map(Bytes::from).unwrap_or_default();
    Record { partition_key: PartitionKey::stored(ByteString::new()), explicit_hash: None, data }
}
