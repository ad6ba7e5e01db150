//! The partition key that a field of a JSON record is: one rule for `put --key-field` and `?key_field=`.
//!
//! A record's own field of the name counts; if it has none and the name has dots, the field inside: `user.id` is `id` in
//! the object `user`. A text is the key, a number is its digits as they were sent. This module must not know where records
//! come from.

use serde::de::{DeserializeOwned, IgnoredAny};
use tidemill_stream::record::{InvalidPartitionKey, PartitionKey};

/// How many names a path like `user.id` may lead through: each is another look at the record.
const PATH_NAMES_MAX: usize = 32;

/// Why a record has no such key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFieldError {
    #[error("it is no JSON: {0}")]
    NotJson(String),
    #[error("it is no JSON object, so it has no field '{field}' to be the partition key")]
    NoObject { field: String },
    #[error("it has no field '{field}' to be the partition key")]
    NoField { field: String },
    #[error("its field '{field}' is {kind}; a partition key is a text or a number")]
    Unfit { field: String, kind: &'static str },
    #[error("its field '{field}': {wrong}")]
    Key { field: String, wrong: InvalidPartitionKey },
}

/// The partition key of a record.
pub(crate) fn key_in(record: &[u8], field: &str) -> Result<PartitionKey, KeyFieldError> {
    let named = || field.to_owned();
    let text = std::str::from_utf8(record).map_err(|error| KeyFieldError::NotJson(error.to_string()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| KeyFieldError::NotJson(error.to_string()))?;
    if !text.trim_start().starts_with('{') {
        return Err(KeyFieldError::NoObject { field: named() });
    }
    let value = value_of(text, field).ok_or_else(|| KeyFieldError::NoField { field: named() })?;
    let unfit = |kind| Err(KeyFieldError::Unfit { field: named(), kind });
    let key = match value.as_bytes().first() {
        Some(b'"') => serde_json::from_str(value).map_err(|error| KeyFieldError::NotJson(error.to_string()))?,
        Some(b'-' | b'0'..=b'9') => value.to_owned(),
        Some(b'n') => return unfit("null"),
        Some(b'[') => return unfit("an array"),
        Some(b'{') => return unfit("an object"),
        Some(_) | None => return unfit("a truth value"),
    };
    PartitionKey::parse(key).map_err(|wrong| KeyFieldError::Key { field: named(), wrong })
}

/// The value of a field or, by dots, of one inside, as it stands in the JSON.
fn value_of<'t>(record: &'t str, field: &str) -> Option<&'t str> {
    let (mut object, mut name) = (record, field);
    for _ in 0..PATH_NAMES_MAX {
        let (head, rest) = name.split_once('.').unwrap_or((name, ""));
        let Found { whole, head } = look(object, name, head)?;
        if whole.is_some() || rest.is_empty() {
            return whole;
        }
        (object, name) = (head?, rest);
    }
    None
}

/// What an object has under two names.
#[derive(Default)]
struct Found<'t> {
    whole: Option<&'t str>,
    head: Option<&'t str>,
}

/// Looks through an object of JSON that is known to be right; of a name that comes twice the last counts. `None`: it is
/// no object.
fn look<'t>(object: &'t str, whole: &str, head: &str) -> Option<Found<'t>> {
    let mut found = Found::default();
    let mut rest = object.trim_ascii_start().strip_prefix('{')?.trim_ascii_start();
    while !rest.starts_with('}') {
        let (name, behind) = next::<String>(rest)?;
        let text = behind.trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
        let (IgnoredAny, behind) = next(text)?;
        let value = text.get(..text.len() - behind.len())?;
        if name == whole {
            found.whole = Some(value);
        }
        if name == head {
            found.head = Some(value);
        }
        let behind = behind.trim_ascii_start();
        rest = behind.strip_prefix(',').unwrap_or(behind).trim_ascii_start();
    }
    Some(found)
}

/// The value that a text begins with, and what is behind it.
fn next<T: DeserializeOwned>(text: &str) -> Option<(T, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(record: &str, field: &str) -> Result<String, String> {
        key_in(record.as_bytes(), field).map(|key| key.as_str().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_keeps_its_digits() {
        for number in ["10000000000000000000001", "1e0", "-0", "18446744073709551616", "1.50", "7"] {
            assert_eq!(key(&format!("{{\"id\": {number} , \"b\":1}}"), "id"), Ok(number.to_owned()));
        }
    }

    #[test]
    fn the_fields_own_name_counts_before_the_way_inside() {
        for (record, field, expected) in [
            (r#"{"a":{"b":1},"a.b":2}"#, "a.b", "2"),
            (r#"{"a":{"b":1}}"#, "a.b", "1"),
            (r#" { "x" : [1,{"a":3}] , "a" : { "b.c" : "d" } } "#, "a.b.c", "d"),
            (r#"{"a":1,"a":"}{"}"#, "a", "}{"),
            (r#"{"\u0061":"\u00e4"}"#, "a", "ä"),
        ] {
            assert_eq!(key(record, field), Ok(expected.to_owned()), "{field} in {record}");
        }
    }

    #[test]
    fn what_is_no_key_is_told() {
        for (record, field, expected) in [
            ("{}", "n", "it has no field 'n' to be the partition key"),
            (r#"{"a":1}"#, "a.b", "it has no field 'a.b' to be the partition key"),
            (r#"{"a":{"c":1}}"#, "a.b", "it has no field 'a.b' to be the partition key"),
            ("[1]", "n", "it is no JSON object, so it has no field 'n' to be the partition key"),
            ("{", "n", "it is no JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"n":null}"#, "n", "its field 'n' is null; a partition key is a text or a number"),
            (r#"{"n":true}"#, "n", "its field 'n' is a truth value; a partition key is a text or a number"),
            (r#"{"n":[]}"#, "n", "its field 'n' is an array; a partition key is a text or a number"),
            (r#"{"n":""}"#, "n", "its field 'n': a partition key has 1 to 256 characters, this one has 0"),
        ] {
            assert_eq!(key(record, field), Err(expected.to_owned()), "{record}");
        }
        assert!(key_in(b"{\"n\":\"\xff\"}", "n").unwrap_err().to_string().starts_with("it is no JSON: invalid utf-8"));
        let deep = "{\"a\":".repeat(1000) + "1" + &"}".repeat(1000);
        assert!(key(&deep, &["a"; 1000].join(".")).is_err(), "a way that long is not gone");
    }
}
