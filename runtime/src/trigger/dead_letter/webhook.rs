//! Letters to a server of others: each a POST, signed as Standard Webhooks asks.
//!
//! Promises that a letter has the same `webhook-id` however often it is told, so that a receiver can leave out what it has;
//! and that a receiver that is slow, dead or mad costs a bounded time and nothing that stays.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use tidemill_stream::clock::Timestamp;

use super::identity::Identity;
use super::secret::{Secret, SecretError};
use crate::outbound::{Address, InvalidAddress, Outbound, PostError};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("tidemill/", env!("CARGO_PKG_VERSION")));

/// A server that is told.
#[derive(Debug)]
pub(super) struct Webhook {
    address: Result<Address, InvalidAddress>,
    /// `None`: requests are not signed.
    secret: Option<Result<Secret, SecretError>>,
    outbound: Outbound,
}

/// Why the server was not told, or may not have been.
#[derive(Debug, thiserror::Error)]
pub(in crate::trigger) enum WebhookError {
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the request's head cannot be written: {0}")]
    Head(#[from] http::header::InvalidHeaderValue),
    #[error(transparent)]
    Post(#[from] PostError),
}

impl Webhook {
    /// What is wrong with the address or the key is told at each letter.
    pub(super) fn new(url: &str, secret: Option<Result<Secret, SecretError>>) -> Self {
        Self { address: Address::parse(url), secret, outbound: Outbound::default() }
    }

    /// One attempt.
    pub(super) async fn tell(&self, identity: Identity, document: Bytes, now: Timestamp) -> Result<(), WebhookError> {
        let address = self.address.as_ref().map_err(Clone::clone)?;
        let secret = self.secret.as_ref().map(Result::as_ref).transpose().map_err(Clone::clone)?;
        let headers = headers(secret, identity, &document, now)?;
        Ok(self.outbound.post(address, headers, document).await?)
    }
}

fn headers(
    secret: Option<&Secret>,
    identity: Identity,
    document: &[u8],
    now: Timestamp,
) -> Result<HeaderMap, WebhookError> {
    let (id, timestamp) = (format!("msg_{identity}"), now.as_secs().to_string());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, AGENT);
    if let Some(signature) = secret.and_then(|secret| secret.sign(&id, &timestamp, document)) {
        headers.insert(SIGNATURE, HeaderValue::from_str(&signature)?);
    }
    headers.insert(ID, HeaderValue::from_str(&id)?);
    headers.insert(TIMESTAMP, HeaderValue::from_str(&timestamp)?);
    Ok(headers)
}

#[cfg(test)]
#[path = "webhook/tests.rs"]
mod tests;
