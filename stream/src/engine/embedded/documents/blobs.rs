//! Large documents, each in a file that is named by the sha256 of what is in it.
//!
//! A blob is on the disk, under its name, before anything refers to it; it goes when nothing does any more.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::change::BlobId;
use crate::engine::LogError;
use crate::engine::embedded::META;
use crate::engine::embedded::log::Shared;
use crate::engine::embedded::segment::corruption;

#[derive(Debug)]
pub(in crate::engine::embedded) struct Blobs {
    folder: PathBuf,
    shared: Arc<Shared>,
}

impl Blobs {
    /// The blobs in a folder, which is made if there is none. What was being written when a crash came is removed: its
    /// name ends in `.tmp`, and those of blobs have no dot.
    pub(super) fn open(folder: PathBuf, shared: Arc<Shared>) -> Result<Self, LogError> {
        shared.files.create_folder(&folder)?;
        for name in shared.files.names(&folder)?.into_iter().filter(|name| name.contains('.')) {
            shared.files.remove(&folder.join(name))?;
        }
        Ok(Self { folder, shared })
    }

    /// Keeps a blob durably. One that is there already is not written again.
    pub(super) fn put(&self, value: &[u8]) -> Result<BlobId, LogError> {
        let blob = BlobId { sha256: Sha256::digest(value).into(), len: value.len() as u64 };
        let (files, path) = (&self.shared.files, self.path(&blob));
        if matches!(self.get(&blob), Ok(Some(_))) {
            // Whoever wrote it may not have lived to sync its name.
            files.sync_folder(&self.folder)?;
            return Ok(blob);
        }
        let new = path.with_extension("tmp");
        // On a full disk what was written of it is better given back.
        self.write(value, &new, &path).inspect_err(|_| drop(files.remove(&new)))?;
        Ok(blob)
    }

    fn write(&self, value: &[u8], new: &Path, path: &Path) -> Result<(), LogError> {
        let files = &self.shared.files;
        let file = files.create(new)?;
        file.write_at(value, 0)?;
        file.sync_all()?;
        files.rename(new, path)?;
        files.sync_folder(&self.folder)
    }

    /// Reads a blob and checks it; `None` when there is no such file.
    pub(super) fn get(&self, blob: &BlobId) -> Result<Option<Vec<u8>>, LogError> {
        let path = self.path(blob);
        let value = match self.shared.files.read(&path) {
            Err(LogError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        if Sha256::digest(&value)[..] == blob.sha256 {
            Ok(Some(value))
        } else {
            Err(corruption(META, &path, 0, "a large document is not what its name says"))
        }
    }

    /// Removes the blobs that nothing refers to. To be called when the references are on the disk.
    pub(super) fn sweep(&self, kept: &HashSet<[u8; 32]>) -> Result<(), LogError> {
        let kept: HashSet<String> = kept.iter().map(hex).collect();
        for name in self.names()?.into_iter().filter(|name| !kept.contains(name)) {
            self.shared.files.remove(&self.folder.join(name))?;
        }
        Ok(())
    }

    pub(super) fn names(&self) -> Result<Vec<String>, LogError> {
        self.shared.files.names(&self.folder)
    }

    fn path(&self, blob: &BlobId) -> PathBuf {
        self.folder.join(hex(&blob.sha256))
    }
}

pub(super) fn hex(sha256: &[u8; 32]) -> String {
    sha256.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
