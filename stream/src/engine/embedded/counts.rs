//! What an engine counts: for the operator's metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often something happened since the engine was opened.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn inc(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commits: Counter,
    pub(super) commit_records: Counter,
    pub(super) commit_bytes: Counter,
    pub(super) commit_failures: Counter,
    pub(super) corruptions: Counter,
    pub(super) torn_frames: Counter,
    pub(super) segments_reused: Counter,
    pub(super) checkpoints: Counter,
    pub(super) documents_reopened: Counter,
}

/// The counts of an engine since it was opened, and what it holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that were written and synced.
    pub commits: u64,
    /// Records in them.
    pub commit_records: u64,
    /// Bytes of them.
    pub commit_bytes: u64,
    /// Frames that were not written or not synced.
    pub commit_failures: u64,
    /// Times that bytes on disk were not what was written.
    pub corruptions: u64,
    /// Last frames that a crash had torn, and that were cut off.
    pub torn_frames: u64,
    /// Segments that were begun in the file of one that was trimmed.
    pub segments_reused: u64,
    /// Checkpoints of the documents.
    pub checkpoints: u64,
    /// Times that sled was opened anew after it had failed.
    pub documents_reopened: u64,
    /// Bytes of frames that are alive in memory now.
    pub tail_bytes: u64,
    /// Files that are kept open now.
    pub open_files: u64,
    /// Bytes of appends that wait for their commit now.
    pub pending_bytes: u64,
    /// Bytes of disk that the logs take now, with what is allocated ahead of records.
    pub disk_bytes: u64,
    /// Bytes that they may take, if that is limited.
    pub disk_quota_bytes: Option<u64>,
}

impl Counters {
    /// One commit was tried: so many records, and the frame's bytes if it was made.
    pub(super) fn committed(&self, records: u32, frame_bytes: Option<u32>) {
        match frame_bytes {
            Some(bytes) => {
                self.commits.inc();
                self.commit_records.add(u64::from(records));
                self.commit_bytes.add(u64::from(bytes));
            }
            None => self.commit_failures.inc(),
        }
    }

    /// The counts; what is held now is for the caller to fill in.
    pub(super) fn read(&self) -> Counts {
        Counts {
            commits: self.commits.get(),
            commit_records: self.commit_records.get(),
            commit_bytes: self.commit_bytes.get(),
            commit_failures: self.commit_failures.get(),
            corruptions: self.corruptions.get(),
            torn_frames: self.torn_frames.get(),
            segments_reused: self.segments_reused.get(),
            checkpoints: self.checkpoints.get(),
            documents_reopened: self.documents_reopened.get(),
            ..Counts::default()
        }
    }
}
