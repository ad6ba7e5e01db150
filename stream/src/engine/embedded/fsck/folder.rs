//! The data folder as a whole: nobody else uses it, it has our format, and nothing strange is in it.

use std::fs::{self, TryLockError};
use std::path::Path;

use super::FsckError;
use super::report::Findings;
use crate::engine::LogError;
use crate::engine::embedded::file::Files;
use crate::engine::embedded::folder::{FORMAT, OpenError, check_format};

/// The names that the engine gives.
const NAMES: [&str; 8] = ["format", "lock", "meta", "sled", "sled.unsynced", "blobs", "logs", "reserve"];

/// Takes the folder's lock without a change of the file; `None` where there is none yet.
pub(super) fn take(folder: &Path, files: &Files, findings: &mut Findings) -> Result<Option<fs::File>, FsckError> {
    if !folder.is_dir() {
        return Err(FsckError::NoFolder { folder: folder.to_owned() });
    }
    let lock = lock(folder)?;
    let format = folder.join("format");
    let has_logs = folder.join("meta").is_dir() && folder.join("logs").is_dir();
    match check_format(folder, files) {
        Ok(true) => {}
        Err(OpenError::Foreign { .. }) | Ok(false) if has_logs => {
            findings.error(None, &format, Some(0), format!("it does not say the folder's format, which is {FORMAT}"));
        }
        Ok(false) => return Err(FsckError::NoFolder { folder: folder.to_owned() }),
        Err(error) => return Err(error.into()),
    }
    if lock.is_none() {
        findings.note(None, &folder.join("lock"), None, "it is missing: a node that starts meanwhile is not kept out");
    }
    Ok(lock)
}

fn lock(folder: &Path) -> Result<Option<fs::File>, FsckError> {
    let path = folder.join("lock");
    let failed = |action| {
        let path = path.display().to_string();
        move |cause| LogError::Io { action, path, cause }
    };
    let lock = match fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed("open"))?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let process = text.trim().parse().ok();
            Err(OpenError::InUse { folder: folder.to_owned(), process }.into())
        }
        Err(TryLockError::Error(cause)) => Err(failed("lock")(cause).into()),
    }
}

pub(super) fn look_at_names(
    folder: &Path,
    others: &[&str],
    files: &Files,
    findings: &mut Findings,
) -> Result<(), FsckError> {
    for name in files.names(folder)? {
        if !NAMES.contains(&name.as_str()) && !others.contains(&name.as_str()) {
            findings.note(None, &folder.join(name), None, "a strange name: Tidemill gives none like it");
        }
    }
    Ok(())
}

/// Bytes of all files below a folder; what cannot be looked at counts nothing.
pub(super) fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}

/// Copies all files below a folder; how many bytes.
pub(super) fn copy(from: &Path, to: &Path) -> std::io::Result<u64> {
    fs::create_dir_all(to)?;
    let mut bytes = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        bytes += if entry.metadata()?.is_dir() { copy(&entry.path(), &to)? } else { fs::copy(entry.path(), to)? };
    }
    Ok(bytes)
}
