//! What a check of a data folder finds, bounded.

use std::path::{Path, PathBuf};

use crate::engine::{LogError, LogId};
use crate::limits::FSCK_FINDINGS_MAX;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is lost: a crash explains it, or the next start puts it right.
    Note,
    /// Something is damaged, missing or contradicts something else.
    Error,
}

/// Something that is not as it should be, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) log: Option<LogId>,
    pub(crate) file: PathBuf,
    /// In the file, bytes.
    pub(crate) offset: Option<u64>,
    pub(crate) what: String,
}

/// The first findings, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) kept: Vec<Finding>,
    pub(crate) errors: u64,
    pub(crate) notes: u64,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        match finding.severity {
            Severity::Note => self.notes += 1,
            Severity::Error => self.errors += 1,
        }
        if self.kept.len() < FSCK_FINDINGS_MAX {
            self.kept.push(finding);
        }
    }

    pub(crate) fn error(&mut self, log: Option<LogId>, file: &Path, offset: Option<u64>, what: impl Into<String>) {
        self.add(Finding { severity: Severity::Error, log, file: file.to_owned(), offset, what: what.into() });
    }

    pub(crate) fn note(&mut self, log: Option<LogId>, file: &Path, offset: Option<u64>, what: impl Into<String>) {
        self.add(Finding { severity: Severity::Note, log, file: file.to_owned(), offset, what: what.into() });
    }

    /// An error of the engine as a finding; `file` is named where the error names none.
    pub(crate) fn failed(&mut self, log: Option<LogId>, file: &Path, error: LogError) {
        match error {
            LogError::Corrupt(damage) => self.error(log, Path::new(&damage.file), Some(damage.offset), damage.what),
            LogError::Io { action, path, cause } => {
                self.error(log, Path::new(&path), None, format!("it cannot be checked: {action}: {cause}"));
            }
            error @ (LogError::NoLog(_) | LogError::NoKey { .. } | LogError::Unavailable { .. }) => {
                self.error(log, file, None, error.to_string());
            }
        }
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams that have a document.
    pub streams: u64,
    /// Logs, that of the documents among them.
    pub logs: u64,
    /// Segment files of all logs.
    pub segments: u64,
    /// Frames of all logs.
    pub frames: u64,
    /// Records of streams.
    pub records: u64,
    /// Documents.
    pub documents: u64,
    /// Files of large documents.
    pub blobs: u64,
    /// Bytes of files that were read.
    pub bytes: u64,
}

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of files that were checked.
    pub checked_bytes: u64,
    /// Bytes of files that are to be checked.
    pub total_bytes: u64,
}
