//! Who may put over plain HTTP: what the node has been told, and may be told anew while it serves.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use sha2::{Digest as _, Sha256};

/// The settings that requests are judged by; before they are set, nobody may put. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Ingest(Arc<ArcSwapOption<IngestSettings>>);

impl Ingest {
    /// Changes the settings of all requests from now on.
    pub fn set(&self, settings: IngestSettings) {
        self.0.store(Some(Arc::new(settings)));
    }

    pub(in crate::http) fn settings(&self) -> Option<Arc<IngestSettings>> {
        self.0.load_full()
    }
}

/// Who may put. Unless told otherwise: everyone but pages of other origins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestSettings {
    /// A request must bring one of these tokens; none at all: it needs no token.
    pub tokens: Vec<TokenDigest>,
    /// The pages that may put from a browser.
    pub origins: Origins,
}

/// The SHA-256 of a bearer token. The token itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenDigest(pub(super) [u8; 32]);

/// A text that is no token or digest of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Not what a header can carry.
    #[error("a token has 1 to 1024 printable ASCII characters and no blank")]
    Token,
    /// Not a digest.
    #[error("the SHA-256 of a token has 64 characters of 0-9 and a-f")]
    Digest,
}

impl TokenDigest {
    /// That of a token.
    pub fn of_token(token: &str) -> Result<Self, InvalidToken> {
        let is_legal = (1..=1024).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_legal { Ok(Self::of(token.as_bytes())) } else { Err(InvalidToken::Token) }
    }

    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Its first 8 digits, which tell it from others.
    pub fn beginning(&self) -> String {
        let [first, second, third, fourth, ..] = self.0;
        format!("{first:02x}{second:02x}{third:02x}{fourth:02x}")
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let digits = text.as_bytes();
        let legal = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if digits.len() != 64 || !digits.iter().all(legal) {
            return Err(InvalidToken::Digest);
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            let text = std::str::from_utf8(pair).unwrap_or_default();
            *byte = u8::from_str_radix(text, 16).map_err(|_| InvalidToken::Digest)?;
        }
        Ok(Self(digest))
    }
}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

/// The pages that may put from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These.
    These(Vec<Origin>),
}

impl Default for Origins {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// An origin as browsers write it: `https://app.example.com`, with a port where it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not an origin: write it as browsers do, e.g. https://app.example.com or http://localhost:3000")]
pub struct InvalidOrigin {
    /// What was given.
    pub given: String,
}

impl Origin {
    /// Checks and takes an origin.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let (name, port) = host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|number| number.to_string() == port);
        let default = if text.starts_with("https:") { "443" } else { "80" };
        let is_legal =
            !name.is_empty() && name.bytes().all(legal) && port.is_none_or(|port| is_port(port) && port != default);
        if is_legal { Ok(Self(text.to_owned())) } else { Err(InvalidOrigin { given: text.to_owned() }) }
    }
}

impl Origins {
    pub(in crate::http) fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::These(origins) => origins.iter().any(|known| known.0.as_bytes() == origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_checked() {
        for good in ["https://app.example.com", "http://localhost:3000", "http://127.0.0.1:8080"] {
            assert!(Origin::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "app.example.com",
            "https://",
            "https://a/",
            "https://A",
            "https://a:443",
            "http://a:80",
            "https://a:0443",
            "https://a:x",
            "ftp://a",
            "*",
            "null",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_known_by_its_digest() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenDigest::parse(abc), TokenDigest::of_token("abc"));
        for bad in ["", "abc", &abc.to_uppercase(), &format!("{abc}0")] {
            assert_eq!(TokenDigest::parse(bad), Err(InvalidToken::Digest), "{bad}");
        }
        for bad in ["", "a b", "ä", &"x".repeat(1025)] {
            assert_eq!(TokenDigest::of_token(bad), Err(InvalidToken::Token), "{bad}");
        }
    }
}
