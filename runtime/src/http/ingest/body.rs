//! From a body to records. The records share the body's memory.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::de::IgnoredAny;
use tidemill_stream::limits::{APPEND_RECORDS_MAX, RECORD_BYTES_MAX};
use tidemill_stream::record::Record;

use super::error::{Code, IngestError};
use super::key::KeySource;

/// How a body holds its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// The body is the record.
    Whole,
    /// A record a line.
    Lines,
    /// JSON: a record for each element of an array, else one.
    Json,
}

impl Media {
    /// What the headers say. Nothing said is a record as it is.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, IngestError> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let encoding = text(CONTENT_ENCODING);
        if !(encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")) {
            let message = format!("the content encoding '{encoding}' is not supported: send the body as it is");
            return Err(IngestError::new(Code::UnsupportedMediaType, message));
        }
        if headers.get_all(CONTENT_TYPE).iter().nth(1).is_some() {
            let message = "the header Content-Type comes more than once; give one";
            return Err(IngestError::new(Code::SeveralContentTypes, message));
        }
        let media = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Lines),
            "application/json" => Ok(Self::Json),
            form if form.starts_with("multipart/") => {
                let message = format!(
                    "the content type '{form}' is not supported: send the record as the body, lines as \
                     application/x-ndjson, or an array as application/json"
                );
                Err(IngestError::new(Code::UnsupportedMediaType, message))
            }
            _ => Ok(Self::Whole),
        }
    }

    /// Tells one from another in a digest.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Lines => 1,
            Self::Json => 2,
        }
    }
}

/// The records of a body, at least one.
pub(super) fn records(media: Media, key: &KeySource, body: &Bytes) -> Result<Vec<Record>, IngestError> {
    let payloads = match media {
        Media::Whole => vec![body.clone()],
        Media::Lines => lines(body)?,
        Media::Json => json(body)?,
    };
    if payloads.iter().all(Bytes::is_empty) {
        let message = "the body holds no record: send at least one";
        return Err(IngestError::new(Code::EmptyBody, message));
    }
    payloads.into_iter().enumerate().map(|(index, data)| record(index, data, key)).collect()
}

fn record(index: usize, data: Bytes, key: &KeySource) -> Result<Record, IngestError> {
    if data.len() > RECORD_BYTES_MAX {
        let message = format!("record {} has {} bytes; a record has at most {RECORD_BYTES_MAX}", index + 1, data.len());
        return Err(IngestError::new(Code::RecordTooLarge, message));
    }
    let partition_key = key
        .key_of(&data)
        .map_err(|error| IngestError { message: format!("record {}: {}", index + 1, error.message), ..error })?;
    Ok(Record { partition_key, explicit_hash: None, data })
}

/// The lines that are not blank, without their ends.
fn lines(body: &Bytes) -> Result<Vec<Bytes>, IngestError> {
    let mut payloads = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            add(&mut payloads, body.slice_ref(line))?;
        }
    }
    Ok(payloads)
}

/// The elements of an array, each as it was sent; or the whole body, when it is some other JSON.
fn json(body: &Bytes) -> Result<Vec<Bytes>, IngestError> {
    std::str::from_utf8(body).map_err(|error| invalid(&error.to_string()))?;
    let start = skip_blanks(body, 0);
    if body.get(start) != Some(&b'[') {
        serde_json::from_slice::<IgnoredAny>(body).map_err(|error| invalid(&error.to_string()))?;
        return Ok(vec![body.clone()]);
    }
    let mut payloads = Vec::new();
    let mut at = skip_blanks(body, start + 1);
    if body.get(at) == Some(&b']') {
        at += 1;
    } else {
        loop {
            let end = at + value_bytes(body.get(at..).unwrap_or_default(), payloads.len())?;
            add(&mut payloads, body.slice(at..end))?;
            at = skip_blanks(body, end) + 1;
            match body.get(at - 1) {
                Some(b',') => at = skip_blanks(body, at),
                Some(b']') => break,
                Some(_) => return Err(invalid(&format!("behind element {} comes no ',' and no ']'", payloads.len()))),
                None => return Err(invalid("the array has no end")),
            }
        }
    }
    if skip_blanks(body, at) < body.len() {
        return Err(invalid("something comes behind the array"));
    }
    Ok(payloads)
}

/// How long the JSON value is that the text begins with.
fn value_bytes(text: &[u8], index: usize) -> Result<usize, IngestError> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Ok(values.byte_offset()),
        Some(Err(error)) => Err(invalid(&format!("element {}: {error}", index + 1))),
        None => Err(invalid("the array has no end")),
    }
}

fn skip_blanks(body: &[u8], from: usize) -> usize {
    let rest = body.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count()
}

fn invalid(reason: &str) -> IngestError {
    let message =
        format!("the body is no JSON: {reason}; send JSON, or another content type if the body is a record as it is");
    IngestError::new(Code::InvalidJson, message)
}

fn add(payloads: &mut Vec<Bytes>, payload: Bytes) -> Result<(), IngestError> {
    if payloads.len() == APPEND_RECORDS_MAX {
        let message = format!("the body holds more than {APPEND_RECORDS_MAX} records; send them in several requests");
        return Err(IngestError::new(Code::RequestTooLarge, message));
    }
    payloads.push(payload);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(media: Media, body: &str, expected: &[&str]) {
        let records = records(media, &KeySource::Digest, &Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let found: Vec<&[u8]> = records.iter().map(|record| record.data.as_ref()).collect();
        assert_eq!(found, expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(), "{body:?}");
    }

    fn refused(media: Media, body: &str, code: Code) -> String {
        let error = records(media, &KeySource::Digest, &Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
        assert_eq!(error.code, code, "{body:?}: {}", error.message);
        error.message
    }

    #[test]
    fn a_body_is_cut_into_records() {
        check(Media::Whole, "a\nb\r\n", &["a\nb\r\n"]);
        check(Media::Lines, "a\n\n\r\nb\r\n c", &["a", "b", " c"]);
        check(Media::Json, " {\"a\": [1, 2]}\n", &[" {\"a\": [1, 2]}\n"]);
        check(Media::Json, "7", &["7"]);
        check(
            Media::Json,
            " [1,2.50 , \"],\\\"\" ,[ 3 ],\n{\"b\" :  true},null ] ",
            &["1", "2.50", "\"],\\\"\"", "[ 3 ]", "{\"b\" :  true}", "null"],
        );
    }

    #[test]
    fn a_body_without_a_record_is_refused() {
        for (media, body) in [
            (Media::Whole, ""),
            (Media::Lines, ""),
            (Media::Lines, "\n\r\n"),
            (Media::Json, "[]"),
            (Media::Json, " [ ] "),
        ] {
            refused(media, body, Code::EmptyBody);
        }
    }

    #[test]
    fn a_body_that_is_no_json_is_refused() {
        for body in ["", "{", "{}x", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]2", "[1x]", "[{]"] {
            refused(Media::Json, body, Code::InvalidJson);
        }
        for body in [&b"[\"\xff\"]"[..], b"\"\xff\"", b"[\"a\",{\"b\":\"\xc3\"}]"] {
            let error = records(Media::Json, &KeySource::Digest, &Bytes::from_static(body)).unwrap_err();
            assert_eq!(error.code, Code::InvalidJson, "{body:?}");
        }
        let message = refused(Media::Json, "[{\"a\":1},{\"a\":}]", Code::InvalidJson);
        assert!(message.contains("element 2: expected value"), "{message}");
    }

    #[test]
    fn records_are_bounded_in_number_and_size() {
        check(Media::Lines, &"x\n".repeat(APPEND_RECORDS_MAX), &vec!["x"; APPEND_RECORDS_MAX]);
        refused(Media::Lines, &"x\n".repeat(APPEND_RECORDS_MAX + 1), Code::RequestTooLarge);
        refused(Media::Json, &format!("[1{}]", ",1".repeat(APPEND_RECORDS_MAX)), Code::RequestTooLarge);
        let message = refused(Media::Lines, &format!("a\n{}", "x".repeat(RECORD_BYTES_MAX + 1)), Code::RecordTooLarge);
        assert_eq!(message, "record 2 has 10485761 bytes; a record has at most 10485760");
    }
}
