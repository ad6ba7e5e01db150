//! What of a record's data the patterns want, and what of it was found.

use std::collections::BTreeMap;

use super::reader::{Malformed, Reader, Scalar, Token};

/// The fields that patterns name, in one another.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    fields: BTreeMap<Box<str>, Field>,
}

#[derive(Debug)]
struct Field {
    /// Its place among the fields found, counted in the order in which they became wanted.
    slot: usize,
    wanted: Wanted,
}

/// A value of the data, pruned to what is wanted.
#[derive(Debug, Clone)]
pub(super) enum Found<'a> {
    /// The field is not there.
    Nothing,
    Scalar(Scalar<'a>),
    Array(Vec<Found<'a>>),
    /// The wanted fields by slot.
    Object(Vec<Found<'a>>),
}

impl Wanted {
    /// The slot of a field and what is wanted below it; the field becomes wanted.
    pub(super) fn field(&mut self, name: &str) -> (usize, &mut Self) {
        let slot = self.fields.len();
        let field = self.fields.entry(name.into()).or_insert_with(|| Field { slot, wanted: Self::default() });
        (field.slot, &mut field.wanted)
    }
}

impl<'a> Found<'a> {
    /// Reads a record's data; none if it is no JSON, even where nothing is wanted.
    pub(super) fn read(data: &'a [u8], wanted: &Wanted) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        Reader::document(text, |reader| Self::value(reader, wanted)).ok()
    }

    /// Whether there is a value to compare: an object or an empty array is none.
    pub(super) fn has_scalar(&self) -> bool {
        match self {
            Self::Scalar(_) => true,
            Self::Array(elements) => elements.iter().any(Self::has_scalar),
            Self::Nothing | Self::Object(_) => false,
        }
    }

    fn value(reader: &mut Reader<'a>, wanted: &Wanted) -> Result<Self, Malformed> {
        match reader.token()? {
            Token::Scalar(scalar) => Ok(Self::Scalar(scalar)),
            Token::Array => Self::array(reader, wanted),
            Token::Object => Self::object(reader, wanted),
        }
    }

    fn array(reader: &mut Reader<'a>, wanted: &Wanted) -> Result<Self, Malformed> {
        let mut elements = Vec::new();
        reader.elements(|reader| {
            elements.push(Self::value(reader, wanted)?);
            Ok(())
        })?;
        Ok(Self::Array(elements))
    }

    fn object(reader: &mut Reader<'a>, wanted: &Wanted) -> Result<Self, Malformed> {
        let mut slots = vec![Self::Nothing; wanted.fields.len()];
        reader.members(|reader, name| {
            let Some(field) = wanted.fields.get(&*name) else { return reader.skip() };
            let value = Self::value(reader, &field.wanted)?;
            if let Some(slot) = slots.get_mut(field.slot) {
                *slot = value;
            }
            Ok(())
        })?;
        Ok(Self::Object(slots))
    }
}
