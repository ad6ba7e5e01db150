//! Opening: which logs there are, and what becomes of one that cannot be opened.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::log::{Log, Shared};
use super::state::LogState;
use super::{META, Slot, segment};
use crate::engine::{LogError, LogId, LogSettings, StreamId, Trouble};
use crate::limits::{OPENING_THREADS, RETENTION_DEFAULT};

pub(super) fn troubles(id: LogId, slot: &Slot) -> Vec<Trouble> {
    let lines = match slot {
        Slot::Open(log) => log.troubles(),
        Slot::Damaged(corruption) => vec![corruption.to_string()],
        Slot::Unavailable(reason) => vec![format!("the log {id} is unavailable: {reason}")],
    };
    lines.into_iter().map(|what| Trouble { log: Some(id), what }).collect()
}

pub(super) fn open_meta(folder: &Path, shared: &Arc<Shared>) -> Result<Log, LogError> {
    if folder.exists() && has_segments(folder, shared)? {
        Log::open(META, folder, Arc::clone(shared))
    } else {
        Log::create(META, folder, Arc::clone(shared), LogState::new(LogSettings::kept_for(RETENTION_DEFAULT)))
    }
}

/// Opens all logs, several at a time: each waits for the disk.
pub(super) fn open_logs(folder: &Path, shared: &Arc<Shared>) -> Result<HashMap<LogId, Slot>, LogError> {
    let (found, strange): (Vec<_>, Vec<_>) =
        shared.files.names(folder)?.into_iter().partition(|name| parse_log_id(name).is_some());
    for name in strange {
        tracing::warn!(folder = %folder.display(), name, "left alone: not a log's folder");
    }
    let mut ids: Vec<LogId> = found.iter().filter_map(|name| parse_log_id(name)).collect();
    ids.extend(shared.newest.logs());
    ids.sort();
    ids.dedup();
    let (queue, logs) = (Mutex::new(ids), Mutex::new(HashMap::new()));
    thread::scope(|scope| {
        for _ in 0..OPENING_THREADS {
            scope.spawn(|| {
                while let Some(id) = { queue.lock().pop() } {
                    if let Some(slot) = open_slot(id, &folder.join(id.to_string()), shared) {
                        logs.lock().insert(id, slot);
                    }
                }
            });
        }
    });
    Ok(logs.into_inner())
}

/// `None` for a crash while the log was created or dropped: the store finishes either. What is wrong with a log is told
/// by the store, which knows its stream.
fn open_slot(id: LogId, folder: &Path, shared: &Arc<Shared>) -> Option<Slot> {
    let opened = match has_segments(folder, shared) {
        Ok(true) => Log::open(id, folder, Arc::clone(shared)),
        Ok(false) => shared.newest.check(id, 0, folder).and(Err(LogError::NoLog(id))),
        Err(error) => Err(error),
    };
    let slot = match opened {
        Ok(log) => Slot::Open(Arc::new(log)),
        Err(LogError::NoLog(_)) => return None,
        Err(LogError::Corrupt(corruption)) => Slot::Damaged(corruption),
        Err(error @ (LogError::Io { .. } | LogError::NoKey { .. } | LogError::Unavailable { .. })) => {
            Slot::Unavailable(error.to_string())
        }
    };
    if matches!(slot, Slot::Damaged(_)) {
        shared.counters.corruptions.inc();
    }
    Some(slot)
}

fn has_segments(folder: &Path, shared: &Shared) -> Result<bool, LogError> {
    match shared.files.names(folder) {
        Err(LogError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => Ok(false),
        names => Ok(names?.iter().any(|name| segment::number_of(name).is_some())),
    }
}

pub(super) fn parse_log_id(name: &str) -> Option<LogId> {
    let (stream, part) = name.split_once('-')?;
    let stream = (stream.len() == 16).then(|| u64::from_str_radix(stream, 16).ok()).flatten()?;
    Some(LogId { stream: StreamId(stream), part: part.parse().ok()? })
}
