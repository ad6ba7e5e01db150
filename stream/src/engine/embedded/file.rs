//! Every touch of the file system by the engine: the narrow seam at which faults can be injected.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::engine::LogError;

/// Creates a file for reading and writing; one that is there is emptied.
pub(super) fn create(path: &Path) -> Result<File, LogError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
    opened.map_err(|source| failed("create", path, source))
}

/// Opens a file for reading and writing.
pub(super) fn open(path: &Path) -> Result<File, LogError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(|source| failed("open", path, source))
}

/// Opens a file for reading.
pub(super) fn open_to_read(path: &Path) -> Result<File, LogError> {
    File::open(path).map_err(|source| failed("open", path, source))
}

pub(super) fn write_at(file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<(), LogError> {
    file.write_all_at(bytes, offset).map_err(|source| failed("write", path, source))
}

/// Reads exactly `len` bytes.
pub(super) fn read_at(file: &File, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, LogError> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset).map_err(|source| failed("read", path, source))?;
    Ok(bytes)
}

/// The whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LogError> {
    fs::read(path).map_err(|source| failed("read", path, source))
}

/// Content, and what of the metadata is needed to read it again, reach the disk.
pub(super) fn sync_data(file: &File, path: &Path) -> Result<(), LogError> {
    file.sync_data().map_err(|source| failed("sync", path, source))
}

pub(super) fn sync_all(file: &File, path: &Path) -> Result<(), LogError> {
    file.sync_all().map_err(|source| failed("sync", path, source))
}

/// The entries of a folder reach the disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), LogError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|source| failed("sync the folder", path, source))
}

pub(super) fn truncate(file: &File, path: &Path, len: u64) -> Result<(), LogError> {
    file.set_len(len).map_err(|source| failed("truncate", path, source))
}

pub(super) fn len(file: &File, path: &Path) -> Result<u64, LogError> {
    file.metadata().map(|metadata| metadata.len()).map_err(|source| failed("look at", path, source))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), LogError> {
    fs::rename(from, to).map_err(|source| failed("rename", from, source))
}

pub(super) fn remove(path: &Path) -> Result<(), LogError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, source)),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn create_folder(path: &Path) -> Result<(), LogError> {
    fs::create_dir_all(path).map_err(|source| failed("create the folder", path, source))
}

pub(super) fn remove_folder(path: &Path) -> Result<(), LogError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed("remove the folder", path, source)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The names in a folder, sorted.
pub(super) fn names(path: &Path) -> Result<Vec<String>, LogError> {
    let entries = fs::read_dir(path).map_err(|source| failed("list", path, source))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| failed("list", path, source))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Gives a file its blocks up to `len`, so that a commit changes little metadata, and a full disk is found before a
/// frame is written. A file system that cannot is no error: the file then grows as it is written.
#[cfg(target_os = "linux")]
pub(super) fn allocate(file: &File, path: &Path, len: u64) -> Result<(), LogError> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        Err(rustix::io::Errno::OPNOTSUPP) | Ok(()) => Ok(()),
        Err(errno) => Err(failed("allocate", path, errno.into())),
    }
}

/// Makes a file this long; the system gives it blocks as it is written.
#[cfg(not(target_os = "linux"))]
pub(super) fn allocate(file: &File, path: &Path, len: u64) -> Result<(), LogError> {
    truncate(file, path, len)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> LogError {
    LogError::Io { action, path: path.display().to_string(), cause: source }
}
