//! What the disk can do: plain writes, each synced, into a file that is prepared as the engine prepares its segments.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use tidemill_stream::limits::SEGMENT_BYTES;

/// What stands before the first commit, as a segment's header does.
const HEADER_BYTES: u64 = 4096;

/// A file whose blocks are given and not written, all of it synced. It stays until its folder goes: a file system that
/// tells its disk which blocks are free would do so while the next round is measured.
#[derive(Debug)]
pub(super) struct Prepared {
    file: File,
    end: u64,
}

impl Prepared {
    /// With room for `bytes`, and for no less than a segment of the store: with small files a file system deals
    /// otherwise.
    pub(super) fn new(folder: &Path, bytes: usize) -> Result<Self> {
        Self::of_bytes(folder, (bytes as u64).max(SEGMENT_BYTES.into_iter().max().unwrap_or(0)))
    }

    /// As large as the first segment of a log.
    pub(super) fn small(folder: &Path) -> Result<Self> {
        Self::of_bytes(folder, SEGMENT_BYTES.into_iter().min().unwrap_or(0))
    }

    fn of_bytes(folder: &Path, bytes: u64) -> Result<Self> {
        let (file, _) = tempfile::Builder::new().prefix("plain-").tempfile_in(folder)?.keep()?;
        file.write_all_at(&[1; HEADER_BYTES as usize], 0)?;
        allocate(&file, HEADER_BYTES + bytes)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok(Self { file, end: HEADER_BYTES })
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
