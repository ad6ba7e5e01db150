//! Bringing sled up to the meta log: at the start, and when it was opened anew because it had failed.

use super::change::StoredChange;
use super::keeper::Keeper;
use super::reserve::full;
use super::rewrite::rewrite;
use super::view::{Standing, ViewError};
use super::{SHARD, Trouble};
use crate::engine::embedded::read::Source;
use crate::engine::{Bound, LogError, Position, ReadLimits};
use crate::limits::REOPEN_FREE_BYTES;

/// Records of the meta log that are replayed at once.
const REPLAY_LIMITS: ReadLimits = ReadLimits { records_max: 1000, bytes_max: 16 << 20 };

impl Keeper {
    /// Opens sled anew if it failed, and brings it up: from the meta log, and with what was only in its memory.
    pub(super) fn catch_up_if_behind(&mut self) -> Result<(), Trouble> {
        let Some(failure) = self.behind.clone() else { return Ok(()) };
        self.catch_up().map_err(|trouble| Trouble {
            reason: format!("{}; it is not yet opened anew: {}", failure.reason, trouble.reason),
            is_full: trouble.is_full,
        })?;
        tracing::warn!(reason = failure.reason, "sled was opened anew after it had failed; nothing is lost");
        self.shared.counters.documents_reopened.inc();
        self.behind = None;
        Ok(())
    }

    fn catch_up(&mut self) -> Result<(), Trouble> {
        if let Err(error) = self.check_space() {
            // What the meta log holds must come to sled, before anything can be deleted.
            if !(error.is_full() && self.reserve.give_up()) {
                return Err(Trouble::from(&error));
            }
        }
        self.view.close().map_err(|error| Trouble::from(&error))?;
        // Until that succeeds there is no checkpoint, and the meta log keeps everything.
        if self.unsynced.is_some() {
            let rewritten = rewrite(self.view.folder(), &self.shared.files);
            self.unsynced = rewritten.err().map(|error| Trouble::from(&error));
        }
        self.view.reopen().map_err(|error| Trouble::from(&error))?;
        let brought_up = self.bring_up();
        if brought_up.is_err() {
            // No answer is better than one from a sled that lacks documents.
            let _ = self.view.close();
        }
        brought_up
    }

    /// After a failed sync of sled's files: closes sled, writes them once more, and opens it again.
    pub(super) fn write_once_more_if_unsynced(&mut self) -> Result<(), LogError> {
        self.behind.clone_from(&self.unsynced);
        self.catch_up_if_behind().map_err(|trouble| self.log.unavailable(&trouble.reason))?;
        self.unsynced.as_ref().map_or(Ok(()), |trouble| Err(self.log.unavailable(&trouble.reason)))
    }

    fn bring_up(&mut self) -> Result<(), Trouble> {
        self.standing = self.view.standing().map_err(|error| Trouble::from(&error))?;
        self.check_reach().map_err(|error| Trouble::from(&error))?;
        self.replay().map_err(|error| Trouble::from(&error))?;
        self.restore_lazy().map_err(|error| Trouble::from(&error))
    }

    fn restore_lazy(&self) -> Result<(), ViewError> {
        let mut missing = Vec::new();
        for change in self.lazy.values() {
            let found = self.view.get(&change.key)?.map_or(0, |(revision, _)| revision.0);
            if found < change.revision {
                missing.push(change);
            }
        }
        self.view.apply(missing.into_iter(), self.standing)
    }

    /// An error while the disk is so full that sled would fail again at once: until then it answers at least reads.
    fn check_space(&self) -> Result<(), LogError> {
        let folder = self.view.folder();
        let free = self.shared.files.free_bytes(folder)?;
        if free < REOPEN_FREE_BYTES { Err(full(folder)) } else { Ok(()) }
    }

    /// An error when sled and the meta log do not meet: one of them was lost, or brought back from an older time.
    pub(super) fn check_reach(&self) -> Result<(), LogError> {
        let (applied, first) = (self.standing.applied, self.log.first_kept());
        let folder = self.view.folder().display();
        if first > Position(applied.0 + 1) {
            let what = format!(
                "sled in {folder} is older than the meta log reaches: it has position {}, and the log begins at {}",
                applied.0, first.0
            );
            return Err(self.log.unavailable(&what));
        }
        let end = self.log.view.read().state.next;
        if applied >= end {
            let what = format!(
                "the meta log ends at position {}, and sled in {folder} has seen {}: segments of the log are missing",
                end.0.saturating_sub(1),
                applied.0
            );
            return Err(self.log.unavailable(&what));
        }
        Ok(())
    }

    /// Brings sled up to the meta log.
    pub(super) fn replay(&mut self) -> Result<(), LogError> {
        let mut from = Bound::after(self.standing.applied);
        loop {
            let batch = self.log.read(SHARD, from, REPLAY_LIMITS, Source::Disk)?;
            let Some(batch) = batch.filter(|batch| !batch.records.is_empty() || !batch.is_at_tip()) else {
                return Ok(());
            };
            from = batch.next;
            for record in batch.records {
                let changes = read_record(&record.data)
                    .ok_or_else(|| self.log.unavailable("a document's change in the meta log cannot be read"))?;
                let highest = changes.iter().map(|change| change.revision).max().unwrap_or(0);
                let reserved = self.standing.reserved.max(highest);
                self.standing = Standing { applied: record.position, reserved };
                let applied = self.view.apply(changes.iter(), self.standing);
                applied.map_err(|error| self.unavailable(&error))?;
            }
        }
    }
}

/// The changes that a record of the meta log holds.
pub(in crate::engine::embedded) fn read_record(data: &[u8]) -> Option<Vec<StoredChange>> {
    minicbor::decode(data).ok()
}
