//! What can be wrong with CBOR.

use std::fmt::Display;

use thiserror::Error;

/// Why an input is not the shape that was asked for.
#[derive(Debug, Error)]
#[error("{fault} (near byte {at_byte})")]
pub struct CborError {
    /// Where reading ended.
    pub at_byte: usize,
    /// What was wrong there.
    pub fault: Fault,
}

/// What is wrong with an input.
#[derive(Debug, Error)]
pub enum Fault {
    /// The bytes are not CBOR.
    #[error("not CBOR: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    /// It is CBOR, but says something else.
    #[error("{0}")]
    Shape(String),
    /// Lists and maps lie in one another.
    #[error("lists and maps are nested deeper than {max} levels")]
    TooDeep {
        /// The most levels.
        max: usize,
    },
    /// A list or a map is long.
    #[error("a list or a map has more than {max} elements")]
    TooManyItems {
        /// The most elements.
        max: usize,
    },
    /// Something follows the value.
    #[error("{bytes} bytes follow the value: a body is one value")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
}

impl serde::de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::Shape(message.to_string())
    }
}

/// Why a shape was not written: it has what no shape of the API has.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Unwritable(String);

impl serde::ser::Error for Unwritable {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<E: Display> From<minicbor::encode::Error<E>> for Unwritable {
    fn from(error: minicbor::encode::Error<E>) -> Self {
        Self(error.to_string())
    }
}
