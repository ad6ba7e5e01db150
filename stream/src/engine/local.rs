//! What engines on this machine have in common: their limits, and what they compare.

use bytes::Bytes;

use super::{Append, AppendError, Capabilities, Change, DocumentError, Expect, Revision};
use crate::limits;

/// What an engine on this machine can do: bounded by the store's own limits alone.
pub(super) fn file_capabilities(shards_per_log: u32) -> Capabilities {
    Capabilities {
        record_bytes_max: limits::RECORD_BYTES_MAX,
        append_records_max: limits::APPEND_RECORDS_MAX,
        append_bytes_max: limits::APPEND_BYTES_MAX,
        shards_per_log,
        document_bytes_max: limits::DOCUMENT_BYTES_MAX,
    }
}

/// Refuses an append that is over the limits of an engine on this machine.
pub(super) fn check_append(append: &Append) -> Result<(), AppendError> {
    let records = append.records.len();
    let bytes = append.records.iter().map(|(_, record)| record.size_bytes()).sum();
    let marks_fit = append.marks.iter().all(|mark| mark.key.len() <= limits::KEY_BYTES_MAX)
        && append.marks.iter().map(|mark| mark.value.len()).sum::<usize>() <= limits::MARK_BYTES_MAX;
    if records <= limits::APPEND_RECORDS_MAX && bytes <= limits::APPEND_BYTES_MAX && marks_fit {
        Ok(())
    } else {
        Err(AppendError::TooLarge { records, bytes })
    }
}

/// Refuses documents that are over the limits of an engine on this machine.
pub(super) fn check_changes(changes: &[Change]) -> Result<(), DocumentError> {
    for Change { key, value, .. } in changes {
        let bytes = value.as_ref().map_or(0, Bytes::len);
        if bytes > limits::DOCUMENT_BYTES_MAX || key.as_str().len() > limits::KEY_BYTES_MAX {
            return Err(DocumentError::TooLarge { key: key.clone(), bytes });
        }
    }
    Ok(())
}

/// Compares what a change expects with what is there.
pub(super) fn check_expected(change: &Change, found: Option<Revision>) -> Result<(), DocumentError> {
    let met = match change.expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::At(revision) => found == Some(revision),
    };
    if met { Ok(()) } else { Err(DocumentError::Conflict { key: change.key.clone(), found }) }
}
