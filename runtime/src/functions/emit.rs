//! What a function puts on other streams.
//!
//! This file promises that a call's records are kept while it runs, within the limits and for allowed streams only, and
//! are handed over when it has succeeded. It must not know how a record is put.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidemill_stream::limits::RECORD_BYTES_DEFAULT;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{InvalidPartitionKey, PartitionKey, Record};

use super::limits::{EMITTED_BYTES_PER_CALL_MAX, EMITTED_RECORDS_PER_CALL_MAX};

/// A record for a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// Where it goes.
    pub stream: StreamName,
    /// What goes there.
    pub record: Record,
}

/// What a call that succeeded has emitted, in order: at most [`EMITTED_RECORDS_PER_CALL_MAX`] records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Emitted(pub Vec<Emission>);

/// Why a record was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EmitError {
    /// The deployment does not name the stream.
    #[error("this function may not emit to '{stream}': its deployment allows {}", allowed_list(allowed))]
    NotAllowed {
        /// The stream, as the function named it.
        stream: String,
        /// Those that it may emit to.
        allowed: Vec<StreamName>,
    },
    /// The key is none.
    #[error(transparent)]
    PartitionKey(#[from] InvalidPartitionKey),
    /// The record is too large.
    #[error("a record has at most {RECORD_BYTES_DEFAULT} bytes of data and partition key, this one has {bytes}")]
    RecordTooLarge {
        /// How many bytes it has.
        bytes: usize,
    },
    /// The call has emitted as many as it may.
    #[error("a call may emit {EMITTED_RECORDS_PER_CALL_MAX} records, and has")]
    TooMany,
    /// The call has emitted as much as it may.
    #[error("a call may emit {EMITTED_BYTES_PER_CALL_MAX} bytes, and would have emitted {bytes}")]
    TooMuch {
        /// How much there would be.
        bytes: usize,
    },
}

fn allowed_list(allowed: &[StreamName]) -> String {
    if allowed.is_empty() {
        return "none (the manifest's 'allow: { emit: [..] }')".to_owned();
    }
    allowed.iter().map(StreamName::as_str).collect::<Vec<_>>().join(", ")
}

/// What the call in work has emitted so far.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    emitted: Vec<Emission>,
    bytes: usize,
}

impl Outbox {
    /// Begins anew, and hands over what there was.
    pub(super) fn take(&mut self) -> Emitted {
        Emitted(std::mem::take(self).emitted)
    }

    pub(super) fn emit(
        &mut self,
        allowed: &BTreeSet<StreamName>,
        stream: &str,
        partition_key: String,
        data: Vec<u8>,
    ) -> Result<(), EmitError> {
        let Some(stream) = allowed.iter().find(|name| name.as_str() == stream) else {
            let (stream, allowed) = (stream.to_owned(), allowed.iter().cloned().collect());
            return Err(EmitError::NotAllowed { stream, allowed });
        };
        let partition_key = PartitionKey::parse(partition_key)?;
        let record = Record { partition_key, explicit_hash: None, data: Bytes::from(data) };
        let bytes = record.size_bytes();
        if bytes > RECORD_BYTES_DEFAULT {
            return Err(EmitError::RecordTooLarge { bytes });
        }
        if self.emitted.len() == EMITTED_RECORDS_PER_CALL_MAX {
            return Err(EmitError::TooMany);
        }
        let bytes = self.bytes + bytes;
        if bytes > EMITTED_BYTES_PER_CALL_MAX {
            return Err(EmitError::TooMuch { bytes });
        }
        self.bytes = bytes;
        self.emitted.push(Emission { stream: stream.clone(), record });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> BTreeSet<StreamName> {
        ["alerts", "quakes"].map(|name| StreamName::parse(name).unwrap()).into()
    }

    fn emit(outbox: &mut Outbox, stream: &str, key: &str, bytes: usize) -> Result<(), EmitError> {
        outbox.emit(&allowed(), stream, key.to_owned(), vec![0; bytes])
    }

    #[test]
    fn records_are_handed_over_once_and_in_order() {
        let mut outbox = Outbox::default();
        emit(&mut outbox, "quakes", "a", 1).unwrap();
        emit(&mut outbox, "alerts", "b", 2).unwrap();
        let Emitted(emitted) = outbox.take();
        let seen: Vec<_> = emitted.iter().map(|one| (one.stream.as_str(), one.record.data.len())).collect();
        assert_eq!(seen, [("quakes", 1), ("alerts", 2)]);
        assert_eq!(outbox.take(), Emitted::default());
    }

    #[test]
    fn what_breaks_a_rule_is_refused_and_the_rest_stays() {
        let mut outbox = Outbox::default();
        emit(&mut outbox, "quakes", "a", 1).unwrap();
        let refused = emit(&mut outbox, "orders", "a", 1).unwrap_err();
        assert_eq!(refused.to_string(), "this function may not emit to 'orders': its deployment allows alerts, quakes");
        assert!(matches!(emit(&mut outbox, "quakes", "", 1), Err(EmitError::PartitionKey(_))));
        let bytes = RECORD_BYTES_DEFAULT + 1;
        assert_eq!(emit(&mut outbox, "quakes", "a", RECORD_BYTES_DEFAULT), Err(EmitError::RecordTooLarge { bytes }));
        assert_eq!(outbox.take().0.len(), 1);
    }

    #[test]
    fn a_call_has_its_limits() {
        let mut outbox = Outbox::default();
        let fitting = EMITTED_BYTES_PER_CALL_MAX / RECORD_BYTES_DEFAULT;
        for _ in 0..fitting {
            emit(&mut outbox, "quakes", "a", RECORD_BYTES_DEFAULT - 1).unwrap();
        }
        let bytes = EMITTED_BYTES_PER_CALL_MAX + 2;
        assert_eq!(emit(&mut outbox, "quakes", "a", 1), Err(EmitError::TooMuch { bytes }));
        outbox.take();
        for _ in 0..EMITTED_RECORDS_PER_CALL_MAX {
            emit(&mut outbox, "quakes", "a", 0).unwrap();
        }
        assert_eq!(emit(&mut outbox, "quakes", "a", 0), Err(EmitError::TooMany));
        outbox.take();
        emit(&mut outbox, "quakes", "a", 0).unwrap();
    }
}
