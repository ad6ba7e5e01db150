//! Names that follow from what they name.
//!
//! Promises that the same trigger, and the same records given up by it, have the same name for ever, whenever they are named;
//! and that others have another. Names are UUIDs of version 8 (RFC 9562): the beginning of a SHA-256.

use std::fmt;

use sha2::{Digest as _, Sha256};
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::record::StoredRecord;

use crate::functions::Invocation;

/// A name. Shown as 8-4-4-4-12 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u128);

impl Identity {
    /// Of a trigger.
    pub(super) fn of_trigger(TriggerId(trigger): TriggerId) -> Self {
        Self::of(Sha256::new_with_prefix("tidemill trigger").chain_update(trigger.to_be_bytes()))
    }

    /// Of the records that a trigger gives up. User records of one Kinesis record are told apart by what they hold.
    pub(super) fn of_letter(TriggerId(trigger): TriggerId, invocation: &Invocation) -> Self {
        let Invocation { shard, records, .. } = invocation;
        let mut hash = Sha256::new_with_prefix("tidemill letter")
            .chain_update(trigger.to_be_bytes())
            .chain_update(shard.0.to_be_bytes());
        for StoredRecord { position, partition_key, data, .. } in records.iter() {
            let key = partition_key.as_str();
            hash.update(position.0.to_be_bytes());
            hash.update((key.len() as u64).to_be_bytes());
            hash.update(key);
            hash.update((data.len() as u64).to_be_bytes());
            hash.update(data);
        }
        Self::of(hash)
    }

    fn of(hash: Sha256) -> Self {
        let bytes: [u8; 32] = hash.finalize().into();
        let first = bytes.iter().take(16).fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
        let (version, variant) = (0xf << 76, 0b11 << 62);
        Self(first & !version & !variant | 8 << 76 | 0b10 << 62)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&as_uuid(&format!("{:032x}", self.0)))
    }
}

/// 32 hexadecimal digits as a UUID is written; any other text as it is.
pub(super) fn as_uuid(digits: &str) -> String {
    let part = |from: usize, to: usize| digits.get(from..to);
    let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
    match parts.into_iter().collect::<Option<Vec<_>>>() {
        Some(parts) if digits.len() == 32 => parts.join("-"),
        _ => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trigger::dead_letter::tests::{invocation, record};

    #[test]
    fn a_request_id_is_written_as_a_uuid() {
        assert_eq!(as_uuid("0123456789abcdef0123456789abcdef"), "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!([as_uuid("short"), as_uuid("")], ["short", ""]);
    }

    #[test]
    fn a_trigger_has_one_name_for_ever() {
        assert_eq!(Identity::of_trigger(TriggerId(7)).to_string(), "774bab51-f276-8153-b6c9-4b06bc59a7d8");
        assert_ne!(Identity::of_trigger(TriggerId(7)), Identity::of_trigger(TriggerId(8)));
    }

    #[test]
    fn a_letter_is_named_by_its_trigger_and_its_records() {
        let (one, other) = (record(1, "k", "a"), record(2, "k", "b"));
        let name = |trigger, records: &[&StoredRecord]| {
            let records: Vec<StoredRecord> = records.iter().map(|record| (*record).clone()).collect();
            Identity::of_letter(TriggerId(trigger), &invocation(records))
        };
        let first = name(1, &[&one, &other]);
        let mut again = invocation(vec![one.clone(), other.clone()]);
        again.request_id = "another call".to_owned();
        assert_eq!(Identity::of_letter(TriggerId(1), &again), first, "after a crash the call is another");
        assert_ne!(name(2, &[&one, &other]), first);
        assert_ne!(name(1, &[&one]), first);
        // Two user records of one Kinesis record.
        assert_ne!(name(1, &[&record(1, "k", "a")]), name(1, &[&record(1, "k", "b")]));
        assert_ne!(name(1, &[&record(1, "ka", "")]), name(1, &[&record(1, "k", "a")]));
    }

    #[test]
    fn a_name_is_a_uuid_of_version_8() {
        let name = Identity::of_trigger(TriggerId(1)).to_string();
        let digits: Vec<char> = name.chars().collect();
        assert_eq!((digits.len(), digits[14]), (36, '8'));
        assert!(matches!(digits[19], '8' | '9' | 'a' | 'b'), "{name}");
    }
}
