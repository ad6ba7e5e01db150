//! Settings of the engine.

use std::time::Duration;

use crate::keys::Keyring;
use crate::limits::{
    CHECKPOINT_BYTES, OPEN_FILES_MAX, PENDING_BYTES_MAX, PENDING_WAIT, RESERVE_BYTES, SEGMENT_BYTES, TAIL_BYTES_MAX,
};

/// Settings of the engine. The defaults are those of [`crate::limits`].
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Shards that share one log.
    pub shards_per_log: u32,
    /// Frames kept in memory for readers at the tip.
    pub tail_bytes_max: usize,
    /// Bytes of appends that may wait for their commit.
    pub pending_bytes_max: usize,
    /// How long an append waits for room among them.
    pub pending_wait: Duration,
    /// Sizes of a log's segments, bytes: of the first, the second, the third, and all others.
    pub segment_bytes: [u64; 4],
    /// Files that are kept open.
    pub open_files_max: usize,
    /// Bytes of the log of documents after which sled is brought to the disk and the log trimmed.
    pub checkpoint_bytes: u64,
    /// Bytes of the disk that are kept for deletions when it is full.
    pub reserve_bytes: u64,
    /// Bytes of disk that the logs may take together: beyond them records are refused. `None`: as many as there are.
    pub quota_bytes: Option<u64>,
    /// Those that logs may be encrypted with.
    pub keys: Keyring,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            shards_per_log: u32::MAX,
            tail_bytes_max: TAIL_BYTES_MAX,
            pending_bytes_max: PENDING_BYTES_MAX,
            pending_wait: PENDING_WAIT,
            segment_bytes: SEGMENT_BYTES,
            open_files_max: open_files_max(),
            checkpoint_bytes: CHECKPOINT_BYTES,
            reserve_bytes: RESERVE_BYTES,
            quota_bytes: None,
            keys: Keyring::default(),
        }
    }
}

/// As many files as the process may open, less what sockets and sled need.
fn open_files_max() -> usize {
    let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let allowed = allowed.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    (allowed / 2).min(OPEN_FILES_MAX)
}
