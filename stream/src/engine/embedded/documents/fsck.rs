//! What a check of a data folder needs of the documents: a copy of sled, and the files of the large ones.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::blobs::hex;
use super::catch_up::read_record;
use super::change::{BlobId, Content, StoredChange};
use super::view::{Standing, View};
use crate::engine::embedded::file::Files;
use crate::engine::{LogError, LogId, Position, Revision};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::record::StoredRecord;

/// Entries of sled that are looked at together.
const PAGE_ENTRIES: usize = 256;

/// A copy of sled that may be changed.
#[derive(Debug)]
pub(in crate::engine::embedded) struct Copied {
    view: View,
    standing: Standing,
    /// Where it stood before anything was replayed.
    applied: Position,
}

/// A document as sled has it.
#[derive(Debug)]
pub(in crate::engine::embedded) enum DocumentFound {
    Inline(Revision, Vec<u8>),
    Blob(Revision, Blob),
}

/// The file of a large document.
#[derive(Debug)]
pub(in crate::engine::embedded) struct Blob(BlobId);

impl Copied {
    pub(in crate::engine::embedded) fn open(folder: &Path) -> Result<Self, String> {
        let view = View::open(folder).map_err(|error| error.reason)?;
        let standing = view.standing().map_err(|error| error.reason)?;
        Ok(Self { view, standing, applied: standing.applied })
    }

    pub(in crate::engine::embedded) fn applied(&self) -> Position {
        self.applied
    }

    /// Whether a record of the log of documents can be read.
    pub(in crate::engine::embedded) fn check(record: &StoredRecord) -> Result<(), String> {
        changes(record).map(drop)
    }

    /// Makes the changes of a record of the log of documents, unless sled has seen it.
    pub(in crate::engine::embedded) fn replay(&mut self, record: &StoredRecord) -> Result<(), String> {
        let changes = changes(record)?;
        if record.position <= self.standing.applied {
            return Ok(());
        }
        let highest = changes.iter().map(|change| change.revision).max().unwrap_or(0);
        self.standing = Standing { applied: record.position, reserved: self.standing.reserved.max(highest) };
        self.view.apply(changes.iter(), self.standing).map_err(|error| error.reason)
    }

    pub(in crate::engine::embedded) fn newest(&self) -> Result<Vec<(LogId, u32)>, String> {
        self.view.newest().map_err(|error| error.reason)
    }

    /// Shows all documents by name; `None` for one that cannot be read.
    pub(in crate::engine::embedded) fn each(
        &self,
        visit: &mut dyn FnMut(&str, Option<DocumentFound>),
    ) -> Result<(), String> {
        let mut from = Vec::new();
        loop {
            let page = self.view.entries(&from, PAGE_ENTRIES).map_err(|error| error.reason)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = [last, [0].as_slice()].concat();
            for (key, stored) in &page {
                let document = Content::decode(stored).map(|(revision, content)| match content {
                    Content::Inline(value) => DocumentFound::Inline(revision, value),
                    Content::Blob(blob) => DocumentFound::Blob(revision, Blob(blob)),
                });
                let is_text = std::str::from_utf8(key).is_ok();
                visit(&String::from_utf8_lossy(key), document.filter(|_| is_text));
            }
        }
    }
}

impl Blob {
    /// The file's name.
    pub(in crate::engine::embedded) fn name(&self) -> String {
        hex(&self.0.sha256)
    }

    /// What is in the file, if it is what its name says.
    pub(in crate::engine::embedded) fn read(&self, path: &Path, files: &Files) -> Result<Vec<u8>, String> {
        let failed = |error: LogError| match error {
            LogError::Io { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => "it is missing".to_owned(),
            error => error.to_string(),
        };
        let found = files.open_to_read(path).and_then(|file| file.len()).map_err(failed)?;
        if found != self.0.len || found > DOCUMENT_BYTES_MAX as u64 {
            return Err(format!("it has {found} bytes, and {} belong there", self.0.len));
        }
        let value = files.read(path).map_err(failed)?;
        if Sha256::digest(&value)[..] == self.0.sha256 {
            Ok(value)
        } else {
            Err("its sha256 is not its name: it is damaged".to_owned())
        }
    }
}

fn changes(record: &StoredRecord) -> Result<Vec<StoredChange>, String> {
    read_record(&record.data).ok_or_else(|| "it cannot be read".to_owned())
}
