//! The frames of an event stream (`application/vnd.amazon.eventstream`), as AWS's clients read them: pure.
//!
//! A frame is its length, that of its headers, a CRC-32 of both, the headers, the payload, and a CRC-32 of all before; numbers
//! are big-endian. This file must not know what an event says.

use bytes::{BufMut as _, Bytes};

/// What an answer of such frames says it is.
pub(super) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Bytes in front of the headers: both lengths, and their CRC.
const PRELUDE_BYTES: usize = 12;
/// Bytes behind the payload.
const CRC_BYTES: usize = 4;
/// Bytes of a frame beside its headers and its payload.
const FRAME_BYTES: usize = PRELUDE_BYTES + CRC_BYTES;
/// The type of a header's value that is a text.
const TEXT: u8 = 7;

/// A frame, with the payload that is appended to what it is given: `bytes_expected` or so. Names of headers have at most 255
/// bytes, values 65,535; what is longer is cut.
pub(super) fn frame<E>(
    headers: &[(&str, &str)],
    bytes_expected: usize,
    payload: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, E>,
) -> Result<Bytes, E> {
    let mut head = Vec::new();
    for (name, value) in headers {
        let name = name.as_bytes().get(..name.len().min(255)).unwrap_or_default();
        let value = value.as_bytes().get(..value.len().min(65_535)).unwrap_or_default();
        head.put_u8(name.len() as u8);
        head.put_slice(name);
        head.put_u8(TEXT);
        head.put_u16(value.len() as u16);
        head.put_slice(value);
    }
    let mut out = Vec::with_capacity(FRAME_BYTES + head.len() + bytes_expected);
    // The lengths come when they are known.
    out.put_bytes(0, PRELUDE_BYTES);
    out.put_slice(&head);
    let mut out = payload(out)?;
    let mut prelude = Vec::with_capacity(PRELUDE_BYTES);
    prelude.put_u32((out.len() + CRC_BYTES) as u32);
    prelude.put_u32(head.len() as u32);
    prelude.put_u32(crc32fast::hash(&prelude));
    out.splice(..PRELUDE_BYTES, prelude);
    out.put_u32(crc32fast::hash(&out));
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    /// The empty frame is the example of AWS's own tests.
    #[test]
    fn frames_are_written_as_aws_writes_them() {
        let frame = |headers: &[(&str, &str)], payload: &[u8]| {
            let append = |buffer: Vec<u8>| Ok::<_, Infallible>([&buffer, payload].concat());
            super::frame(headers, payload.len(), append).unwrap()
        };
        assert_eq!(frame(&[], b"")[..], [0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff]);
        let with_header = frame(&[("ab", "xyz")], b"{}");
        assert_eq!(with_header[..8], [0, 0, 0, 16 + 9 + 2, 0, 0, 0, 9]);
        assert_eq!(with_header[12..23], *b"\x02ab\x07\x00\x03xyz{}");
        assert_eq!(with_header[8..12], crc32fast::hash(&with_header[..8]).to_be_bytes());
        assert_eq!(with_header[23..], crc32fast::hash(&with_header[..23]).to_be_bytes());
    }
}
