//! Judging changes of documents, each on top of those before it in the same commit.

use bytes::Bytes;

use super::blobs::Blobs;
use super::change::{Content, StoredChange};
use super::keeper::Request;
use super::view::View;
use super::{log_failed, view_failed};
use crate::engine::{Change, DocumentError, Durability, Key, Revision, check_expected};
use crate::limits::{BLOB_BYTES_MIN, RESERVE_GROWTH_BYTES_MAX};

/// Changes that are accepted but not yet applied.
pub(super) struct Staged {
    pub(super) revision: u64,
    overlay: Vec<(String, Option<Revision>)>,
}

impl Staged {
    pub(super) fn new(revision: u64) -> Self {
        Self { revision, overlay: Vec::new() }
    }

    pub(super) fn judge(
        &mut self,
        view: &View,
        blobs: &Blobs,
        request: &Request,
    ) -> Result<Vec<StoredChange>, DocumentError> {
        for change in &request.changes {
            check_expected(change, self.found(view, &change.key)?)?;
        }
        let contents = request.changes.iter().map(|change| content(blobs, change.value.as_ref()));
        let contents: Vec<_> = contents.collect::<Result<_, _>>()?;
        Ok(request.changes.iter().zip(contents).map(|(change, content)| self.accept(change, content)).collect())
    }

    fn found(&self, view: &View, key: &Key) -> Result<Option<Revision>, DocumentError> {
        if let Some((_, revision)) = self.overlay.iter().rev().find(|(staged, _)| staged == key.as_str()) {
            return Ok(*revision);
        }
        Ok(view.get(key.as_str()).map_err(|error| view_failed(&error))?.map(|(revision, _)| revision))
    }

    fn accept(&mut self, change: &Change, content: Option<Content>) -> StoredChange {
        self.revision += 1;
        let key = change.key.as_str().to_owned();
        self.overlay.push((key.clone(), content.is_some().then_some(Revision(self.revision))));
        StoredChange { key, revision: self.revision, content }
    }
}

/// Whether all that is asked for is to delete, or to change to something that is no larger: what a full disk still
/// takes, as it is the way to space. Lazy changes are not: there is no end of them.
pub(super) fn needs_no_space(request: &Request, view: &View) -> bool {
    let fits = |change: &Change| match &change.value {
        None => true,
        Some(value) if value.len() >= BLOB_BYTES_MIN => false,
        Some(value) => matches!(
            view.get(change.key.as_str()),
            Ok(Some((_, Content::Inline(found)))) if value.len() <= found.len() + RESERVE_GROWTH_BYTES_MAX
        ),
    };
    request.durability == Durability::Synced && request.changes.iter().all(fits)
}

/// A large value goes to a file of its own, before anything refers to it.
fn content(blobs: &Blobs, value: Option<&Bytes>) -> Result<Option<Content>, DocumentError> {
    match value {
        None => Ok(None),
        Some(value) if value.len() < BLOB_BYTES_MIN => Ok(Some(Content::Inline(value.to_vec()))),
        Some(value) => blobs.put(value).map(|blob| Some(Content::Blob(blob))).map_err(|error| log_failed(&error)),
    }
}
