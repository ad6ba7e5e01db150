//! What a log keeps: the horizon, behind which nothing is read, and the segments behind it, which go.
//!
//! Promises that nothing inside is ever lost: the log first says, in a frame of its own, from which segment on it is
//! kept, and only then do files go. So after a power cut at any step the next start finishes, and a file that is missing
//! for another reason is still found to be missing. Must not know who asks for it, or when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::commit::{PendingExpiry, Work};
use super::frame::{GoneNote, Notes};
use super::log::{Log, Segment, View};
use super::quota::Claim;
use super::state::LogState;
use super::{Embedded, META, blocking};
use crate::clock::Timestamp;
use crate::engine::{Expired, LogError, LogId, LogSettings, Position};
use crate::keys::KeyPrint;
use crate::limits::{SEGMENTS_PER_RETENTION, SEGMENTS_PER_RETENTION_BYTES};

/// The latest of all times that it was shown.
#[derive(Debug, Default)]
pub(super) struct Latest(AtomicU64);

impl Latest {
    fn of(&self, time: Timestamp) -> Timestamp {
        let before = self.0.fetch_max(time.as_millis(), Ordering::Relaxed);
        Timestamp::from_millis(before).max(time)
    }
}

impl Log {
    /// No record from before this time is read any more. It never steps back.
    pub(super) fn horizon(&self, state: &LogState) -> Timestamp {
        // Documents are not records: they are kept until they are deleted.
        if self.id == META {
            return Timestamp::default();
        }
        let horizon = self.shared.clock.now().minus(state.settings.retention);
        self.horizon.of(horizon.max(state.horizon))
    }

    /// Whether the active segment should take no more records, so that its first ones need not wait for later ones when
    /// they expire.
    pub(super) fn is_aged(&self) -> bool {
        let view = self.view.read();
        let since = view.active.as_ref().and_then(|active| active.since).filter(|_| self.id != META);
        let age_max = view.state.settings.retention / SEGMENTS_PER_RETENTION;
        since.is_some_and(|since| self.shared.clock.now().since(since) > age_max)
    }

    /// The size of a segment of this step.
    pub(super) fn segment_bytes(&self, step: usize, settings: &LogSettings) -> u64 {
        self.shared.segment_bytes.get(step).copied().unwrap_or(0).min(self.part_bytes(settings))
    }

    /// The size that no segment should be over.
    fn part_bytes(&self, settings: &LogSettings) -> u64 {
        let smallest = self.shared.segment_bytes.first().copied().unwrap_or(0);
        let part = settings.retention_bytes.map_or(u64::MAX, |bytes| bytes / SEGMENTS_PER_RETENTION_BYTES);
        part.max(smallest)
    }

    /// Whether there is something to expire.
    pub(super) fn has_expired(&self) -> bool {
        let view = self.view.read();
        self.is_wholly_behind(&view) || self.is_outsized(&view) || !self.expired_segments(&view).is_empty()
    }

    /// Whether there are segments that should have gone.
    fn has_leftovers(&self) -> bool {
        let view = self.view.read();
        view.closed.first().is_some_and(|oldest| oldest.number < view.state.kept_from)
    }

    /// Whether the active segment has records, and all of them have expired.
    fn is_wholly_behind(&self, view: &View) -> bool {
        let has_records = view.active.as_ref().is_some_and(|active| active.since.is_some());
        has_records && view.state.last_arrival < self.horizon(&view.state)
    }

    /// Whether the active segment, begun when the log could keep more, is too large to go in time.
    fn is_outsized(&self, view: &View) -> bool {
        view.active.as_ref().is_some_and(|active| active.bytes > self.part_bytes(&view.state.settings))
    }

    /// The oldest segments, as far as all of their records have expired or are too many. The newest may be among them if
    /// it has records: without any, another one would only take its place.
    fn expired_segments(&self, view: &View) -> Vec<Arc<Segment>> {
        let LogState { settings, kept_from, .. } = &view.state;
        let mut kept: Vec<_> = view.closed.iter().filter(|segment| segment.number >= *kept_from).collect();
        let is_newest = view.active.is_none();
        if is_newest && kept.last().is_some_and(|last| !last.has_records) {
            kept.pop();
        }
        let horizon = self.horizon(&view.state);
        let by_time = kept.partition_point(|segment| segment.last_arrival < horizon);
        let closed_bytes: u64 = kept.iter().map(|segment| segment.bytes).sum();
        let mut bytes = closed_bytes + view.active.as_ref().map_or(0, |active| active.bytes);
        let bytes_max = settings.retention_bytes.unwrap_or(u64::MAX);
        // A segment from when the log could keep more stays until newer ones hold about as many bytes as it may keep.
        let least = bytes_max.saturating_sub(self.part_bytes(settings));
        let is_over = |segment: &&&Arc<Segment>| {
            let over = bytes > bytes_max && bytes - segment.bytes >= least;
            bytes -= segment.bytes;
            over
        };
        let by_size = kept.iter().take_while(is_over).count().min(kept.len().saturating_sub(usize::from(is_newest)));
        kept.into_iter().take(by_time.max(by_size)).cloned().collect()
    }

    /// Says durably from which segment on the log is kept. On a thread that has the log in hand.
    pub(super) fn commit_expiry(&self) -> Result<(), LogError> {
        let (is_behind, is_outsized) = {
            let view = self.view.read();
            (self.is_wholly_behind(&view), self.is_outsized(&view))
        };
        if is_behind || is_outsized {
            // Nothing comes any more, for now, or no large segments do: the next is small, and needs no spare.
            let mut writer = self.writer.lock();
            self.repair(&mut writer)?;
            self.roll(&mut writer, 0, 0, Claim::Notes)?;
            self.drop_spare()?;
        }
        let view = self.view.read();
        let (going, horizon) = (self.expired_segments(&view), self.horizon(&view.state));
        drop(view);
        let Some(last) = going.last() else { return Ok(()) };
        let notes = Notes {
            kept_from: Some(last.number + 1),
            gone: Some(self.ends_of(&going)),
            horizon_ms: Some(horizon.as_millis()),
            ..Notes::default()
        };
        self.commit(Vec::new(), &notes, 1).map(drop)
    }

    /// What it holds may be in the clear; segments that go from now on leave none such.
    fn drop_spare_in_turn(&self) -> Result<(), LogError> {
        let _turn = self.trimming.lock();
        self.drop_spare()
    }

    fn drop_spare(&self) -> Result<(), LogError> {
        let Some(spare) = self.spares.take_any() else { return Ok(()) };
        spare.room.set(0);
        self.shared.files.remove(&spare.path)
    }

    /// Where each shard's records end in these segments.
    fn ends_of(&self, going: &[Arc<Segment>]) -> Vec<GoneNote> {
        let mut ends = std::collections::BTreeMap::new();
        for segment in going.iter().filter(|segment| segment.has_records) {
            match self.index_of(segment) {
                Ok(index) => ends.extend(index.ends()),
                // It goes all the same: whoever still wanted to read it is told less.
                Err(error) => tracing::warn!(log = %self.id, %error, "a segment that expires cannot be read"),
            }
        }
        ends.into_iter().map(|(shard, end)| GoneNote { shard: shard.0, before: end.0 }).collect()
    }

    /// Removes the segments from before the one that the log says it is kept from.
    pub(super) fn trim_expired(&self) -> Result<Expired, LogError> {
        let kept_from = self.view.read().state.kept_from;
        let trimmed = self.trim_while(|segment| segment.number < kept_from);
        self.shared.footers.forget_before(self.id, kept_from);
        trimmed
    }

    /// Removes closed segments that hold nothing at or behind `keep_from`.
    pub(super) fn trim(&self, keep_from: Position) -> Result<(), LogError> {
        self.trim_while(|segment| segment.next <= keep_from).map(drop)
    }

    /// Removes the oldest of the closed segments. The newest segment stays in any case: it alone knows where the log goes
    /// on. A file of the size that the next segment takes is kept for it.
    fn trim_while(&self, is_gone: impl Fn(&Segment) -> bool) -> Result<Expired, LogError> {
        let _turn = self.trimming.lock();
        let mut view = self.view.write();
        let behind = view.closed.partition_point(|segment| is_gone(segment));
        let closed_to_keep = usize::from(view.active.is_none());
        let keep = behind.min(view.closed.len().saturating_sub(closed_to_keep));
        let gone: Vec<_> = view.closed.drain(..keep).collect();
        drop(view);
        if gone.is_empty() {
            return Ok(Expired::default());
        }
        // Its footer may still be in the making.
        self.closing.finish();
        self.remove(gone)
    }

    fn remove(&self, gone: Vec<Arc<Segment>>) -> Result<Expired, LogError> {
        let files = &self.shared.files;
        let next_bytes = self.next_segment_bytes();
        let is_encrypted = self.view.read().state.settings.key.is_some();
        let (mut spare, mut bytes) = (None, 0);
        for (index, segment) in gone.iter().enumerate() {
            // What was in the clear is to be gone.
            let may_wait = !is_encrypted || segment.key.is_some();
            let place = || self.spares.place_for(&self.folder, segment, files, next_bytes);
            let removed = match may_wait.then(place).flatten() {
                Some(kept) if spare.is_none() => files.rename(&segment.path, &kept.path).map(|()| spare = Some(kept)),
                Some(_) | None => files.remove(&segment.path).map(|()| {
                    segment.room.set(0);
                    bytes += segment.bytes;
                }),
            };
            if let Err(error) = removed {
                // To be tried again: a later one that goes while it stays would leave a gap.
                self.view.write().closed.splice(0..0, gone.into_iter().skip(index));
                return Err(error);
            }
            *self.first_kept.lock() = segment.next;
        }
        files.sync_folder(&self.folder)?;
        // Only now: written to before its old name is gone for good, it would be damage under that name.
        self.spares.keep(spare);
        Ok(Expired { bytes })
    }

    /// The size of the segment that follows when the active one is full. That of documents is often as large as they are.
    fn next_segment_bytes(&self) -> Option<u64> {
        if self.id == META {
            return None;
        }
        let step = (self.writer.lock().step + 1).min(self.shared.segment_bytes.len() - 1);
        Some(self.segment_bytes(step, &self.view.read().state.settings))
    }

    /// Reads again where a segment went while it was read: what is left is behind the new horizon. Ends, since each time
    /// there are fewer segments.
    pub(super) fn as_segments_go<T>(&self, read: impl Fn() -> Result<T, LogError>) -> Result<T, LogError> {
        loop {
            let kept_from = self.view.read().state.kept_from;
            match read() {
                Err(_) if self.view.read().state.kept_from != kept_from => {}
                read => return read,
            }
        }
    }
}

impl Embedded {
    pub(super) async fn expire_log(&self, id: LogId) -> Result<Expired, LogError> {
        let log = self.log(id)?;
        let has_expired = log.has_expired();
        if !has_expired && !log.has_leftovers() {
            return Ok(Expired::default());
        }
        if has_expired {
            match self.commit_expiry(&log).await {
                // On a full disk there is space for this: it gives back more.
                Err(error) if error.is_full() && self.documents.reserve.give_up() => self.commit_expiry(&log).await?,
                committed => committed?,
            }
        }
        blocking(id, move || log.trim_expired()).await
    }

    async fn commit_expiry(&self, log: &Arc<Log>) -> Result<(), LogError> {
        let (answer, answered) = oneshot::channel();
        self.committers.submit(log, Work::Expire(PendingExpiry { answer }));
        answered.await.map_err(|_| self.let_go(log))?
    }

    /// Changes a log that exists. What is behind its horizon stays there.
    pub(super) async fn change_log(&self, log: &Arc<Log>, settings: LogSettings) -> Result<(), LogError> {
        let horizon = {
            let view = log.view.read();
            // A frame in doubt may have others, and comes back after a crash: it is to be gone first.
            if view.state.settings == settings && !log.is_in_doubt() {
                return Ok(());
            }
            log.horizon(&view.state)
        };
        let notes = Notes {
            retention_ms: Some(u64::try_from(settings.retention.as_millis()).unwrap_or(u64::MAX)),
            retention_bytes: Some(settings.retention_bytes.unwrap_or(0)),
            key: Some(settings.key.map_or(0, KeyPrint::number)),
            horizon_ms: Some(horizon.as_millis()),
            ..Notes::default()
        };
        match self.note_for_log(log, notes.clone()).await {
            // On a full disk there is space for this: it may be what makes room.
            Err(error) if error.is_full() && self.documents.reserve.give_up() => self.note_for_log(log, notes).await?,
            noted => noted?,
        }
        let log = Arc::clone(log);
        blocking(log.id, move || if settings.key.is_some() { log.drop_spare_in_turn() } else { Ok(()) }).await
    }
}
