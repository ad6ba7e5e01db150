//! Files and folders of the engine: errors that name the file, and a bounded number of open files.
//!
//! Promises that no more files are open at a time than the limit says, but for those in use at that moment. Must not
//! know what is in a file.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::disk::{Access, Disk};
use crate::engine::LogError;

/// The way to all files of an engine.
#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    /// The files that were used last stay open, by path.
    open: Mutex<LruCache<Arc<Path>, Arc<File>>>,
}

/// An open file.
#[derive(Debug)]
pub(super) struct File {
    open: fs::File,
    path: Arc<Path>,
    access: Access,
    disk: Arc<dyn Disk>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>, open_max: usize) -> Self {
        let open_max = NonZeroUsize::new(open_max).unwrap_or(NonZeroUsize::MIN);
        Self { disk, open: Mutex::new(LruCache::new(open_max)) }
    }

    /// Creates a file for reading and writing; one that is there is emptied.
    pub(super) fn create(&self, path: &Path) -> Result<File, LogError> {
        let file = self.with_room(|| self.disk.create(path)).map_err(failed("create", path))?;
        Ok(self.file(file, path.into(), Access::ReadWrite))
    }

    /// Opens a file for reading and writing, for this use alone.
    pub(super) fn open(&self, path: &Path) -> Result<File, LogError> {
        self.open_for(path.into(), Access::ReadWrite)
    }

    /// Opens a file for reading, for this use alone.
    pub(super) fn open_to_read(&self, path: &Path) -> Result<File, LogError> {
        self.open_for(path.into(), Access::Read)
    }

    /// A file that is used often: it stays open as long as there is room.
    pub(super) fn shared(&self, path: &Arc<Path>, access: Access) -> Result<Arc<File>, LogError> {
        if let Some(file) = self.open.lock().get(path).filter(|file| file.allows(access)) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(self.open_for(Arc::clone(path), access)?);
        self.open.lock().put(Arc::clone(path), Arc::clone(&file));
        Ok(file)
    }

    /// Gives a file its final name, durably, and keeps it open.
    pub(super) fn publish(&self, file: File, to: &Arc<Path>) -> Result<(), LogError> {
        self.rename(&file.path, to)?;
        if let Some(folder) = to.parent() {
            self.sync_folder(folder)?;
        }
        let file = File { path: Arc::clone(to), ..file };
        self.open.lock().put(Arc::clone(to), Arc::new(file));
        Ok(())
    }

    /// The whole file.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, LogError> {
        let file = self.open_to_read(path)?;
        let len = file.len()?;
        file.read_at(0, usize::try_from(len).unwrap_or(usize::MAX))
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), LogError> {
        let mut open = self.open.lock();
        open.pop(from);
        open.pop(to);
        drop(open);
        self.disk.rename(from, to).map_err(failed("rename", from))
    }

    /// Removes a file; no error when there is none.
    pub(super) fn remove(&self, path: &Path) -> Result<(), LogError> {
        self.open.lock().pop(path);
        none_is_no_error(self.disk.remove(path)).map_err(failed("remove", path))
    }

    pub(super) fn create_folder(&self, path: &Path) -> Result<(), LogError> {
        self.disk.create_folder(path).map_err(failed("create the folder", path))
    }

    /// Removes a folder with all that is in it; no error when there is none.
    pub(super) fn remove_folder(&self, path: &Path) -> Result<(), LogError> {
        let mut open = self.open.lock();
        let inside: Vec<_> =
            open.iter().map(|(path, _)| Arc::clone(path)).filter(|open| open.starts_with(path)).collect();
        for path in inside {
            open.pop(&path);
        }
        drop(open);
        none_is_no_error(self.disk.remove_folder(path)).map_err(failed("remove the folder", path))
    }

    /// The entries of a folder reach the disk.
    pub(super) fn sync_folder(&self, path: &Path) -> Result<(), LogError> {
        self.disk.sync_folder(path).map_err(failed("sync the folder", path))
    }

    /// Bytes that can still be written where this folder lies.
    pub(super) fn free_bytes(&self, folder: &Path) -> Result<u64, LogError> {
        self.disk.free_bytes(folder).map_err(failed("look for space in", folder))
    }

    /// The names in a folder, sorted.
    pub(super) fn names(&self, path: &Path) -> Result<Vec<String>, LogError> {
        let mut names = self.disk.names(path).map_err(failed("list", path))?;
        names.sort();
        Ok(names)
    }

    /// How many files are kept open.
    pub(super) fn open_count(&self) -> usize {
        self.open.lock().len()
    }

    fn open_for(&self, path: Arc<Path>, access: Access) -> Result<File, LogError> {
        let file = self.with_room(|| self.disk.open(&path, access)).map_err(failed("open", &path))?;
        Ok(self.file(file, path, access))
    }

    fn file(&self, file: fs::File, path: Arc<Path>, access: Access) -> File {
        File { open: file, path, access, disk: Arc::clone(&self.disk) }
    }

    /// Where the process has no file descriptor left, those of kept files are given up.
    fn with_room(&self, open: impl Fn() -> io::Result<fs::File>) -> io::Result<fs::File> {
        use rustix::io::Errno;
        match open() {
            Err(error) if [Errno::MFILE, Errno::NFILE].contains(&Errno::from_io_error(&error).unwrap_or(Errno::IO)) => {
                self.open.lock().clear();
                open()
            }
            opened => opened,
        }
    }
}

impl File {
    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), LogError> {
        self.disk.write_at(&self.open, &self.path, bytes, offset).map_err(failed("write", &self.path))
    }

    /// Lets the disk begin with bytes that were written, of which a sync will follow.
    pub(super) fn begin_sync(&self, offset: u64, len: u64) {
        self.disk.begin_sync(&self.open, offset, len);
    }

    /// Reads exactly `len` bytes.
    pub(super) fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; len];
        self.disk.read_at(&self.open, &self.path, &mut bytes, offset).map_err(failed("read", &self.path))?;
        Ok(bytes)
    }

    /// Content, and what of the metadata is needed to read it again, reach the disk.
    pub(super) fn sync_data(&self) -> Result<(), LogError> {
        self.disk.sync_data(&self.open, &self.path).map_err(failed("sync", &self.path))
    }

    pub(super) fn sync_all(&self) -> Result<(), LogError> {
        self.disk.sync_all(&self.open, &self.path).map_err(failed("sync", &self.path))
    }

    pub(super) fn truncate(&self, len: u64) -> Result<(), LogError> {
        self.disk.truncate(&self.open, &self.path, len).map_err(failed("truncate", &self.path))
    }

    pub(super) fn allocate(&self, len: u64) -> Result<(), LogError> {
        self.disk.allocate(&self.open, &self.path, len).map_err(failed("allocate", &self.path))
    }

    pub(super) fn len(&self) -> Result<u64, LogError> {
        self.open.metadata().map(|metadata| metadata.len()).map_err(failed("look at", &self.path))
    }

    /// An error when the file was removed by someone else: what is written to it would be lost.
    pub(super) fn check_is_there(&self) -> Result<(), LogError> {
        let links = links(&self.open).map_err(failed("look at", &self.path))?;
        let gone = || io::Error::new(io::ErrorKind::NotFound, "someone removed the file while it was in use");
        if links == 0 { Err(failed("write", &self.path)(gone())) } else { Ok(()) }
    }

    /// Bytes that will be read soon: the system may fetch them meanwhile.
    pub(super) fn will_read(&self, offset: u64, len: u64) {
        self.disk.will_read(&self.open, offset, len);
    }

    fn allows(&self, access: Access) -> bool {
        access == Access::Read || self.access == Access::ReadWrite
    }
}

/// How many names a file has. Nothing else is asked for: who looks at a file's times makes the next write set them
/// anew, and its sync pays for that.
#[cfg(target_os = "linux")]
fn links(file: &fs::File) -> io::Result<u64> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    Ok(statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK)?.stx_nlink.into())
}

#[cfg(not(target_os = "linux"))]
fn links(file: &fs::File) -> io::Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?))
}

fn none_is_no_error(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    move |cause| LogError::Io { action, path: path.display().to_string(), cause }
}
