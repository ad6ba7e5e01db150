//! What a signed request says of its signature, in its `Authorization` header or in the query of a presigned address.

use std::collections::HashMap;
use std::time::Duration;

use http::header::{AUTHORIZATION, DATE};
use http::request::Parts;
use tidemill_stream::clock::Timestamp;

use super::canonical::HOST_NAMES;
use super::{ALGORITHM, invalid};
use crate::http::error::{ApiError, ErrorKind};
use crate::http::limits::ECHO_CHARS_MAX;

/// Where a presigned address has its signature.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";
/// The longest that a presigned address can be good for: a week.
const EXPIRES_SECS_MAX: u64 = 7 * 24 * 3600;
/// How times are written in signatures.
const BASIC: &str = "%Y%m%dT%H%M%SZ";

/// What a request says of who signed it, how and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http::auth) struct Signature {
    pub(in crate::http::auth) key: String,
    pub(super) date: String,
    pub(in crate::http::auth) region: String,
    pub(super) service: String,
    pub(super) termination: String,
    /// Lower case, in the order of the signature.
    pub(super) signed_headers: Vec<String>,
    /// Hexadecimal.
    pub(super) given: String,
    pub(super) time: Timestamp,
    /// `20261123T120000Z`
    pub(super) time_text: String,
    /// How long a presigned address is good for.
    pub(super) expires: Option<Duration>,
    /// Of temporary credentials.
    pub(in crate::http::auth) session_token: Option<String>,
}

impl Signature {
    /// What the request says; an error where it says nothing, or not enough.
    pub(in crate::http::auth) fn of(head: &Parts) -> Result<Self, ApiError> {
        let header = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let query = head.uri.query().unwrap_or_default();
        let query: HashMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let signature = match (header, query.contains_key("X-Amz-Algorithm")) {
            (Some(_), true) => {
                Err(invalid("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."))
            }
            (Some(header), false) => Self::of_header(head, header),
            (None, true) => Self::of_query(&query),
            (None, false) => Err(ApiError::new(ErrorKind::MissingAuthenticationToken, "Missing Authentication Token")),
        }?;
        signature.check_signed_headers(head)?;
        Ok(signature)
    }

    fn of_header(head: &Parts, header: &str) -> Result<Self, ApiError> {
        let (algorithm, fields) = header.split_once(' ').unwrap_or((header, ""));
        let fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
        let fields: HashMap<&str, &str> = fields.collect();
        let time =
            head.headers.get("x-amz-date").or_else(|| head.headers.get(DATE)).and_then(|time| time.to_str().ok());
        let names = ["Credential", "Signature", "SignedHeaders"].into_iter().filter(|name| !fields.contains_key(name));
        let mut missing: Vec<String> =
            names.map(|name| format!("Authorization header requires '{name}' parameter. ")).collect();
        if time.is_none() {
            let either = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
            missing.push(either.to_owned());
        }
        let shown: String = header.chars().take(ECHO_CHARS_MAX).collect();
        if algorithm != ALGORITHM {
            return Err(incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'. Use {ALGORITHM}. ")));
        }
        let of = |name: &str| fields.get(name).copied();
        match (of("Credential"), of("SignedHeaders"), of("Signature"), time) {
            (Some(credential), Some(headers), Some(signature), Some(time)) => {
                let token = head.headers.get("x-amz-security-token").and_then(|token| token.to_str().ok());
                Self::new(credential, headers, signature, time, None, token)
            }
            _ => Err(incomplete(format!("{}Authorization={shown}", missing.concat()))),
        }
    }

    fn of_query(query: &HashMap<String, String>) -> Result<Self, ApiError> {
        let of = |name: &str| query.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let names =
            ["X-Amz-Algorithm", "X-Amz-Credential", SIGNATURE, "X-Amz-SignedHeaders", "X-Amz-Date", "X-Amz-Expires"];
        let values = names.map(of);
        let missing = names.iter().zip(values).filter(|(_, value)| value.is_none());
        let missing: Vec<String> =
            missing.map(|(name, _)| format!("AWS query-string parameters must include '{name}'. ")).collect();
        let [Some(algorithm), Some(credential), Some(signature), Some(headers), Some(time), Some(expires)] = values
        else {
            return Err(incomplete(format!("{}Re-examine the query-string parameters.", missing.concat())));
        };
        if algorithm != ALGORITHM {
            return Err(incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'. Use {ALGORITHM}. ")));
        }
        let seconds = expires.parse().ok().filter(|seconds| (1..=EXPIRES_SECS_MAX).contains(seconds));
        let seconds = seconds.ok_or_else(|| incomplete(format!("X-Amz-Expires must be 1 to {EXPIRES_SECS_MAX}.")))?;
        let expires = Some(Duration::from_secs(seconds));
        Self::new(credential, headers, signature, time, expires, of("X-Amz-Security-Token"))
    }

    fn new(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        time: &str,
        expires: Option<Duration>,
        session_token: Option<&str>,
    ) -> Result<Self, ApiError> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [key, date, region, service, termination] = parts.as_slice() else {
            let rule = "Credential must have exactly 5 slash-delimited elements, e.g. \
                        keyid/date/region/service/term";
            return Err(incomplete(format!(
                "{rule}, got '{}'.",
                credential.chars().take(ECHO_CHARS_MAX).collect::<String>()
            )));
        };
        let read = read_time(time).ok_or_else(|| {
            let shown: String = time.chars().take(ECHO_CHARS_MAX).collect();
            incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{shown}'."))
        })?;
        Ok(Self {
            key: (*key).to_owned(),
            date: (*date).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
            termination: (*termination).to_owned(),
            signed_headers: signed_headers.split(';').map(str::to_ascii_lowercase).collect(),
            given: signature.to_owned(),
            time: read,
            time_text: basic(read),
            expires,
            session_token: session_token.map(str::to_owned),
        })
    }

    /// The host, and whatever AWS's own headers say, must be under the signature: else they could be changed.
    fn check_signed_headers(&self, head: &Parts) -> Result<(), ApiError> {
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !HOST_NAMES.into_iter().any(is_signed) {
            return Err(invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
        }
        let of_aws = head.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
        match of_aws.into_iter().find(|name| !is_signed(name)) {
            Some(name) => Err(invalid(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."))),
            None => Ok(()),
        }
    }
}

/// ISO 8601's basic format, or the format of HTTP.
fn read_time(text: &str) -> Option<Timestamp> {
    let basic = jiff::civil::DateTime::strptime(BASIC, text).ok();
    let basic = basic.and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC).ok()).map(|time| time.timestamp());
    let time = basic.or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp()))?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp::from_millis)
}

/// A time as signatures have it.
pub(super) fn basic(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    time.strftime(BASIC).to_string()
}

fn incomplete(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::IncompleteSignature, message)
}
