//! Compiled functions, kept from one start of the node to the next.
//!
//! This file promises that what [`CompiledCache::load`] returns was written by [`CompiledCache::store`] under the same
//! name by a holder of the same key, byte for byte: loading machine code is unsafe, and this is what makes it safe. The
//! cache is disposable: whatever is wrong with it costs a compilation, never a deployment. It must not know of wasmtime.
//!
//! A file is the HMAC-SHA256 of its name and its content, then the content. Files are 0600 in a folder of 0700.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::limits;

const KEY_FILE: &str = "compiled-cache.key";
const EXTENSION: &str = "cwasm";
const TEMPORARY: &str = "tmp";
const TAG_BYTES: usize = 32;

/// A folder of compiled functions.
pub(super) struct CompiledCache {
    folder: PathBuf,
    /// Begun with the key.
    mac: Hmac<Sha256>,
    bytes_max: u64,
}

/// Why a compiled function was not loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// There is none.
    #[error("it is not there")]
    Absent,
    /// It is not what was stored.
    #[error("it was changed: its authentication does not match")]
    Forged,
    /// It cannot be read.
    #[error(transparent)]
    Io(io::Error),
}

impl CompiledCache {
    /// Opens the cache in `folder` with the key in `key_folder`; makes what is missing.
    pub(super) fn open(folder: &Path, key_folder: &Path, bytes_max: u64) -> io::Result<Self> {
        make_private(folder)?;
        DirBuilder::new().recursive(true).mode(0o700).create(key_folder)?;
        remove_temporaries(folder)?;
        let mac = Hmac::new_from_slice(&key(key_folder)?).map_err(io::Error::other)?;
        Ok(Self { folder: folder.to_owned(), mac, bytes_max })
    }

    /// What was stored under a name.
    pub(super) fn load(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        let mut content = self.read(name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => LoadError::Absent,
            _ => LoadError::Io(error),
        })?;
        let (tag, compiled) = content.split_at_checked(TAG_BYTES).ok_or(LoadError::Forged)?;
        // Compares in constant time.
        self.mac(name, compiled).verify_slice(tag).map_err(|_| LoadError::Forged)?;
        content.drain(..TAG_BYTES);
        Ok(content)
    }

    /// Stores under a name what was compiled, and makes room by removing the oldest. What is larger than the whole cache
    /// is not stored.
    pub(super) fn store(&self, name: &str, compiled: &[u8]) -> io::Result<()> {
        if (compiled.len() + TAG_BYTES) as u64 > self.bytes_max {
            return Ok(());
        }
        let tag = self.mac(name, compiled).finalize().into_bytes();
        write_whole(&self.path(name), &[&tag, compiled])?;
        self.evict()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = File::open(self.path(name))?;
        let mut content = Vec::new();
        file.take(self.bytes_max).read_to_end(&mut content)?;
        Ok(content)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension(EXTENSION)
    }

    fn mac(&self, name: &str, compiled: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        // The length keeps name and content apart.
        mac.update(&(name.len() as u64).to_be_bytes());
        mac.update(name.as_bytes());
        mac.update(compiled);
        mac
    }

    fn evict(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == EXTENSION) {
                let facts = entry.metadata()?;
                files.push((facts.modified()?, facts.len(), entry.path()));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, file_bytes, path) in files {
            if bytes <= self.bytes_max {
                break;
            }
            fs::remove_file(path)?;
            bytes -= file_bytes;
        }
        Ok(())
    }
}

/// The key in a folder; a new one at the first start, and whenever others could have read the old one.
fn key(folder: &Path) -> io::Result<[u8; limits::CACHE_KEY_BYTES]> {
    let path = folder.join(KEY_FILE);
    match read_key(&path) {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => {
            let path = path.display();
            tracing::warn!(%path, "the compiled cache's key is damaged or others can read it: a new one is made");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut key = [0; limits::CACHE_KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    write_whole(&path, &[&key])?;
    Ok(key)
}

fn read_key(path: &Path) -> io::Result<Option<[u8; limits::CACHE_KEY_BYTES]>> {
    let file = File::open(path)?;
    let is_private = file.metadata()?.permissions().mode().trailing_zeros() >= 6;
    let mut content = Vec::new();
    file.take(limits::CACHE_KEY_BYTES as u64 + 1).read_to_end(&mut content)?;
    Ok(content.try_into().ok().filter(|_| is_private))
}

fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// Writes a file of 0600 so that it is there wholly or not at all.
fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("{:016x}.{TEMPORARY}", u64::from_be_bytes(suffix)));
    let written = write_synced(&temporary, parts).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is left behind is removed at the next start; the error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_synced(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

/// Removes what an earlier run left half written.
fn remove_temporaries(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == TEMPORARY) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folders(tempfile::TempDir);

    impl Folders {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn open(&self, bytes_max: u64) -> CompiledCache {
            CompiledCache::open(&self.0.path().join("cache"), &self.0.path().join("keys"), bytes_max).unwrap()
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.path().join("cache").join(name).with_extension(EXTENSION)
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_stored_is_there_after_a_restart() {
        let folders = Folders::new();
        folders.open(1 << 20).store("a", b"compiled").unwrap();
        assert_eq!(folders.open(1 << 20).load("a").unwrap(), b"compiled");
        assert!(matches!(folders.open(1 << 20).load("b"), Err(LoadError::Absent)));
    }

    #[test]
    fn files_are_for_their_owner_only() {
        let folders = Folders::new();
        folders.open(1 << 20).store("a", b"compiled").unwrap();
        assert_eq!(mode(&folders.0.path().join("cache")), 0o700);
        assert_eq!(mode(&folders.file("a")), 0o600);
        assert_eq!(mode(&folders.0.path().join("keys").join(KEY_FILE)), 0o600);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let folders = Folders::new();
        let cache = folders.open(1 << 20);
        cache.store("a", b"compiled").unwrap();
        let good = fs::read(folders.file("a")).unwrap();
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            fs::write(folders.file("a"), bad).unwrap();
            assert!(matches!(cache.load("a"), Err(LoadError::Forged)), "byte {index}");
        }
        for length in 0..good.len() {
            fs::write(folders.file("a"), &good[..length]).unwrap();
            assert!(matches!(cache.load("a"), Err(LoadError::Forged)), "length {length}");
        }
    }

    #[test]
    fn a_file_under_another_name_is_refused() {
        let folders = Folders::new();
        let cache = folders.open(1 << 20);
        cache.store("a", b"compiled").unwrap();
        fs::copy(folders.file("a"), folders.file("b")).unwrap();
        assert!(matches!(cache.load("b"), Err(LoadError::Forged)));
    }

    #[test]
    fn a_key_that_others_can_read_is_replaced() {
        let folders = Folders::new();
        folders.open(1 << 20).store("a", b"compiled").unwrap();
        let key = folders.0.path().join("keys").join(KEY_FILE);
        fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(folders.open(1 << 20).load("a"), Err(LoadError::Forged)));
        assert_eq!(mode(&key), 0o600);
    }

    #[test]
    fn the_oldest_make_room() {
        let folders = Folders::new();
        let cache = folders.open(250);
        for name in ["a", "b", "c"] {
            cache.store(name, &[0; 100 - TAG_BYTES]).unwrap();
            let hour = std::time::Duration::from_secs(3600 * u64::from(name.as_bytes()[0]));
            File::options()
                .write(true)
                .open(folders.file(name))
                .unwrap()
                .set_modified(std::time::UNIX_EPOCH + hour)
                .unwrap();
        }
        assert!(matches!(cache.load("a"), Err(LoadError::Absent)));
        assert!(cache.load("b").is_ok() && cache.load("c").is_ok());
        cache.store("huge", &[0; 251]).unwrap();
        assert!(matches!(cache.load("huge"), Err(LoadError::Absent)));
        assert!(cache.load("b").is_ok() && cache.load("c").is_ok());
    }

    #[test]
    fn what_was_left_half_written_is_removed() {
        let folders = Folders::new();
        drop(folders.open(1 << 20));
        let left = folders.0.path().join("cache/a.0123.tmp");
        fs::write(&left, b"half").unwrap();
        drop(folders.open(1 << 20));
        assert!(!left.exists());
    }
}
