//! Names that a user chooses, checked once.

use std::fmt;
use std::sync::Arc;

/// The longest name of a stream, in characters (Kinesis shape `StreamName`).
pub const STREAM_NAME_CHARS_MAX: usize = 128;

/// A set of streams: the names in it say nothing of those in another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(Option<Arc<str>>);

/// A stream's name: 1..128 characters of `a-zA-Z0-9_.-` (Kinesis shape `StreamName`), in a space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName {
    space: Space,
    text: Arc<str>,
}

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
            Ok(Self { space: Space::default(), text: text.into() })
        } else {
            Err(InvalidStreamName { given: text.to_owned() })
        }
    }

    /// The name as text, without its space.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same name in this space.
    #[must_use]
    pub fn within(self, space: &Space) -> Self {
        Self { space: space.clone(), ..self }
    }

    /// Where it is.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The name and the space that it is in, unless that is the node's own: `ACCOUNT/REGION/NAME`.
    pub fn qualified(&self) -> String {
        match &self.space.0 {
            None => self.text.to_string(),
            Some(space) => format!("{space}/{}", self.text),
        }
    }

    /// Reads what [`StreamName::qualified`] wrote.
    pub fn parse_qualified(text: &str) -> Result<Self, InvalidStreamName> {
        match text.rsplit_once('/') {
            None => Self::parse(text),
            Some((space, name)) => Ok(Self::parse(name)?.within(&Space(Some(space.into())))),
        }
    }
}

impl Space {
    /// That of an account's streams in a region.
    pub fn of(account: &str, region: &str) -> Self {
        Self(Some(format!("{account}/{region}").into()))
    }

    /// Whether it is the one that functions, triggers and the manifest know.
    pub fn is_own(&self) -> bool {
        self.0.is_none()
    }
}

/// A consumer's name: 1..128 characters of `a-zA-Z0-9_.-` (Kinesis shape `ConsumerName`), as a stream's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerName(Arc<str>);

impl ConsumerName {
    /// Checks and takes a name.
    pub fn parse(text: &str) -> Result<Self, InvalidStreamName> {
        StreamName::parse(text).map(|name| Self(name.text))
    }

    /// A name that was checked before it was stored.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConsumerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.qualified(), f)
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

    #[test]
    fn a_name_says_its_space() {
        let own = StreamName::parse("s").unwrap();
        let other = own.clone().within(&Space::of("123456789012", "eu-west-1"));
        assert_eq!((own.qualified(), other.qualified()), ("s".to_owned(), "123456789012/eu-west-1/s".to_owned()));
        assert!(own != other && own.space().is_own() && !other.space().is_own());
        for name in [own, other] {
            assert_eq!(StreamName::parse_qualified(&name.qualified()).unwrap(), name);
        }
        assert!(StreamName::parse_qualified("a/b/").is_err());
    }
}
