//! Reading: a serde deserializer.

use minicbor::Decoder;
use minicbor::data::Type;
use serde::de::{Deserialize, Deserializer, Error as _, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::items::Items;
use super::{CborError, DEPTH_MAX, Fault};

/// Reads the value that is all of `input`.
pub(super) fn whole<'de, T: Deserialize<'de>>(input: &'de [u8]) -> Result<T, CborError> {
    let mut reader = Reader { input: Decoder::new(input), depth: 0 };
    let value = T::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|fault| CborError { at_byte: reader.input.position(), fault })
}

/// Stands before a value.
pub(super) struct Reader<'de> {
    pub(super) input: Decoder<'de>,
    /// Lists and maps around the value.
    depth: usize,
}

impl<'de> Reader<'de> {
    fn end(&self) -> Result<(), Fault> {
        match self.bytes_left() {
            0 => Ok(()),
            bytes => Err(Fault::TrailingBytes { bytes }),
        }
    }

    pub(super) fn bytes_left(&self) -> usize {
        self.input.input().len().saturating_sub(self.input.position())
    }

    /// The type of the value, behind its tags: none of them changes what a value of the API is.
    fn untagged(&mut self) -> Result<Type, Fault> {
        loop {
            match self.input.datatype()? {
                Type::Tag => self.input.tag()?,
                other => return Ok(other),
            };
        }
    }

    /// Reads what is inside a list or a map.
    fn inside<T>(
        &mut self,
        count: Option<u64>,
        read: impl FnOnce(&mut Items<'_, 'de>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth == DEPTH_MAX {
            return Err(Fault::TooDeep { max: DEPTH_MAX });
        }
        self.depth += 1;
        let mut items = Items::new(self, count);
        let value = read(&mut items)?;
        items.end()?;
        self.depth -= 1;
        Ok(value)
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Fault> {
        let count = self.input.array()?;
        self.inside(count, |items| visitor.visit_seq(items))
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Fault> {
        let count = self.input.map()?;
        self.inside(count, |items| visitor.visit_map(items))
    }

    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Fault> {
        let number = self.input.int()?;
        if let Ok(number) = u64::try_from(number) {
            return visitor.visit_u64(number);
        }
        match i64::try_from(number) {
            Ok(number) => visitor.visit_i64(number),
            Err(_) => {
                Err(Fault::custom(format_args!("the number {number} is out of range: {} is the least", i64::MIN)))
            }
        }
    }

    fn text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Fault> {
        match self.untagged()? {
            Type::String => visitor.visit_borrowed_str(self.input.str()?),
            Type::StringIndef => visitor.visit_string(self.input.str_iter()?.collect::<Result<_, _>>()?),
            other => Err(wrong_type(other, &visitor)),
        }
    }

    fn bytes<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Fault> {
        match self.untagged()? {
            Type::Bytes => visitor.visit_borrowed_bytes(self.input.bytes()?),
            Type::BytesIndef => {
                let mut whole = Vec::new();
                for piece in self.input.bytes_iter()? {
                    whole.extend_from_slice(piece?);
                }
                visitor.visit_byte_buf(whole)
            }
            other => Err(wrong_type(other, &visitor)),
        }
    }

    /// Passes over a value of any type.
    fn skip(&mut self) -> Result<(), Fault> {
        match self.untagged()? {
            Type::Array | Type::ArrayIndef => {
                let count = self.input.array()?;
                self.inside(count, |items| items.each(Self::skip))
            }
            Type::Map | Type::MapIndef => {
                let count = self.input.map()?;
                self.inside(count, |items| items.each(|reader| reader.skip().and_then(|()| reader.skip())))
            }
            Type::BytesIndef => Ok(self.input.bytes_iter()?.try_for_each(|piece| piece.map(drop))?),
            Type::StringIndef => Ok(self.input.str_iter()?.try_for_each(|piece| piece.map(drop))?),
            Type::Break => Err(Fault::custom("an end where a value is needed")),
            _ => Ok(self.input.skip()?),
        }
    }
}

fn wrong_type<'de, V: Visitor<'de>>(found: Type, visitor: &V) -> Fault {
    let found = found.to_string();
    Fault::invalid_type(Unexpected::Other(&found), visitor)
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.untagged()? {
            Type::Bool => visitor.visit_bool(self.input.bool()?),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
                self.integer(visitor)
            }
            Type::F32 | Type::F64 => visitor.visit_f64(self.input.f64()?),
            Type::String | Type::StringIndef => self.text(visitor),
            Type::Bytes | Type::BytesIndef => self.bytes(visitor),
            Type::Array | Type::ArrayIndef => self.list(visitor),
            Type::Map | Type::MapIndef => self.map(visitor),
            other @ (Type::Null
            | Type::Undefined
            | Type::F16
            | Type::Simple
            | Type::Tag
            | Type::Break
            | Type::Unknown(_)) => Err(wrong_type(other, &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.input.datatype()? {
            Type::Null => self.input.null()?,
            Type::Undefined => self.input.undefined()?,
            _ => return visitor.visit_some(self),
        }
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.skip()?;
        visitor.visit_unit()
    }

    // A name is a text: neither bytes nor the number of a field.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.bytes(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.untagged()? {
            Type::Array | Type::ArrayIndef => self.list(visitor),
            other => Err(wrong_type(other, &visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.untagged()? {
            Type::Map | Type::MapIndef => self.map(visitor),
            other => Err(wrong_type(other, &visitor)),
        }
    }

    // A structure has names; serde would take a list of values for one, too.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char unit unit_struct tuple tuple_struct enum
    }
}
