//! What this process has read, and files that the page cache knows nothing of.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Counters of this process, as Linux keeps them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessIo {
    /// Bytes that calls to read returned, from wherever they came.
    pub(super) asked_bytes: u64,
    /// Bytes that came from the disk, those that were read ahead included.
    pub(super) disk_bytes: u64,
}

impl ProcessIo {
    pub(super) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/self/io").context("this needs Linux")?;
        let field = |name: &str| -> Result<u64> {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            Ok(value.with_context(|| format!("/proc/self/io has no {name}"))?.parse()?)
        };
        Ok(Self { asked_bytes: field("rchar")?, disk_bytes: field("read_bytes")? })
    }

    /// What was read since then.
    pub(super) fn since(before: Self) -> Result<Self> {
        let now = Self::now()?;
        let (asked_bytes, disk_bytes) = (now.asked_bytes - before.asked_bytes, now.disk_bytes - before.disk_bytes);
        Ok(Self { asked_bytes, disk_bytes })
    }
}

/// All files below a folder, with folders themselves.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(entries(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// All files below a folder, by name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).collect())
}

/// Bytes of the blocks that a folder takes on the disk, with all that is in it.
pub(super) fn disk_used_bytes(folder: &Path) -> Result<u64> {
    let mut blocks = 0;
    for path in entries(folder)? {
        File::open(&path)?.sync_all()?; // until then some blocks are only promised
        blocks += fs::metadata(&path)?.blocks();
    }
    Ok(blocks * 512)
}

/// Bytes that are free for us on the disk of a folder.
pub(super) fn disk_free_bytes(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// Brings all files below a folder to the disk, and their pages out of memory.
pub(super) fn forget_pages(folder: &Path) -> Result<()> {
    for path in files(folder)? {
        let file = File::open(path)?;
        file.sync_all()?;
        drop_pages(&file)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn drop_pages(file: &File) -> Result<()> {
    use rustix::fs::{Advice, fadvise};
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

#[cfg(not(target_os = "linux"))]
fn drop_pages(_file: &File) -> Result<()> {
    anyhow::bail!("this needs Linux")
}
