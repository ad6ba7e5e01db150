//! One log: its segments, what readers see of it, and the commit of one frame.
//!
//! The log promises that a frame is durable before anyone sees it, and that after a failed write or sync nothing is
//! acknowledged until the log stands on a new segment behind the last frame that was synced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, RwLock};

use super::closing::{Close, Closing};
use super::cold::ColdReads;
use super::commit::Queue;
use super::counts::Counters;
use super::damage::Damage;
use super::disk::Access;
use super::file::{File, Files};
use super::footers::Footers;
use super::frame::{self, Body, Head, Notes, Place};
use super::index::SegmentIndex;
use super::newest::Newest;
use super::retention::Latest;
use super::segment::{self, Header, Trailer};
use super::spare::Spares;
use super::state::LogState;
use super::tail::Tail;
use super::writing::{allocate_what_there_is, write_frame};
use crate::clock::{Clock, Timestamp};
use crate::engine::wake::Wakes;
use crate::engine::{LogError, LogId, LogStats, Position};

const PAGE_BYTES: u64 = 4096;

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
    /// The first position behind it.
    pub(super) next: Position,
    /// When the log's last record before that position arrived.
    pub(super) last_arrival: Timestamp,
    /// Bytes of its frames.
    pub(super) bytes: u64,
    pub(super) has_records: bool,
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
    /// Where the next frame begins: all before is synced.
    frames_end: u64,
    /// Up to here the file has its blocks.
    prepared: u64,
    capacity: u64,
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
        log.begin(&mut log.writer.lock(), 0)?;
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
        let frame_bytes = frame::measure(&bodies, notes);
        self.make_room(&mut writer, frame_bytes as u64, &bodies)?;
        let Some(target) = writer.target.as_mut() else { return Err(self.unavailable("it has no segment")) };
        let file = self.shared.files.shared(&target.path, Access::ReadWrite)?;
        file.check_is_there()?;
        let (place, arrival) = self.place(target);
        let (head, encoded) = frame::encode(place, arrival, &bodies, notes, span);
        let offset = target.frames_end;
        if let Err(error) = write_frame(&file, offset, &encoded, &bodies).and_then(|()| file.sync_data()) {
            writer.broken = Some(error.to_string());
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
        Ok(())
    }

    /// Sees to it that the active segment has prepared room for a frame, and is not too old for it.
    fn make_room(&self, writer: &mut Writer, frame_bytes: u64, bodies: &[Body]) -> Result<(), LogError> {
        let full = writer.target.as_ref().is_none_or(|target| target.frames_end + frame_bytes > target.capacity);
        if full {
            let larger = (writer.step + 1).min(self.shared.segment_bytes.len() - 1);
            self.roll(writer, frame_bytes, larger)?;
        } else if self.is_aged() {
            // It was not filled in its time.
            let smaller = writer.step.saturating_sub(1);
            self.roll(writer, frame_bytes, smaller)?;
        }
        let Some(target) = writer.target.as_mut() else { return Ok(()) };
        if target.frames_end + frame_bytes > target.prepared {
            // The first frame of a small segment: until now its file was its header alone, and without records it
            // stays small.
            let needed = target.frames_end + frame_bytes;
            let file = self.shared.files.shared(&target.path, Access::ReadWrite)?;
            if bodies.is_empty() {
                target.prepared = allocate_what_there_is(&file, needed.next_multiple_of(PAGE_BYTES), needed)?;
            } else {
                target.capacity = allocate_what_there_is(&file, target.capacity, needed)?;
                target.prepared = target.capacity;
            }
        }
        Ok(())
    }

    /// The next segment, of the size of this step if it is not the first since the log was opened.
    pub(super) fn roll(&self, writer: &mut Writer, frame_bytes: u64, step: usize) -> Result<(), LogError> {
        if let Some(target) = writer.target.take() {
            self.retire(&target);
            writer.step = step;
        }
        self.begin(writer, frame_bytes)
    }

    /// Begins a segment: its header is synced under its final name when this returns.
    fn begin(&self, writer: &mut Writer, frame_bytes: u64) -> Result<(), LogError> {
        let state = self.view.read().state.clone();
        let salt = getrandom::u64().map_err(|error| self.unavailable(&format!("no random numbers: {error}")))?;
        let (header, encoded) = Header::encode(self.id, writer.next_number, salt, &state);
        let needed = encoded.len() as u64 + frame_bytes;
        let capacity = self.segment_bytes(writer.step, &state.settings).max(needed);
        let file = self.fresh_file(capacity)?;
        let unfinished = Arc::clone(file.path());
        // On a full disk what it has got already is better given back.
        self.begin_in(file, writer, &header, &encoded, [needed, capacity])
            .inspect_err(|_| drop(self.shared.files.remove(&unfinished)))
    }

    fn begin_in(
        &self,
        file: File,
        writer: &mut Writer,
        header: &Header,
        encoded: &[u8],
        [needed, mut capacity]: [u64; 2],
    ) -> Result<(), LogError> {
        file.write_at(encoded, 0)?;
        // The first segment of a log gets its blocks with its first frame: an idle log costs a header.
        let mut prepared = encoded.len() as u64;
        if writer.step > 0 {
            capacity = allocate_what_there_is(&file, capacity, needed)?;
            prepared = capacity;
        }
        file.sync_all()?;
        let number = header.number;
        let path: Arc<Path> = segment::path(&self.folder, number).into();
        self.shared.files.publish(file, &path)?;
        if !self.refuses_work() {
            self.shared.newest.begun(self.id, number);
        }
        writer.next_number += 1;
        self.view.write().active =
            Some(Active { number, path: Arc::clone(&path), index: SegmentIndex::default(), since: None, bytes: 0 });
        let frames_end = u64::from(header.bytes);
        writer.target = Some(Target { path, number, salt: header.salt, frames_end, prepared, capacity });
        Ok(())
    }

    /// A file for a segment: that of a trimmed one if there is one of this size, whose blocks are written already, else
    /// a new one. What it held is told from new frames by the salt.
    fn fresh_file(&self, bytes: u64) -> Result<File, LogError> {
        match self.spares.take(bytes) {
            Some(path) => {
                self.shared.counters.segments_reused.inc();
                self.shared.files.open(&path)
            }
            None => self.shared.files.create(&self.folder.join("new.tmp")),
        }
    }

    /// Moves the active segment to the closed ones; its footer is written by the maintenance thread, or at the next
    /// start.
    fn retire(&self, target: &Target) {
        let mut view = self.view.write();
        let Some(active) = view.active.take() else { return };
        let segment = Segment {
            number: active.number,
            path: active.path,
            next: view.state.next,
            last_arrival: view.state.last_arrival,
            bytes: target.frames_end,
            has_records: !active.index.is_empty(),
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
                let (number, path) = (target.number, target.path);
                let (next, last_arrival, bytes) = (view.state.next, view.state.last_arrival, target.frames_end);
                let (has_records, index) = (!index.is_empty(), RwLock::new(IndexPlace::Footer(trailer)));
                view.closed.push(Arc::new(Segment { number, path, next, last_arrival, bytes, has_records, index }));
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

    /// Whether a frame that was not acknowledged may still lie behind the last that was.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.writer.lock().broken.is_some()
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
        failed.into_iter().chain(self.damage().map(|damage| damage.to_string())).collect()
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
