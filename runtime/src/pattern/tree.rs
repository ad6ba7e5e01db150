//! A pattern's text as a tree of JSON values, which keeps numbers as written and the last of equal keys.

use super::reader::{Malformed, Reader, Scalar, Token};

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Scalar(Scalar<'a>),
    Array(Vec<Json<'a>>),
    /// Each name once, in the order in which they were first given.
    Object(Vec<(String, Json<'a>)>),
}

impl<'a> Json<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        Reader::document(text, Self::read)
    }

    /// What an error calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(Scalar::Null) => "null",
            Self::Scalar(Scalar::Bool(true)) => "true",
            Self::Scalar(Scalar::Bool(false)) => "false",
            Self::Scalar(Scalar::Number(_)) => "a number",
            Self::Scalar(Scalar::String(_)) => "a string",
            Self::Array(elements) if elements.is_empty() => "an empty array",
            Self::Array(_) => "an array",
            Self::Object(members) if members.is_empty() => "an empty object",
            Self::Object(_) => "an object",
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        match reader.token()? {
            Token::Scalar(scalar) => Ok(Self::Scalar(scalar)),
            Token::Array => Self::read_array(reader),
            Token::Object => Self::read_object(reader),
        }
    }

    fn read_array(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut array = Vec::new();
        reader.elements(|reader| {
            array.push(Self::read(reader)?);
            Ok(())
        })?;
        Ok(Self::Array(array))
    }

    fn read_object(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut object: Vec<(String, Self)> = Vec::new();
        reader.members(|reader, name| {
            let value = Self::read(reader)?;
            match object.iter_mut().find(|(known, _)| *known == name) {
                Some((_, earlier)) => *earlier = value,
                None => object.push((name.into_owned(), value)),
            }
            Ok(())
        })?;
        Ok(Self::Object(object))
    }
}
