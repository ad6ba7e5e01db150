//! AWS JSON 1.1: shapes as JSON, read within bounds.
//!
//! Promises that a list or a map that would be kept has an end, that texts are borrowed from the input where they lie in it
//! without escapes, and that no input makes this panic, recurse without end or allocate much more than the input's own
//! size. What is unknown is passed over in place, whatever it is. This module must not know which shapes there are.

mod bounded;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use self::bounded::Bounded;

/// Reads a shape that is all of `input`.
pub fn from_slice<'de, T: Deserialize<'de>>(input: &'de [u8]) -> serde_json::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(input);
    let shape = T::deserialize(Bounded(&mut reader))?;
    reader.end()?;
    Ok(shape)
}
