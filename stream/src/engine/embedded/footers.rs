//! Indexes of closed segments that were read lately, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::index::SegmentIndex;
use crate::engine::LogId;

#[derive(Debug)]
pub(super) struct Footers {
    bytes_max: usize,
    /// The least lately used first.
    recent: Mutex<VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    log: LogId,
    segment: u32,
    index: Arc<SegmentIndex>,
}

impl Footers {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, recent: Mutex::default() }
    }

    pub(super) fn get(&self, log: LogId, segment: u32) -> Option<Arc<SegmentIndex>> {
        let mut recent = self.recent.lock();
        let at = recent.iter().position(|entry| entry.log == log && entry.segment == segment)?;
        let entry = recent.remove(at)?;
        let index = Arc::clone(&entry.index);
        recent.push_back(entry);
        Some(index)
    }

    /// Forgets the segments of a log before this one.
    pub(super) fn forget_before(&self, log: LogId, kept_from: u32) {
        self.recent.lock().retain(|entry| entry.log != log || entry.segment >= kept_from);
    }

    /// Forgets a log that is gone.
    pub(super) fn forget(&self, log: LogId) {
        self.recent.lock().retain(|entry| entry.log != log);
    }

    /// Keeps an index, at the cost of those that were not used for longest. One is kept whatever its size.
    pub(super) fn keep(&self, log: LogId, segment: u32, index: Arc<SegmentIndex>) {
        let mut recent = self.recent.lock();
        recent.push_back(Entry { log, segment, index });
        let mut bytes: usize = recent.iter().map(|entry| entry.index.bytes()).sum();
        while bytes > self.bytes_max && recent.len() > 1 {
            bytes -= recent.pop_front().map_or(0, |entry| entry.index.bytes());
        }
    }
}
