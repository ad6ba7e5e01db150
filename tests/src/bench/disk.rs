//! What the disk can do: plain writes, each synced, into a file that is prepared as the engine prepares its segments.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

/// What stands before the first commit, as a segment's header does.
const HEADER_BYTES: u64 = 4096;

/// A file whose blocks are given and not written, all of it synced.
#[derive(Debug)]
pub(super) struct Prepared {
    file: File,
    path: PathBuf,
    end: u64,
}

impl Prepared {
    /// With room for `bytes`.
    pub(super) fn new(folder: &Path, bytes: usize) -> Result<Self> {
        Self::named(folder, "plain", bytes)
    }

    /// One of several in a folder.
    pub(super) fn named(folder: &Path, name: &str, bytes: usize) -> Result<Self> {
        let path = folder.join(name);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&[1; HEADER_BYTES as usize], 0)?;
        allocate(&file, HEADER_BYTES + bytes as u64)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok(Self { file, path, end: HEADER_BYTES })
    }

    /// Appends and syncs; returns how long that took.
    pub(super) fn commit(&mut self, bytes: &[u8]) -> Result<Duration> {
        let start = Instant::now();
        self.file.write_all_at(bytes, self.end)?;
        self.file.sync_data()?;
        self.end += bytes.len() as u64;
        Ok(start.elapsed())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, bytes: u64) -> Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, bytes: u64) -> Result<()> {
    Ok(file.set_len(bytes)?)
}
