//! What must hold for the decoders whatever bytes they are given: the fuzzers' and the tests' judge.
//!
//! Each function panics when a promise is broken. Checksums would keep mutated bytes from all but the first lines of a
//! decoder, so each input is tried as it is, and once more with its checksums set right.

use bytes::Bytes;

use super::frame::{self, Found, Head};
use super::index::SegmentIndex;
use super::records::Records;
use super::segment::{HEADER_FIELDS_BYTES, Header, TRAILER_BYTES, Trailer, decode_state};
use super::state::LogState;
use crate::clock::Timestamp;
use crate::engine::{Bound, LogSettings, Position};
use crate::shard::ShardIndex;

/// That of the segment whose frames are tried.
const SALT: u64 = 0x5a17;
/// A frame's head up to the fields behind its checksum.
const FIELDS_BYTES: usize = 16;
/// Elements that a `Vec` may have room for beyond twice those that it holds.
const SPARE_ELEMENTS: usize = 4;

/// A frame: its head, its blocks, their records.
pub fn frame(bytes: &[u8]) {
    check_frame(bytes);
    check_frame(&with_checksums(bytes));
    let records = Records::new(Bytes::copy_from_slice(bytes), Position(u64::MAX - 1), Timestamp::default());
    let bytes_min = frame::RECORD_HEAD_BYTES;
    assert!(records.count() <= bytes.len() / bytes_min, "each record takes at least {bytes_min} bytes");
}

/// A segment's header, with the state in it.
pub fn header(bytes: &[u8]) {
    check_header(bytes);
    let mut fixed = bytes.to_vec();
    if let Some(fields) = fixed.get_mut(..HEADER_FIELDS_BYTES) {
        fields[12..16].fill(0);
        let crc = crc32c::crc32c(fields);
        fields[12..16].copy_from_slice(&crc.to_le_bytes());
        check_header(&fixed);
    }
}

/// A segment's footer: index, state and trailer.
pub fn footer(bytes: &[u8]) {
    check_trailer(bytes);
    check_index(bytes);
    check_state(bytes);
    let Some((before, trailer)) = bytes.split_last_chunk::<TRAILER_BYTES>() else { return };
    let mut fixed = *trailer;
    let crc = crc32c::crc32c(&fixed[..TRAILER_BYTES - 8]);
    fixed[TRAILER_BYTES - 8..TRAILER_BYTES - 4].copy_from_slice(&crc.to_le_bytes());
    check_trailer(&fixed);
    // The trailer says how much of what stands before it is index; the state follows.
    let Some(trailer) = Trailer::decode(&fixed) else { return };
    if let Some((index, state)) = before.split_at_checked(trailer.index_bytes as usize) {
        check_index(index);
        check_state(state);
    }
}

fn check_frame(bytes: &[u8]) {
    let alone = frame::decode_head_alone(bytes, SALT);
    let Found::Frame(head) = frame::decode(bytes, SALT) else {
        if let Some(head) = alone {
            check_head(bytes, &head);
        }
        return;
    };
    assert_eq!(alone.as_ref(), Some(&*head), "a whole frame has a sound head");
    check_head(bytes, &head);
    let again = encode_again(bytes, &head);
    assert_eq!(frame::decode(&again, SALT), Found::Frame(head.clone()), "a frame is read as it is written");
    let mut index = SegmentIndex::default();
    index.add(0, &head);
    check_lookups(&index);
    LogState::new(LogSettings::kept_for(std::time::Duration::ZERO)).apply(&head);
    let bytes = Bytes::copy_from_slice(bytes);
    for block in &head.blocks {
        let start = block.offset as usize;
        let mut records = Records::new(bytes.slice(start..start + block.len as usize), block.first, block.arrival);
        let _ = records.skip_to(Position(block.first.0.saturating_add(3)));
        let room = records.left_bytes();
        let read: usize = records.map(|record| record.size_bytes()).sum();
        assert!(read <= room, "records lie inside their block");
    }
}

/// The bytes with the checksums that they should have, if they were a frame.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut fixed = bytes.to_vec();
    let Some(head_bytes) = u32_at(bytes, 8).map(|len| len as usize).filter(|len| *len <= bytes.len()) else {
        return fixed;
    };
    let mut entry = frame::HEAD_BYTES;
    for _ in 0..u32_at(bytes, 20).unwrap_or(0) {
        if entry + frame::BLOCK_BYTES > head_bytes {
            break;
        }
        let (offset, len) = (u32_at(bytes, entry + 8), u32_at(bytes, entry + 12));
        let body = offset.zip(len).and_then(|(offset, len)| bytes.get(offset as usize..)?.get(..len as usize));
        if let Some(body) = body {
            fixed[entry + 32..entry + 36].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        }
        entry += frame::BLOCK_BYTES;
    }
    if head_bytes >= FIELDS_BYTES {
        let crc = frame::head_crc(SALT, &fixed[..head_bytes]);
        fixed[12..FIELDS_BYTES].copy_from_slice(&crc.to_le_bytes());
    }
    fixed
}

/// The frame with its head written anew.
fn encode_again(bytes: &[u8], head: &Head) -> Vec<u8> {
    let mut again = bytes[..head.frame_bytes as usize].to_vec();
    let head_bytes = u32_at(bytes, 8).map_or(0, |len| len as usize);
    let encoded = frame::encode_head(head, &frame::encode_notes(&head.notes), head_bytes);
    again[..head_bytes].copy_from_slice(&encoded);
    again
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn check_head(bytes: &[u8], head: &Head) {
    let frame_bytes = head.frame_bytes as usize;
    assert!(frame_bytes <= bytes.len() && frame_bytes.is_multiple_of(frame::ALIGN), "a frame lies inside its input");
    assert!(head.span > 0 && head.next() >= head.place.first, "a frame takes positions");
    let head_bytes = u32_at(bytes, 8).map_or(0, |len| len as usize);
    let entries_end = frame::HEAD_BYTES + head.blocks.len() * frame::BLOCK_BYTES;
    assert!(entries_end <= head_bytes, "each block has its entry in the head, under its checksum");
    check_room(&head.blocks);
    for block in &head.blocks {
        let end = block.offset as usize + block.len as usize;
        assert!(block.offset as usize >= head_bytes && end <= frame_bytes, "a block lies inside its frame");
    }
}

fn check_header(bytes: &[u8]) {
    let Some(header) = Header::decode(bytes) else { return };
    assert_eq!(header.encode_fields(), bytes[..HEADER_FIELDS_BYTES], "a header is written as it is read");
    let state = header.state_range();
    assert!(state.end <= header.bytes as usize, "the state lies inside the header");
    if let Some(state) = bytes.get(state) {
        check_state(state);
    }
}

fn check_trailer(bytes: &[u8]) {
    if let Some(trailer) = Trailer::decode(bytes) {
        assert_eq!(trailer.encode(), bytes, "a trailer is written as it is read");
        assert!(trailer.state_offset() >= trailer.index_offset, "the state lies behind the index");
    }
}

fn check_index(bytes: &[u8]) {
    let Some(index) = SegmentIndex::decode(bytes) else { return };
    assert_eq!(index.encode(), bytes, "an index is written as it is read");
    let per_byte = size_of::<super::index::BlockRef>();
    assert!(index.bytes() <= bytes.len() * per_byte, "an index takes memory for the bytes that it is read from");
    check_lookups(&index);
}

/// Whatever is looked up is found inside, or not at all.
fn check_lookups(index: &SegmentIndex) {
    let _ = index.oldest(Timestamp::default());
    let shards: Vec<ShardIndex> = index.shards().chain([ShardIndex(0), ShardIndex(u32::MAX)]).collect();
    for shard in shards {
        let all = index.from(shard, Bound::START).len();
        for bound in [Bound::at(Position(1)), Bound::at(Position(u64::MAX / 2)), Bound::after(Position(u64::MAX))] {
            assert!(index.from(shard, bound).len() <= all);
        }
        for time in [0, 1, u64::MAX / 2, u64::MAX].map(Timestamp::from_millis) {
            let found = index.at_time(shard, time);
            assert!(found.is_none() || all > 0);
        }
    }
}

fn check_state(bytes: &[u8]) {
    let state = decode_state(bytes, crc32c::crc32c(bytes));
    assert_eq!(state, LogState::decode(bytes), "a right checksum changes nothing");
    let Some(state) = state else { return };
    // CBOR has several ways to write a number: what was read is kept, the bytes need not be.
    let encoded = state.encode();
    assert_eq!(LogState::decode(&encoded).as_ref(), Some(&state), "a state is read as it is written");
    assert!(state.shards.len() <= bytes.len() && state.marks.len() <= bytes.len(), "each entry takes a byte at least");
}

/// A number in the input makes nobody allocate more than what is there.
fn check_room<T>(items: &Vec<T>) {
    assert!(items.capacity() <= 2 * items.len() + SPARE_ELEMENTS, "{} for {}", items.capacity(), items.len());
}
