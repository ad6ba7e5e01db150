//! Space that is kept for deletions: a file that is given up when the disk is full, and made again when it is not.
//!
//! Whoever deletes on a full disk needs some of it first: for the change in the meta log, and for sled, which must be
//! opened anew once it has failed. While the reserve is given up nobody else may take what is left.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::LogError;
use crate::engine::embedded::log::Shared;
use crate::limits::REOPEN_FREE_BYTES;

#[derive(Debug)]
pub(in crate::engine::embedded) struct Reserve {
    folder: PathBuf,
    path: PathBuf,
    bytes: u64,
    shared: Arc<Shared>,
    is_held: Mutex<bool>,
}

impl Reserve {
    /// The reserve in a data folder. Where there is no space for it, the disk counts as full from the start; it is given
    /// up where there is none for sled.
    pub(in crate::engine::embedded) fn open(folder: PathBuf, bytes: u64, shared: Arc<Shared>) -> Self {
        let path = folder.join("reserve");
        let is_there = std::fs::metadata(&path).is_ok_and(|found| found.len() == bytes);
        let reserve = Self { folder, path, bytes, shared, is_held: Mutex::new(is_there || bytes == 0) };
        let free = reserve.shared.files.free_bytes(&reserve.folder).unwrap_or(u64::MAX);
        if free < REOPEN_FREE_BYTES && reserve.give_up() || !reserve.hold() {
            tracing::error!(path = %reserve.path.display(), bytes, "the disk is full: only deletions are taken");
        }
        reserve
    }

    pub(in crate::engine::embedded) fn is_held(&self) -> bool {
        *self.is_held.lock()
    }

    /// Makes the reserve again if it was given up and there is space; returns whether it is held.
    pub(in crate::engine::embedded) fn hold(&self) -> bool {
        let mut is_held = self.is_held.lock();
        if !*is_held {
            *is_held = self.make().is_ok();
        }
        *is_held
    }

    /// Gives its space to who calls; returns whether there was any.
    pub(in crate::engine::embedded) fn give_up(&self) -> bool {
        let mut is_held = self.is_held.lock();
        if !*is_held || self.bytes == 0 || self.shared.files.remove(&self.path).is_err() {
            return false;
        }
        tracing::warn!(bytes = self.bytes, "the disk is full: what was kept for deletions is in use");
        *is_held = false;
        true
    }

    /// Why only deletions are taken, if so.
    pub(in crate::engine::embedded) fn trouble(&self) -> Option<String> {
        let Self { folder, bytes, .. } = self;
        let why = || {
            let folder = folder.display();
            format!("the disk of {folder} is full: what is left is for deletions, until {bytes} bytes are free")
        };
        (!self.is_held()).then(why)
    }

    /// Looks first: a file that is made in vain would for a moment take what others need.
    fn make(&self) -> Result<(), LogError> {
        let files = &self.shared.files;
        if files.free_bytes(&self.folder)? < self.bytes {
            return Err(full(&self.path));
        }
        let made = files.create(&self.path).and_then(|file| file.allocate(self.bytes));
        if made.is_err() {
            let _ = files.remove(&self.path);
        }
        made
    }
}

/// The error of a disk that has no space for a file.
pub(super) fn full(path: &std::path::Path) -> LogError {
    let cause = std::io::ErrorKind::StorageFull.into();
    LogError::Io { action: "allocate", path: path.display().to_string(), cause }
}
