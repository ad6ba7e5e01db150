//! The protobuf wire format, as far as an aggregate needs it: the fields of a message, one by one.
//!
//! Nothing is allocated and nothing copied: what a field holds is a slice of the payload. Groups, which no current
//! version of protobuf writes, are not read. This file must not know what a field means.

use std::ops::Range;

use super::Malformed;

/// Bytes of the longest number.
const VARINT_BYTES_MAX: usize = 10;

/// A part of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Slice {
    pub(super) const fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(super) const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: Value,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// A number of variable width.
    Number(u64),
    /// A text, bytes or a message.
    Slice(Slice),
    /// Four or eight bytes, which no field of an aggregate has.
    Fixed,
}

/// The fields of a message, in their order. Ends at the first that cannot be read.
pub(super) struct Fields<'a> {
    payload: &'a [u8],
    rest: Slice,
}

impl<'a> Fields<'a> {
    pub(super) const fn of(payload: &'a [u8], message: Slice) -> Self {
        Self { payload, rest: message }
    }

    fn field(&mut self) -> Result<Field, Malformed> {
        let at = self.rest.start;
        let tag = self.varint()?;
        let (number, wire_type) = (tag >> 3, tag & 7);
        let value = match wire_type {
            _ if number == 0 => return Err(Malformed::Field { wire_type, number, at }),
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Slice(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed::Field { wire_type, number, at }),
        };
        Ok(Field { number, value })
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let at = self.rest.start;
        let bytes = self.payload.get(self.rest.range()).unwrap_or_default();
        let mut number = 0;
        for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest.start += index + 1;
                return Ok(number);
            }
        }
        Err(Malformed::CutOff { at })
    }

    fn take(&mut self, length: u64) -> Result<Slice, Malformed> {
        let start = self.rest.start;
        let length = usize::try_from(length).ok().filter(|length| *length <= self.rest.len());
        let end = start + length.ok_or(Malformed::CutOff { at: start })?;
        self.rest.start = end;
        Ok(Slice { start, end })
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.len() == 0 {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest.start = self.rest.end;
        }
        Some(field)
    }
}
