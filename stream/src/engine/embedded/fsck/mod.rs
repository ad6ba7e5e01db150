//! A check of a data folder that no node uses: every byte that counts is read, nothing is changed.
//!
//! Promises to say what is wrong in which file and at which byte, and to go on behind it where it can. One segment or
//! one large document is in memory at a time. Must not know what a document means: which streams there are, and how far
//! cursors may have come, is checked above, in [`crate::fsck`].

mod documents;
mod folder;
mod frames;
mod log;
mod report;
mod segment;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::documents::DocumentsFound;
pub(crate) use self::log::LogEnd;
pub use self::report::{Counts, Progress, Severity};
pub(crate) use self::report::{Finding, Findings};

use super::disk::System;
use super::file::Files;
use super::folder::OpenError;
use crate::engine::LogError;

/// Files that are kept open: each is read once.
const OPEN_FILES_MAX: usize = 8;

/// Why a folder could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// A node uses it, another version wrote it, or it is something else.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is none.
    #[error("there is no data folder at {}: name it with --data", folder.display())]
    NoFolder {
        /// What was looked for.
        folder: PathBuf,
    },
    /// The folder for copies cannot be used.
    #[error("sled cannot be copied from {} to {}, where it is looked at: {cause}", from.display(), to.display())]
    Scratch {
        /// What was copied.
        from: PathBuf,
        /// Where to.
        to: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl From<LogError> for FsckError {
    fn from(error: LogError) -> Self {
        Self::Open(error.into())
    }
}

/// A check that goes on. The folder is ours as long as this lives.
pub(crate) struct Check<'a> {
    pub(super) folder: PathBuf,
    pub(super) files: Files,
    pub(crate) findings: Findings,
    pub(crate) counts: Counts,
    total_bytes: u64,
    progress: &'a mut dyn FnMut(Progress),
    _lock: Option<fs::File>,
}

impl<'a> Check<'a> {
    /// Takes the folder, and looks at its format and its names; `others` are those of the rooms above.
    pub(crate) fn begin(
        folder: &Path,
        others: &[&str],
        progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, FsckError> {
        let files = Files::new(Arc::new(System), OPEN_FILES_MAX);
        let mut findings = Findings::default();
        let lock = folder::take(folder, &files, &mut findings)?;
        folder::look_at_names(folder, others, &files, &mut findings)?;
        let parts = ["meta", "sled", "blobs", "logs"].map(|part| folder::bytes_below(&folder.join(part)));
        let (folder, total_bytes) = (folder.to_owned(), parts.iter().sum());
        let mut check = Self { folder, files, findings, counts: Counts::default(), total_bytes, progress, _lock: lock };
        check.checked(0);
        Ok(check)
    }

    /// So many bytes more were checked.
    fn checked(&mut self, bytes: u64) {
        self.counts.bytes += bytes;
        let total_bytes = self.total_bytes.max(self.counts.bytes);
        (self.progress)(Progress { checked_bytes: self.counts.bytes, total_bytes });
    }
}
