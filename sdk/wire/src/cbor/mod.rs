//! AWS CBOR 1.1: shapes as CBOR (RFC 8949) in the way that AWS's Java clients speak it.
//!
//! Promises that a shape is read from whatever CBOR can say it in (lengths of both kinds, any width of a number, tags
//! that mean nothing here), that texts are borrowed from the input where they lie in it whole, and that no input makes
//! this panic, recurse without end or allocate much more than the input's own size. What is written has definite
//! lengths. This module must not know which shapes there are.
//!
//! It is a serde format of our own over `minicbor`'s tokens: times are tag 1 with integer *milliseconds*, against the RFC.

mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod items;
mod read;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};

use crate::ITEMS_MAX;

pub use error::{CborError, Fault, Unwritable};

/// The tag of a time.
const TIME_TAG: u64 = 1;
/// Lists and maps in one another.
const DEPTH_MAX: usize = 128;

/// Reads a shape that is all of `input`.
pub fn from_slice<'de, T: Deserialize<'de>>(input: &'de [u8]) -> Result<T, CborError> {
    read::whole(input)
}

/// Writes a shape behind what is in `output`.
pub fn write<T: Serialize + ?Sized>(output: Vec<u8>, shape: &T) -> Result<Vec<u8>, Unwritable> {
    let mut writer = write::Writer::new(output);
    shape.serialize(&mut writer)?;
    Ok(writer.into_output())
}

/// Writes a shape.
pub fn to_vec<T: Serialize + ?Sized>(shape: &T) -> Result<Vec<u8>, Unwritable> {
    write(Vec::new(), shape)
}
