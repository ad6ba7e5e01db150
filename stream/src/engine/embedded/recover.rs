//! Opening a log: closed segments by header and footer, the last one by its frames where it was not closed.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

use super::META;
use super::file::File;
use super::frame;
use super::log::{IndexPlace, Log, Segment, Shared, View};
use super::sealing::DataKey;
use super::segment::{self, Header, Trailer, corruption};
use crate::engine::{LogError, LogId};

impl Log {
    /// Opens the log in a folder. A torn last frame is cut off; what is damaged otherwise is an error.
    ///
    /// The last whole frame of a segment that was not closed is written and synced once more: after a failed sync its
    /// pages may look clean and not be on the disk.
    pub(super) fn open(id: LogId, folder: &Path, shared: Arc<Shared>) -> Result<Self, LogError> {
        let mut numbers = Vec::new();
        for name in shared.files.names(folder)? {
            match segment::number_of(&name) {
                Some(number) => numbers.push(number),
                // A file that was to become a segment, or was one and waited for its next use.
                None => shared.files.remove(&folder.join(name))?,
            }
        }
        if id != META {
            numbers = finish_trimming(id, folder, &numbers, &shared)?;
        }
        let mut closed = Vec::with_capacity(numbers.len());
        let mut first_kept = None;
        let mut last: Option<Opened> = None;
        for number in &numbers {
            let opened = Opened::open(id, folder, *number, &shared)?;
            if last.as_ref().is_some_and(|last| !last.precedes(&opened)) {
                let what = "frames are missing between this segment and the one before";
                return Err(corruption(id, opened.file.path(), 0, what));
            }
            first_kept.get_or_insert(opened.header.next);
            closed.push(Arc::new(opened.segment(&shared)));
            last = Some(opened);
        }
        let missing = || corruption(id, folder, 0, "the log's folder holds no segment");
        let (last, first_kept) = last.zip(first_kept).ok_or_else(missing)?;
        let state = last.trailer.state(&last.file, id)?;
        shared.newest.check(id, last.header.number, folder)?;
        let view = View { state, closed, active: None };
        Ok(Self::new(id, folder, shared, view, last.header.number + 1, first_kept))
    }
}

/// Removes the segments that were to go when a crash came in between. Returns those that are kept: an error when the
/// oldest of them is missing.
fn finish_trimming(id: LogId, folder: &Path, numbers: &[u32], shared: &Shared) -> Result<Vec<u32>, LogError> {
    let Some(last) = numbers.last() else { return Ok(Vec::new()) };
    // The newest segment has the last word.
    let last = Opened::open(id, folder, *last, shared)?;
    let kept_from = last.trailer.state(&last.file, id)?.kept_from;
    let (gone, kept): (Vec<u32>, Vec<u32>) = numbers.iter().partition(|number| **number < kept_from);
    for number in &gone {
        shared.files.remove(&segment::path(folder, *number))?;
    }
    if !gone.is_empty() {
        shared.files.sync_folder(folder)?;
    }
    match kept.first() {
        Some(first) if *first != kept_from => {
            let what =
                format!("the file is missing, and its records are not old enough to go: the oldest has number {first}");
            Err(corruption(id, &segment::path(folder, kept_from), 0, &what))
        }
        Some(_) | None => Ok(kept),
    }
}

/// A segment whose ends are known.
struct Opened {
    file: File,
    header: Header,
    trailer: Trailer,
    key: Option<Arc<DataKey>>,
}

impl Opened {
    fn open(id: LogId, folder: &Path, number: u32, shared: &Shared) -> Result<Self, LogError> {
        let file = shared.files.open(&segment::path(folder, number))?;
        let header = Header::read(&file, id)?;
        let key = header.key(&file)?;
        let trailer = if let Some(trailer) = Trailer::read(&file, header.salt)? {
            trailer
        } else {
            // Whoever began it may have ended before its name was on the disk. First, since a trailer says that it is.
            shared.files.sync_folder(folder)?;
            finish(&file, &header, shared)?
        };
        Ok(Self { file, header, trailer, key })
    }

    fn precedes(&self, next: &Self) -> bool {
        self.trailer.next == next.header.next && self.trailer.previous == next.header.previous
    }

    fn segment(&self, shared: &Shared) -> Segment {
        Segment {
            number: self.header.number,
            path: Arc::clone(self.file.path()),
            key: self.key.clone(),
            next: self.trailer.next,
            last_arrival: self.trailer.last_arrival,
            bytes: self.trailer.frames_end,
            has_records: self.trailer.index_bytes > 0,
            room: shared.quota.room_of(self.trailer.end()),
            index: RwLock::new(IndexPlace::Footer(self.trailer)),
        }
    }
}

/// Closes a segment that a crash left open.
fn finish(file: &File, header: &Header, shared: &Shared) -> Result<Trailer, LogError> {
    let bytes = file.read_at(0, usize::try_from(file.len()?).unwrap_or(usize::MAX))?;
    let scan = segment::scan(&bytes, header, header.state(file)?, file.path())?;
    let (kept, behind) = bytes.split_at_checked(scan.frames_end as usize).unwrap_or_default();
    if frame::is_torn(behind, header.number, scan.state.next) {
        shared.counters.torn_frames.inc();
    }
    if let Some(last) = scan.last_frame {
        file.write_at(kept.get(last as usize..).unwrap_or_default(), last)?;
        file.sync_data()?;
    }
    segment::close(file, header.salt, scan.frames_end, &scan.state, &scan.index)
}
