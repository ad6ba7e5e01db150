//! The storage boundary: append to a log, read a log, compare-and-set documents.
//!
//! All that Kinesis and all that a trigger means is written above this line, once. The trait stays implementable by
//! files and by a replicated log service alike: atomicity is promised per log and per `compare_and_set`, never across.

pub mod embedded;
mod error;
pub mod faulty;
#[cfg(test)]
mod laws;
mod local;
pub mod memory;
mod wake;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

pub use self::error::{AppendError, Corruption, DocumentError, LogError, SealError, UnknownTicket};
use self::local::{check_append, check_changes, check_expected, file_capabilities};
use crate::clock::Timestamp;
use crate::keys::KeyPrint;
use crate::record::{Record, StoredRecord};
use crate::shard::ShardIndex;

/// A record's place in its log: below 2^63, strictly increasing, gaps are legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Where a read begins. Nothing above an engine computes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bound(u64);

impl Bound {
    /// Before everything.
    pub const START: Self = Self(0);

    /// The record at this position is the first to be read.
    pub const fn at(position: Position) -> Self {
        Self(position.0)
    }

    /// The record behind this position is the first to be read.
    pub const fn after(position: Position) -> Self {
        Self(position.0.saturating_add(1))
    }

    /// The lowest position that a read from here may return; for storing a bound.
    pub const fn lowest(self) -> Position {
        Position(self.0)
    }

    /// Whether a record at this position lies behind the bound, i.e. would be read.
    pub const fn admits(self, position: Position) -> bool {
        position.0 >= self.0
    }
}

/// Tells one stream from all others, for ever: a stream made anew under an old name gets a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A log: the records of up to [`Capabilities::shards_per_log`] shards of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The stream.
    pub stream: StreamId,
    /// Which of the stream's logs, from 0.
    pub part: u32,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream, self.part)
    }
}

/// Counts the changes of a log's shard map. An append names the one it was routed by; an older one is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// That of a new log.
    pub const FIRST: Self = Self(1);
}

/// What an engine can do. The store cuts its work to this measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Data and partition key of one record, bytes.
    pub record_bytes_max: usize,
    /// Records in one append.
    pub append_records_max: usize,
    /// Data and partition keys of one append, bytes.
    pub append_bytes_max: usize,
    /// Shards that share one log.
    pub shards_per_log: u32,
    /// One document, bytes.
    pub document_bytes_max: usize,
}

/// The name of a document: `/`-separated, 1..512 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// A key of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Grows with every change of a document. A document that was deleted and made anew never gets an old revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// What a change expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No document.
    Absent,
    /// The document at this revision.
    At(Revision),
    /// Anything.
    Any,
}

/// A document as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub key: Key,
    /// Its revision.
    pub revision: Revision,
    /// Its content.
    pub value: Bytes,
}

/// One change of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which document.
    pub key: Key,
    /// What must be there.
    pub expect: Expect,
    /// The new content; `None` deletes.
    pub value: Option<Bytes>,
}

/// What an answered `compare_and_set` has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It outlives a power cut.
    Synced,
    /// It is visible, and may be gone after a crash: for cursors, whose loss only costs repeated work.
    Lazy,
}

/// What to create a log with, or change it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// How long records are kept: one that arrived longer ago is not read any more, and its space is given back.
    pub retention: Duration,
    /// Bytes that are kept at most, about: where there are more the oldest records go first. `None`: as many as come.
    pub retention_bytes: Option<u64>,
    /// The key that records are encrypted with at rest. `None`: they are not. An engine without a disk has no use for it.
    pub key: Option<KeyPrint>,
}

impl LogSettings {
    /// Records are kept for so long, however many there are.
    pub const fn kept_for(retention: Duration) -> Self {
        Self { retention, retention_bytes: None, key: None }
    }
}

/// What was given back by [`Engine::expire`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Bytes on disk (in memory for an engine without one).
    pub bytes: u64,
}

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStats {
    /// Bytes on disk (in memory for an engine without one).
    pub bytes: u64,
    /// When the oldest record that is kept arrived.
    pub oldest: Option<Timestamp>,
    /// The generation that appends must name.
    pub generation: Generation,
    /// How it was created, or changed to.
    pub settings: LogSettings,
}

/// A small value in a log that changes in the same commit as the records of one append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The position of the append that set it.
    pub revision: Position,
    /// Its content.
    pub value: Bytes,
}

/// A change of a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkChange {
    /// Which mark: 1..512 bytes.
    pub key: Bytes,
    /// The revision that must be there; `None`: no mark.
    pub expect: Option<Position>,
    /// The new content.
    pub value: Bytes,
}

/// What is appended at once: all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Append {
    /// The records, each with its shard; those of one shard keep this order.
    pub records: Vec<(ShardIndex, Record)>,
    /// Marks that move with them.
    pub marks: Vec<MarkChange>,
}

/// A committed append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The position of each record, in the order they were given.
    pub positions: Vec<Position>,
    /// When they arrived; never before an earlier append of the same log.
    pub arrival: Timestamp,
}

/// Names an append whose outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The log.
    pub log: LogId,
    /// The engine's own word for the append.
    pub token: u128,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// It happened.
    Appended(Appended),
    /// It did not, and never will.
    NotAppended,
}

/// A committed change of a log's shard map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The new generation.
    pub generation: Generation,
    /// Closed shards hold no record at or behind this position.
    pub position: Position,
}

/// How much one read may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Records, at least 1.
    pub records_max: usize,
    /// Data and partition keys, bytes; the first record is returned whatever its size.
    pub bytes_max: usize,
}

/// What a read returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The records, in order.
    pub records: Vec<StoredRecord>,
    /// Where the next read begins.
    pub next: Bound,
    /// The shard's last durable record, if it ever had one: position and arrival.
    pub tip: Option<Tip>,
    /// For a closed shard: it holds no record at or behind this position.
    pub closed_at: Option<Position>,
    /// Whether records of this shard between the bound and `next` have expired: the reader never had them.
    pub skipped: bool,
}

impl Batch {
    /// Whether nothing lies behind this batch for now.
    pub fn is_at_tip(&self) -> bool {
        self.tip.is_none_or(|tip| !self.next.admits(tip.position))
    }

    /// Whether the shard is closed and this batch is its last.
    pub fn is_at_end(&self) -> bool {
        self.closed_at.is_some() && self.is_at_tip()
    }
}

/// The last durable record of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its position.
    pub position: Position,
    /// Its arrival.
    pub arrival: Timestamp,
}

/// A place to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// The oldest record that has not expired.
    Horizon,
    /// Behind the last durable record.
    Latest,
    /// The first record that arrived at this time or later.
    Time(Timestamp),
}

/// Whether an engine works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Healthy,
    /// Part of it does not.
    Degraded(Vec<Trouble>),
}

/// What does not work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    /// The log that has it, if it is one log's.
    pub log: Option<LogId>,
    /// What it is, in one line.
    pub what: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Keeps logs and documents.
///
/// A future may be dropped at any await: the operation then has happened wholly or not at all.
///
/// **What may be stale.** Only [`Engine::read`], as it may be served by a follower: it may see its shard as it was at an
/// earlier time, with fewer records, an older tip, not yet closed. That view is whole: every durable record up to its
/// tip, in order, and closed only with all it will ever hold. One read may see less than the one before it. All else
/// is as of now. A bound from `seek` is kept for long: one from before what the caller put itself would deliver that
/// again. Documents, marks and `stats` decide what an unknown outcome was, and the catalogue is listed once, at the start.
///
/// **What is kept.** A record is behind the horizon when it arrived before now less its log's retention. No read returns
/// it from then on, not after the retention has become longer either, nor when the clock steps back while the engine is
/// open; a read from behind the horizon goes on at the horizon. Its space is given back by [`Engine::expire`].
///
/// **What may be in doubt.** An unknown outcome is decided when its error returns: what has not happened by then never
/// will, or, for documents, not before the engine is opened anew; it then takes no change until it is. Any append or
/// seal may be fenced although nothing changed: read the map again and try again, a bounded number of times.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// What this engine can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether it works.
    fn health(&self) -> Health;

    /// The document of this name.
    async fn get(&self, key: &Key) -> Result<Option<Document>, DocumentError>;

    /// At most `limit` documents whose names begin with `prefix` and sort behind `after`, by name.
    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<Document>, DocumentError>;

    /// Makes all these changes or none. Returns the new revision of each document, in order.
    async fn compare_and_set(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<Vec<Revision>, DocumentError>;

    /// A hint whenever a document under `prefix` may have changed: may coalesce, repeat or miss.
    fn watch(&self, prefix: &str) -> watch::Receiver<u64>;

    /// Creates a log, or changes the settings of one that exists.
    async fn log_put(&self, log: LogId, settings: LogSettings) -> Result<(), LogError>;

    /// Changes the settings of a log that exists.
    async fn log_change(&self, log: LogId, settings: LogSettings) -> Result<(), LogError>;

    /// Gives back space: of what is behind the horizon, and of the oldest records where there are too many bytes. To be
    /// called now and then.
    async fn expire(&self, log: LogId) -> Result<Expired, LogError>;

    /// Deletes a log with all its records. No error when there is none.
    async fn log_drop(&self, log: LogId) -> Result<(), LogError>;

    /// What the log holds.
    async fn stats(&self, log: LogId) -> Result<LogStats, LogError>;

    /// Appends records and marks: all or nothing, durable when this returns.
    async fn append(&self, log: LogId, generation: Generation, append: Append) -> Result<Appended, AppendError>;

    /// What became of an append that ended in [`AppendError::Unknown`].
    async fn resolve(&self, ticket: &Ticket) -> Result<Resolved, UnknownTicket>;

    /// The mark of this name.
    async fn mark(&self, log: LogId, key: &[u8]) -> Result<Option<Mark>, LogError>;

    /// Closes and opens shards in one step; appends of the given generation are fenced from then on.
    async fn seal(
        &self,
        log: LogId,
        generation: Generation,
        close: &[ShardIndex],
        open: &[ShardIndex],
    ) -> Result<Sealed, SealError>;

    /// Forgets a closed shard: it reads as empty from then on.
    async fn purge(&self, log: LogId, shard: ShardIndex) -> Result<(), LogError>;

    /// Durable records of a shard from a bound on.
    async fn read(&self, log: LogId, shard: ShardIndex, from: Bound, limits: ReadLimits) -> Result<Batch, LogError>;

    /// Where a read from this place begins.
    async fn seek(&self, log: LogId, shard: ShardIndex, to: Seek) -> Result<Bound, LogError>;

    /// Returns when the shard may have a record at or behind `from`, or has changed otherwise, or after `wait`.
    async fn changed(&self, log: LogId, shard: ShardIndex, from: Bound, wait: Duration);
}
