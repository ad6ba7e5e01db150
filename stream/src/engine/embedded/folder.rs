//! The data folder: one node at a time, of one format.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::disk::FILE_MODE;
use super::file::Files;
use crate::engine::LogError;

/// The format that this version writes and reads.
pub const FORMAT: u32 = 2;
const WORD: &str = "tidemill data folder, format ";

/// Why a data folder was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another node has it.
    #[error("the data folder {} is in use by another node{}: stop it, or give this one another folder with --data", folder.display(), holder(*.process))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The other node's process, if it could be read.
        process: Option<u32>,
    },
    /// A newer version wrote it.
    #[error("the data folder {} has format {found}, and this version reads format {supported} at most: use a newer tidemill", folder.display())]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is supported.
        supported: u32,
    },
    /// A version from before the first release wrote it.
    #[error("the data folder {} has format {found} of a version before the first release, which is not read any more: use that version, or an empty folder", folder.display())]
    Older {
        /// The folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It holds something else.
    #[error("{} is not empty and is no data folder of tidemill: give an empty or a new one", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// Its files could not be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
}

fn holder(process: Option<u32>) -> String {
    process.map(|process| format!(" (process {process})")).unwrap_or_default()
}

/// A data folder that is ours as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes a folder, making it where there is none.
    pub(super) fn take(path: &Path, files: &Files) -> Result<Self, OpenError> {
        if !path.exists() {
            files.create_folder(path)?;
            // What is acknowledged in it must not go with its name.
            path.parent().filter(|parent| parent.exists()).map_or(Ok(()), |parent| files.sync_folder(parent))?;
        }
        check_format(path, files)?;
        let lock_path = path.join("lock");
        let lock = lock(path, &lock_path)?;
        // Looked at again, now that nobody else can change it.
        if !check_format(path, files)? {
            let format = files.create(&path.join("format"))?;
            format.write_at(format!("{WORD}{FORMAT}\n").as_bytes(), 0)?;
            format.sync_all()?;
            files.sync_folder(path)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }
}

/// Whether the folder says its format; a new one does not yet.
pub(super) fn check_format(folder: &Path, files: &Files) -> Result<bool, OpenError> {
    let format = folder.join("format");
    if !format.exists() {
        let known = |name: &String| name == "lock";
        let is_new = files.names(folder)?.iter().all(known);
        return if is_new { Ok(false) } else { Err(OpenError::Foreign { folder: folder.to_owned() }) };
    }
    let text = String::from_utf8_lossy(&files.read(&format)?).into_owned();
    let found: Option<u32> = text.trim_end().strip_prefix(WORD).and_then(|number| number.parse().ok());
    match found {
        Some(FORMAT) => Ok(true),
        Some(found) if found < FORMAT => Err(OpenError::Older { folder: folder.to_owned(), found }),
        Some(found) => Err(OpenError::Newer { folder: folder.to_owned(), found, supported: FORMAT }),
        // Cut short while it was first written: nothing else can be there.
        None if text.bytes().all(|byte| byte == 0) => Ok(false),
        None => Err(OpenError::Foreign { folder: folder.to_owned() }),
    }
}

fn lock(folder: &Path, path: &Path) -> Result<File, OpenError> {
    let failed = |action| move |source| LogError::Io { action, path: path.display().to_string(), cause: source };
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
    let mut lock = opened.map_err(failed("open"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            return Err(OpenError::InUse { folder: folder.to_owned(), process: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(failed("lock")(source).into()),
    }
    lock.set_len(0).map_err(failed("write"))?;
    write!(lock, "{}", std::process::id()).map_err(failed("write"))?;
    Ok(lock)
}
