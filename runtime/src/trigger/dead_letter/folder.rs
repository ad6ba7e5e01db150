//! Letters in a folder: a file each, named as AWS Lambda names its objects in S3.
//!
//! Promises that a letter is whole and on the disk before it counts as told, with the folders that lead to it, and that only
//! the node's own user may read it. What a file holds is in the clear: an encryption key of the node covers none of it. Blocking
//! work is done on threads for it.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tidemill_stream::cursor::TriggerId;

use super::Letter;
use super::document::moment;
use super::identity::Identity;

const FOLDER_MODE: u32 = 0o700;

/// A folder that takes letters.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    trigger: Identity,
}

/// Why a letter is not in the folder.
#[derive(Debug, thiserror::Error)]
#[error("the folder {} does not take the letter: {source}", folder.display())]
pub(in crate::trigger) struct FolderError {
    folder: PathBuf,
    source: io::Error,
}

impl Folder {
    pub(super) fn new(path: &Path, trigger: TriggerId) -> Self {
        Self { path: path.to_owned(), trigger: Identity::of_trigger(trigger) }
    }

    /// Keeps a letter. The same one, given again, takes the place of the first.
    pub(super) async fn keep(
        &self,
        letter: &Letter<'_>,
        identity: Identity,
        document: Bytes,
    ) -> Result<(), FolderError> {
        let (folder, key) = (self.path.clone(), self.key(letter, identity));
        let written = tokio::task::spawn_blocking(move || write(&folder, &key, &document)).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|source| FolderError { folder: self.path.clone(), source })
    }

    /// `aws/lambda/TRIGGER/SHARD/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-LETTER`, in UTC (AWS: "Retain discarded batch records for a
    /// Kinesis Data Streams event source in Lambda").
    fn key(&self, letter: &Letter<'_>, identity: Identity) -> PathBuf {
        let (trigger, shard, at) = (self.trigger, letter.invocation.shard, moment(letter.at));
        let (day, second) = (at.strftime("%Y/%m/%d"), at.strftime("%Y-%m-%dT%H.%M.%S"));
        PathBuf::from(format!("aws/lambda/{trigger}/{shard}/{day}/{second}-{identity}"))
    }
}

/// Under a name of its own first, which is gone again if that fails: what has the letter's name is whole.
fn write(folder: &Path, key: &Path, document: &[u8]) -> io::Result<()> {
    let path = folder.join(key);
    let day = path.parent().unwrap_or(folder);
    make(day)?;
    // Its mode is 0600.
    let mut file = tempfile::Builder::new().prefix(".letter-").tempfile_in(folder)?;
    file.write_all(document)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    sync_up_to(folder, day)
}

/// Makes a folder and those that lead to it. Each is on the disk before there is anything in it.
fn make(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    make(parent)?;
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => sync(parent),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Syncs a folder and those above it up to the first: whoever made one of them may have been cut short.
fn sync_up_to(first: &Path, folder: &Path) -> io::Result<()> {
    folder.ancestors().take_while(|ancestor| ancestor.starts_with(first)).try_for_each(sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[path = "folder/tests.rs"]
mod tests;
