//! Aggregated records: many user records in the payload of one, as the Kinesis Producer Library packs them.
//!
//! The payload is a magic number, a protobuf message and its MD5. This room promises that an aggregate is taken apart whole
//! or not at all, that user records share the payload's bytes, and that memory is taken for what is there, up to a limit,
//! never for what is only claimed. An aggregate in an aggregate stays one. It must not know who reads records, nor what
//! becomes of a payload that is not whole.

mod message;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use bytestring::ByteString;
use md5::{Digest as _, Md5};

use self::message::{Field, Fields, Slice, Value};
use crate::clock::Timestamp;
use crate::engine::Position;
use crate::limits::AGGREGATE_RECORDS_MAX;
use crate::record::{PartitionKey, StoredRecord};
use crate::shard::{HashKey, HashRange};

/// What every aggregate begins with.
const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
/// Bytes of an MD5.
const DIGEST_BYTES: usize = 16;

/// Fields of the message.
mod of_message {
    pub(super) const PARTITION_KEYS: u64 = 1;
    pub(super) const HASH_KEYS: u64 = 2;
    pub(super) const RECORDS: u64 = 3;
}

/// Fields of a user record.
mod of_record {
    pub(super) const PARTITION_KEY: u64 = 1;
    pub(super) const HASH_KEY: u64 = 2;
    pub(super) const DATA: u64 = 3;
}

/// Why a payload that begins as an aggregate does is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// What lies between the magic number and the digest has another digest.
    #[error("its MD5 is another than the one at its end")]
    Digest,
    /// A number, a text or the message ends too early.
    #[error("it ends within a field, at byte {at}")]
    CutOff {
        /// Where the field lies in the payload.
        at: usize,
    },
    /// Protobuf has no such field.
    #[error("there is no field of wire type {wire_type} and number {number}, at byte {at}")]
    Field {
        /// The kind of its value.
        wire_type: u64,
        /// Its number.
        number: u64,
        /// Where it lies in the payload.
        at: usize,
    },
    /// A user record lacks what it must have.
    #[error("user record {index} has no {field}")]
    Incomplete {
        /// Which, from 0.
        index: usize,
        /// What is missing.
        field: &'static str,
    },
    /// A user record's partition key is not in the table, or is none.
    #[error("user record {index} has no valid partition key: the table of {entries} has none at {entry}")]
    PartitionKey {
        /// Which, from 0.
        index: usize,
        /// The place in the table that it names.
        entry: u64,
        /// Entries of the table.
        entries: usize,
    },
    /// A user record's explicit hash key is not in the table, or is none.
    #[error("user record {index} has no valid explicit hash key: the table of {entries} has none at {entry}")]
    HashKey {
        /// Which, from 0.
        index: usize,
        /// The place in the table that it names.
        entry: u64,
        /// Entries of the table.
        entries: usize,
    },
    /// There is more of something than is read.
    #[error("it has more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// So many are read.
        max: usize,
    },
}

/// An aggregate that is whole: every user record has its key, its hash key and its data.
#[derive(Debug)]
pub struct Aggregate {
    payload: Bytes,
    /// Those that are no partition keys are none: only a record that names one is wrong.
    partition_keys: Vec<Option<(PartitionKey, HashKey)>>,
    hash_keys: Vec<Option<HashKey>>,
    records: Vec<Packed>,
}

/// A user record as it lies in the payload. The places are those of tables that have fewer than 2^32 entries.
#[derive(Debug, Clone, Copy)]
struct Packed {
    partition_key: u32,
    hash_key: Option<u32>,
    data: Slice,
}

/// Whether a payload begins as aggregated records do.
pub fn begins(payload: &[u8]) -> bool {
    payload.starts_with(&MAGIC)
}

/// Takes an aggregate apart. A payload that does not begin as one is `None`.
pub fn read(payload: &Bytes) -> Result<Option<Aggregate>, Malformed> {
    let message_bytes = payload.strip_prefix(&MAGIC).and_then(|rest| rest.len().checked_sub(DIGEST_BYTES));
    let Some(message_bytes) = message_bytes.filter(|bytes| *bytes > 0) else { return Ok(None) };
    let end = MAGIC.len() + message_bytes;
    let (message, digest) = payload.split_at(end);
    if Md5::digest(message.get(MAGIC.len()..).unwrap_or_default()).as_slice() != digest {
        return Err(Malformed::Digest);
    }
    Aggregate::parse(payload, Slice { start: MAGIC.len(), end }).map(Some)
}

impl Aggregate {
    fn parse(payload: &Bytes, message: Slice) -> Result<Self, Malformed> {
        let mut found =
            Self { payload: payload.clone(), partition_keys: Vec::new(), hash_keys: Vec::new(), records: Vec::new() };
        let mut named = Vec::new();
        for field in Fields::of(payload, message) {
            let Field { number, value } = field?;
            let Value::Slice(slice) = value else { continue };
            match number {
                of_message::PARTITION_KEYS => found.partition_keys.push(partition_key(payload, slice)),
                of_message::HASH_KEYS => found.hash_keys.push(hash_key(payload, slice)),
                of_message::RECORDS => named.push(Named::parse(payload, slice, named.len())?),
                _ => {}
            }
            within("partition keys", found.partition_keys.len())?;
            within("explicit hash keys", found.hash_keys.len())?;
            within("user records", named.len())?;
        }
        // The tables may lie behind the records.
        found.records = found.resolve(&named)?;
        Ok(found)
    }

    fn resolve(&self, named: &[Named]) -> Result<Vec<Packed>, Malformed> {
        named.iter().enumerate().map(|(index, record)| self.packed(index, record)).collect()
    }

    fn packed(&self, index: usize, named: &Named) -> Result<Packed, Malformed> {
        let (entry, entries) = (named.partition_key, self.partition_keys.len());
        let partition_key = place_in(&self.partition_keys, entry);
        let partition_key = partition_key.ok_or(Malformed::PartitionKey { index, entry, entries })?;
        let hash_key = named.hash_key.map(|entry| {
            let entries = self.hash_keys.len();
            place_in(&self.hash_keys, entry).ok_or(Malformed::HashKey { index, entry, entries })
        });
        Ok(Packed { partition_key, hash_key: hash_key.transpose()?, data: named.data })
    }

    /// How many user records it has.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Data and partition keys of all user records, bytes.
    pub fn size_bytes(&self) -> usize {
        self.records.iter().map(|packed| self.size_of(packed)).sum()
    }

    /// Whether all user records belong to a shard of this range. After a split or a merge some may not: their producer is
    /// told the shard, and puts them again.
    pub fn fits(&self, range: HashRange) -> bool {
        self.records.iter().all(|packed| self.hash_of(packed).is_some_and(|hash| range.contains(hash)))
    }

    /// Its user records in order, with the place and time of the record that it came as.
    pub fn into_user_records(self, carrier: &StoredRecord) -> UserRecords {
        let StoredRecord { position, arrival, .. } = *carrier;
        UserRecords { aggregate: self, position, arrival, next: 0 }
    }

    fn key_of(&self, packed: &Packed) -> Option<&(PartitionKey, HashKey)> {
        self.partition_keys.get(packed.partition_key as usize)?.as_ref()
    }

    fn explicit_hash_of(&self, packed: &Packed) -> Option<HashKey> {
        *self.hash_keys.get(packed.hash_key? as usize)?
    }

    fn hash_of(&self, packed: &Packed) -> Option<HashKey> {
        self.explicit_hash_of(packed).or_else(|| self.key_of(packed).map(|(_, hash)| *hash))
    }

    fn size_of(&self, packed: &Packed) -> usize {
        packed.data.len() + self.key_of(packed).map_or(0, |(key, _)| key.as_str().len())
    }
}

/// The user records of one aggregate, made one by one.
#[derive(Debug)]
pub struct UserRecords {
    aggregate: Aggregate,
    position: Position,
    arrival: Timestamp,
    next: usize,
}

impl UserRecords {
    /// Where the record is that they came in.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Data and partition key of the next one, bytes.
    pub fn next_size_bytes(&self) -> Option<usize> {
        self.aggregate.records.get(self.next).map(|packed| self.aggregate.size_of(packed))
    }
}

impl Iterator for UserRecords {
    type Item = StoredRecord;

    fn next(&mut self) -> Option<StoredRecord> {
        let packed = self.aggregate.records.get(self.next)?;
        let (partition_key, _) = self.aggregate.key_of(packed)?;
        let record = StoredRecord {
            position: self.position,
            arrival: self.arrival,
            partition_key: partition_key.clone(),
            explicit_hash: self.aggregate.explicit_hash_of(packed).map(Box::new),
            data: self.aggregate.payload.slice(packed.data.range()),
        };
        self.next += 1;
        Some(record)
    }
}

/// A user record before its keys are looked up.
struct Named {
    partition_key: u64,
    hash_key: Option<u64>,
    data: Slice,
}

impl Named {
    fn parse(payload: &[u8], within: Slice, index: usize) -> Result<Self, Malformed> {
        let (mut partition_key, mut hash_key, mut data) = (None, None, None);
        for field in Fields::of(payload, within) {
            let Field { number, value } = field?;
            match (number, value) {
                (of_record::PARTITION_KEY, Value::Number(entry)) => partition_key = Some(entry),
                (of_record::HASH_KEY, Value::Number(entry)) => hash_key = Some(entry),
                (of_record::DATA, Value::Slice(slice)) => data = Some(slice),
                _ => {} // tags, and what later versions may add
            }
        }
        let missing = |field| Malformed::Incomplete { index, field };
        let partition_key = partition_key.ok_or_else(|| missing("partition key"))?;
        Ok(Self { partition_key, hash_key, data: data.ok_or_else(|| missing("data"))? })
    }
}

fn within(what: &'static str, count: usize) -> Result<(), Malformed> {
    let max = AGGREGATE_RECORDS_MAX;
    if count > max { Err(Malformed::TooMany { what, max }) } else { Ok(()) }
}

/// The place of an entry that is there and valid.
fn place_in<T>(table: &[Option<T>], entry: u64) -> Option<u32> {
    let place = u32::try_from(entry).ok()?;
    table.get(place as usize)?.as_ref().map(|_| place)
}

fn partition_key(payload: &Bytes, slice: Slice) -> Option<(PartitionKey, HashKey)> {
    let text = ByteString::try_from(payload.slice(slice.range())).ok()?;
    let key = PartitionKey::parse(text).ok()?;
    let hash = HashKey::of(&key);
    Some((key, hash))
}

fn hash_key(payload: &Bytes, slice: Slice) -> Option<HashKey> {
    let text = std::str::from_utf8(payload.get(slice.range())?).ok()?;
    text.parse().ok().map(HashKey)
}
