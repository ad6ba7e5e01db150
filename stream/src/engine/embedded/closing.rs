//! Footers are written behind the back of commits, on a thread that lives only while there is one to write.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use super::disk::Access;
use super::log::{IndexPlace, Segment, Shared};
use super::segment;
use super::state::LogState;

/// A segment whose footer is to be written.
#[derive(Debug)]
pub(super) struct Close {
    pub(super) segment: Arc<Segment>,
    pub(super) shared: Arc<Shared>,
    pub(super) salt: u64,
    pub(super) frames_end: u64,
    pub(super) state: LogState,
}

/// The footer of one log that is being written, if any: the next one waits for it.
#[derive(Debug, Default)]
pub(super) struct Closing(Mutex<Option<JoinHandle<()>>>);

impl Closing {
    /// Writes this footer before long.
    pub(super) fn start(&self, close: Close) {
        let mut work = self.0.lock();
        if let Some(before) = work.take() {
            let _ = before.join();
        }
        // Where no thread can be had the index stays in memory, and the next start reads the frames instead.
        *work = thread::Builder::new().name("footer".to_owned()).spawn(move || write_footer(&close)).ok();
    }

    /// Waits for the footer that is being written.
    pub(super) fn finish(&self) {
        if let Some(work) = self.0.lock().take() {
            let _ = work.join();
        }
    }
}

fn write_footer(close: &Close) {
    let index = match &*close.segment.index.read() {
        IndexPlace::Memory(index) => Arc::clone(index),
        IndexPlace::Footer(_) => return,
    };
    let file = close.shared.files.shared(&close.segment.path, Access::ReadWrite);
    match file.and_then(|file| segment::close(&file, close.salt, close.frames_end, &close.state, &index)) {
        Ok(trailer) => {
            close.segment.room.set(trailer.end());
            *close.segment.index.write() = IndexPlace::Footer(trailer);
        }
        Err(error) => tracing::warn!(%error, "a segment's footer was not written; the next start makes it anew"),
    }
}
