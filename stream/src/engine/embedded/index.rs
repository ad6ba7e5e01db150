//! Where the blocks of each shard lie in a segment. For the last segment it grows with every commit; for those before
//! it is the segment's footer.

use std::collections::HashMap;

use super::bytes::Fields;
use super::frame::Head;
use crate::clock::Timestamp;
use crate::engine::{Bound, Position};
use crate::shard::ShardIndex;

/// One block: some records of one shard, in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockRef {
    pub(super) first: Position,
    pub(super) arrival: Timestamp,
    /// From the start of the file.
    pub(super) offset: u32,
    pub(super) len: u32,
    pub(super) count: u32,
    pub(super) crc: u32,
}

impl BlockRef {
    fn last(&self) -> Position {
        Position(self.first.0.saturating_add(u64::from(self.count.saturating_sub(1))))
    }
}

/// Bytes of a block in a footer.
const BLOCK_BYTES: usize = 32;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SegmentIndex {
    shards: HashMap<ShardIndex, Vec<BlockRef>>,
    blocks: usize,
}

impl SegmentIndex {
    /// Adds the blocks of a frame that begins at `offset`.
    pub(super) fn add(&mut self, offset: u32, head: &Head) {
        for block in &head.blocks {
            let block_ref = BlockRef {
                first: block.first,
                arrival: block.arrival,
                offset: offset + block.offset,
                len: block.len,
                count: block.count,
                crc: block.crc,
            };
            self.shards.entry(block.shard).or_default().push(block_ref);
            self.blocks += 1;
        }
    }

    /// The blocks of a shard, from the one that holds the first record at or behind `from`.
    pub(super) fn from(&self, shard: ShardIndex, from: Bound) -> &[BlockRef] {
        let blocks = self.shards.get(&shard).map(Vec::as_slice).unwrap_or_default();
        let start = blocks.partition_point(|block| !from.admits(block.last()));
        blocks.get(start..).unwrap_or_default()
    }

    /// The first block of a shard that arrived at `time` or later.
    pub(super) fn at_time(&self, shard: ShardIndex, time: Timestamp) -> Option<&BlockRef> {
        let blocks = self.shards.get(&shard)?;
        blocks.get(blocks.partition_point(|block| block.arrival < time))
    }

    /// When the oldest of the records arrived that arrived at `since` or later.
    pub(super) fn oldest(&self, since: Timestamp) -> Option<Timestamp> {
        let shards = self.shards.keys();
        shards.filter_map(|shard| self.at_time(*shard, since)).map(|block| block.arrival).min()
    }

    /// The first position behind each shard's last record.
    pub(super) fn ends(&self) -> impl Iterator<Item = (ShardIndex, Position)> {
        let end = |(shard, blocks): (&ShardIndex, &Vec<BlockRef>)| {
            blocks.last().map(|block| (*shard, Position(block.last().0.saturating_add(1))))
        };
        self.shards.iter().filter_map(end)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// Memory that the index takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.blocks * size_of::<BlockRef>() + self.shards.len() * 64
    }

    /// The shards that have blocks.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn shards(&self) -> impl Iterator<Item = ShardIndex> {
        self.shards.keys().copied()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut shards: Vec<_> = self.shards.iter().collect();
        shards.sort_by_key(|(shard, _)| **shard);
        let mut out = Vec::with_capacity(self.blocks * BLOCK_BYTES + shards.len() * 8);
        for (shard, blocks) in shards {
            out.extend_from_slice(&shard.0.to_le_bytes());
            out.extend_from_slice(&(blocks.len() as u32).to_le_bytes());
            for block in blocks {
                out.extend_from_slice(&block.first.0.to_le_bytes());
                out.extend_from_slice(&block.arrival.as_millis().to_le_bytes());
                for field in [block.offset, block.len, block.count, block.crc] {
                    out.extend_from_slice(&field.to_le_bytes());
                }
            }
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let mut index = Self::default();
        let mut before = None;
        while !fields.0.is_empty() {
            let shard = ShardIndex(fields.u32()?);
            let count = fields.u32()? as usize;
            if count == 0 || before.replace(shard).is_some_and(|before| before >= shard) {
                return None;
            }
            let mut body = Fields(fields.slice(count.checked_mul(BLOCK_BYTES)?)?);
            let blocks = (0..count).map(|_| decode_block(&mut body)).collect::<Option<Vec<_>>>()?;
            index.blocks += blocks.len();
            index.shards.insert(shard, blocks);
        }
        Some(index)
    }
}

fn decode_block(fields: &mut Fields<'_>) -> Option<BlockRef> {
    Some(BlockRef {
        first: Position(fields.u64()?),
        arrival: Timestamp::from_millis(fields.u64()?),
        offset: fields.u32()?,
        len: fields.u32()?,
        count: fields.u32()?,
        crc: fields.u32()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(first: u64, count: u32, arrival: u64) -> BlockRef {
        let (first, arrival) = (Position(first), Timestamp::from_millis(arrival));
        BlockRef { first, arrival, offset: first.0 as u32, len: 1, count, crc: 9 }
    }

    fn index() -> SegmentIndex {
        let shards =
            [(ShardIndex(2), vec![block(10, 5, 100), block(20, 1, 200)]), (ShardIndex(0), vec![block(15, 5, 100)])];
        SegmentIndex { shards: shards.into(), blocks: 3 }
    }

    #[test]
    fn blocks_are_found_by_position_and_time() {
        let index = index();
        let firsts = |from| {
            index.from(ShardIndex(2), Bound::at(Position(from))).iter().map(|block| block.first.0).collect::<Vec<_>>()
        };
        assert_eq!(firsts(0), [10, 20]);
        assert_eq!(firsts(14), [10, 20]);
        assert_eq!(firsts(15), [20]);
        assert_eq!(firsts(21), [0u64; 0]);
        let at = |time| index.at_time(ShardIndex(2), Timestamp::from_millis(time)).map(|block| block.first.0);
        assert_eq!([at(0), at(100), at(101), at(201)], [Some(10), Some(10), Some(20), None]);
        assert!(index.from(ShardIndex(1), Bound::START).is_empty());
    }

    #[test]
    fn a_footer_is_read_as_it_was_written() {
        let index = index();
        assert_eq!(SegmentIndex::decode(&index.encode()), Some(index));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SegmentIndex::decode(&bytes);
        }
    }
}
