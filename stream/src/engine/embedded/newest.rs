//! The number of each log's newest segment, remembered in sled: a log's folder alone cannot tell that its last file is
//! missing.

use std::collections::HashMap;
use std::path::Path;

use parking_lot::Mutex;

use super::segment::{self, corruption};
use crate::engine::{LogError, LogId};

/// What sled knew at the start, and what it does not know yet.
#[derive(Debug, Default)]
pub(super) struct Newest {
    known: Mutex<HashMap<LogId, u32>>,
    news: Mutex<HashMap<LogId, Option<u32>>>,
}

impl Newest {
    /// What sled remembers of a log.
    pub(super) fn remember(&self, log: LogId, number: u32) {
        self.known.lock().insert(log, number);
    }

    /// The logs that sled remembers.
    pub(super) fn logs(&self) -> Vec<LogId> {
        self.known.lock().keys().copied().collect()
    }

    /// A segment was begun.
    pub(super) fn begun(&self, log: LogId, number: u32) {
        self.news.lock().insert(log, Some(number));
    }

    /// A log is gone.
    pub(super) fn dropped(&self, log: LogId) {
        self.known.lock().remove(&log);
        self.news.lock().insert(log, None);
    }

    /// What sled is to remember from now on.
    pub(super) fn take_news(&self) -> Vec<(LogId, Option<u32>)> {
        self.news.lock().drain().collect()
    }

    /// An error when there was a segment behind the last that was found.
    pub(super) fn check(&self, log: LogId, found: u32, folder: &Path) -> Result<(), LogError> {
        match self.known.lock().get(&log) {
            Some(known) if *known > found => {
                let what =
                    format!("the file is missing, and it was the log's newest: the one before has number {found}");
                Err(corruption(log, &segment::path(folder, *known), 0, &what))
            }
            Some(_) | None => Ok(()),
        }
    }
}
