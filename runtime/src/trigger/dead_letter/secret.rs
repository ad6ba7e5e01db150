//! The key that requests are signed with, and the signature (Standard Webhooks 1.0.0, symmetric).
//!
//! Promises that the key is shown nowhere.

use std::env;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a key begins with that is written in base64.
const BASE64_PREFIX: &str = "whsec_";

/// A key.
#[derive(Clone)]
pub(super) struct Secret(Vec<u8>);

/// There is no key. Names the variable, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable '{variable}', which shall hold the key that requests are signed with, {problem}")]
pub(in crate::trigger) struct SecretError {
    variable: String,
    problem: &'static str,
}

/// Reads the key from the node's environment.
pub(super) fn of_variable(variable: &str) -> Result<Secret, SecretError> {
    let failed = |problem| SecretError { variable: variable.to_owned(), problem };
    let text = env::var(variable).map_err(|error| match error {
        env::VarError::NotPresent => failed("is not set; set it before the node starts"),
        env::VarError::NotUnicode(_) => failed("is no text"),
    })?;
    Secret::parse(&text).map_err(failed)
}

impl Secret {
    /// `whsec_` and base64, or the key itself.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let key = match text.strip_prefix(BASE64_PREFIX) {
            Some(base64) => STANDARD.decode(base64).map_err(|_| "has no base64 behind 'whsec_'")?,
            None => text.as_bytes().to_vec(),
        };
        if key.is_empty() { Err("is empty") } else { Ok(Self(key)) }
    }

    /// What `webhook-signature` says of a body that is sent under this id at this second.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?; // any length is one
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_is_base64_behind_its_prefix_and_else_itself() {
        let sign = |key: &str| Secret::parse(key).unwrap().sign("id", "1", b"body").unwrap();
        assert_eq!(sign("whsec_c2VjcmV0"), sign("secret"));
        assert_ne!(sign("c2VjcmV0"), sign("secret"));
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_none_is_shown() {
        assert_eq!(Secret::parse("").unwrap_err(), "is empty");
        assert_eq!(Secret::parse("whsec_").unwrap_err(), "is empty");
        assert_eq!(Secret::parse("whsec_not base64!").unwrap_err(), "has no base64 behind 'whsec_'");
        assert_eq!(format!("{:?}", Secret::parse("a secret").unwrap()), "Secret(..)");
        let error = of_variable("TIDEMILL_TEST_NOT_SET").unwrap_err().to_string();
        assert_eq!(
            error,
            "the environment variable 'TIDEMILL_TEST_NOT_SET', which shall hold the key that requests are signed with, is \
             not set; set it before the node starts"
        );
    }
}
