//! Where partition keys come from.

use std::fmt::Write as _;

use http::request::Parts;
use sha2::{Digest as _, Sha256};
use tidemill_stream::record::PartitionKey;

use super::error::{Code, IngestError};
use crate::key_field::{KeyFieldError, key_in};

const HEADER: &str = "x-partition-key";

/// What gives each record its partition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeySource {
    /// All records have this one.
    Fixed(PartitionKey),
    /// The value of a field of the record's JSON object; dots lead into objects within it.
    Field(String),
    /// The SHA-256 of the record, in hexadecimal.
    Digest,
}

impl KeySource {
    /// The one that the request names.
    pub(super) fn of(head: &Parts) -> Result<Self, IngestError> {
        let mut sources = Vec::new();
        for value in head.headers.get_all(HEADER) {
            let text = std::str::from_utf8(value.as_bytes())
                .map_err(|_| invalid("the header X-Partition-Key is no UTF-8".to_owned()))?;
            sources.push(("the header X-Partition-Key", Self::fixed(text)?));
        }
        for (name, value) in query(head)? {
            match name.as_str() {
                "key" => sources.push(("?key=", Self::fixed(&value)?)),
                "key_field" if value.is_empty() => return Err(invalid("?key_field= names no field".to_owned())),
                "key_field" => sources.push(("?key_field=", Self::Field(value))),
                other => {
                    let shown: String = other.chars().take(crate::http::limits::ECHO_CHARS_MAX).collect();
                    let message = format!("the query has the unknown parameter '{shown}'; use key or key_field");
                    return Err(IngestError::new(Code::InvalidQuery, message));
                }
            }
        }
        if sources.len() > 1 {
            let names: Vec<&str> = sources.iter().map(|(name, _)| *name).collect();
            let message = format!("the partition key comes from {}; give one of them, once", names.join(" and "));
            return Err(IngestError::new(Code::SeveralKeySources, message));
        }
        Ok(sources.pop().map_or(Self::Digest, |(_, source)| source))
    }

    fn fixed(text: &str) -> Result<Self, IngestError> {
        PartitionKey::parse(text).map(Self::Fixed).map_err(|error| invalid(error.to_string()))
    }

    /// The key of one record.
    pub(super) fn key_of(&self, data: &[u8]) -> Result<PartitionKey, IngestError> {
        match self {
            Self::Fixed(key) => Ok(key.clone()),
            Self::Field(field) => in_field(data, field),
            Self::Digest => {
                PartitionKey::parse(hexadecimal(&Sha256::digest(data))).map_err(|error| invalid(error.to_string()))
            }
        }
    }

    /// A number and a text that tell one source from another.
    pub(super) fn describe(&self) -> (u8, &str) {
        match self {
            Self::Fixed(key) => (0, key.as_str()),
            Self::Field(field) => (1, field),
            Self::Digest => (2, ""),
        }
    }
}

fn invalid(message: String) -> IngestError {
    IngestError::new(Code::InvalidPartitionKey, message)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a string takes every byte
        text
    })
}

fn in_field(data: &[u8], field: &str) -> Result<PartitionKey, IngestError> {
    key_in(data, field).map_err(|error| {
        let remedy = match error {
            KeyFieldError::NoField { .. } | KeyFieldError::NoObject { .. } => {
                "; add it, or name another with ?key_field="
            }
            KeyFieldError::NotJson(_) | KeyFieldError::Unfit { .. } | KeyFieldError::Key { .. } => "",
        };
        invalid(format!("{error}{remedy}"))
    })
}

/// The names and values of a query. What a `%` leads in must be two digits and, all in all, UTF-8.
fn query(head: &Parts) -> Result<Vec<(String, String)>, IngestError> {
    let query = head.uri.query().unwrap_or_default();
    let is_escaped =
        |part: &str| part.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !query.split('%').skip(1).all(is_escaped) {
        let message = "a '%' in the query stands without two digits of 0-9 and a-f behind it; write it as %25";
        return Err(IngestError::new(Code::InvalidQuery, message));
    }
    let bytes: Vec<u8> = form_bytes(query);
    if std::str::from_utf8(&bytes).is_err() {
        let message = "the query is no UTF-8: write each byte of a character's UTF-8 as % and two digits";
        return Err(IngestError::new(Code::InvalidQuery, message));
    }
    Ok(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
}

/// The bytes that a query stands for, one behind the other.
fn form_bytes(query: &str) -> Vec<u8> {
    let mut parts = query.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(digits, 16));
        bytes.extend(rest.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn source(query: &str, header: Option<&str>) -> Result<KeySource, IngestError> {
        let mut request = Request::builder().uri(format!("/streams/s/records{query}"));
        if let Some(header) = header {
            request = request.header(HEADER, header.as_bytes());
        }
        KeySource::of(&request.body(()).unwrap().into_parts().0)
    }

    fn fixed(text: &str) -> KeySource {
        KeySource::Fixed(PartitionKey::parse(text).unwrap())
    }

    #[test]
    fn a_request_names_one_source_or_none() {
        assert_eq!(source("", None).unwrap(), KeySource::Digest);
        assert_eq!(source("", Some("käse")).unwrap(), fixed("käse"));
        assert_eq!(source("?key=a%20b%C3%A4", None).unwrap(), fixed("a bä"));
        assert_eq!(source("?key_field=user.id", None).unwrap(), KeySource::Field("user.id".to_owned()));
    }

    #[test]
    fn sources_that_are_wrong_are_named() {
        let long = format!("?key={}", "x".repeat(257));
        for (query, header, code, said) in [
            ("?key=a", Some("b"), Code::SeveralKeySources, "the header X-Partition-Key and ?key=; give one"),
            ("?key=a&key_field=b", None, Code::SeveralKeySources, "?key= and ?key_field=; give one"),
            ("?key=", None, Code::InvalidPartitionKey, "1 to 256 characters, this one has 0"),
            (long.as_str(), None, Code::InvalidPartitionKey, "this one has 257"),
            ("?key_field=", None, Code::InvalidPartitionKey, "names no field"),
            ("?key=%ff", None, Code::InvalidQuery, "the query is no UTF-8"),
            ("?key=a%fe%c3", None, Code::InvalidQuery, "the query is no UTF-8"),
            ("?key=%", None, Code::InvalidQuery, "a '%' in the query"),
            ("?key=%4", None, Code::InvalidQuery, "a '%' in the query"),
            ("?keyfield=a", None, Code::InvalidQuery, "unknown parameter 'keyfield'; use key or key_field"),
        ] {
            let error = source(query, header).unwrap_err();
            assert_eq!(error.code, code, "{query}");
            assert!(error.message.contains(said), "{query}: {}", error.message);
        }
    }

    #[test]
    fn keys_come_from_a_field_or_from_the_record() {
        let long = r#"{"n":10000000000000000000001}"#;
        let key = |field: &str, data: &str| KeySource::Field(field.to_owned()).key_of(data.as_bytes());
        assert_eq!(key("n", r#"{"n":"uw"}"#).unwrap().as_str(), "uw");
        assert_eq!(key("n", r#"{"n":7}"#).unwrap().as_str(), "7");
        assert_eq!(key("user.id", r#"{"user":{"id":"a"}}"#).unwrap().as_str(), "a");
        assert_eq!(key("n", long).unwrap().as_str(), "10000000000000000000001");
        for (data, said) in [
            ("x", "it is no JSON"),
            ("[1]", "it is no JSON object, so it has no field 'n'"),
            ("{}", "it has no field 'n'"),
            (r#"{"n":null}"#, "its field 'n' is null; a partition key is a text or a number"),
            (r#"{"n":""}"#, "its field 'n': a partition key has 1 to 256 characters"),
        ] {
            let error = key("n", data).unwrap_err();
            assert!(error.message.contains(said), "{data}: {}", error.message);
        }
        // The digest of "abc" is FIPS 180-2's example.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(KeySource::Digest.key_of(b"abc").unwrap().as_str(), expected);
    }
}
