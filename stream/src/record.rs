//! A record before and after it is kept.

use bytes::Bytes;
use bytestring::ByteString;

use crate::clock::Timestamp;
use crate::engine::Position;
use crate::limits;
use crate::shard::HashKey;

/// A record as a producer gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What decides the shard, unless `explicit_hash` does; records of one key keep their order.
    pub partition_key: PartitionKey,
    /// A hash key that decides the shard instead.
    pub explicit_hash: Option<HashKey>,
    /// The payload.
    pub data: Bytes,
}

/// A record as it is kept in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place in the log.
    pub position: Position,
    /// When it was appended.
    pub arrival: Timestamp,
    /// The producer's key.
    pub partition_key: PartitionKey,
    /// The hash key that the producer gave, if any: few do, so it takes no room of its own.
    pub explicit_hash: Option<Box<HashKey>>,
    /// The payload.
    pub data: Bytes,
}

impl Record {
    /// Data and partition key in bytes: what Kinesis counts against its limits.
    pub fn size_bytes(&self) -> usize {
        self.data.len() + self.partition_key.as_str().len()
    }
}

impl StoredRecord {
    /// The same in memory of its own: a record that was read shares that of all that it was read with.
    #[must_use]
    pub fn detached(self) -> Self {
        let (key, data) = (ByteString::from(self.partition_key.as_str()), Bytes::copy_from_slice(&self.data));
        Self { partition_key: PartitionKey(key), data, ..self }
    }

    /// Data and partition key in bytes: what Kinesis counts against its limits.
    pub fn size_bytes(&self) -> usize {
        self.data.len() + self.partition_key.as_str().len()
    }
}

/// A partition key: 1..256 Unicode characters (Kinesis shape `PartitionKey`). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey(ByteString);

/// A text that is no partition key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a partition key has 1 to 256 characters, this one has {chars}")]
pub struct InvalidPartitionKey {
    /// How many characters were given.
    pub chars: usize,
}

impl PartitionKey {
    /// Checks and takes a key.
    pub fn parse(text: impl Into<ByteString>) -> Result<Self, InvalidPartitionKey> {
        let text = text.into();
        let chars = text.chars().count();
        if (1..=limits::PARTITION_KEY_CHARS_MAX).contains(&chars) {
            Ok(Self(text))
        } else {
            Err(InvalidPartitionKey { chars })
        }
    }

    /// A key that was checked before it was stored.
    pub(crate) fn stored(text: ByteString) -> Self {
        Self(text)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
