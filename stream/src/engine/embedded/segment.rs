//! A segment: a file of frames, between a header with the log's state and, once it is closed, a footer with the index.
//!
//! ```text
//! header   magic "TMsg" · version u32 · header length u32 · CRC32C u32 · stream u64 · part u32 · number u32
//!          salt u64 · state length u32 · 0 u32 · state (CBOR) · zeros up to a multiple of 4096
//! frames   see `frame`
//! footer   index · trailer: magic "TMft" · version u32 · index offset u64 · index length u32 · index CRC32C u32
//!          end of frames u64 · next position u64 · previous position u64 · last arrival u64 (ms) · salt u64
//!          trailer CRC32C u32 · 0 u32                                                              (72 bytes)
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};

use super::bytes::Fields;
use super::file;
use super::frame;
use super::index::SegmentIndex;
use super::state::LogState;
use crate::clock::Timestamp;
use crate::engine::{Corruption, LogError, LogId, Position, StreamId};

const HEADER_MAGIC: [u8; 4] = *b"TMsg";
const TRAILER_MAGIC: [u8; 4] = *b"TMft";
const VERSION: u32 = 1;
const PAGE: usize = 4096;
const HEADER_FIELDS_BYTES: usize = 48;
const TRAILER_BYTES: usize = 72;

/// A segment's name and what its header says.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) log: LogId,
    pub(super) number: u32,
    pub(super) salt: u64,
    /// The log's state at the segment's first frame.
    pub(super) state: LogState,
}

/// What a closed segment's trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) index_offset: u64,
    pub(super) index_bytes: u32,
    pub(super) index_crc: u32,
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
    pub(super) fn encode(&self) -> Vec<u8> {
        let state = self.state.encode();
        let len = (HEADER_FIELDS_BYTES + state.len()).next_multiple_of(PAGE);
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&HEADER_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(len as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.log.stream.0.to_le_bytes());
        out.extend_from_slice(&self.log.part.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&(state.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&state);
        out.resize(len, 0);
        let crc = crc32c::crc32c(&out);
        if let Some(field) = out.get_mut(12..16) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        out
    }

    /// Reads a header from the beginning of a segment; also says its length.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut fields = Fields(bytes);
        if fields.array()? != HEADER_MAGIC || fields.u32()? != VERSION {
            return None;
        }
        let (len, crc) = (fields.u32()? as usize, fields.u32()?);
        let mut checked = bytes.get(..len).filter(|header| header.len() >= HEADER_FIELDS_BYTES)?.to_vec();
        checked.get_mut(12..16)?.fill(0);
        if crc32c::crc32c(&checked) != crc {
            return None;
        }
        let log = LogId { stream: StreamId(fields.u64()?), part: fields.u32()? };
        let (number, salt) = (fields.u32()?, fields.u64()?);
        let state_bytes = fields.u32()? as usize;
        let _reserved = fields.u32()?;
        let state = LogState::decode(fields.slice(state_bytes)?)?;
        Some((Self { log, number, salt, state }, len))
    }

    /// Reads the header of a segment file.
    pub(super) fn read(file: &File, path: &Path, log: LogId) -> Result<(Self, usize), LogError> {
        let damaged = |what: &str| corruption(log, path, 0, what);
        let file_bytes = file::len(file, path)?;
        if file_bytes < PAGE as u64 {
            return Err(damaged("the file is shorter than a segment's header"));
        }
        let first = file::read_at(file, path, 0, PAGE)?;
        let len = Fields(first.get(8..12).unwrap_or_default()).u32().unwrap_or(0) as usize;
        if len < PAGE || len as u64 > file_bytes {
            return Err(damaged("the segment's header is damaged"));
        }
        let bytes = if len == PAGE { first } else { file::read_at(file, path, 0, len)? };
        let (header, len) = Self::decode(&bytes).ok_or_else(|| damaged("the segment's header is damaged"))?;
        let number = path.file_name().and_then(|name| number_of(&name.to_string_lossy()));
        if header.log != log || Some(header.number) != number {
            return Err(damaged("the segment belongs to another log, or to another place in it"));
        }
        Ok((header, len))
    }
}

impl Trailer {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.extend_from_slice(&TRAILER_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.index_offset.to_le_bytes());
        out.extend_from_slice(&self.index_bytes.to_le_bytes());
        out.extend_from_slice(&self.index_crc.to_le_bytes());
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
            frames_end: fields.u64()?,
            next: Position(fields.u64()?),
            previous: Position(fields.u64()?),
            last_arrival: Timestamp::from_millis(fields.u64()?),
            salt: fields.u64()?,
        };
        let crc = fields.u32()?;
        (crc32c::crc32c(bytes.get(..TRAILER_BYTES - 8)?) == crc).then_some(trailer)
    }

    /// The trailer of a segment file, if it was closed.
    pub(super) fn read(file: &File, path: &Path, salt: u64) -> Result<Option<Self>, LogError> {
        let file_bytes = file::len(file, path)?;
        if file_bytes < (PAGE + TRAILER_BYTES) as u64 {
            return Ok(None);
        }
        let bytes = file::read_at(file, path, file_bytes - TRAILER_BYTES as u64, TRAILER_BYTES)?;
        // A footer of an earlier use of the file has another salt.
        Ok(Self::decode(&bytes).filter(|trailer| trailer.salt == salt))
    }

    /// The index that the trailer points to.
    pub(super) fn index(&self, file: &File, path: &Path, log: LogId) -> Result<SegmentIndex, LogError> {
        let damaged = || corruption(log, path, self.index_offset, "the segment's footer is damaged");
        let bytes = file::read_at(file, path, self.index_offset, self.index_bytes as usize)?;
        if crc32c::crc32c(&bytes) != self.index_crc {
            return Err(damaged());
        }
        SegmentIndex::decode(&bytes).ok_or_else(damaged)
    }
}

/// Closes a segment: cuts what lies behind its frames and writes the footer there.
pub(super) fn close(
    file: &File,
    path: &Path,
    salt: u64,
    frames_end: u64,
    state: &LogState,
    index: &SegmentIndex,
) -> Result<Trailer, LogError> {
    let encoded = index.encode();
    let trailer = Trailer {
        index_offset: frames_end,
        index_bytes: encoded.len() as u32,
        index_crc: crc32c::crc32c(&encoded),
        frames_end,
        next: state.next,
        previous: state.previous,
        last_arrival: state.last_arrival,
        salt,
    };
    file::truncate(file, path, frames_end)?;
    let mut footer = encoded;
    footer.extend_from_slice(&trailer.encode());
    file::write_at(file, path, &footer, frames_end)?;
    file::sync_all(file, path)?;
    Ok(trailer)
}

/// Looks through the frames of a segment that was not closed. `bytes` is the whole file.
///
/// A frame that is not whole ends the segment: one commit is in flight at a time, so only the last can be torn. A whole
/// one behind it means that the bytes between were damaged.
pub(super) fn scan(bytes: &[u8], header: &Header, header_bytes: usize, path: &Path) -> Result<Scan, LogError> {
    let mut scan = Scan {
        state: header.state.clone(),
        index: SegmentIndex::default(),
        frames_end: header_bytes as u64,
        last_frame: None,
    };
    let frame_at = |offset: usize| bytes.get(offset..).and_then(|rest| frame::decode(rest, header.salt));
    while let Some(head) = frame_at(scan.frames_end as usize).filter(|head| fits(head, header, &scan.state)) {
        scan.state.apply(&head);
        scan.index.add(scan.frames_end as u32, &head);
        scan.last_frame = Some(scan.frames_end);
        scan.frames_end += u64::from(head.frame_bytes);
    }
    let torn = scan.frames_end as usize;
    let later = (torn + frame::ALIGN..bytes.len()).step_by(frame::ALIGN).find(|offset| {
        let place = frame_at(*offset).map(|head| head.place);
        place.is_some_and(|place| place.segment == header.number && place.first >= scan.state.next)
    });
    match later {
        None => Ok(scan),
        Some(later) => {
            let what = format!("a damaged frame, though there is a whole one at byte {later}");
            Err(corruption(header.log, path, torn as u64, &what))
        }
    }
}

/// Whether a frame is the one that follows.
fn fits(head: &frame::Head, header: &Header, state: &LogState) -> bool {
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

    fn header() -> Header {
        let log = LogId { stream: StreamId(5), part: 0 };
        Header { log, number: 3, salt: 77, state: LogState::new(Duration::from_hours(24)) }
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_damage_is_seen() {
        let mut bytes = header().encode();
        let (read, len) = Header::decode(&bytes).unwrap();
        assert_eq!((read.log, read.number, read.salt, len), (header().log, 3, 77, PAGE));
        assert_eq!(read.state, header().state);
        bytes[40] ^= 1;
        assert!(Header::decode(&bytes).is_none());
    }

    #[test]
    fn a_trailer_is_read_as_it_was_written_and_damage_is_seen() {
        let (next, previous) = (Position(9), Position(8));
        let last_arrival = Timestamp::from_millis(7);
        let trailer = Trailer {
            index_offset: 1,
            index_bytes: 2,
            index_crc: 3,
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
