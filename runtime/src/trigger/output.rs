//! Putting what a function has emitted.
//!
//! Promises that records for one stream are put in order and, where it has one log, all or none; that nothing is put while
//! one of the streams is missing; and that whoever hears of an error knows that some may have been put.

use tidemill_stream::name::StreamName;
use tidemill_stream::put::{PutError, PutFailure};
use tidemill_stream::record::Record;
use tidemill_stream::store::Store;

use crate::functions::{Emission, Emitted};

/// Why not all that was emitted was put.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    /// The stream took none of it.
    #[error("what the function emitted cannot be put on '{stream}': {source}")]
    Refused { stream: StreamName, source: PutError },
    /// Of some records it is not known that they were put.
    #[error("what the function emitted was not all put on '{stream}': {source}")]
    Failed { stream: StreamName, source: PutFailure },
}

/// Puts all of it, durably. Returns how many records that were.
pub(super) async fn put(store: &Store, Emitted(emitted): Emitted) -> Result<u64, OutputError> {
    let count = emitted.len() as u64;
    let parts = by_stream(emitted);
    for (stream, _) in &parts {
        let refused = |missing: PutError| OutputError::Refused { stream: stream.clone(), source: missing };
        store.stream(stream).map_err(|missing| refused(missing.into()))?;
    }
    for (stream, records) in parts {
        let outcomes = store.put_many(&stream, records).await;
        let outcomes = outcomes.map_err(|source| OutputError::Refused { stream: stream.clone(), source })?;
        if let Some(source) = outcomes.into_iter().find_map(Result::err) {
            return Err(OutputError::Failed { stream, source });
        }
    }
    Ok(count)
}

/// The records of each stream, in their order; the streams in the order of their first records.
fn by_stream(emitted: Vec<Emission>) -> Vec<(StreamName, Vec<Record>)> {
    let mut parts: Vec<(StreamName, Vec<Record>)> = Vec::new();
    for Emission { stream, record } in emitted {
        match parts.iter_mut().find(|(name, _)| *name == stream) {
            Some((_, records)) => records.push(record),
            None => parts.push((stream, vec![record])),
        }
    }
    parts
}
