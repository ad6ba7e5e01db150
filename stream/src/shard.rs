//! Shards: the parts of a stream, each with its range of the 128-bit hash space.

use std::fmt;

use md5::{Digest, Md5};

use crate::clock::Timestamp;
use crate::engine::Position;
use crate::record::{PartitionKey, Record};

/// The number of a shard within its stream, counted from 0 over its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(pub u32);

/// A text that is no shard id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not a shard id: they look like shardId-000000000000")]
pub struct InvalidShardId {
    /// What was given.
    pub given: String,
}

impl ShardIndex {
    /// Reads `shardId-000000000007`.
    pub fn parse_id(text: &str) -> Result<Self, InvalidShardId> {
        let invalid = || InvalidShardId { given: text.to_owned() };
        let digits = text.strip_prefix("shardId-").ok_or_else(invalid)?;
        if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        digits.parse().map(Self).map_err(|_| invalid())
    }
}

/// The shard's id as Kinesis prints it: `shardId-` and 12 digits.
impl fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shardId-{:012}", self.0)
    }
}

/// A point of the hash space, 0..2^128-1, printed in decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKey(pub u128);

impl HashKey {
    /// The hash key of a partition key: its MD5 as a big-endian number.
    pub fn of(key: &PartitionKey) -> Self {
        Self(u128::from_be_bytes(Md5::digest(key.as_str().as_bytes()).into()))
    }

    /// Where a record goes: its explicit hash key, or that of its partition key.
    pub fn of_record(record: &Record) -> Self {
        record.explicit_hash.unwrap_or_else(|| Self::of(&record.partition_key))
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A range of the hash space, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashRange {
    /// The first hash key.
    pub start: HashKey,
    /// The last hash key.
    pub end: HashKey,
}

impl HashRange {
    /// The whole space cut into `count` equal ranges, the last one taking the rest; `count` is at least 1.
    pub fn uniform(count: u32) -> Vec<Self> {
        let count = u128::from(count.max(1));
        let width = if count == 1 { u128::MAX } else { u128::MAX / count + u128::from(u128::MAX % count == count - 1) };
        let start = |index: u128| HashKey(index * width);
        let end = |index: u128| if index + 1 == count { HashKey(u128::MAX) } else { HashKey((index + 1) * width - 1) };
        (0..count).map(|index| Self { start: start(index), end: end(index) }).collect()
    }

    /// Whether the range holds this key.
    pub fn contains(&self, key: HashKey) -> bool {
        (self.start..=self.end).contains(&key)
    }
}

/// What is known of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its number.
    pub index: ShardIndex,
    /// The hash keys it takes.
    pub range: HashRange,
    /// When it was created; a child's second is always later than its parents'.
    pub created: Timestamp,
    /// The shards it came from: none, one (split) or two (merge).
    pub parents: Vec<ShardIndex>,
    /// Set once it takes no more records.
    pub closed: Option<Closed>,
}

impl Shard {
    /// Whether it takes records.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }
}

/// How a shard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// It holds no record at or behind this position.
    pub position: Position,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn uniform_ranges_cover_the_space_exactly_once(count in 1u32..3000) {
            let ranges = HashRange::uniform(count);
            prop_assert_eq!(ranges.len(), count as usize);
            prop_assert_eq!(ranges[0].start, HashKey(0));
            prop_assert_eq!(ranges[ranges.len() - 1].end, HashKey(u128::MAX));
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].end.0 + 1, pair[1].start.0);
            }
        }
    }

    #[test]
    fn a_partition_key_hashes_to_its_md5() {
        // The MD5 of "a" is 0cc175b9c0f1b6a831c399e269772661 (RFC 1321).
        let key = PartitionKey::parse("a").unwrap();
        assert_eq!(HashKey::of(&key), HashKey(0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661));
    }

    #[test]
    fn shard_ids_are_read_as_they_are_printed() {
        assert_eq!(ShardIndex(7).to_string(), "shardId-000000000007");
        assert_eq!(ShardIndex::parse_id("shardId-000000000007"), Ok(ShardIndex(7)));
        for bad in ["", "shardId-7", "shardId-00000000000x", "shardId-999999999999", "shard-000000000007"] {
            assert!(ShardIndex::parse_id(bad).is_err(), "{bad}");
        }
    }
}
