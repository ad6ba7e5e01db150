//! A disk that fails where it is told to.

use std::fs;
use std::io;
use std::path::Path;

use parking_lot::Mutex;

use crate::engine::embedded::disk::{Access, Disk, System};

/// A kind of touch of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Create,
    Open,
    Write,
    Read,
    SyncData,
    SyncAll,
    Allocate,
    Truncate,
    Rename,
    Remove,
    RemoveFolder,
    SyncFolder,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Full,
    Broken,
    /// Half of the bytes are written, then it is broken.
    Short,
    Vanished,
    Denied,
}

impl Kind {
    fn error(self) -> io::Error {
        use rustix::io::Errno;
        match self {
            Self::Full => Errno::NOSPC,
            Self::Broken | Self::Short => Errno::IO,
            Self::Vanished => Errno::NOENT,
            Self::Denied => Errno::ACCESS,
        }
        .into()
    }

    /// What the system says.
    pub(super) fn text(self) -> String {
        self.error().to_string()
    }
}

/// Until it is mended, or so many times, each such call on such a path fails.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) call: Call,
    pub(super) kind: Kind,
    pub(super) path: &'static str,
    pub(super) times: u32,
}

pub(super) const UNTIL_MENDED: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Faulty {
    fault: Mutex<Option<Fault>>,
    struck: Mutex<u32>,
}

impl Faulty {
    pub(super) fn fail(&self, fault: Fault) {
        *self.struck.lock() = 0;
        *self.fault.lock() = Some(fault);
    }

    /// Ends the fault. Returns how often it struck.
    pub(super) fn mend(&self) -> u32 {
        *self.fault.lock() = None;
        *self.struck.lock()
    }

    fn struck(&self, call: Call, path: &Path) -> Option<Kind> {
        let mut fault = self.fault.lock();
        let fault = fault.as_mut()?;
        if fault.call != call || fault.times == 0 || !path.to_string_lossy().contains(fault.path) {
            return None;
        }
        fault.times -= 1;
        *self.struck.lock() += 1;
        Some(fault.kind)
    }

    fn check(&self, call: Call, path: &Path) -> io::Result<()> {
        self.struck(call, path).map_or(Ok(()), |kind| Err(kind.error()))
    }
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<fs::File> {
        self.check(Call::Create, path)?;
        System.create(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<fs::File> {
        self.check(Call::Open, path)?;
        System.open(path, access)
    }

    fn write_at(&self, file: &fs::File, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(kind) = self.struck(Call::Write, path) else { return System.write_at(file, path, bytes, offset) };
        if kind == Kind::Short {
            System.write_at(file, path, &bytes[..bytes.len() / 2], offset)?;
        }
        Err(kind.error())
    }

    fn read_at(&self, file: &fs::File, path: &Path, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.check(Call::Read, path)?;
        System.read_at(file, path, bytes, offset)
    }

    fn sync_data(&self, file: &fs::File, path: &Path) -> io::Result<()> {
        self.check(Call::SyncData, path)?;
        System.sync_data(file, path)
    }

    fn sync_all(&self, file: &fs::File, path: &Path) -> io::Result<()> {
        self.check(Call::SyncAll, path)?;
        System.sync_all(file, path)
    }

    fn truncate(&self, file: &fs::File, path: &Path, len: u64) -> io::Result<()> {
        self.check(Call::Truncate, path)?;
        System.truncate(file, path, len)
    }

    fn allocate(&self, file: &fs::File, path: &Path, len: u64) -> io::Result<()> {
        self.check(Call::Allocate, path)?;
        System.allocate(file, path, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Call::Rename, from)?;
        System.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(Call::Remove, path)?;
        System.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.check(Call::RemoveFolder, path)?;
        System.remove_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.check(Call::SyncFolder, path)?;
        System.sync_folder(path)
    }
}
