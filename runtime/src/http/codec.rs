//! The formats of a body: bytes to wire shapes and back.
//!
//! This module must not know what a shape means.

use std::fmt::Display;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use tidemill_wire::{CBOR_CONTENT_TYPE, JSON_CONTENT_TYPE, cbor, json};

use super::error::{ApiError, ErrorKind};

/// A format that bodies come and go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// `application/x-amz-json-1.1`, what AWS's clients send.
    AwsJson,
    /// `application/x-amz-cbor-1.1`, what AWS's Java clients send.
    AwsCbor,
    /// `application/json`, JSON for those who type it by hand.
    Json,
}

impl Codec {
    /// The format that a request says it has. One that says nothing is refused: it is what a web page could send
    /// across origins.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let given = headers.get(CONTENT_TYPE).map(HeaderValue::to_str).and_then(Result::ok).unwrap_or_default();
        let media = given.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case(JSON_CONTENT_TYPE) {
            Ok(Self::AwsJson)
        } else if media.eq_ignore_ascii_case(CBOR_CONTENT_TYPE) {
            Ok(Self::AwsCbor)
        } else if media.eq_ignore_ascii_case("application/json") {
            Ok(Self::Json)
        } else {
            let message = format!(
                "The content type '{media}' is not supported: use '{JSON_CONTENT_TYPE}', '{CBOR_CONTENT_TYPE}' or \
                 'application/json'."
            );
            Err(ApiError::new(ErrorKind::UnsupportedMediaType, message))
        }
    }

    /// What an answer in this format says it is.
    pub(super) fn content_type(self) -> HeaderValue {
        match self {
            Self::AwsJson => HeaderValue::from_static(JSON_CONTENT_TYPE),
            Self::AwsCbor => HeaderValue::from_static(CBOR_CONTENT_TYPE),
            Self::Json => HeaderValue::from_static("application/json"),
        }
    }

    /// The bytes that a payload of `bytes` takes, for the size of an answer.
    pub(super) fn blob_bytes(self, bytes: usize) -> usize {
        match self {
            Self::AwsJson | Self::Json => bytes * 4 / 3,
            Self::AwsCbor => bytes,
        }
    }

    /// Reads a shape; texts that can lie in `body` do.
    pub(super) fn decode<'a, T: Deserialize<'a>>(self, body: &'a [u8]) -> Result<T, ApiError> {
        let invalid =
            |error: &dyn Display| ApiError::new(ErrorKind::Serialization, format!("The request is not valid: {error}"));
        match self {
            Self::AwsJson | Self::Json => json::from_slice(body).map_err(|error| invalid(&error)),
            Self::AwsCbor => cbor::from_slice(body).map_err(|error| invalid(&error)),
        }
    }

    /// Writes a shape, into a buffer of about the right size when the caller knows it.
    pub(super) fn encode<T: Serialize>(self, shape: &T, bytes_expected: usize) -> Result<Bytes, ApiError> {
        self.append(Vec::with_capacity(bytes_expected), shape).map(Bytes::from)
    }

    /// Writes a shape behind what is in the buffer.
    pub(super) fn append<T: Serialize>(self, mut buffer: Vec<u8>, shape: &T) -> Result<Vec<u8>, ApiError> {
        let unwritable = |error: &dyn Display| ApiError::internal("the answer could not be written", error);
        match self {
            Self::AwsJson | Self::Json => {
                serde_json::to_writer(&mut buffer, shape).map_err(|error| unwritable(&error))?;
            }
            Self::AwsCbor => buffer = cbor::write(buffer, shape).map_err(|error| unwritable(&error))?,
        }
        Ok(buffer)
    }
}
