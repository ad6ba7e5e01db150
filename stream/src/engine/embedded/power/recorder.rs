//! A disk that writes down everything that is done to it, and can stop like one whose process was killed.
//!
//! Files are real, so that the engine reads what it wrote; nothing is synced really, since what a power cut leaves is
//! made from the record.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::facts::Fact;
use crate::engine::embedded::disk::{Access, Disk, System};

/// A file, whatever its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId(usize);

/// All files of a folder, by their path in it.
pub(super) type Copied = Arc<Vec<(PathBuf, Vec<u8>)>>;

/// One thing that was done. Paths are inside the data folder. A sync counts for what was done before it began.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Write {
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        file: FileId,
        len: u64,
    },
    Allocate {
        file: FileId,
        len: u64,
    },
    SyncFile {
        file: FileId,
        began: usize,
    },
    /// What was written before it may look clean from then on, and not be on the disk.
    SyncFileFailed {
        file: FileId,
        began: usize,
    },
    Link {
        path: PathBuf,
        file: FileId,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    CreateFolder {
        path: PathBuf,
    },
    RemoveFolder {
        path: PathBuf,
    },
    SyncFolder {
        path: PathBuf,
        began: usize,
    },
    /// sled's folder, synced.
    SledSynced(Copied),
    /// sled's folder as it may have reached the disk.
    SledFlushed(Copied),
    /// What somebody outside was promised, or asked for.
    Fact(Fact),
}

/// Which promises of the disk are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Honesty {
    Honest,
    NoDataSync,
    NoFolderSync,
    NoFileSync,
}

const FAILING: u32 = 41;

#[derive(Debug)]
pub(super) struct Recorder {
    root: PathBuf,
    honesty: Honesty,
    /// One in so many syncs fails.
    failing: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: Vec<Step>,
    files: HashMap<u64, FileId>,
    /// From this step on nothing is done any more.
    killed_at: Option<usize>,
    syncs: u32,
}

impl Recorder {
    pub(super) fn new(root: &Path, honesty: Honesty) -> Self {
        Self { root: root.to_owned(), honesty, failing: FAILING, state: Mutex::default() }
    }

    pub(super) fn note(&self, fact: Fact) {
        self.state.lock().steps.push(Step::Fact(fact));
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().steps.len()
    }

    /// After so many more steps nothing is done any more.
    pub(super) fn kill_after(&self, steps: usize) {
        let mut state = self.state.lock();
        state.killed_at = Some(state.steps.len() + steps);
    }

    /// Whether the process can do nothing any more.
    pub(super) fn is_dead(&self) -> bool {
        let state = self.state.lock();
        state.killed_at.is_some_and(|at| state.steps.len() >= at)
    }

    /// Another process may begin.
    pub(super) fn revive(&self) {
        self.state.lock().killed_at = None;
    }

    /// Keeps a copy of sled's folder, in which nothing is being written.
    pub(super) fn keep_sled(&self, is_synced: bool) -> io::Result<()> {
        let copied = Arc::new(copy(&self.root.join("sled"))?);
        self.state.lock().steps.push(if is_synced { Step::SledSynced(copied) } else { Step::SledFlushed(copied) });
        Ok(())
    }

    pub(super) fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut self.state.lock().steps)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap().to_owned()
    }

    /// Does something and writes it down, unless the process is dead.
    fn perform<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock();
        if state.killed_at.is_some_and(|at| state.steps.len() >= at) {
            return Err(io::Error::other("the process is dead"));
        }
        work(&mut state)
    }

    fn fails(&self, state: &mut State) -> bool {
        state.syncs += 1;
        state.syncs.is_multiple_of(self.failing)
    }

    fn sync(&self, file: &fs::File, is_kept: bool) -> io::Result<()> {
        let began = self.perform(|state| Ok(state.steps.len()))?;
        // Others may write meanwhile: that is not covered.
        std::thread::yield_now();
        self.perform(|state| {
            let file = state.id(file)?;
            if self.fails(state) {
                state.steps.push(Step::SyncFileFailed { file, began });
                return Err(io::Error::from_raw_os_error(5));
            }
            if is_kept {
                state.steps.push(Step::SyncFile { file, began });
            }
            Ok(())
        })
    }
}

impl State {
    fn id(&mut self, file: &fs::File) -> io::Result<FileId> {
        let next = FileId(self.steps.len());
        Ok(*self.files.entry(file.metadata()?.ino()).or_insert(next))
    }

    fn forget(&mut self, path: &Path) {
        if let Ok(metadata) = fs::metadata(path) {
            self.files.remove(&metadata.ino());
        }
    }
}

impl Disk for Recorder {
    fn create(&self, path: &Path) -> io::Result<fs::File> {
        self.perform(|state| {
            let is_new = !path.exists();
            let file = System.create(path)?;
            let id = state.id(&file)?;
            let path = self.inside(path);
            state.steps.push(if is_new { Step::Link { path, file: id } } else { Step::Truncate { file: id, len: 0 } });
            Ok(file)
        })
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<fs::File> {
        self.perform(|_| System.open(path, access))
    }

    fn write_at(&self, file: &fs::File, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.perform(|state| {
            let id = state.id(file)?;
            state.steps.push(Step::Write { file: id, offset, bytes: bytes.to_vec() });
            System.write_at(file, path, bytes, offset)
        })
    }

    fn sync_data(&self, file: &fs::File, _path: &Path) -> io::Result<()> {
        self.sync(file, self.honesty != Honesty::NoDataSync)
    }

    fn sync_all(&self, file: &fs::File, path: &Path) -> io::Result<()> {
        if path.starts_with(self.root.join("sled")) {
            return self.perform(|_| Ok(()));
        }
        self.sync(file, self.honesty != Honesty::NoFileSync)
    }

    fn truncate(&self, file: &fs::File, path: &Path, len: u64) -> io::Result<()> {
        self.perform(|state| {
            let id = state.id(file)?;
            state.steps.push(Step::Truncate { file: id, len });
            System.truncate(file, path, len)
        })
    }

    fn allocate(&self, file: &fs::File, path: &Path, len: u64) -> io::Result<()> {
        self.perform(|state| {
            let id = state.id(file)?;
            state.steps.push(Step::Allocate { file: id, len });
            System.allocate(file, path, len)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.perform(|state| {
            state.forget(to);
            System.rename(from, to)?;
            state.steps.push(Step::Rename { from: self.inside(from), to: self.inside(to) });
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.perform(|state| {
            state.forget(path);
            System.remove(path)?;
            state.steps.push(Step::Unlink { path: self.inside(path) });
            Ok(())
        })
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.perform(|state| {
            if !path.exists() {
                state.steps.push(Step::CreateFolder { path: self.inside(path) });
            }
            System.create_folder(path)
        })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for name in System.names(path)? {
            self.remove(&path.join(name))?;
        }
        self.perform(|state| {
            state.steps.push(Step::RemoveFolder { path: self.inside(path) });
            System.remove_folder(path)
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let inside = self.inside(path);
        if inside == Path::new("sled") {
            self.perform(|_| Ok(()))?;
            return self.keep_sled(true);
        }
        if inside.starts_with("sled") {
            return Ok(());
        }
        let began = self.perform(|state| Ok(state.steps.len()))?;
        std::thread::yield_now();
        self.perform(|state| {
            if self.fails(state) {
                return Err(io::Error::from_raw_os_error(5));
            }
            if self.honesty != Honesty::NoFolderSync {
                state.steps.push(Step::SyncFolder { path: inside, began });
            }
            Ok(())
        })
    }
}

/// All files below a folder.
fn copy(folder: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inside))? {
            let entry = entry?;
            let path = inside.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(entry.path())?;
                files.push((path, bytes));
            }
        }
    }
    Ok(files)
}
