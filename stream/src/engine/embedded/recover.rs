//! Opening a log: closed segments by header and footer, the last one by its frames.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

use super::file;
use super::log::{IndexPlace, Log, Segment, Shared, View};
use super::segment::{self, Header, Trailer, corruption};
use super::state::LogState;
use crate::engine::{LogError, LogId, Position};

impl Log {
    /// Opens the log in a folder. A torn last frame is cut off; what is damaged otherwise is an error.
    ///
    /// The last whole frame of a segment that was not closed is written and synced once more: after a failed sync its
    /// pages may look clean and not be on the disk.
    pub(super) fn open(id: LogId, folder: &Path, shared: Arc<Shared>) -> Result<Self, LogError> {
        let mut numbers = Vec::new();
        for name in file::names(folder)? {
            match segment::number_of(&name) {
                Some(number) => numbers.push(number),
                None => file::remove(&folder.join(name))?,
            }
        }
        let first = numbers.first().map(|first| first_position(id, folder, *first)).transpose()?;
        let mut closed = Vec::with_capacity(numbers.len());
        let mut state: Option<LogState> = None;
        for number in &numbers {
            let (segment, after) = open_segment(id, folder, *number, state.as_ref(), Some(number) == numbers.last())?;
            closed.push(Arc::new(segment));
            state = Some(after);
        }
        let missing = || corruption(id, folder, 0, "the log's folder holds no segment");
        let (state, first_kept) = state.zip(first).ok_or_else(missing)?;
        let next_number = numbers.last().map_or(1, |last| last + 1);
        Ok(Self::new(id, folder, shared, View { state, closed, active: None }, next_number, first_kept))
    }
}

fn first_position(id: LogId, folder: &Path, number: u32) -> Result<Position, LogError> {
    let path = segment::path(folder, number);
    let (header, _) = Header::read(&file::open_to_read(&path)?, &path, id)?;
    Ok(header.state.next)
}

/// Opens one segment. Returns it closed, and the log's state behind it.
fn open_segment(
    id: LogId,
    folder: &Path,
    number: u32,
    before: Option<&LogState>,
    is_last: bool,
) -> Result<(Segment, LogState), LogError> {
    let path: Arc<Path> = segment::path(folder, number).into();
    let file = file::open(&path)?;
    let (header, header_bytes) = Header::read(&file, &path, id)?;
    if before.is_some_and(|before| !continues(before, &header.state)) {
        return Err(corruption(id, &path, 0, "frames are missing between this segment and the one before"));
    }
    if let Some(trailer) = Trailer::read(&file, &path, header.salt)? {
        // Only positions are known without the frames: the next segment's header, or a scan, brings the rest.
        let state =
            if is_last { scan_closed(&file, &path, &header, header_bytes, &trailer)? } else { at(&header, &trailer) };
        return Ok((closed(number, path, &state, IndexPlace::Footer(trailer)), state));
    }
    let bytes = file::read(&path)?;
    let scan = segment::scan(&bytes, &header, header_bytes, &path)?;
    if let Some(last) = scan.last_frame {
        let frame = bytes.get(last as usize..scan.frames_end as usize).unwrap_or_default();
        file::write_at(&file, &path, frame, last)?;
        file::sync_data(&file, &path)?;
    }
    let trailer = segment::close(&file, &path, header.salt, scan.frames_end, &scan.state, &scan.index)?;
    Ok((closed(number, path, &scan.state, IndexPlace::Footer(trailer)), scan.state))
}

fn continues(before: &LogState, header: &LogState) -> bool {
    before.next == header.next && before.previous == header.previous
}

fn at(header: &Header, trailer: &Trailer) -> LogState {
    LogState {
        next: trailer.next,
        previous: trailer.previous,
        last_arrival: trailer.last_arrival,
        ..header.state.clone()
    }
}

/// The state behind the last segment when it was closed: its frames' notes count, so they are read once.
fn scan_closed(
    file: &std::fs::File,
    path: &Path,
    header: &Header,
    header_bytes: usize,
    trailer: &Trailer,
) -> Result<LogState, LogError> {
    let bytes = file::read_at(file, path, 0, trailer.frames_end as usize)?;
    let scan = segment::scan(&bytes, header, header_bytes, path)?;
    if scan.frames_end == trailer.frames_end && scan.state.next == trailer.next {
        Ok(scan.state)
    } else {
        Err(corruption(header.log, path, scan.frames_end, "a damaged frame before the segment's footer"))
    }
}

fn closed(number: u32, path: Arc<Path>, state: &LogState, index: IndexPlace) -> Segment {
    Segment { number, path, next: state.next, last_arrival: state.last_arrival, index: RwLock::new(index) }
}
