//! AWS Signature Version 4: what a request says of who signed it, and whether that is so.
//!
//! The algorithm, the order of the checks and the texts are those of AWS's documentation of signed requests. Everything
//! here is a pure function of the request, a secret and the time. It must not know which keys there are, nor what they may
//! do.

mod canonical;
mod parts;

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tidemill_stream::clock::Timestamp;

use self::canonical::{canonical, hex, host_candidates};
use crate::http::error::{ApiError, ErrorKind};

pub(super) use self::parts::Signature;

/// The service whose requests these are, in a credential scope.
const SERVICE: &str = "kinesis";
/// What a credential scope ends with.
const TERMINATION: &str = "aws4_request";
/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far the clocks of client and node may be apart.
const SKEW_MAX: Duration = Duration::from_mins(5);

impl Signature {
    /// Whether the request was signed for this service, and at about this time.
    pub(super) fn check_scope(&self, now: Timestamp) -> Result<(), ApiError> {
        if self.service != SERVICE || self.termination != TERMINATION {
            let message = format!("Credential should be scoped to correct service: '{SERVICE}'. ");
            return Err(invalid(message));
        }
        if self.time_text.get(..8) != Some(&self.date) {
            let Self { date, time_text, .. } = self;
            return Err(invalid(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' != \
                 '{}', from '{time_text}'.",
                time_text.get(..8).unwrap_or_default()
            )));
        }
        self.check_time(now)
    }

    fn check_time(&self, now: Timestamp) -> Result<(), ApiError> {
        let lifetime = self.expires.unwrap_or(SKEW_MAX);
        let (now_text, minutes) = (parts::basic(now), SKEW_MAX.as_secs() / 60);
        if self.time.since(now) > SKEW_MAX {
            let latest = parts::basic(now.plus(SKEW_MAX));
            return Err(invalid(format!(
                "Signature not yet current: {} is still later than {latest} ({now_text} + {minutes} min.)",
                self.time_text
            )));
        }
        if now.since(self.time) > lifetime {
            let (time, least) = (&self.time_text, parts::basic(now.minus(lifetime)));
            let why = match self.expires {
                Some(lifetime) => format!("({now_text} - {} sec.)", lifetime.as_secs()),
                None => format!("({now_text} - {minutes} min.)"),
            };
            return Err(invalid(format!("Signature expired: {time} is now earlier than {least} {why}")));
        }
        Ok(())
    }

    /// Whether this request, just as it is, was signed with this secret.
    pub(super) fn check(&self, head: &Parts, body: &[u8], secret: &str) -> Result<(), ApiError> {
        let (key, body_hash) = (self.signing_key(secret), hex(&Sha256::digest(body)));
        let is_right = |host: &str| {
            let request = canonical(self, head, host, &body_hash);
            let scope = format!("{}/{}/{}/{}", self.date, self.region, self.service, self.termination);
            let hash = hex(&Sha256::digest(request.as_bytes()));
            let signature = hex(&mac(&key, &format!("{ALGORITHM}\n{}\n{scope}\n{hash}", self.time_text)));
            bool::from(signature.as_bytes().ct_eq(self.given.as_bytes()))
        };
        if host_candidates(head).any(is_right) { Ok(()) } else { Err(mismatch()) }
    }

    fn signing_key(&self, secret: &str) -> [u8; 32] {
        let date = mac(format!("AWS4{secret}").as_bytes(), &self.date);
        let region = mac(&date, &self.region);
        mac(&mac(&region, &self.service), &self.termination)
    }
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    // A key of any length is taken.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text.as_bytes()).finalize().into_bytes().into())
        .unwrap_or_default()
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::InvalidSignature, message)
}

/// The answer to a signature that is not the request's.
pub(super) fn mismatch() -> ApiError {
    invalid(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
         and signing method. Consult the service documentation for details.",
    )
}

#[cfg(test)]
mod tests;
