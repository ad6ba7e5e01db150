//! A frame: one commit of a log, the unit of atomicity. It is found whole or not at all.
//!
//! ```text
//! head    magic "TMfr" · version u8 · 0 u8 · flags u16 (none yet)
//!         head length u32 · head CRC32C u32 · frame length u32 · blocks u32
//!         stream u64 · part u32 · segment u32 · generation u64 · first position u64 · previous frame's first position u64
//!         positions taken u32 · notes length u32 · 0 u64                                             (80 bytes)
//!         a block each: shard u32 · records u32 · offset u32 · length u32 · first position u64
//!                       arrival u64 (ms) · CRC32C u32 · 0 u32                                        (40 bytes)
//!         notes (CBOR), zeros up to a multiple of 16
//! bodies  blocks, one behind the other; sealed ones in an encrypted segment (see `sealing`)
//!         a record each: key length u16 · flags u8 (1: explicit hash) · data length u32 · hash u128? · key · data
//!         zeros up to a multiple of 16
//! ```
//! All numbers are little-endian. The head's CRC starts from the segment's salt, so that frames of an earlier use of the
//! file, or bytes that a producer made to look like a frame, are never taken for one. The blocks' CRCs stand in the
//! head, so the head's CRC covers all, and a reader of one shard checks exactly what it reads.

use minicbor::{Decode, Encode};

use super::bytes::Fields;
use crate::clock::Timestamp;
use crate::engine::{Generation, LogId, Position, StreamId};
use crate::record::Record;
use crate::shard::ShardIndex;

const MAGIC: [u8; 4] = *b"TMfr";
const VERSION: u8 = 1;
pub(super) const HEAD_BYTES: usize = 80;
pub(super) const BLOCK_BYTES: usize = 40;
/// Where the fields behind the head's CRC begin.
const FIELDS_OFFSET: usize = 16;
/// Frames begin at multiples of this.
pub(super) const ALIGN: usize = 16;
/// What stands before a record's hash, key and data.
pub(super) const RECORD_HEAD_BYTES: usize = 7;
/// A flag of a record: its hash follows.
pub(super) const EXPLICIT_HASH: u8 = 1;

/// What a frame changes besides records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Notes {
    #[n(0)]
    pub(super) marks: Vec<MarkNote>,
    #[n(1)]
    pub(super) close: Vec<u32>,
    #[n(2)]
    pub(super) open: Vec<u32>,
    #[n(3)]
    pub(super) purge: Vec<u32>,
    #[n(4)]
    pub(super) retention_ms: Option<u64>,
    /// The generation from this frame on, when it changes.
    #[n(5)]
    pub(super) generation: Option<u64>,
    /// The number of the oldest segment that is kept: those before it may go.
    #[n(6)]
    pub(super) kept_from: Option<u32>,
    /// What goes with them.
    #[n(7)]
    pub(super) gone: Option<Vec<GoneNote>>,
    /// No record from before this time is read any more.
    #[n(8)]
    pub(super) horizon_ms: Option<u64>,
    /// How many bytes are kept; 0: as many as come.
    #[n(9)]
    pub(super) retention_bytes: Option<u64>,
    /// The print of the key that records are encrypted with from here on; 0: none.
    #[n(10)]
    pub(super) key: Option<u64>,
}

/// Records of a shard that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct GoneNote {
    #[n(0)]
    pub(super) shard: u32,
    /// All before this position.
    #[n(1)]
    pub(super) before: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct MarkNote {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) key: Vec<u8>,
    #[n(1)]
    pub(super) revision: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) value: Vec<u8>,
}

/// Where a frame stands, and what it must fit to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) log: LogId,
    pub(super) segment: u32,
    pub(super) salt: u64,
    pub(super) generation: Generation,
    pub(super) first: Position,
    /// First position of the frame before, 0 for the log's first.
    pub(super) previous: Position,
}

/// A frame's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) place: Place,
    /// Positions that the frame takes, at least 1.
    pub(super) span: u32,
    pub(super) frame_bytes: u32,
    pub(super) blocks: Vec<Block>,
    pub(super) notes: Notes,
}

/// The records of one shard in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) shard: ShardIndex,
    pub(super) count: u32,
    /// From the frame's start.
    pub(super) offset: u32,
    pub(super) len: u32,
    pub(super) first: Position,
    pub(super) arrival: Timestamp,
    pub(super) crc: u32,
}

impl Head {
    /// The first position behind the frame.
    pub(super) fn next(&self) -> Position {
        Position(self.place.first.0.saturating_add(u64::from(self.span)))
    }
}

/// Records of a frame, encoded before their place is known: so the next frame's are, while the disk has this one.
#[derive(Debug)]
pub(super) struct Body {
    /// A multiple of [`ALIGN`].
    pub(super) bytes: Vec<u8>,
    pub(super) records: u32,
    pub(super) blocks: Vec<BodyBlock>,
}

/// The records of one shard in a body.
#[derive(Debug)]
pub(super) struct BodyBlock {
    pub(super) shard: ShardIndex,
    pub(super) count: u32,
    /// From the body's start.
    offset: u32,
    len: u32,
    crc: u32,
}

impl BodyBlock {
    /// The block that a body holds from `start` on.
    pub(super) fn new(shard: ShardIndex, count: u32, body: &[u8], start: usize) -> Self {
        let crc = crc32c::crc32c(body.get(start..).unwrap_or_default());
        Self { shard, count, offset: start as u32, len: (body.len() - start) as u32, crc }
    }
}

impl Body {
    /// What a block of it holds.
    pub(super) fn text(&self, block: &BodyBlock) -> &[u8] {
        let rest = self.bytes.get(block.offset as usize..).unwrap_or_default();
        rest.get(..block.len as usize).unwrap_or_default()
    }

    /// Encodes records, which are sorted by shard, into an empty buffer.
    pub(super) fn encode(records: &[(ShardIndex, &Record)], mut bytes: Vec<u8>) -> Self {
        let groups = records.chunk_by(|a, b| a.0 == b.0);
        let blocks = groups.map(|group| encode_block(&mut bytes, group)).collect();
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        Self { bytes, records: records.len() as u32, blocks }
    }

    /// The length of what [`Body::encode`] would write.
    pub(super) fn measure<'a>(records: impl Iterator<Item = &'a Record>) -> usize {
        records.map(record_bytes).sum::<usize>().next_multiple_of(ALIGN)
    }
}

/// The length of the frame that these bodies make.
pub(super) fn measure(bodies: &[Body], notes: &Notes) -> usize {
    head_bytes(bodies, &encode_notes(notes)) + bodies.iter().map(|body| body.bytes.len()).sum::<usize>()
}

/// The head of the frame that these bodies make, and its bytes: the bodies follow. Their records take positions in this
/// order.
pub(super) fn encode(place: Place, arrival: Timestamp, bodies: &[Body], notes: &Notes, span: u32) -> (Head, Vec<u8>) {
    let encoded_notes = encode_notes(notes);
    let head_bytes = head_bytes(bodies, &encoded_notes);
    let (mut first, mut start) = (place.first.0, head_bytes as u32);
    let mut blocks = Vec::with_capacity(bodies.iter().map(|body| body.blocks.len()).sum());
    for body in bodies {
        for block in &body.blocks {
            let BodyBlock { shard, count, offset, len, crc } = *block;
            blocks.push(Block { shard, count, offset: start + offset, len, first: Position(first), arrival, crc });
            first += u64::from(count);
        }
        start += body.bytes.len() as u32;
    }
    let head = Head { place, span, frame_bytes: start, blocks, notes: notes.clone() };
    let encoded = encode_head(&head, &encoded_notes, head_bytes);
    (head, encoded)
}

fn head_bytes(bodies: &[Body], notes: &[u8]) -> usize {
    let blocks: usize = bodies.iter().map(|body| body.blocks.len()).sum();
    (HEAD_BYTES + blocks * BLOCK_BYTES + notes.len()).next_multiple_of(ALIGN)
}

pub(super) fn encode_notes(notes: &Notes) -> Vec<u8> {
    if *notes == Notes::default() { Vec::new() } else { minicbor::to_vec(notes).unwrap_or_default() }
}

fn record_bytes(record: &Record) -> usize {
    RECORD_HEAD_BYTES + record.size_bytes() + record.explicit_hash.map_or(0, |_| 16)
}

fn encode_block(body: &mut Vec<u8>, group: &[(ShardIndex, &Record)]) -> BodyBlock {
    let start = body.len();
    for (_, record) in group {
        let key = record.partition_key.as_str().as_bytes();
        body.extend_from_slice(&(key.len() as u16).to_le_bytes());
        body.push(if record.explicit_hash.is_some() { EXPLICIT_HASH } else { 0 });
        body.extend_from_slice(&(record.data.len() as u32).to_le_bytes());
        if let Some(hash) = record.explicit_hash {
            body.extend_from_slice(&hash.0.to_le_bytes());
        }
        body.extend_from_slice(key);
        body.extend_from_slice(&record.data);
    }
    let shard = group.first().map_or(ShardIndex(0), |(shard, _)| *shard);
    BodyBlock::new(shard, group.len() as u32, body, start)
}

pub(super) fn encode_head(head: &Head, notes: &[u8], head_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(head_bytes);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, 0, 0, 0]);
    out.extend_from_slice(&(head_bytes as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&head.frame_bytes.to_le_bytes());
    out.extend_from_slice(&(head.blocks.len() as u32).to_le_bytes());
    out.extend_from_slice(&head.place.log.stream.0.to_le_bytes());
    out.extend_from_slice(&head.place.log.part.to_le_bytes());
    out.extend_from_slice(&head.place.segment.to_le_bytes());
    out.extend_from_slice(&head.place.generation.0.to_le_bytes());
    out.extend_from_slice(&head.place.first.0.to_le_bytes());
    out.extend_from_slice(&head.place.previous.0.to_le_bytes());
    out.extend_from_slice(&head.span.to_le_bytes());
    out.extend_from_slice(&(notes.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    for block in &head.blocks {
        out.extend_from_slice(&block.shard.0.to_le_bytes());
        out.extend_from_slice(&block.count.to_le_bytes());
        out.extend_from_slice(&block.offset.to_le_bytes());
        out.extend_from_slice(&block.len.to_le_bytes());
        out.extend_from_slice(&block.first.0.to_le_bytes());
        out.extend_from_slice(&block.arrival.as_millis().to_le_bytes());
        out.extend_from_slice(&block.crc.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }
    out.extend_from_slice(notes);
    out.resize(head_bytes, 0);
    let crc = head_crc(head.place.salt, &out);
    if let Some(field) = out.get_mut(12..16) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
    out
}

/// The CRC of a head whose CRC field is taken as zero.
pub(super) fn head_crc(salt: u64, head: &[u8]) -> u32 {
    let (before, after) = (head.get(..12).unwrap_or_default(), head.get(16..).unwrap_or_default());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), before);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &[0; 4]), after)
}

/// What is found where a frame may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole frame, all of it checked.
    Frame(Box<Head>),
    /// None, or a torn one.
    Nothing,
    /// A sound head with flags that a newer version gives: what follows cannot be told from a torn frame.
    Unreadable { flags: u16 },
}

/// Looks for a frame at the beginning of `bytes`.
pub(super) fn decode(bytes: &[u8], salt: u64) -> Found {
    match sound_head(bytes, salt) {
        None => Found::Nothing,
        Some(fields) if fields.flags != 0 => Found::Unreadable { flags: fields.flags },
        Some(fields) => whole(bytes, salt, fields).map_or(Found::Nothing, |head| Found::Frame(Box::new(head))),
    }
}

/// Whether a frame that is not whole begins here, going by what it says of its place.
pub(super) fn is_torn(bytes: &[u8], segment: u32, first: Position) -> bool {
    let mut fields = Fields(bytes);
    let says = |fields: &mut Fields<'_>| {
        let magic: [u8; 4] = fields.array()?;
        let _before_the_segment: [u8; 32] = fields.array()?;
        let (segment, _generation) = (fields.u32()?, fields.u64()?);
        Some((magic, segment, Position(fields.u64()?)))
    };
    says(&mut fields) == Some((MAGIC, segment, first))
}

/// The head at the beginning of `bytes`, if it is sound, whatever became of the bodies.
pub(super) fn decode_head_alone(bytes: &[u8], salt: u64) -> Option<Head> {
    let sound = sound_head(bytes, salt).filter(|head| head.flags == 0)?;
    decode_head(salt, sound).filter(|head| head.frame_bytes as usize <= bytes.len())
}

/// The head's fields behind its CRC, which was right.
#[derive(Clone, Copy)]
struct SoundHead<'a> {
    flags: u16,
    head_bytes: usize,
    rest: Fields<'a>,
}

fn sound_head(bytes: &[u8], salt: u64) -> Option<SoundHead<'_>> {
    let mut fields = Fields(bytes);
    if fields.array()? != MAGIC || fields.u8()? != VERSION {
        return None;
    }
    let (_, flags) = (fields.u8()?, fields.u16()?);
    let head_bytes = fields.u32()? as usize;
    let crc = fields.u32()?;
    let encoded = bytes.get(..head_bytes).filter(|head| head.len() >= HEAD_BYTES)?;
    // What is behind the head is not covered by its CRC: no field is read from there.
    let rest = Fields(encoded.get(FIELDS_OFFSET..)?);
    (head_crc(salt, encoded) == crc).then_some(SoundHead { flags, head_bytes, rest })
}

fn whole(bytes: &[u8], salt: u64, head: SoundHead<'_>) -> Option<Head> {
    let head = decode_head(salt, head)?;
    let frame = bytes.get(..head.frame_bytes as usize)?;
    let sound = |block: &Block| {
        let body = frame.get(block.offset as usize..)?.get(..block.len as usize)?;
        (crc32c::crc32c(body) == block.crc).then_some(())
    };
    head.blocks.iter().try_for_each(sound)?;
    Some(head)
}

/// A head whose blocks lie behind it and inside the frame.
fn decode_head(salt: u64, SoundHead { head_bytes, rest: mut fields, .. }: SoundHead<'_>) -> Option<Head> {
    let frame_bytes = fields.u32()?;
    let block_count = fields.u32()?;
    let log = LogId { stream: StreamId(fields.u64()?), part: fields.u32()? };
    let segment = fields.u32()?;
    let generation = Generation(fields.u64()?);
    let (first, previous) = (Position(fields.u64()?), Position(fields.u64()?));
    let (span, notes_bytes) = (fields.u32()?, fields.u32()? as usize);
    let _reserved = fields.u64()?;
    let blocks: Vec<Block> = (0..block_count).map(|_| decode_block(&mut fields)).collect::<Option<_>>()?;
    let notes = fields.slice(notes_bytes)?;
    let notes = if notes.is_empty() { Notes::default() } else { minicbor::decode(notes).ok()? };
    let inside = |block: &Block| {
        let end = block.offset.checked_add(block.len);
        block.offset as usize >= head_bytes && end.is_some_and(|end| end <= frame_bytes)
    };
    let is_sane = frame_bytes as usize >= head_bytes && (frame_bytes as usize).is_multiple_of(ALIGN) && span > 0;
    let place = Place { log, segment, salt, generation, first, previous };
    (is_sane && blocks.iter().all(inside)).then_some(Head { place, span, frame_bytes, blocks, notes })
}

fn decode_block(fields: &mut Fields<'_>) -> Option<Block> {
    let block = Block {
        shard: ShardIndex(fields.u32()?),
        count: fields.u32()?,
        offset: fields.u32()?,
        len: fields.u32()?,
        first: Position(fields.u64()?),
        arrival: Timestamp::from_millis(fields.u64()?),
        crc: fields.u32()?,
    };
    let _reserved = fields.u32()?;
    Some(block)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::embedded::records::Records;
    use crate::record::PartitionKey;
    use crate::shard::HashKey;

    const PLACE: Place = Place {
        log: LogId { stream: StreamId(7), part: 1 },
        segment: 3,
        salt: 0x5a17,
        generation: Generation(2),
        first: Position(100),
        previous: Position(90),
    };

    fn record() -> impl Strategy<Value = (ShardIndex, Record)> {
        ((0u32..4), "\\PC{1,20}", any::<Option<u128>>(), vec(any::<u8>(), 0..200)).prop_map(
            |(shard, key, hash, data)| {
                let partition_key = PartitionKey::parse(key).unwrap();
                (ShardIndex(shard), Record { partition_key, explicit_hash: hash.map(HashKey), data: data.into() })
            },
        )
    }

    fn sorted(records: &[(ShardIndex, Record)]) -> Vec<(ShardIndex, &Record)> {
        let mut sorted: Vec<_> = records.iter().map(|(shard, record)| (*shard, record)).collect();
        sorted.sort_by_key(|(shard, _)| *shard);
        sorted
    }

    /// A frame of these records in two bodies.
    fn frame_of(records: &[(ShardIndex, &Record)], split: usize, notes: &Notes) -> (Head, Vec<u8>) {
        let (one, other) = records.split_at(split.min(records.len()));
        let bodies = [Body::encode(one, Vec::new()), Body::encode(other, Vec::new())];
        let span = records.len().max(1) as u32;
        let (head, mut frame) = encode(PLACE, Timestamp::from_millis(1234), &bodies, notes, span);
        for body in &bodies {
            frame.extend_from_slice(&body.bytes);
        }
        assert_eq!(frame.len(), measure(&bodies, notes));
        assert_eq!(bodies[0].bytes.len(), Body::measure(one.iter().map(|(_, record)| *record)));
        (head, frame)
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_written(records in vec(record(), 0..40), split in 0usize..40, retention_ms: Option<u64>) {
            let sorted = sorted(&records);
            let notes = Notes { retention_ms, ..Notes::default() };
            let (head, frame) = frame_of(&sorted, split, &notes);
            prop_assert_eq!(frame.len() % ALIGN, 0);
            prop_assert_eq!(decode(&frame, PLACE.salt), Found::Frame(Box::new(head.clone())));
            let frame = Bytes::from(frame);
            let read = head.blocks.iter().flat_map(|block| {
                let body = frame.slice(block.offset as usize..(block.offset + block.len) as usize);
                Records::new(body, block.first, block.arrival)
            });
            let read: Vec<_> = read.collect();
            prop_assert_eq!(read.len(), sorted.len());
            for (index, (stored, (_, given))) in read.iter().zip(&sorted).enumerate() {
                prop_assert_eq!(stored.position, Position(100 + index as u64));
                prop_assert_eq!(&stored.partition_key, &given.partition_key);
                prop_assert_eq!(stored.explicit_hash.as_deref(), given.explicit_hash.as_ref());
                prop_assert_eq!(&stored.data, &given.data);
            }
        }

        #[test]
        fn a_changed_or_shortened_frame_is_none(records in vec(record(), 1..8), at: prop::sample::Index, change in 1u8..) {
            let (_, mut frame) = frame_of(&sorted(&records), 0, &Notes::default());
            let at = at.index(frame.len());
            prop_assert_eq!(decode(&frame[..at], PLACE.salt), Found::Nothing);
            let padding = frame.len() - 15 <= at;
            frame[at] ^= change;
            prop_assert!(padding || decode(&frame, PLACE.salt) == Found::Nothing);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes, 0);
            let _ = Records::new(bytes.into(), Position(1), Timestamp::default()).count();
        }
    }

    #[test]
    fn a_frame_of_another_segment_is_none() {
        let (_, frame) = frame_of(&[], 0, &Notes::default());
        assert!(matches!(decode(&frame, PLACE.salt), Found::Frame(_)));
        assert_eq!(decode(&frame, PLACE.salt + 1), Found::Nothing);
    }

    #[test]
    fn a_frame_with_flags_of_a_later_version_is_not_taken_for_a_torn_one() {
        let (_, mut frame) = frame_of(&[], 0, &Notes::default());
        frame[6] = 1;
        let head = frame.clone();
        frame[12..16].copy_from_slice(&head_crc(PLACE.salt, &head).to_le_bytes());
        assert_eq!(decode(&frame, PLACE.salt), Found::Unreadable { flags: 1 });
    }
}
