//! The documents: sled against the log of documents and the files of the large ones.
//!
//! Opening sled writes to it, so a copy is looked at. It is brought up to the log of documents as a start would do it.

use std::collections::HashSet;
use std::path::Path;

use super::{Check, Findings, FsckError, folder, log};
use crate::engine::embedded::META;
use crate::engine::embedded::documents::{Blob, Copied, DocumentFound};
use crate::engine::{LogId, Position, Revision};
use crate::record::StoredRecord;

/// What sled holds, brought up to the log of documents.
pub(crate) struct DocumentsFound {
    copied: Option<Copied>,
    /// Each log's newest segment, as sled remembers it.
    pub(crate) newest: Vec<(LogId, u32)>,
    /// Whether these are all the documents there are.
    pub(crate) are_complete: bool,
}

/// Takes a document: its name, its revision and its content. Findings go to the check.
pub(crate) type VisitDocument<'a> = dyn FnMut(&mut Findings, &str, Revision, &[u8]) + 'a;

impl Check<'_> {
    /// Checks the log of documents and sled, of which a copy is made in `scratch`.
    pub(crate) fn documents(&mut self, scratch: &Path) -> Result<DocumentsFound, FsckError> {
        let errors = self.findings.errors;
        let had_sled = self.copy_sled(scratch)?;
        let mut copied = self.open_copy(scratch);
        let applied = copied.as_ref().map_or(Position(0), Copied::applied);
        let (meta, mut replayed) = (self.folder.join("meta"), Ok(()));
        let found = self.log(META, &meta, &mut |record| {
            if replayed.is_ok() {
                replayed = replay(copied.as_mut(), &record);
            }
        });
        if let Err(what) = replayed {
            self.findings.error(Some(META), &meta, None, what);
        }
        self.check_reach(&found, applied, had_sled);
        let newest = copied.as_ref().map_or(Ok(Vec::new()), Copied::newest);
        let newest = newest.unwrap_or_else(|reason| {
            self.findings.error(None, &self.folder.join("sled"), None, reason);
            Vec::new()
        });
        let remembered = newest.iter().find(|(log, _)| *log == META).map(|(_, number)| *number);
        self.check_newest(META, &meta, found.newest, remembered);
        Ok(DocumentsFound { copied, newest, are_complete: self.findings.errors == errors })
    }

    fn copy_sled(&mut self, scratch: &Path) -> Result<bool, FsckError> {
        let from = self.folder.join("sled");
        if !from.is_dir() {
            return Ok(false);
        }
        let copied = folder::copy(&from, scratch);
        let failed = |cause| FsckError::Scratch { from: from.clone(), to: scratch.to_owned(), cause };
        let bytes = copied.map_err(failed)?;
        self.checked(bytes);
        Ok(true)
    }

    fn open_copy(&mut self, scratch: &Path) -> Option<Copied> {
        let opened = Copied::open(scratch);
        opened.map_err(|reason| self.findings.error(None, &self.folder.join("sled"), None, reason)).ok()
    }

    /// Whether sled and the log of documents meet.
    fn check_reach(&mut self, found: &log::Found, applied: Position, had_sled: bool) {
        let (sled, meta) = (self.folder.join("sled"), self.folder.join("meta"));
        let first = found.first.unwrap_or(Position(1));
        if found.newest.is_none() && (applied.0 > 0 || self.folder.join("logs").exists()) {
            let what = format!("the log of documents is missing, and sled has seen its position {}", applied.0);
            self.findings.error(Some(META), &meta, None, what);
        } else if first.0 > applied.0 + 1 {
            let (has, begins) = (applied.0, first.0);
            let what = if had_sled {
                format!(
                    "sled is older than the log of documents reaches: it has position {has}, and the log begins at {begins}"
                )
            } else {
                format!("it is missing, and the log of documents begins at position {begins}: what is older is lost")
            };
            self.findings.error(None, &sled, None, what);
        } else if !had_sled {
            self.findings.note(
                None,
                &sled,
                None,
                "it is missing: the next start makes it anew from the log of documents",
            );
        }
        if let Some(end) = found.end.as_ref().filter(|end| applied >= end.next) {
            let what = format!(
                "the log of documents ends at position {}, and sled has seen {}: segments of the log are missing",
                end.next.0.saturating_sub(1),
                applied.0
            );
            self.findings.error(Some(META), &meta, None, what);
        }
    }

    /// Checks each document, and shows it to `visit`; then whether there are files of large documents that no document
    /// has.
    pub(crate) fn each_document(&mut self, found: &DocumentsFound, visit: &mut VisitDocument<'_>) {
        let Some(copied) = &found.copied else { return };
        let mut referenced = HashSet::new();
        let walked = copied.each(&mut |key, document| {
            self.counts.documents += 1;
            match document {
                None => {
                    let what = format!("the document '{key}' cannot be read");
                    self.findings.error(None, &self.folder.join("sled"), None, what);
                }
                Some(DocumentFound::Inline(revision, value)) => visit(&mut self.findings, key, revision, &value),
                Some(DocumentFound::Blob(revision, blob)) => {
                    let is_first = referenced.insert(blob.name());
                    if let Some(value) = self.blob(key, &blob, is_first) {
                        visit(&mut self.findings, key, revision, &value);
                    }
                }
            }
        });
        if let Err(reason) = walked {
            self.findings.error(None, &self.folder.join("sled"), None, reason);
        } else if found.are_complete {
            self.check_unreferenced(&referenced);
        }
    }

    fn blob(&mut self, key: &str, blob: &Blob, is_first: bool) -> Option<Vec<u8>> {
        let path = self.folder.join("blobs").join(blob.name());
        let read = blob.read(&path, &self.files);
        if is_first {
            self.counts.blobs += 1;
            self.checked(std::fs::metadata(&path).map_or(0, |metadata| metadata.len()));
        }
        read.map_err(|what| self.findings.error(None, &path, None, format!("the document '{key}' lies in it: {what}")))
            .ok()
    }

    fn check_unreferenced(&mut self, referenced: &HashSet<String>) {
        let blobs = self.folder.join("blobs");
        for name in self.names(&blobs, None).into_iter().filter(|name| !referenced.contains(name)) {
            let path = blobs.join(&name);
            // One that was being written when a crash came has a dot.
            if !name.contains('.') {
                self.findings.note(None, &path, None, "no document refers to it: a checkpoint removes it");
            }
            self.checked(std::fs::metadata(&path).map_or(0, |metadata| metadata.len()));
        }
    }
}

fn replay(copied: Option<&mut Copied>, record: &StoredRecord) -> Result<(), String> {
    let what = format!("the change of documents at position {}", record.position.0);
    match copied {
        Some(copied) => copied.replay(record).map_err(|reason| format!("{what}: {reason}")),
        None => Copied::check(record).map_err(|reason| format!("{what}: {reason}")),
    }
}
