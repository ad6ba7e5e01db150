//! Writing: a serde serializer.

use minicbor::Encoder;
use minicbor::data::Tag;
use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::{TIME_TAG, Unwritable};
use crate::Timestamp;

/// Writes one value after another.
pub(super) struct Writer {
    output: Encoder<Vec<u8>>,
}

impl Writer {
    pub(super) fn new(output: Vec<u8>) -> Self {
        Self { output: Encoder::new(output) }
    }

    pub(super) fn into_output(self) -> Vec<u8> {
        self.output.into_writer()
    }
}

/// The inside of a list or a map.
pub(super) struct Inside<'a> {
    writer: &'a mut Writer,
    /// Whether its end is to be marked: its length was not known.
    is_open: bool,
}

impl Inside<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Unwritable> {
        item.serialize(&mut *self.writer)
    }

    fn close(self) -> Result<(), Unwritable> {
        if self.is_open {
            self.writer.output.end()?;
        }
        Ok(())
    }
}

/// What no shape of the API has.
fn not_of_the_api<T>(what: &str) -> Result<T, Unwritable> {
    Err(Unwritable::custom(format_args!("{what} is no shape of the API")))
}

/// A method that writes a number or a truth value as it is.
macro_rules! plain {
    ($($method:ident($kind:ty) => $write:ident;)*) => {$(
        fn $method(self, value: $kind) -> Result<(), Unwritable> {
            self.output.$write(value)?;
            Ok(())
        }
    )*};
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Inside<'a>;
    type SerializeMap = Inside<'a>;
    type SerializeStruct = Inside<'a>;
    type SerializeTuple = Impossible<(), Unwritable>;
    type SerializeTupleStruct = Impossible<(), Unwritable>;
    type SerializeTupleVariant = Impossible<(), Unwritable>;
    type SerializeStructVariant = Impossible<(), Unwritable>;

    fn is_human_readable(&self) -> bool {
        false
    }

    plain! {
        serialize_bool(bool) => bool;
        serialize_i8(i8) => i8;
        serialize_i16(i16) => i16;
        serialize_i32(i32) => i32;
        serialize_i64(i64) => i64;
        serialize_u8(u8) => u8;
        serialize_u16(u16) => u16;
        serialize_u32(u32) => u32;
        serialize_u64(u64) => u64;
        serialize_f32(f32) => f32;
        serialize_f64(f64) => f64;
        serialize_str(&str) => str;
        serialize_bytes(&[u8]) => bytes;
    }

    fn serialize_char(self, value: char) -> Result<(), Unwritable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.output.null()?;
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        self.output.map(0)?;
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unwritable> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Unwritable> {
        if name == Timestamp::NEWTYPE {
            self.output.tag(Tag::new(TIME_TAG))?;
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<(), Unwritable> {
        not_of_the_api(variant)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Inside<'a>, Unwritable> {
        match length {
            Some(length) => self.output.array(length as u64)?,
            None => self.output.begin_array()?,
        };
        Ok(Inside { writer: self, is_open: length.is_none() })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Inside<'a>, Unwritable> {
        match length {
            Some(length) => self.output.map(length as u64)?,
            None => self.output.begin_map()?,
        };
        Ok(Inside { writer: self, is_open: length.is_none() })
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Inside<'a>, Unwritable> {
        self.serialize_map(Some(length))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unwritable> {
        not_of_the_api("a tuple")
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Unwritable> {
        not_of_the_api(name)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unwritable> {
        not_of_the_api(variant)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unwritable> {
        not_of_the_api(variant)
    }
}

impl SerializeSeq for Inside<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Unwritable> {
        self.item(element)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close()
    }
}

impl SerializeMap for Inside<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.item(value)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close()
    }
}

impl SerializeStruct for Inside<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unwritable> {
        self.writer.output.str(name)?;
        self.item(value)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close()
    }
}
