//! Bytes on the wire.

use std::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A blob: base64 in a human-readable format, bytes in any other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            // Written piece by piece into the output: no string is made of it.
            serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Base64)
        } else {
            deserializer.deserialize_byte_buf(Raw)
        }
    }
}

struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a base64 string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Blob, E> {
        // Decoding is a sixth of a large put: the vectorized decoder does it, and the other one says what is wrong.
        if let Ok(data) = base64_simd::STANDARD.decode_to_vec(text) {
            return Ok(Blob(data.into()));
        }
        match STANDARD.decode(text) {
            Ok(data) => Ok(Blob(data.into())),
            Err(error) => Err(E::custom(format_args!("not base64: {error}"))),
        }
    }
}

struct Raw;

impl Visitor<'_> for Raw {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, data: &[u8]) -> Result<Blob, E> {
        Ok(Blob(Bytes::copy_from_slice(data)))
    }

    fn visit_byte_buf<E: Error>(self, data: Vec<u8>) -> Result<Blob, E> {
        Ok(Blob(data.into()))
    }
}

impl From<Bytes> for Blob {
    fn from(data: Bytes) -> Self {
        Self(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_carries_base64() {
        for (data, json) in [("", r#""""#), ("a", r#""YQ==""#), ("hello?", r#""aGVsbG8/""#)] {
            let blob = Blob(Bytes::from(data));
            assert_eq!(serde_json::to_string(&blob).unwrap(), json);
            assert_eq!(serde_json::from_str::<Blob>(json).unwrap(), blob);
        }
        // Some clients escape the slash.
        assert_eq!(serde_json::from_str::<Blob>(r#""aGVsbG8\/""#).unwrap().0, "hello?");
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for bad in [r#""YQ""#, r#""Y*==""#, r#""=YQ=""#, "1", "null", "[]"] {
            assert!(serde_json::from_str::<Blob>(bad).is_err(), "{bad}");
        }
    }
}
