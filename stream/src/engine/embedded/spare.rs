//! Files of trimmed segments that wait for their next use: their blocks are written already, and overwriting them is
//! twice as fast as filling new ones.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::file::Files;
use super::log::Segment;
use super::quota::Room;

/// The spare file of one log, if it has one.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<Option<Spare>>);

/// A file that waits.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) path: Arc<Path>,
    pub(super) bytes: u64,
    pub(super) room: Arc<Room>,
}

/// Its name in the log's folder; like whatever is no segment there, it goes when the log is opened.
const NAME: &str = "spare.tmp";

impl Spares {
    /// Where a trimmed segment's file may wait, unless there is a spare already, or it would not serve for a segment of
    /// so many bytes where they are known.
    pub(super) fn place_for(
        &self,
        folder: &Path,
        segment: &Segment,
        files: &Files,
        next_bytes: Option<u64>,
    ) -> Option<Spare> {
        let bytes = files.open_to_read(&segment.path).and_then(|file| file.len()).ok()?;
        let spare = Spare { path: folder.join(NAME).into(), bytes, room: Arc::clone(&segment.room) };
        let serves = next_bytes.is_none_or(|bytes| spare.serves(bytes));
        (self.0.lock().is_none() && serves).then_some(spare)
    }

    pub(super) fn keep(&self, spare: Option<Spare>) {
        if spare.is_some() {
            *self.0.lock() = spare;
        }
    }

    /// The spare file, if it serves for a segment of so many bytes: neither much smaller nor larger.
    pub(super) fn take(&self, bytes: u64) -> Option<Spare> {
        let mut spare = self.0.lock();
        spare.take_if(|spare| spare.serves(bytes))
    }

    /// The spare file, for its bytes to be given back.
    pub(super) fn take_any(&self) -> Option<Spare> {
        self.0.lock().take()
    }
}

impl Spare {
    fn serves(&self, bytes: u64) -> bool {
        (bytes / 2..=bytes).contains(&self.bytes)
    }
}
