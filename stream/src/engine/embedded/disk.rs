//! The file system as the engine uses it: the narrow seam behind which tests inject faults and take power cuts.
//!
//! Promises nothing of its own: each call is one touch of the file system, and answers what the system said.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt, OpenOptionsExt as _};
use std::path::Path;

/// Records are their owner's: no other user of the machine reads them.
pub(crate) const FILE_MODE: u32 = 0o600;
pub(crate) const FOLDER_MODE: u32 = 0o700;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// A file system. Each method does the real thing unless an implementation says otherwise.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Creates a file for reading and writing, for its owner alone; one that is there is emptied.
    fn create(&self, path: &Path) -> io::Result<fs::File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<fs::File> {
        OpenOptions::new().read(true).write(access == Access::ReadWrite).open(path)
    }

    fn write_at(&self, file: &fs::File, _path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    /// Lets the disk begin with bytes that were written, of which a sync will follow.
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "a system call that no library wraps; it is given numbers alone")]
    fn begin_sync(&self, file: &fs::File, offset: u64, len: u64) {
        use std::os::fd::AsRawFd as _;
        let range = [offset, len].map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        // Nothing depends on it, and what fails here fails the sync.
        // SAFETY: the file is open, and no memory is handed over.
        let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), range[0], range[1], libc::SYNC_FILE_RANGE_WRITE) };
    }

    #[cfg(not(target_os = "linux"))]
    fn begin_sync(&self, _file: &fs::File, _offset: u64, _len: u64) {}

    /// Bytes that will be read soon: the system may fetch them meanwhile.
    #[cfg(target_os = "linux")]
    fn will_read(&self, file: &fs::File, offset: u64, len: u64) {
        // Advice: what comes of it decides nothing.
        let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len), rustix::fs::Advice::WillNeed);
    }

    #[cfg(not(target_os = "linux"))]
    fn will_read(&self, _file: &fs::File, _offset: u64, _len: u64) {}

    /// Fills `bytes`, or fails.
    fn read_at(&self, file: &fs::File, _path: &Path, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(bytes, offset)
    }

    /// Content, and what of the metadata is needed to read it again, reach the disk.
    fn sync_data(&self, file: &fs::File, _path: &Path) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_all(&self, file: &fs::File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn truncate(&self, file: &fs::File, _path: &Path, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    /// Gives a file its blocks up to `len`, so that a commit changes little metadata, and a full disk is found before a
    /// frame is written. A file system that cannot is no error: the file then grows as it is written.
    #[cfg(target_os = "linux")]
    fn allocate(&self, file: &fs::File, _path: &Path, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(file, FallocateFlags::empty(), 0, len) {
            Err(rustix::io::Errno::OPNOTSUPP) | Ok(()) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes a file this long; the system gives it blocks as it is written.
    #[cfg(not(target_os = "linux"))]
    fn allocate(&self, file: &fs::File, _path: &Path, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    /// Bytes that can still be written where this folder lies.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(folder)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// One file under another name; a file that had it is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Creates a folder, and those above it, for their owner alone. One that is there stays as it is.
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
    }

    /// Removes a folder with all that is in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    /// The entries of a folder reach the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    /// The names in a folder.
    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

/// The file system of this machine.
#[derive(Debug)]
pub(crate) struct System;

impl Disk for System {}
