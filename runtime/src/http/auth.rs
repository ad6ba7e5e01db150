//! Who asks: the account and the region that a request names.
//!
//! No credentials are configured, so any signature passes and none is needed; the credential scope of AWS Signature
//! Version 4 only says whose names the ARNs of the answer carry. All callers share one namespace of streams. This module
//! must not know operations.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;

/// The account and region of a caller that names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    account: Arc<str>,
    region: Arc<str>,
}

/// A text that is no account or region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDefault {
    /// Not an account.
    #[error("'{given}' is not an account: it has 12 digits")]
    Account {
        /// What was given.
        given: String,
    },
    /// Not a region.
    #[error("'{given}' is not a region: it has 1 to 32 characters of a-z, 0-9 and '-'")]
    Region {
        /// What was given.
        given: String,
    },
}

impl Defaults {
    /// Checks and takes both.
    pub fn new(account: &str, region: &str) -> Result<Self, InvalidDefault> {
        if !is_account(account) {
            return Err(InvalidDefault::Account { given: account.to_owned() });
        }
        if !is_region(region) {
            return Err(InvalidDefault::Region { given: region.to_owned() });
        }
        Ok(Self { account: account.into(), region: region.into() })
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self { account: "000000000000".into(), region: "us-east-1".into() }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) account: Arc<str>,
    pub(super) region: Arc<str>,
}

impl Caller {
    /// The caller of a request: from its `Authorization` header, or from the query of a presigned address.
    pub(super) fn of(head: &Parts, defaults: &Defaults) -> Self {
        let header = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(header_credential);
        let credential = header.map(ToOwned::to_owned).or_else(|| head.uri.query().and_then(query_credential));
        let scope = credential.as_deref().map(Scope::of).unwrap_or_default();
        Self {
            account: scope.account.map_or_else(|| Arc::clone(&defaults.account), Arc::from),
            region: scope.region.map_or_else(|| Arc::clone(&defaults.region), Arc::from),
        }
    }
}

/// The useful parts of `KEY/20261122/REGION/kinesis/aws4_request`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Scope<'a> {
    account: Option<&'a str>,
    region: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// An access key id of 12 digits is taken for an account, as emulators do.
    fn of(credential: &'a str) -> Self {
        let mut parts = credential.split('/');
        let account = parts.next().filter(|key| is_account(key));
        let region = parts.nth(1).filter(|region| is_region(region));
        Self { account, region }
    }
}

fn header_credential(header: &str) -> Option<&str> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
    fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="))
}

fn query_credential(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?;
    // Nothing else of a credential is ever escaped.
    Some(value.replace("%2F", "/").replace("%2f", "/"))
}

pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_region(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn check(uri: &str, authorization: Option<&str>, account: &str, region: &str) {
        let mut request = Request::builder().uri(uri);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let caller = Caller::of(&head, &Defaults::default());
        assert_eq!((&*caller.account, &*caller.region), (account, region), "{uri} {authorization:?}");
    }

    #[test]
    fn the_credential_scope_names_account_and_region() {
        let of =
            |credential: &str| format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
        let eu = of("123456789012/20261122/eu-west-3/kinesis/aws4_request");
        check("/", None, "000000000000", "us-east-1");
        check("/", Some(&eu), "123456789012", "eu-west-3");
        check("/", Some(&of("AKIDEXAMPLE/20261122/eu-west-3/kinesis/aws4_request")), "000000000000", "eu-west-3");
        check("/", Some(&of("AKID/20261122/EU:x/kinesis/aws4_request")), "000000000000", "us-east-1");
        check("/", Some(&of("")), "000000000000", "us-east-1");
        check("/", Some("Bearer x"), "000000000000", "us-east-1");
        let query = "/?X-Amz-Algorithm=a&X-Amz-Credential=123456789012%2F20261122%2Fus-west-2%2Fkinesis%2Faws4_request";
        check(query, None, "123456789012", "us-west-2");
    }

    #[test]
    fn defaults_are_checked() {
        assert!(Defaults::new("123456789012", "eu-central-1").is_ok());
        assert!(matches!(Defaults::new("12345", "eu-central-1"), Err(InvalidDefault::Account { .. })));
        assert!(matches!(Defaults::new("123456789012", "eu:1"), Err(InvalidDefault::Region { .. })));
    }
}
