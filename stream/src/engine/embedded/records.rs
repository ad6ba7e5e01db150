//! The records of a block, as `frame` has written them.

use bytes::{Buf as _, Bytes};
use bytestring::ByteString;

use super::bytes::Fields;
use super::frame::{EXPLICIT_HASH, RECORD_HEAD_BYTES};
use crate::clock::Timestamp;
use crate::engine::Position;
use crate::record::{PartitionKey, StoredRecord};
use crate::shard::HashKey;

/// Reads the records of a block one by one, without a copy; ends early where the bytes are not records.
pub(super) struct Records {
    body: Bytes,
    position: u64,
    arrival: Timestamp,
}

impl Records {
    pub(super) fn new(body: Bytes, first: Position, arrival: Timestamp) -> Self {
        Self { body, position: first.0, arrival }
    }

    /// Steps over the records before `from`.
    pub(super) fn skip_to(&mut self, from: Position) -> Option<()> {
        while self.position < from.0 {
            let (_, key_bytes, data_bytes) = self.lengths()?;
            let _ = self.take(key_bytes + data_bytes)?;
            self.position = self.position.saturating_add(1);
        }
        Some(())
    }

    /// Bytes that were not read yet.
    pub(super) fn left_bytes(&self) -> usize {
        self.body.len()
    }

    fn take(&mut self, len: usize) -> Option<Bytes> {
        (len <= self.body.len()).then(|| self.body.split_to(len))
    }

    /// Steps over a record's head, which takes no share in the block: that costs more than to read it.
    fn lengths(&mut self) -> Option<(Option<Box<HashKey>>, usize, usize)> {
        let mut fields = Fields(&self.body);
        let (key_bytes, flags, data_bytes) = (fields.u16()?, fields.u8()?, fields.u32()?);
        let has_hash = flags & EXPLICIT_HASH != 0;
        let hash = if has_hash { Some(Box::new(HashKey(u128::from_le_bytes(fields.array()?)))) } else { None };
        self.body.advance(RECORD_HEAD_BYTES + if has_hash { size_of::<HashKey>() } else { 0 });
        Some((hash, usize::from(key_bytes), data_bytes as usize))
    }
}

impl Iterator for Records {
    type Item = StoredRecord;

    fn next(&mut self) -> Option<StoredRecord> {
        let (explicit_hash, key_bytes, data_bytes) = self.lengths()?;
        let key = self.take(key_bytes)?;
        let data = self.take(data_bytes)?;
        let position = Position(self.position);
        self.position = self.position.saturating_add(1);
        let partition_key = PartitionKey::stored(ByteString::try_from(key).ok()?);
        Some(StoredRecord { position, arrival: self.arrival, partition_key, explicit_hash, data })
    }
}
