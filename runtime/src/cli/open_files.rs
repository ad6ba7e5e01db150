//! How many files the process may open: segments and connections stay open, and what a shell allows is little.
//!
//! Promises as many as the system lets this process have, and a word where that is too few for what the node would keep
//! open. It must not know what the files are for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

use crate::http::HttpLimits;

/// How many files macOS lets any process have (`OPEN_MAX`) where it says that there is no limit.
const UNLIMITED: u64 = 10_240;
/// Files that are no connections: documents, locks, the log, watches, and the segments of a few streams.
const OTHERS: u64 = 256;

/// Raises the limit. The engine takes its measure when it is opened, so this comes before.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let needed = needed(&HttpLimits::default());
    let raise = |current| setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    let raised = raise(limit.maximum).or_else(|_| raise(Some(needed))).or_else(|_| raise(Some(UNLIMITED)));
    let now = getrlimit(Resource::Nofile);
    match raised {
        Ok(()) => debug!(before = ?limit.current, now = ?now.current, "more files may be open"),
        Err(error) => debug!(limit = ?limit.current, %error, "the limit of open files stays as it is"),
    }
    if let Some(few) = now.current.filter(|current| *current < needed) {
        warn!(
            limit = few,
            needed,
            "few files may be open: beyond them connections wait. Raise the hard limit ('ulimit -Hn', 'LimitNOFILE=' of a \
             systemd unit, '--ulimit nofile=' of a container)"
        );
    }
}

/// As many as a node with few streams opens that has all its connections.
fn needed(limits: &HttpLimits) -> u64 {
    limits.connections_max as u64 + OTHERS
}
