//! What can go wrong in an engine. Each error says what the caller should do.

use std::io;

use crate::keys::KeyPrint;

use super::{Generation, Key, LogId, Revision, Ticket};

/// Why an append was not done, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The shard map has changed: read it again and route anew.
    #[error("the shard map has changed since generation {given:?}: it is now {current:?}")]
    Fenced {
        /// The generation of the append.
        given: Generation,
        /// That of the log.
        current: Generation,
    },
    /// A mark was not as expected. Nothing was appended.
    #[error("a mark was not at the expected revision")]
    MarkConflict,
    /// It may or may not have happened: ask [`Engine::resolve`].
    #[error("the outcome of the append is unknown")]
    Unknown(Ticket),
    /// Larger than [`Capabilities`] allow. Nothing was appended.
    #[error("the append of {records} records and {bytes} bytes is over the engine's limit")]
    TooLarge {
        /// Its records.
        records: usize,
        /// Its bytes.
        bytes: usize,
    },
    /// No space is left. Try again when there is some.
    #[error("no space is left for the log: {0}")]
    Full(#[source] io::Error),
    /// Too many appends are waiting already. Try again later.
    #[error("{waiting_bytes} bytes are waiting to be committed already")]
    Overloaded {
        /// Bytes that wait.
        waiting_bytes: usize,
    },
    /// There is no such log.
    #[error("there is no log {0}")]
    NoLog(LogId),
    /// The log is damaged, and takes nothing.
    #[error(transparent)]
    Damaged(#[from] Corruption),
    /// Its records are encrypted with a key that is not there. Nothing was appended.
    #[error("the log {log} is encrypted with a key of print {key}, which is none of those that the node was given")]
    NoKey {
        /// Which log.
        log: LogId,
        /// Which key.
        key: KeyPrint,
    },
    /// The log cannot be written now.
    #[error("the log {log} cannot be written: {reason}")]
    Unavailable {
        /// Which log.
        log: LogId,
        /// Why.
        reason: String,
    },
}

/// Why a log could not be read, created or dropped.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is no such log.
    #[error("there is no log {0}")]
    NoLog(LogId),
    /// Bytes on disk are not what was written.
    #[error("{0}")]
    Corrupt(#[from] Corruption),
    /// The file system refused.
    #[error("{action} {path}: {cause}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Its records are encrypted with a key that is not there.
    #[error("the log {log} is encrypted with a key of print {key}, which is none of those that the node was given")]
    NoKey {
        /// Which log.
        log: LogId,
        /// Which key.
        key: KeyPrint,
    },
    /// The log cannot be used now.
    #[error("the log {log} is unavailable: {reason}")]
    Unavailable {
        /// Which log.
        log: LogId,
        /// Why.
        reason: String,
    },
}

impl LogError {
    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::StorageFull)
    }
}

/// Where bytes on disk are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset} (log {log}): {what}")]
pub struct Corruption {
    /// The log.
    pub log: LogId,
    /// The file.
    pub file: String,
    /// The offset in it.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

/// Why a shard map was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Another change came first.
    #[error("the shard map has changed since generation {given:?}: it is now {current:?}")]
    Fenced {
        /// The generation of the seal.
        given: Generation,
        /// That of the log.
        current: Generation,
    },
    /// It may or may not have happened: read the log's generation and see.
    #[error("the outcome of the seal is unknown")]
    Unknown,
    /// The log refused.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why documents were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A document was not as expected. Nothing was changed.
    #[error("the document {key:?} is not as expected: {found:?}")]
    Conflict {
        /// Which.
        key: Key,
        /// What is there.
        found: Option<Revision>,
    },
    /// It may or may not have happened: read and see.
    #[error("the outcome of the change is unknown")]
    Unknown,
    /// Larger than [`Capabilities::document_bytes_max`].
    #[error("the document {key:?} of {bytes} bytes is over the engine's limit")]
    TooLarge {
        /// Which.
        key: Key,
        /// Its size.
        bytes: usize,
    },
    /// No space is left. Nothing was changed. Deletions, and changes to something no larger, have space of their own.
    #[error("no space is left for documents: {0}")]
    Full(String),
    /// Documents cannot be used now.
    #[error("the documents are unavailable: {0}")]
    Unavailable(String),
}

/// A ticket that this engine never gave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this engine gave no such ticket")]
pub struct UnknownTicket;
