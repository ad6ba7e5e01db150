//! sled's files after a sync of them has failed: their pages may look clean and not be on the disk, and no later sync
//! tells. So all of them are written once more, while sled is closed. A file beside them remembers it across a restart.

use std::path::{Path, PathBuf};

use crate::engine::LogError;
use crate::engine::embedded::file::Files;

/// Bytes that are written at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// Remembers that sled's files must be written once more.
pub(super) fn remember(sled: &Path, files: &Files) -> Result<(), LogError> {
    files.create(&note(sled))?.sync_all()?;
    sled.parent().map_or(Ok(()), |folder| files.sync_folder(folder))
}

/// Writes sled's files once more if that is remembered. sled must be closed.
pub(in crate::engine::embedded) fn rewrite_if_remembered(sled: &Path, files: &Files) -> Result<(), LogError> {
    if note(sled).exists() { rewrite(sled, files) } else { Ok(()) }
}

/// Writes sled's files once more, and forgets that it must be done. sled must be closed.
pub(super) fn rewrite(sled: &Path, files: &Files) -> Result<(), LogError> {
    rewrite_tree(sled, files)?;
    if note(sled).exists() {
        files.remove(&note(sled))?;
    }
    sled.parent().map_or(Ok(()), |folder| files.sync_folder(folder))
}

fn note(sled: &Path) -> PathBuf {
    sled.with_extension("unsynced")
}

fn rewrite_tree(folder: &Path, files: &Files) -> Result<(), LogError> {
    for name in files.names(folder)? {
        let path = folder.join(name);
        if path.is_dir() {
            rewrite_tree(&path, files)?;
        } else {
            rewrite_file(&path, files)?;
        }
    }
    files.sync_folder(folder)
}

fn rewrite_file(path: &Path, files: &Files) -> Result<(), LogError> {
    let file = files.open(path)?;
    let (mut at, len) = (0, file.len()?);
    while at < len {
        let bytes = file.read_at(at, CHUNK_BYTES.min(len - at) as usize)?;
        file.write_at(&bytes, at)?;
        at += bytes.len() as u64;
    }
    file.sync_all()
}
