//! One segment: its header, its frames, and whether its footer says what they say.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::Check;
use super::frames::{End, Walk};
use crate::engine::embedded::file::File;
use crate::engine::embedded::frame::decode_head_alone;
use crate::engine::embedded::index::SegmentIndex;
use crate::engine::embedded::segment::{Header, TRAILER_BYTES, Trailer, corruption};
use crate::engine::embedded::state::LogState;
use crate::engine::{LogError, LogId, LogSettings};
use crate::limits::FSCK_SEGMENT_BYTES_MAX;
use crate::record::StoredRecord;

/// How many segments follow in the log: a footer is written before the one behind the next segment is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Last,
    BeforeLast,
    Older,
}

/// The log's state at both ends of a segment, each `None` where it cannot be told.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) begin: Option<LogState>,
    pub(super) end: Option<LogState>,
}

impl Check<'_> {
    /// Checks a segment in full, and shows its records to `visit`.
    pub(super) fn segment(
        &mut self,
        id: LogId,
        path: &Path,
        place: Place,
        visit: &mut dyn FnMut(StoredRecord),
    ) -> Ends {
        self.counts.segments += 1;
        let checked = self.open_segment(id, path).and_then(|opened| self.opened(opened, place, visit));
        checked.unwrap_or_else(|error| {
            self.findings.failed(Some(id), path, error);
            self.checked(std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
            Ends::default()
        })
    }

    fn open_segment(&self, id: LogId, path: &Path) -> Result<(File, Header), LogError> {
        let file = self.files.open_to_read(path)?;
        let bytes = file.len()?;
        if bytes > FSCK_SEGMENT_BYTES_MAX {
            let what = format!("{bytes} bytes are more than a segment ever has: {FSCK_SEGMENT_BYTES_MAX} at most");
            return Err(corruption(id, path, 0, &what));
        }
        let header = Header::read(&file, id)?;
        Ok((file, header))
    }

    fn opened(
        &mut self,
        (file, header): (File, Header),
        place: Place,
        visit: &mut dyn FnMut(StoredRecord),
    ) -> Result<Ends, LogError> {
        let path = file.path().to_path_buf();
        let bytes = Bytes::from(file.read_at(0, usize::try_from(file.len()?).unwrap_or(usize::MAX))?);
        let file_bytes = bytes.len() as u64;
        let trailer = Trailer::read(&file, header.salt)?;
        if trailer.is_none() {
            self.say_why_open(&bytes, &header, &path, place);
        }
        if let Err(error) = header.key(&file) {
            self.findings.failed(Some(header.log), &path, error);
        }
        let begin = header.state(&file).map_err(|error| self.findings.failed(Some(header.log), &path, error)).ok();
        let mut walk = self.walk(&header, &path, bytes, trailer.as_ref(), place, begin.as_ref());
        walk.run(visit);
        let (state, index, exact, frames_end) = (walk.state, walk.index, walk.exact, walk.offset as u64);
        let exact = exact && begin.is_some();
        let scanned = Scanned { state, index, exact, frames_end };
        let end = match trailer {
            Some(trailer) => self.footer(&file, &header, &trailer, scanned),
            None => scanned.exact.then_some(scanned.state),
        };
        self.checked(file_bytes);
        Ok(Ends { begin, end })
    }

    fn walk<'b>(
        &'b mut self,
        header: &'b Header,
        path: &'b Path,
        mut bytes: Bytes,
        trailer: Option<&Trailer>,
        place: Place,
        begin: Option<&LogState>,
    ) -> Walk<'b> {
        let end = match (trailer, place) {
            (Some(trailer), _) => {
                bytes.truncate(usize::try_from(trailer.frames_end).unwrap_or(usize::MAX));
                End::Closed
            }
            (None, Place::Last) => End::Open,
            (None, Place::BeforeLast | Place::Older) => End::Followed,
        };
        // Where the header's state is damaged, the first frame says its generation.
        let made_up = || {
            let first = bytes.get(header.bytes as usize..).and_then(|bytes| decode_head_alone(bytes, header.salt));
            let mut state = LogState::new(LogSettings::kept_for(Duration::ZERO));
            state.generation = first.map_or(state.generation, |head| head.place.generation);
            LogState { next: header.next, previous: header.previous, ..state }
        };
        let state = begin.cloned().unwrap_or_else(made_up);
        Walk {
            findings: &mut self.findings,
            counts: &mut self.counts,
            header,
            path,
            bytes,
            end,
            state,
            index: SegmentIndex::default(),
            exact: true,
            offset: header.bytes as usize,
        }
    }

    /// A segment without a footer: all but the last two have one, and whole, unless the disk refused it.
    fn say_why_open(&mut self, bytes: &[u8], header: &Header, path: &Path, place: Place) {
        let at = bytes.len().saturating_sub(TRAILER_BYTES) as u64;
        match (Trailer::is_damaged(bytes, header.salt), place) {
            (true, Place::Older) => {
                self.findings.error(Some(header.log), path, Some(at), "the footer's trailer is damaged");
            }
            (true, Place::BeforeLast | Place::Last) => {
                let what = "the footer's trailer is not whole: the next start makes the footer anew from the frames";
                self.findings.note(Some(header.log), path, Some(at), what);
            }
            (false, Place::Older) => {
                let what = "it has no footer: the next start makes it from the frames";
                self.findings.note(Some(header.log), path, None, what);
            }
            (false, Place::BeforeLast | Place::Last) => {}
        }
    }

    /// Compares a footer with the frames; the state behind them, as far as it is known.
    fn footer(&mut self, file: &File, header: &Header, trailer: &Trailer, scanned: Scanned) -> Option<LogState> {
        let (log, path) = (Some(header.log), file.path());
        let trailer_offset = trailer.state_offset() + u64::from(trailer.state_bytes);
        let mut wrong = |offset: u64, what: &str| self.findings.error(log, path, Some(offset), what);
        if trailer.frames_end != trailer.index_offset || trailer.frames_end != scanned.frames_end {
            wrong(trailer_offset, "the trailer does not say where the frames end");
        }
        let ends = (scanned.state.next, scanned.state.previous, scanned.state.last_arrival);
        if scanned.exact && ends != (trailer.next, trailer.previous, trailer.last_arrival) {
            wrong(trailer_offset, "the trailer's last positions and time are not those of the frames");
        }
        match trailer.index(file, header.log) {
            Ok(index) if scanned.exact && index != scanned.index => {
                wrong(trailer.index_offset, "the index in the footer is not that of the frames");
            }
            Ok(_) => {}
            Err(error) => self.findings.failed(log, path, error),
        }
        match trailer.state(file, header.log) {
            Ok(state) if scanned.exact && state != scanned.state => {
                let what = "the state in the footer is not that of the frames";
                self.findings.error(log, path, Some(trailer.state_offset()), what);
                Some(scanned.state)
            }
            Ok(state) => Some(state),
            Err(error) => {
                self.findings.failed(log, path, error);
                scanned.exact.then_some(scanned.state)
            }
        }
    }
}

/// What the frames say.
struct Scanned {
    state: LogState,
    index: SegmentIndex,
    exact: bool,
    frames_end: u64,
}
