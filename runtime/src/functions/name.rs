//! What functions and their versions are called.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::limits;

/// A function's name: 1 to 64 characters of `a-zA-Z0-9_-` (Lambda shape `FunctionName`, the short form).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName(Arc<str>);

/// A text that is no function name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not a function name: use 1 to 64 characters of a-z, A-Z, 0-9, '_' and '-'")]
pub struct InvalidFunctionName {
    /// What was given.
    pub given: String,
}

impl FunctionName {
    /// Checks and takes a name.
    pub fn parse(text: &str) -> Result<Self, InvalidFunctionName> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let sized = (1..=limits::FUNCTION_NAME_CHARS_MAX).contains(&text.len());
        if sized && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidFunctionName { given: text.to_owned() })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What tells one wasm file from all others: its SHA-256, printed in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u8; 32]);

impl Version {
    /// The version of a wasm file.
    pub fn of(wasm: &[u8]) -> Self {
        Self(Sha256::digest(wasm).into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let longest = "a".repeat(limits::FUNCTION_NAME_CHARS_MAX);
        for good in ["a", "Score-orders_2", longest.as_str()] {
            assert_eq!(FunctionName::parse(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(limits::FUNCTION_NAME_CHARS_MAX + 1);
        for bad in ["", "a.b", "a b", "ä", "../a", too_long.as_str()] {
            assert!(FunctionName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_version_is_the_sha256_in_hexadecimal() {
        // The digest of "abc" is FIPS 180-2's example.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Version::of(b"abc").to_string(), expected);
    }
}
