//! The engine on this machine's disk: the log is the truth, sled is the view that makes it fast.
//!
//! ```text
//! DATA/format      the version of this layout
//!      lock        held by the node
//!      meta/       the log of documents
//!      sled/       the documents, looked up
//!      blobs/      the large ones, each named by its sha256
//!      logs/ID/    a log each: segments of frames
//! ```

mod bytes;
mod closing;
mod cold;
mod commit;
mod counts;
mod damage;
mod disk;
mod documents;
mod file;
mod folder;
mod footers;
mod frame;
pub(crate) mod fsck;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::indexing_slicing, reason = "a judge may fail")]
pub(crate) mod fuzzing;
mod index;
mod log;
mod newest;
mod open;
mod options;
mod quota;
mod read;
mod records;
mod recover;
mod retention;
mod sealing;
mod segment;
mod spare;
mod state;
mod tail;
mod writing;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, oneshot, watch};

pub use self::counts::Counts;
pub use self::folder::{FORMAT, OpenError};
pub use self::options::EmbeddedOptions;

use self::commit::{Committers, Payload, PendingAppend, PendingNote, Work};
use self::counts::Counters;
use self::disk::{Disk, System};
use self::documents::{Documents, Reserve, View};
use self::file::Files;
use self::folder::Folder;
use self::footers::Footers;
use self::frame::Notes;
use self::log::{Log, Shared};
use self::newest::Newest;
use self::open::{open_logs, open_meta, parse_log_id, troubles};
use self::quota::Quota;
use self::read::Source;
use self::state::LogState;
use self::tail::Tail;
use super::{
    Append, AppendError, Appended, Batch, Bound, Capabilities, Change, Document, DocumentError, Durability, Engine,
    Expired, Generation, Health, Key, LogError, LogId, LogSettings, LogStats, Mark, ReadLimits, Resolved, Revision,
    SealError, Sealed, Seek, StreamId, Ticket, Trouble, UnknownTicket,
};
use crate::clock::Clock;
use crate::limits::{BODY_BYTES_MIN, FOOTER_BYTES_MAX, READS_MAX};
use crate::shard::ShardIndex;

/// The log of documents.
const META: LogId = LogId { stream: StreamId(0), part: 0 };
/// A permit stands for this many bytes.
const PERMIT_BYTES: usize = 1024;

/// The engine over one data folder.
#[derive(Debug)]
pub struct Embedded {
    folder: Folder,
    options: EmbeddedOptions,
    shared: Arc<Shared>,
    logs: Arc<RwLock<HashMap<LogId, Slot>>>,
    /// Held while a log's folder is made or removed.
    folders: Arc<Mutex<()>>,
    meta: Arc<Log>,
    documents: Documents,
    committers: Committers,
    room: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

/// A log, or why it could not be opened: the others go on.
#[derive(Debug, Clone)]
enum Slot {
    Open(Arc<Log>),
    Damaged(super::Corruption),
    Unavailable(String),
}

impl Embedded {
    /// Opens a data folder, making it where there is none. Blocks while files are read.
    pub fn open(path: &Path, clock: Clock, options: EmbeddedOptions) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(System), path, clock, options)
    }

    fn open_on(disk: Arc<dyn Disk>, path: &Path, clock: Clock, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            clock,
            files: Files::new(disk, options.open_files_max),
            tail: Tail::new(options.tail_bytes_max),
            footers: Footers::new(FOOTER_BYTES_MAX),
            newest: Newest::default(),
            counters: Counters::default(),
            segment_bytes: options.segment_bytes,
            quota: Arc::new(Quota::new(options.quota_bytes.unwrap_or(u64::MAX))),
            keys: options.keys.clone(),
        });
        let folder = Folder::take(path, &shared.files)?;
        let (meta_folder, logs_folder) = (folder.path.join("meta"), folder.path.join("logs"));
        shared.files.create_folder(&logs_folder)?;
        let reserve = Reserve::open(folder.path.clone(), options.reserve_bytes, Arc::clone(&shared));
        let meta = Arc::new(open_meta(&meta_folder, &shared)?);
        documents::rewrite_if_remembered(&folder.path.join("sled"), &shared.files)?;
        let view = View::open(&folder.path.join("sled")).map_err(|error| meta.unavailable(&error.to_string()))?;
        let documents =
            Documents::open(view, &folder.path, Arc::clone(&meta), Arc::new(reserve), options.checkpoint_bytes)?;
        shared.files.sync_folder(&folder.path)?;
        let logs = open_logs(&logs_folder, &shared)?;
        let started =
            |source| LogError::Io { action: "start the threads of", path: path.display().to_string(), cause: source };
        let permits = options.pending_bytes_max.div_ceil(PERMIT_BYTES);
        Ok(Self {
            folder,
            shared,
            logs: Arc::new(RwLock::new(logs)),
            folders: Arc::default(),
            meta,
            documents,
            committers: Committers::start().map_err(started)?,
            room: Arc::new(Semaphore::new(permits)),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            options,
        })
    }

    /// Ends in good order: what waits is committed, and the next opening reads no frames. Blocks.
    pub fn close(&self) {
        self.stop();
        for slot in self.logs.read().values() {
            if let Slot::Open(log) = slot
                && let Err(error) = log.close()
            {
                tracing::warn!(log = %log.id, %error, "the log was not closed in good order; the next start recovers it");
            }
        }
        if let Err(error) = self.meta.close() {
            tracing::warn!(%error, "the log of documents was not closed in good order; the next start recovers it");
        }
    }

    /// Bytes of frames that are alive in memory.
    pub fn tail_bytes(&self) -> usize {
        self.shared.tail.alive_bytes()
    }

    /// What happened since the engine was opened, and what it holds now.
    pub fn counts(&self) -> Counts {
        Counts {
            tail_bytes: self.tail_bytes() as u64,
            open_files: self.shared.files.open_count() as u64,
            pending_bytes: self.pending_bytes() as u64,
            disk_bytes: self.shared.quota.used_bytes(),
            disk_quota_bytes: self.options.quota_bytes,
            ..self.shared.counters.read()
        }
    }

    fn pending_bytes(&self) -> usize {
        let permits = self.options.pending_bytes_max.div_ceil(PERMIT_BYTES);
        permits.saturating_sub(self.room.available_permits()) * PERMIT_BYTES
    }

    /// Ends the threads. Work that none of them has in hand is let go.
    fn stop(&self) {
        self.committers.stop();
        for slot in self.logs.read().values() {
            if let Slot::Open(log) = slot {
                log.refuse_work();
                log.finish_closing();
            }
        }
        self.documents.close();
    }

    /// Why work was let go.
    fn let_go(&self, log: &Log) -> LogError {
        let is_gone = !self.logs.read().contains_key(&log.id);
        let reason = log.failure().unwrap_or_else(|| "the store is closed".to_owned());
        if is_gone { LogError::NoLog(log.id) } else { log.unavailable(&reason) }
    }

    fn log(&self, id: LogId) -> Result<Arc<Log>, LogError> {
        match self.logs.read().get(&id) {
            Some(Slot::Open(log)) => Ok(Arc::clone(log)),
            Some(Slot::Damaged(corruption)) => Err(corruption.clone().into()),
            Some(Slot::Unavailable(reason)) => Err(LogError::Unavailable { log: id, reason: reason.clone() }),
            None => Err(LogError::NoLog(id)),
        }
    }

    async fn note(&self, log: &Arc<Log>, generation: Option<Generation>, notes: Notes) -> Result<Sealed, SealError> {
        let (answer, answered) = oneshot::channel();
        self.committers.submit(log, Work::Note(PendingNote { generation, notes, answer }));
        answered.await.map_err(|_| SealError::from(self.let_go(log)))?
    }

    async fn note_for_log(&self, log: &Arc<Log>, notes: Notes) -> Result<(), LogError> {
        match self.note(log, None, notes).await {
            Ok(_) => Ok(()),
            Err(SealError::Log(error)) => Err(error),
            Err(error @ (SealError::Fenced { .. } | SealError::Unknown)) => Err(log.unavailable(&error.to_string())),
        }
    }

    /// An error while what is left of the disk is kept for deletions.
    async fn leave_reserve_alone(&self, log: LogId) -> std::io::Result<()> {
        let reserve = &self.documents.reserve;
        if reserve.is_held() {
            return Ok(());
        }
        let again = Arc::clone(reserve);
        let held = blocking(log, move || Ok(again.hold())).await;
        match reserve.trouble() {
            Some(full) if !held.unwrap_or(false) => Err(std::io::Error::new(std::io::ErrorKind::StorageFull, full)),
            Some(_) | None => Ok(()),
        }
    }

    fn log_folder(&self, id: LogId) -> std::path::PathBuf {
        self.folder.path.join("logs").join(id.to_string())
    }
}

/// What was in flight is finished; nothing else is. The next opening recovers.
impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop();
    }
}

#[async_trait]
impl Engine for Embedded {
    fn capabilities(&self) -> Capabilities {
        super::file_capabilities(self.options.shards_per_log)
    }

    fn health(&self) -> Health {
        let logs = self.logs.read();
        let mut troubles: Vec<Trouble> = logs.iter().flat_map(|(id, slot)| troubles(*id, slot)).collect();
        let of_documents = self.meta.troubles().into_iter().chain(self.documents.trouble());
        troubles.extend(of_documents.map(|what| Trouble { log: None, what }));
        troubles.sort();
        if troubles.is_empty() { Health::Healthy } else { Health::Degraded(troubles) }
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>, DocumentError> {
        self.documents.get(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<Document>, DocumentError> {
        self.documents.list(prefix, after, limit).await
    }

    async fn compare_and_set(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<Vec<Revision>, DocumentError> {
        self.documents.compare_and_set(changes, durability).await
    }

    fn watch(&self, _prefix: &str) -> watch::Receiver<u64> {
        self.documents.watch()
    }

    async fn log_put(&self, id: LogId, settings: LogSettings) -> Result<(), LogError> {
        match self.log(id) {
            Ok(log) => self.change_log(&log, settings).await,
            Err(LogError::NoLog(_)) => {
                let (folder, shared) = (self.log_folder(id), Arc::clone(&self.shared));
                let path = folder.display().to_string();
                let full = |cause| LogError::Io { action: "create the folder", path, cause };
                self.leave_reserve_alone(id).await.map_err(full)?;
                let (logs, folders) = (Arc::clone(&self.logs), Arc::clone(&self.folders));
                // Whoever asked may be gone when this comes to its turn, and another have made the log.
                blocking(id, move || {
                    let _turn = folders.lock();
                    if !logs.read().contains_key(&id) {
                        let log = Log::create(id, &folder, shared, LogState::new(settings))?;
                        logs.write().insert(id, Slot::Open(Arc::new(log)));
                    }
                    Ok(())
                })
                .await
            }
            Err(error) => Err(error),
        }
    }

    async fn log_change(&self, id: LogId, settings: LogSettings) -> Result<(), LogError> {
        self.change_log(&self.log(id)?, settings).await
    }

    async fn expire(&self, id: LogId) -> Result<Expired, LogError> {
        self.expire_log(id).await
    }

    async fn log_drop(&self, id: LogId) -> Result<(), LogError> {
        let slot = self.logs.write().remove(&id);
        if let Some(Slot::Open(log)) = &slot {
            log.refuse_work();
            log.wakes.wake_all();
        }
        let (folder, shared, folders) = (self.log_folder(id), Arc::clone(&self.shared), Arc::clone(&self.folders));
        blocking(id, move || {
            let _turn = folders.lock();
            shared.files.remove_folder(&folder)?;
            if let Some(Slot::Open(log)) = slot {
                log.leave_room();
            }
            shared.newest.dropped(id);
            shared.footers.forget(id);
            shared.tail.forget(id);
            folder.parent().map_or(Ok(()), |parent| shared.files.sync_folder(parent))
        })
        .await
    }

    async fn stats(&self, id: LogId) -> Result<LogStats, LogError> {
        let log = self.log(id)?;
        blocking(id, move || log.watched(log.stats())).await
    }

    async fn append(&self, id: LogId, generation: Generation, append: Append) -> Result<Appended, AppendError> {
        super::check_append(&append)?;
        let unavailable = |error: LogError| match error {
            LogError::NoLog(log) => AppendError::NoLog(log),
            LogError::Corrupt(corruption) => corruption.into(),
            LogError::NoKey { log, key } => AppendError::NoKey { log, key },
            error @ (LogError::Io { .. } | LogError::Unavailable { .. }) => {
                AppendError::Unavailable { log: id, reason: error.to_string() }
            }
        };
        let log = self.log(id).map_err(unavailable)?;
        self.leave_reserve_alone(id).await.map_err(AppendError::Full)?;
        let bytes = append.records.iter().map(|(_, record)| record.size_bytes()).sum::<usize>();
        let permits = (bytes.div_ceil(PERMIT_BYTES).max(1)).min(self.options.pending_bytes_max.div_ceil(PERMIT_BYTES));
        let room = Arc::clone(&self.room).acquire_many_owned(permits as u32);
        let overloaded = || AppendError::Overloaded { waiting_bytes: self.pending_bytes() };
        let room = tokio::time::timeout(self.options.pending_wait, room).await.map_err(|_| overloaded())?;
        let room = room.map_err(|_| overloaded())?;
        let (answer, answered) = oneshot::channel();
        let Append { records, marks } = append;
        let pending = |payload| PendingAppend { generation, payload, marks, bytes, answer, _room: room };
        if bytes < BODY_BYTES_MIN {
            self.committers.commit_here(&log, Work::Append(pending(Payload::Records(records))));
        } else {
            let encode = || pending(Payload::encode(&records, &self.shared.tail));
            self.committers.encode_and_submit(&log, encode);
        }
        answered.await.map_err(|_| unavailable(self.let_go(&log)))?
    }

    async fn resolve(&self, _ticket: &Ticket) -> Result<Resolved, UnknownTicket> {
        Err(UnknownTicket)
    }

    async fn mark(&self, id: LogId, key: &[u8]) -> Result<Option<Mark>, LogError> {
        let log = self.log(id)?;
        let view = log.view.read();
        Ok(view.state.marks.get(key).cloned())
    }

    async fn seal(
        &self,
        id: LogId,
        generation: Generation,
        close: &[ShardIndex],
        open: &[ShardIndex],
    ) -> Result<Sealed, SealError> {
        let log = self.log(id)?;
        let numbers = |shards: &[ShardIndex]| shards.iter().map(|shard| shard.0).collect();
        let notes = Notes { close: numbers(close), open: numbers(open), ..Notes::default() };
        self.note(&log, Some(generation), notes).await
    }

    async fn purge(&self, id: LogId, shard: ShardIndex) -> Result<(), LogError> {
        let log = self.log(id)?;
        let is_closed = log.view.read().state.shards.get(&shard).is_some_and(|shard| shard.closed_at.is_some());
        if !is_closed {
            return Ok(());
        }
        self.note_for_log(&log, Notes { purge: vec![shard.0], ..Notes::default() }).await
    }

    async fn read(&self, id: LogId, shard: ShardIndex, from: Bound, limits: ReadLimits) -> Result<Batch, LogError> {
        let log = self.log(id)?;
        if let Some(batch) = log.read(shard, from, limits, Source::Memory)? {
            return Ok(batch);
        }
        let turn = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| log.unavailable("the store is closed"))?;
        let reader = Arc::clone(&log);
        // The read goes on if its caller does not wait for it: until it ends it counts.
        let read = move || {
            let _turn = turn;
            reader.watched(reader.read(shard, from, limits, Source::Disk))
        };
        let batch = blocking(id, read).await?;
        batch.ok_or_else(|| log.unavailable("a read from disk found nothing to read"))
    }

    async fn seek(&self, id: LogId, shard: ShardIndex, to: Seek) -> Result<Bound, LogError> {
        let log = self.log(id)?;
        if to == Seek::Latest {
            return log.seek(shard, to);
        }
        let turn = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| log.unavailable("the store is closed"))?;
        blocking(id, move || {
            let _turn = turn;
            log.watched(log.seek(shard, to))
        })
        .await
    }

    async fn changed(&self, id: LogId, shard: ShardIndex, from: Bound, wait: Duration) {
        let Ok(log) = self.log(id) else { return };
        let notify = log.wakes.of(shard);
        let woken = notify.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        if !log.has_news(shard, from) {
            let _ = tokio::time::timeout(wait, woken).await;
        }
    }
}

/// Runs what touches files away from the threads that serve.
async fn blocking<T: Send + 'static>(
    log: LogId,
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| LogError::Unavailable { log, reason: error.to_string() })?
}

#[cfg(test)]
mod bound_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod power;
#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]
mod quota_tests;
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod sealing_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;
