//! Names that a user chooses, checked once.

use std::fmt;
use std::sync::Arc;

/// The longest name of a stream, in characters (Kinesis shape `StreamName`).
pub const STREAM_NAME_CHARS_MAX: usize = 128;

/// A stream's name: 1..128 characters of `a-zA-Z0-9_.-` (Kinesis shape `StreamName`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// A text that is no stream name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not a stream name: use 1 to 128 characters of a-z, A-Z, 0-9, '_', '.' and '-'")]
pub struct InvalidStreamName {
    /// What was given.
    pub given: String,
}

impl StreamName {
    /// Checks and takes a name.
    pub fn parse(text: &str) -> Result<Self, InvalidStreamName> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let sized = (1..=STREAM_NAME_CHARS_MAX).contains(&text.len());
        if sized && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidStreamName { given: text.to_owned() })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let longest = "a".repeat(STREAM_NAME_CHARS_MAX);
        for good in ["a", "A-b_c.9", longest.as_str()] {
            assert_eq!(StreamName::parse(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(STREAM_NAME_CHARS_MAX + 1);
        for bad in ["", "a b", "ä", "a/b", too_long.as_str()] {
            assert!(StreamName::parse(bad).is_err(), "{bad}");
        }
    }
}
