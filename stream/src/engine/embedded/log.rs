//! One log: its segments, what readers see of it, and the commit of one frame.
//!
//! The log promises that a frame is durable before anyone sees it, and that after a failed write or sync nothing is
//! acknowledged until the log stands on a new segment behind the last frame that was synced.

mod roll;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};

use super::META;
use super::closing::{Close, Closing};
use super::cold::ColdReads;
use super::commit::Queue;
use super::counts::Counters;
use super::damage::Damage;
use super::disk::Access;
use super::file::Files;
use super::footers::Footers;
use super::frame::{self, Body, Head, Notes, Place};
use super::index::SegmentIndex;
use super::newest::Newest;
use super::quota::{Claim, Quota, Room};
use super::retention::Latest;
use super::sealing::{self, DataKey};
use super::segment::{self, Trailer};
use super::spare::Spares;
use super::state::LogState;
use super::tail::Tail;
use super::writing::write_frame;
use crate::clock::{Clock, Timestamp};
use crate::engine::wake::Wakes;
use crate::engine::{LogError, LogId, LogStats, Position};
use crate::keys::Keyring;

/// What all logs of a node share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) files: Files,
    pub(super) tail: Tail,
    pub(super) footers: Footers,
    pub(super) newest: Newest,
    pub(super) counters: Counters,
    /// Sizes of a log's segments, the first to the last.
    pub(super) segment_bytes: [u64; 4],
    pub(super) quota: Arc<Quota>,
    pub(super) keys: Keyring,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) id: LogId,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Mutex<Queue>,
    /// Told when a large append is in the queue, encoded.
    pub(super) encoded: Condvar,
    pub(super) wakes: Wakes,
    pub(super) view: RwLock<View>,
    pub(super) cold: ColdReads,
    pub(super) damage: Damage,
    pub(super) closing: Closing,
    pub(super) spares: Spares,
    pub(super) folder: PathBuf,
    /// The first position of the oldest segment.
    pub(super) first_kept: Mutex<Position>,
    pub(super) horizon: Latest,
    /// Held while segments are removed.
    pub(super) trimming: Mutex<()>,
    /// Why the last commit failed, until one succeeds.
    failed: Mutex<Option<String>>,
    /// A frame that was not acknowledged may lie behind the last that was.
    in_doubt: AtomicBool,
    pub(super) writer: Mutex<Writer>,
}

/// What readers see: synced frames only.
#[derive(Debug)]
pub(super) struct View {
    pub(super) state: LogState,
    /// Segments that take no more frames, oldest first.
    pub(super) closed: Vec<Arc<Segment>>,
    /// The segment that takes frames.
    pub(super) active: Option<Active>,
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) number: u32,
    pub(super) path: Arc<Path>,
    pub(super) key: Option<Arc<DataKey>>,
    pub(super) index: SegmentIndex,
    /// When its first records arrived.
    pub(super) since: Option<Timestamp>,
    /// Bytes of its frames.
    pub(super) bytes: u64,
}

/// A segment that takes no more frames.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) path: Arc<Path>,
    pub(super) key: Option<Arc<DataKey>>,
    /// The first position behind it.
    pub(super) next: Position,
    /// When the log's last record before that position arrived.
    pub(super) last_arrival: Timestamp,
    /// Bytes of its frames.
    pub(super) bytes: u64,
    pub(super) has_records: bool,
    /// That of its file.
    pub(super) room: Arc<Room>,
    pub(super) index: RwLock<IndexPlace>,
}

/// Where a closed segment's index is.
#[derive(Debug, Clone)]
pub(super) enum IndexPlace {
    /// Still in memory: the footer is being written.
    Memory(Arc<SegmentIndex>),
    /// In the file.
    Footer(Trailer),
}

/// The side of a log that one committing thread holds at a time.
#[derive(Debug)]
pub(super) struct Writer {
    next_number: u32,
    target: Option<Target>,
    /// Which of [`Shared::segment_bytes`] the next segment takes.
    pub(super) step: usize,
    /// Why the last write or sync failed, until the log stands on a new segment.
    broken: Option<String>,
}

/// Where frames go.
#[derive(Debug)]
struct Target {
    path: Arc<Path>,
    number: u32,
    salt: u64,
    key: Option<Arc<DataKey>>,
    /// Where the next frame begins: all before is synced.
    frames_end: u64,
    /// Up to here the file has its blocks.
    prepared: u64,
    capacity: u64,
    room: Arc<Room>,
}

impl Log {
    /// Creates the log's folder and a log in it.
    pub(super) fn create(id: LogId, folder: &Path, shared: Arc<Shared>, state: LogState) -> Result<Self, LogError> {
        shared.files.create_folder(folder)?;
        if let Some(parent) = folder.parent() {
            shared.files.sync_folder(parent)?;
        }
        let first_kept = state.next;
        let log = Self::new(id, folder, shared, View { state, closed: Vec::new(), active: None }, 1, first_kept);
        log.begin(&mut log.writer.lock(), 0, Claim::Notes)?;
        Ok(log)
    }

    pub(super) fn new(
        id: LogId,
        folder: &Path,
        shared: Arc<Shared>,
        view: View,
        next_number: u32,
        first_kept: Position,
    ) -> Self {
        Self {
            id,
            shared,
            queue: Mutex::default(),
            encoded: Condvar::new(),
            wakes: Wakes::default(),
            view: RwLock::new(view),
            cold: ColdReads::default(),
            damage: Damage::default(),
            closing: Closing::default(),
            spares: Spares::default(),
            folder: folder.to_owned(),
            first_kept: Mutex::new(first_kept),
            horizon: Latest::default(),
            trimming: Mutex::default(),
            failed: Mutex::default(),
            in_doubt: AtomicBool::new(false),
            writer: Mutex::new(Writer { next_number, target: None, step: 0, broken: None }),
        }
    }

    /// Writes one frame, syncs it, and shows it to readers.
    pub(super) fn commit(&self, bodies: Vec<Body>, notes: &Notes, span: u32) -> Result<(Head, Timestamp), LogError> {
        let records = bodies.iter().map(|body| body.records).sum();
        let committed = self.try_commit(bodies, notes, span);
        *self.failed.lock() = committed.as_ref().err().map(ToString::to_string);
        self.shared.counters.committed(records, committed.as_ref().ok().map(|(head, _)| head.frame_bytes));
        committed
    }

    fn try_commit(&self, bodies: Vec<Body>, notes: &Notes, span: u32) -> Result<(Head, Timestamp), LogError> {
        let mut writer = self.writer.lock();
        self.repair(&mut writer)?;
        let is_sealed = self.view.read().state.settings.key.is_some();
        let growth = if is_sealed { sealing::growth(&bodies) } else { 0 };
        let frame_bytes = frame::measure(&bodies, notes) + growth;
        let claim = self.claim(&bodies);
        self.make_room(&mut writer, frame_bytes as u64, claim)?;
        let Some(target) = writer.target.as_mut() else { return Err(self.unavailable("it has no segment")) };
        let file = self.shared.files.shared(&target.path, Access::ReadWrite)?;
        file.check_is_there()?;
        let (place, arrival) = self.place(target);
        let bodies = match &target.key {
            Some(key) => key.seal(self.id, &self.shared.keys, (place.first, arrival), &bodies)?,
            None => bodies,
        };
        let (head, encoded) = frame::encode(place, arrival, &bodies, notes, span);
        let offset = target.frames_end;
        if let Err(error) = write_frame(&file, offset, &encoded, &bodies).and_then(|()| file.sync_data()) {
            writer.broken = Some(error.to_string());
            self.in_doubt.store(true, Ordering::Release);
            return Err(error);
        }
        target.frames_end += u64::from(head.frame_bytes);
        self.show(offset as u32, &head);
        let mut at = offset as u32 + encoded.len() as u32;
        for body in bodies {
            let bytes = body.bytes.len() as u32;
            self.shared.tail.keep(self.id, head.place.segment, at, body.bytes);
            at += bytes;
        }
        Ok((head, arrival))
    }

    /// What a frame of these bodies takes its room for.
    fn claim(&self, bodies: &[Body]) -> Claim {
        match bodies {
            [] => Claim::Notes,
            _ if self.id == META => Claim::Documents,
            _ => Claim::Records,
        }
    }

    fn place(&self, target: &Target) -> (Place, Timestamp) {
        let view = self.view.read();
        let place = Place {
            log: self.id,
            segment: target.number,
            salt: target.salt,
            generation: view.state.generation,
            first: view.state.next,
            previous: view.state.previous,
        };
        (place, self.shared.clock.now().max(view.state.last_arrival))
    }

    fn show(&self, offset: u32, head: &Head) {
        let mut view = self.view.write();
        view.state.apply(head);
        if let Some(active) = view.active.as_mut() {
            active.index.add(offset, head);
            active.bytes = u64::from(offset) + u64::from(head.frame_bytes);
            active.since = active.since.or(head.blocks.first().map(|block| block.arrival));
        }
    }

    /// After a failed write or sync: the segment ends behind its last synced frame, and a new one begins.
    pub(super) fn repair(&self, writer: &mut Writer) -> Result<(), LogError> {
        let Some(reason) = writer.broken.clone() else { return Ok(()) };
        self.end_segment(writer)?;
        tracing::warn!(log = %self.id, reason, "the log goes on in a new segment after a failed write");
        writer.broken = None;
        self.in_doubt.store(false, Ordering::Release);
        Ok(())
    }

    /// Moves the active segment to the closed ones; its footer is written by the maintenance thread, or at the next
    /// start.
    fn retire(&self, target: &Target) {
        let mut view = self.view.write();
        let Some(active) = view.active.take() else { return };
        let segment = Segment {
            number: active.number,
            path: active.path,
            key: active.key,
            next: view.state.next,
            last_arrival: view.state.last_arrival,
            bytes: target.frames_end,
            has_records: !active.index.is_empty(),
            room: Arc::clone(&target.room),
            index: RwLock::new(IndexPlace::Memory(Arc::new(active.index))),
        };
        let segment = Arc::new(segment);
        let state = view.state.clone();
        view.closed.push(Arc::clone(&segment));
        drop(view);
        let (salt, frames_end) = (target.salt, target.frames_end);
        self.closing.start(Close { segment, shared: Arc::clone(&self.shared), salt, frames_end, state });
    }

    /// Ends the active segment now, with its footer; the next commit begins another.
    fn end_segment(&self, writer: &mut Writer) -> Result<(), LogError> {
        let Some(target) = writer.target.take() else { return Ok(()) };
        let mut view = self.view.write();
        let index = view.active.as_ref().map(|active| active.index.clone()).unwrap_or_default();
        let file = self.shared.files.shared(&target.path, Access::ReadWrite);
        let closed = file.and_then(|file| segment::close(&file, target.salt, target.frames_end, &view.state, &index));
        match closed {
            Ok(trailer) => {
                let Target { number, path, key, room, .. } = target;
                room.set(trailer.end());
                let (next, last_arrival, bytes) = (view.state.next, view.state.last_arrival, target.frames_end);
                let (has_records, index) = (!index.is_empty(), RwLock::new(IndexPlace::Footer(trailer)));
                view.closed.push(Arc::new(Segment {
                    number,
                    path,
                    key,
                    next,
                    last_arrival,
                    bytes,
                    has_records,
                    room,
                    index,
                }));
                view.active = None;
                Ok(())
            }
            Err(error) => {
                writer.target = Some(target);
                Err(error)
            }
        }
    }

    /// Ends the log in good order: opening it again reads footers only.
    pub(super) fn close(&self) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        self.closing.finish();
        self.end_segment(&mut writer)
    }

    /// Its files are gone, although some still hold it.
    pub(super) fn leave_room(&self) {
        self.closing.finish();
        if let Some(target) = &self.writer.lock().target {
            target.room.set(0);
        }
        if let Some(spare) = self.spares.take_any() {
            spare.room.set(0);
        }
        for segment in &self.view.read().closed {
            segment.room.set(0);
        }
    }

    /// Whether a frame that was not acknowledged may still lie behind the last that was.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Acquire)
    }

    /// The first position that the segments here can hold.
    pub(super) fn first_kept(&self) -> Position {
        *self.first_kept.lock()
    }

    /// Waits for the footer that is being written.
    pub(super) fn finish_closing(&self) {
        self.closing.finish();
    }

    /// The log takes no more work: a commit of it broke down.
    pub(super) fn fail(&self, reason: &str) {
        *self.failed.lock() = Some(reason.to_owned());
        self.refuse_work();
    }

    /// Why the last commit failed, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        self.failed.lock().clone()
    }

    /// Why the log takes no records, if it does not, and what is damaged in it.
    pub(super) fn troubles(&self) -> Vec<String> {
        let failed =
            self.failure().map(|reason| format!("the log {} took no records at the last try: {reason}", self.id));
        let key = self.view.read().state.settings.key.filter(|key| !self.shared.keys.holds(*key));
        let no_key = key.map(|key| LogError::NoKey { log: self.id, key }.to_string());
        failed.into_iter().chain(no_key).chain(self.damage().map(|damage| damage.to_string())).collect()
    }

    pub(super) fn stats(&self) -> Result<LogStats, LogError> {
        let mut bytes = 0;
        for name in self.shared.files.names(&self.folder)? {
            let path = self.folder.join(name);
            bytes += std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        }
        let oldest = self.as_segments_go(|| self.oldest())?;
        let LogState { generation, settings, .. } = self.view.read().state;
        Ok(LogStats { bytes, oldest, generation, settings })
    }

    fn oldest(&self) -> Result<Option<Timestamp>, LogError> {
        let horizon = self.horizon(&self.view.read().state);
        let (closed, _) = self.segments(|segment| segment.last_arrival >= horizon);
        for segment in closed {
            if let Some(oldest) = self.index_of(&segment)?.oldest(horizon) {
                return Ok(Some(oldest));
            }
        }
        Ok(self.view.read().active.as_ref().and_then(|active| active.index.oldest(horizon)))
    }

    /// The index of a closed segment, from memory or from its footer.
    pub(super) fn index_of(&self, segment: &Segment) -> Result<Arc<SegmentIndex>, LogError> {
        if let Some(index) = self.index_in_memory(segment) {
            return Ok(index);
        }
        let trailer = match &*segment.index.read() {
            IndexPlace::Memory(index) => return Ok(Arc::clone(index)),
            IndexPlace::Footer(trailer) => *trailer,
        };
        let file = self.shared.files.shared(&segment.path, Access::Read)?;
        let index = Arc::new(trailer.index(&file, self.id)?);
        self.shared.footers.keep(self.id, segment.number, Arc::clone(&index));
        Ok(index)
    }

    /// The index of a closed segment, if no file need be read for it.
    pub(super) fn index_in_memory(&self, segment: &Segment) -> Option<Arc<SegmentIndex>> {
        match &*segment.index.read() {
            IndexPlace::Memory(index) => Some(Arc::clone(index)),
            IndexPlace::Footer(_) => self.shared.footers.get(self.id, segment.number),
        }
    }

    pub(super) fn unavailable(&self, reason: &str) -> LogError {
        LogError::Unavailable { log: self.id, reason: reason.to_owned() }
    }
}
