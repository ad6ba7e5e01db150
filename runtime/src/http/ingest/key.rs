//! Where partition keys come from.

use std::fmt::Write as _;

use http::request::Parts;
use sha2::{Digest as _, Sha256};
use tidemill_stream::record::PartitionKey;

use super::error::{Code, IngestError};

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
        for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "key" => sources.push(("?key=", Self::fixed(&value)?)),
                "key_field" if value.is_empty() => return Err(invalid("?key_field= names no field".to_owned())),
                "key_field" => sources.push(("?key_field=", Self::Field(value.into_owned()))),
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
    let record: serde_json::Value =
        serde_json::from_slice(data).map_err(|error| invalid(format!("it is no JSON: {error}")))?;
    let mut value = &record;
    for name in field.split('.') {
        value = value.get(name).ok_or_else(|| {
            invalid(format!(
                "it has no field '{field}' to be the partition key; add it, or name another with ?key_field="
            ))
        })?;
    }
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Null => return Err(unfit(field, "null")),
        serde_json::Value::Bool(_) => return Err(unfit(field, "a truth value")),
        serde_json::Value::Array(_) => return Err(unfit(field, "an array")),
        serde_json::Value::Object(_) => return Err(unfit(field, "an object")),
    };
    PartitionKey::parse(text).map_err(|error| invalid(format!("its field '{field}': {error}")))
}

fn unfit(field: &str, kind: &str) -> IngestError {
    invalid(format!("its field '{field}' is {kind}; a partition key is a text or a number"))
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
            ("?keyfield=a", None, Code::InvalidQuery, "unknown parameter 'keyfield'; use key or key_field"),
        ] {
            let error = source(query, header).unwrap_err();
            assert_eq!(error.code, code, "{query}");
            assert!(error.message.contains(said), "{query}: {}", error.message);
        }
    }

    #[test]
    fn keys_come_from_a_field_or_from_the_record() {
        let key = |field: &str, data: &str| KeySource::Field(field.to_owned()).key_of(data.as_bytes());
        assert_eq!(key("n", r#"{"n":"uw"}"#).unwrap().as_str(), "uw");
        assert_eq!(key("n", r#"{"n":7}"#).unwrap().as_str(), "7");
        assert_eq!(key("user.id", r#"{"user":{"id":"a"}}"#).unwrap().as_str(), "a");
        for (data, said) in [
            ("x", "it is no JSON"),
            ("[1]", "it has no field 'n'"),
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
