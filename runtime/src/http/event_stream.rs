//! The frames of an event stream (`application/vnd.amazon.eventstream`), as AWS's clients read them: pure.
//!
//! A frame is its length, that of its headers, a CRC-32 of both, the headers, the payload, and a CRC-32 of all before; numbers
//! are big-endian. This file must not know what an event says.

use bytes::{BufMut as _, Bytes, BytesMut};

/// What an answer of such frames says it is.
pub(super) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Bytes of a frame beside its headers and its payload.
const FRAME_BYTES: usize = 16;
/// The type of a header's value that is a text.
const TEXT: u8 = 7;

/// A frame. Names of headers have at most 255 bytes, values 65,535; what is longer is cut.
pub(super) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = BytesMut::new();
    for (name, value) in headers {
        let name = name.as_bytes().get(..name.len().min(255)).unwrap_or_default();
        let value = value.as_bytes().get(..value.len().min(65_535)).unwrap_or_default();
        head.put_u8(name.len() as u8);
        head.put_slice(name);
        head.put_u8(TEXT);
        head.put_u16(value.len() as u16);
        head.put_slice(value);
    }
    let bytes = FRAME_BYTES + head.len() + payload.len();
    let mut out = BytesMut::with_capacity(bytes);
    out.put_u32(bytes as u32);
    out.put_u32(head.len() as u32);
    out.put_u32(crc32fast::hash(&out));
    out.put_slice(&head);
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The empty frame is the example of AWS's own tests.
    #[test]
    fn frames_are_written_as_aws_writes_them() {
        assert_eq!(frame(&[], b"")[..], [0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff]);
        let with_header = frame(&[("ab", "xyz")], b"{}");
        assert_eq!(with_header[..8], [0, 0, 0, 16 + 9 + 2, 0, 0, 0, 9]);
        assert_eq!(with_header[12..23], *b"\x02ab\x07\x00\x03xyz{}");
        assert_eq!(with_header[8..12], crc32fast::hash(&with_header[..8]).to_be_bytes());
        assert_eq!(with_header[23..], crc32fast::hash(&with_header[..23]).to_be_bytes());
    }
}
