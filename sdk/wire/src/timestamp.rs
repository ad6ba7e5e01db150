//! Times on the wire.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970, UTC; before it when negative.
///
/// JSON: seconds as a decimal number with up to three digits behind the point, never in exponent form (which AWS
/// clients do not all read). A format that is not human-readable: a newtype named [`Timestamp::NEWTYPE`] around the
/// milliseconds, which its codec writes as its own kind of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Milliseconds since 1970.
    pub millis: i64,
}

impl Timestamp {
    /// The name that the newtype has in formats that are not human-readable.
    pub const NEWTYPE: &'static str = "tidemill-wire::Timestamp";

    /// From milliseconds since 1970; times beyond `i64` are the last one.
    pub fn from_millis(millis: u64) -> Self {
        Self { millis: i64::try_from(millis).unwrap_or(i64::MAX) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            // A double holds milliseconds exactly enough for its shortest form to end there.
            serializer.serialize_f64(self.millis as f64 / 1000.0)
        } else {
            serializer.serialize_newtype_struct(Self::NEWTYPE, &self.millis)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_f64(Seconds)
        } else {
            deserializer.deserialize_newtype_struct(Self::NEWTYPE, Millis)
        }
    }
}

struct Seconds;

impl Visitor<'_> for Seconds {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970 as a number")
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Timestamp, E> {
        // Saturates: a time beyond the range is the range's end.
        Ok(Timestamp { millis: (seconds * 1000.0).round() as i64 })
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Timestamp, E> {
        Ok(Timestamp::from_millis(seconds.saturating_mul(1000)))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Timestamp, E> {
        Ok(Timestamp { millis: seconds.saturating_mul(1000) })
    }
}

struct Millis;

impl<'de> Visitor<'de> for Millis {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("milliseconds since 1970")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Timestamp, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_i64<E: Error>(self, millis: i64) -> Result<Timestamp, E> {
        Ok(Timestamp { millis })
    }

    fn visit_u64<E: Error>(self, millis: u64) -> Result<Timestamp, E> {
        Ok(Timestamp::from_millis(millis))
    }

    // Some proxies multiply seconds and send what comes out.
    fn visit_f64<E: Error>(self, millis: f64) -> Result<Timestamp, E> {
        Ok(Timestamp { millis: millis.round() as i64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_carries_seconds_to_the_millisecond() {
        for (millis, json) in [
            (0, "0.0"),
            (1, "0.001"),
            (1_763_859_985_123, "1763859985.123"),
            (1_763_859_985_000, "1763859985.0"),
            (253_402_300_799_999, "253402300799.999"),
            (-1_500, "-1.5"),
        ] {
            let time = Timestamp { millis };
            assert_eq!(serde_json::to_string(&time).unwrap(), json);
            assert_eq!(serde_json::from_str::<Timestamp>(json).unwrap(), time);
        }
        assert_eq!(serde_json::from_str::<Timestamp>("17").unwrap().millis, 17_000);
        assert_eq!(serde_json::from_str::<Timestamp>("1.7e9").unwrap().millis, 1_700_000_000_000);
    }

    #[test]
    fn a_time_as_text_is_refused() {
        assert!(serde_json::from_str::<Timestamp>(r#""2026-11-22""#).is_err());
    }
}
