//! A segment: a file of frames, between a header with the log's state and, once it is closed, a footer with the index.
//!
//! ```text
//! header   magic "TMsg" · version u32 · header length u32 · CRC32C u32 · stream u64 · part u32 · number u32
//!          salt u64 · next position u64 · previous position u64 · state length u32 · state CRC32C u32   (64 bytes)
//!          state (CBOR) · zeros up to a multiple of 4096; of version 2 the last 72 bytes are a sealed key (see `sealing`)
//! frames   see `frame`
//! footer   index · state (CBOR) · trailer: magic "TMft" · version u32 · index offset u64 · index length u32
//!          index CRC32C u32 · state length u32 · state CRC32C u32 · end of frames u64 · next position u64
//!          previous position u64 · last arrival u64 (ms) · salt u64 · trailer CRC32C u32 · 0 u32        (80 bytes)
//! ```
//! The header's CRC covers its 64 bytes. The state has a CRC of its own, as only that of the last segment is read when a
//! log is opened: the header's where the segment was not closed, else the footer's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::Fields;
use super::file::File;
use super::frame::{self, Found};
use super::index::SegmentIndex;
use super::sealing::{DataKey, SEALED_KEY_BYTES};
use super::state::LogState;
use crate::clock::Timestamp;
use crate::engine::{Corruption, LogError, LogId, Position, StreamId};

const HEADER_MAGIC: [u8; 4] = *b"TMsg";
const TRAILER_MAGIC: [u8; 4] = *b"TMft";
const VERSION: u32 = 1;
/// Of a header with a sealed key.
const VERSION_SEALED: u32 = 2;
const PAGE: usize = 4096;
pub(super) const HEADER_FIELDS_BYTES: usize = 64;
pub(super) const TRAILER_BYTES: usize = 80;
/// Where a trailer has the segment's salt.
const SALT_OFFSET: usize = 64;

/// A segment's name and where it begins; the state at its first frame follows in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log: LogId,
    pub(super) number: u32,
    pub(super) salt: u64,
    /// The first frame's first position.
    pub(super) next: Position,
    /// That of the frame before.
    pub(super) previous: Position,
    /// The whole header with the state: the first frame begins behind.
    pub(super) bytes: u32,
    /// Whether the records are: the key stands at the header's end.
    is_sealed: bool,
    state_bytes: u32,
    state_crc: u32,
}

/// What a closed segment's trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) index_offset: u64,
    pub(super) index_bytes: u32,
    pub(super) index_crc: u32,
    pub(super) state_bytes: u32,
    state_crc: u32,
    pub(super) frames_end: u64,
    pub(super) next: Position,
    pub(super) previous: Position,
    pub(super) last_arrival: Timestamp,
    pub(super) salt: u64,
}

/// What a look through a segment's frames finds.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) state: LogState,
    pub(super) index: SegmentIndex,
    pub(super) frames: u64,
    /// Where the next frame would begin.
    pub(super) frames_end: u64,
    /// Where the last frame begins, if there is one.
    pub(super) last_frame: Option<u64>,
}

pub(super) fn name(number: u32) -> String {
    format!("{number:010}.seg")
}

pub(super) fn number_of(name: &str) -> Option<u32> {
    name.strip_suffix(".seg").filter(|digits| digits.len() == 10)?.parse().ok()
}

pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(name(number))
}

impl Header {
    /// A header as it is written, but for the key that a sealed one has, and what it says.
    pub(super) fn encode(log: LogId, number: u32, salt: u64, state: &LogState, is_sealed: bool) -> (Self, Vec<u8>) {
        let encoded = state.encode();
        let key_bytes = if is_sealed { SEALED_KEY_BYTES } else { 0 };
        let bytes = (HEADER_FIELDS_BYTES + encoded.len() + key_bytes).next_multiple_of(PAGE) as u32;
        let (state_bytes, state_crc) = (encoded.len() as u32, crc32c::crc32c(&encoded));
        let (next, previous) = (state.next, state.previous);
        let header = Self { log, number, salt, next, previous, bytes, is_sealed, state_bytes, state_crc };
        let mut out = header.encode_fields();
        out.extend_from_slice(&encoded);
        out.resize(bytes as usize, 0);
        (header, out)
    }

    pub(super) fn encode_fields(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_FIELDS_BYTES);
        out.extend_from_slice(&HEADER_MAGIC);
        let version = if self.is_sealed { VERSION_SEALED } else { VERSION };
        out.extend_from_slice(&version.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.log.stream.0.to_le_bytes());
        out.extend_from_slice(&self.log.part.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        for field in [self.salt, self.next.0, self.previous.0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.state_bytes.to_le_bytes());
        out.extend_from_slice(&self.state_crc.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        if let Some(field) = out.get_mut(12..16) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        out
    }

    /// Reads a header from the beginning of a segment.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut checked = bytes.get(..HEADER_FIELDS_BYTES)?.to_vec();
        let mut fields = Fields(bytes);
        if fields.array()? != HEADER_MAGIC {
            return None;
        }
        let is_sealed = match fields.u32()? {
            VERSION => false,
            VERSION_SEALED => true,
            _ => return None,
        };
        let (header_bytes, crc) = (fields.u32()?, fields.u32()?);
        checked.get_mut(12..16)?.fill(0);
        if crc32c::crc32c(&checked) != crc {
            return None;
        }
        let log = LogId { stream: StreamId(fields.u64()?), part: fields.u32()? };
        let (number, salt) = (fields.u32()?, fields.u64()?);
        let (next, previous) = (Position(fields.u64()?), Position(fields.u64()?));
        let (state_bytes, state_crc) = (fields.u32()?, fields.u32()?);
        let key_bytes = if is_sealed { SEALED_KEY_BYTES } else { 0 };
        let needed = (state_bytes as usize).checked_add(HEADER_FIELDS_BYTES + key_bytes)?;
        if (header_bytes as usize) < needed || !(header_bytes as usize).is_multiple_of(PAGE) {
            return None;
        }
        Some(Self { log, number, salt, next, previous, bytes: header_bytes, is_sealed, state_bytes, state_crc })
    }

    /// Reads the header of a segment file.
    pub(super) fn read(file: &File, log: LogId) -> Result<Self, LogError> {
        let damaged = |what: &str| corruption(log, file.path(), 0, what);
        let file_bytes = file.len()?;
        if file_bytes < PAGE as u64 {
            return Err(damaged("the file is shorter than a segment's header"));
        }
        let bytes = file.read_at(0, HEADER_FIELDS_BYTES)?;
        let header = Self::decode(&bytes).ok_or_else(|| damaged("the segment's header is damaged"))?;
        let number = file.path().file_name().and_then(|name| number_of(&name.to_string_lossy()));
        if header.log != log || Some(header.number) != number {
            return Err(damaged("the segment belongs to another log, or to another place in it"));
        }
        if u64::from(header.bytes) > file_bytes {
            return Err(damaged("the file is shorter than its header"));
        }
        Ok(header)
    }

    /// Puts the key of a sealed segment into its encoded header.
    pub(super) fn put_key(encoded: &mut [u8], key: &DataKey) {
        if let Some(place) = encoded.last_chunk_mut::<SEALED_KEY_BYTES>() {
            place.copy_from_slice(&key.encode());
        }
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// The key that the records are encrypted with, if they are.
    pub(super) fn key(&self, file: &File) -> Result<Option<Arc<DataKey>>, LogError> {
        if !self.is_sealed {
            return Ok(None);
        }
        let offset = u64::from(self.bytes) - SEALED_KEY_BYTES as u64;
        let key = DataKey::decode(&file.read_at(offset, SEALED_KEY_BYTES)?, self.encode_fields());
        let damaged = || corruption(self.log, file.path(), offset, "the key in the segment's header is damaged");
        key.ok_or_else(damaged).map(Some)
    }

    /// Where the state is in the header.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn state_range(&self) -> std::ops::Range<usize> {
        HEADER_FIELDS_BYTES..HEADER_FIELDS_BYTES + self.state_bytes as usize
    }

    /// The log's state at the segment's first frame.
    pub(super) fn state(&self, file: &File) -> Result<LogState, LogError> {
        let damaged =
            || corruption(self.log, file.path(), HEADER_FIELDS_BYTES as u64, "the state in the header is damaged");
        let state = file.read_at(HEADER_FIELDS_BYTES as u64, self.state_bytes as usize)?;
        decode_state(&state, self.state_crc).filter(|state| state.next == self.next).ok_or_else(damaged)
    }
}

impl Trailer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.extend_from_slice(&TRAILER_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.index_offset.to_le_bytes());
        for field in [self.index_bytes, self.index_crc, self.state_bytes, self.state_crc] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.frames_end, self.next.0, self.previous.0, self.last_arrival.as_millis(), self.salt] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if bytes.len() != TRAILER_BYTES || fields.array()? != TRAILER_MAGIC || fields.u32()? != VERSION {
            return None;
        }
        let trailer = Self {
            index_offset: fields.u64()?,
            index_bytes: fields.u32()?,
            index_crc: fields.u32()?,
            state_bytes: fields.u32()?,
            state_crc: fields.u32()?,
            frames_end: fields.u64()?,
            next: Position(fields.u64()?),
            previous: Position(fields.u64()?),
            last_arrival: Timestamp::from_millis(fields.u64()?),
            salt: fields.u64()?,
        };
        let (crc, reserved) = (fields.u32()?, fields.u32()?);
        let is_sound = crc32c::crc32c(bytes.get(..TRAILER_BYTES - 8)?) == crc && reserved == 0;
        is_sound.then_some(trailer)
    }

    /// Whether a file ends in a trailer of this salt that is not sound.
    pub(super) fn is_damaged(file: &[u8], salt: u64) -> bool {
        let Some((_, bytes)) = file.split_last_chunk::<TRAILER_BYTES>() else { return false };
        let says_so = bytes.starts_with(&TRAILER_MAGIC)
            || bytes.get(SALT_OFFSET..).is_some_and(|rest| rest.starts_with(&salt.to_le_bytes()));
        says_so && Self::decode(bytes).is_none()
    }

    /// The trailer of a segment file, if it was closed.
    pub(super) fn read(file: &File, salt: u64) -> Result<Option<Self>, LogError> {
        let file_bytes = file.len()?;
        if file_bytes < (PAGE + TRAILER_BYTES) as u64 {
            return Ok(None);
        }
        let bytes = file.read_at(file_bytes - TRAILER_BYTES as u64, TRAILER_BYTES)?;
        // A footer of an earlier use of the file has another salt, and one of a longer use points elsewhere.
        let fits = |trailer: &Self| {
            let end = trailer.state_offset().saturating_add(u64::from(trailer.state_bytes));
            trailer.salt == salt && end == file_bytes - TRAILER_BYTES as u64
        };
        Ok(Self::decode(&bytes).filter(fits))
    }

    /// The index that the trailer points to.
    pub(super) fn index(&self, file: &File, log: LogId) -> Result<SegmentIndex, LogError> {
        let damaged = || corruption(log, file.path(), self.index_offset, "the index in the footer is damaged");
        let bytes = file.read_at(self.index_offset, self.index_bytes as usize)?;
        if crc32c::crc32c(&bytes) != self.index_crc {
            return Err(damaged());
        }
        SegmentIndex::decode(&bytes).ok_or_else(damaged)
    }

    /// The log's state behind the segment's last frame.
    pub(super) fn state(&self, file: &File, log: LogId) -> Result<LogState, LogError> {
        let damaged = || corruption(log, file.path(), self.state_offset(), "the state in the footer is damaged");
        let state = file.read_at(self.state_offset(), self.state_bytes as usize)?;
        decode_state(&state, self.state_crc).filter(|state| state.next == self.next).ok_or_else(damaged)
    }

    /// Where its file ends.
    pub(super) fn end(&self) -> u64 {
        self.state_offset().saturating_add(u64::from(self.state_bytes)).saturating_add(TRAILER_BYTES as u64)
    }

    pub(super) fn state_offset(&self) -> u64 {
        self.index_offset.saturating_add(u64::from(self.index_bytes))
    }
}

pub(super) fn decode_state(bytes: &[u8], crc: u32) -> Option<LogState> {
    (crc32c::crc32c(bytes) == crc).then(|| LogState::decode(bytes)).flatten()
}

/// Closes a segment: cuts what lies behind its frames and writes the footer there.
pub(super) fn close(
    file: &File,
    salt: u64,
    frames_end: u64,
    state: &LogState,
    index: &SegmentIndex,
) -> Result<Trailer, LogError> {
    let (mut footer, state_encoded) = (index.encode(), state.encode());
    let trailer = Trailer {
        index_offset: frames_end,
        index_bytes: footer.len() as u32,
        index_crc: crc32c::crc32c(&footer),
        state_bytes: state_encoded.len() as u32,
        state_crc: crc32c::crc32c(&state_encoded),
        frames_end,
        next: state.next,
        previous: state.previous,
        last_arrival: state.last_arrival,
        salt,
    };
    file.truncate(frames_end)?;
    footer.extend_from_slice(&state_encoded);
    file.write_at(&footer, frames_end)?;
    // A trailer that is there vouches for what it points to, which is not read when the log is opened.
    file.sync_all()?;
    file.write_at(&trailer.encode(), frames_end + footer.len() as u64)?;
    file.sync_all()?;
    Ok(trailer)
}

/// Looks through the frames of a segment. `bytes` is the file up to its footer, or all of it where there is none;
/// `state` is that in its header.
///
/// A frame that is not whole ends the segment: one commit is in flight at a time, so only the last can be torn. A whole
/// one behind it means that the bytes between were damaged.
pub(super) fn scan(bytes: &[u8], header: &Header, state: LogState, path: &Path) -> Result<Scan, LogError> {
    let mut scan = Scan {
        state,
        index: SegmentIndex::default(),
        frames: 0,
        frames_end: u64::from(header.bytes),
        last_frame: None,
    };
    let damaged = |offset: u64, what: &str| corruption(header.log, path, offset, what);
    let frame_at = |offset: usize| frame::decode(bytes.get(offset..).unwrap_or_default(), header.salt);
    loop {
        match frame_at(scan.frames_end as usize) {
            Found::Frame(head) if fits(&head, header, &scan.state) => scan.add(&head),
            Found::Frame(_) => return Err(damaged(scan.frames_end, "a frame that does not follow the one before it")),
            Found::Nothing => break,
            Found::Unreadable { flags } => {
                let what =
                    format!("the frame has flags {flags:#06x}, which this version cannot read: use a newer tidemill");
                return Err(damaged(scan.frames_end, &what));
            }
        }
    }
    let torn = scan.frames_end as usize;
    let later = (torn + frame::ALIGN..bytes.len()).step_by(frame::ALIGN).find(|offset| match frame_at(*offset) {
        Found::Frame(head) => head.place.segment == header.number && head.place.first >= scan.state.next,
        Found::Nothing | Found::Unreadable { .. } => false,
    });
    match later {
        None => Ok(scan),
        Some(later) => {
            let what = format!("a damaged frame, though there is a whole one at byte {later}");
            Err(damaged(torn as u64, &what))
        }
    }
}

impl Scan {
    fn add(&mut self, head: &frame::Head) {
        self.state.apply(head);
        self.index.add(self.frames_end as u32, head);
        self.last_frame = Some(self.frames_end);
        self.frames_end += u64::from(head.frame_bytes);
        self.frames += 1;
    }
}

/// Whether a frame is the one that follows.
pub(super) fn fits(head: &frame::Head, header: &Header, state: &LogState) -> bool {
    let place = &head.place;
    place.log == header.log
        && place.segment == header.number
        && place.first == state.next
        && place.previous == state.previous
        && place.generation == state.generation
}

pub(super) fn corruption(log: LogId, path: &Path, offset: u64, what: &str) -> LogError {
    Corruption { log, file: path.display().to_string(), offset, what: what.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::LogSettings;

    #[test]
    fn a_header_is_read_as_it_was_written_and_damage_is_seen() {
        let log = LogId { stream: StreamId(5), part: 0 };
        let state = LogState::new(LogSettings::kept_for(Duration::from_hours(24)));
        let (header, mut bytes) = Header::encode(log, 3, 77, &state, false);
        assert_eq!((bytes.len(), header.bytes), (PAGE, PAGE as u32));
        assert_eq!(Header::decode(&bytes), Some(header.clone()));
        let stored = &bytes[HEADER_FIELDS_BYTES..][..header.state_bytes as usize];
        assert_eq!(decode_state(stored, header.state_crc), Some(state));
        assert_eq!(decode_state(&stored[1..], header.state_crc), None);
        bytes[40] ^= 1;
        assert_eq!(Header::decode(&bytes), None);
    }

    #[test]
    fn a_trailer_is_read_as_it_was_written_and_damage_is_seen() {
        let (next, previous) = (Position(9), Position(8));
        let last_arrival = Timestamp::from_millis(7);
        let trailer = Trailer {
            index_offset: 1,
            index_bytes: 2,
            index_crc: 3,
            state_bytes: 5,
            state_crc: 8,
            frames_end: 4,
            next,
            previous,
            last_arrival,
            salt: 6,
        };
        let mut bytes = trailer.encode();
        assert_eq!(bytes.len(), TRAILER_BYTES);
        assert_eq!(Trailer::decode(&bytes), Some(trailer));
        bytes[20] ^= 1;
        assert_eq!(Trailer::decode(&bytes), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::decode(&bytes);
            let _ = Trailer::decode(&bytes);
        }
    }
}
