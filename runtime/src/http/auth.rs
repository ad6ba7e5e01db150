//! Who asks, and what they may do.
//!
//! With access keys every request must be signed by one of them (AWS Signature Version 4), and is served what that key
//! may ask for, in its account and in the region of its signature. Without any, a signature is not checked and none is
//! needed: its credential scope only says whose names the ARNs of the answer carry. This module must not know operations.

mod credentials;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod signature;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use subtle::ConstantTimeEq as _;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::name::{Space, StreamName};

pub use self::credentials::{Credentials, InvalidCredentials};

use self::credentials::AccessKey;
pub(super) use self::credentials::Target;
use self::signature::Signature;
use super::error::{ApiError, ErrorKind};
use crate::home::{ACCOUNT_DEFAULT, REGION_DEFAULT};

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
        Self { account: ACCOUNT_DEFAULT.into(), region: REGION_DEFAULT.into() }
    }
}

/// Who may ask.
#[derive(Debug, Clone)]
pub enum Access {
    /// Anyone may do everything.
    Anyone,
    /// Who signs with one of these keys may do what the key may.
    Keys(Arc<Credentials>),
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) account: Arc<str>,
    pub(super) region: Arc<str>,
    /// The streams that they mean.
    space: Space,
    /// With what they have signed, and under which id.
    key: Option<(Arc<Credentials>, String)>,
}

/// A caller whose request has not come whole yet.
pub(super) struct Claimed {
    caller: Caller,
    signature: Option<Signature>,
}

impl Access {
    /// Who the head of a request says is asking. What can be refused without the body is refused.
    pub(super) fn claim(&self, head: &Parts, defaults: &Defaults, now: Timestamp) -> Result<Claimed, ApiError> {
        let Self::Keys(keys) = self else {
            return Ok(Claimed { caller: Caller::of(head, defaults), signature: None });
        };
        let signature = Signature::of(head)?;
        let key = keys.get(&signature.key).filter(|key| key.takes(signature.session_token.as_deref()));
        let key = key.ok_or_else(|| {
            let message = "The security token included in the request is invalid.";
            ApiError::new(ErrorKind::UnrecognizedClient, message)
        })?;
        signature.check_scope(now)?;
        if !is_region(&signature.region) {
            let message = "Credential should be scoped to a valid region. ";
            return Err(ApiError::new(ErrorKind::InvalidSignature, message));
        }
        let is_own = key.account == *defaults.account && signature.region == *defaults.region;
        let caller = Caller {
            account: key.account.as_str().into(),
            region: signature.region.as_str().into(),
            space: if is_own { Space::default() } else { Space::of(&key.account, &signature.region) },
            key: Some((Arc::clone(keys), signature.key.clone())),
        };
        Ok(Claimed { caller, signature: Some(signature) })
    }
}

impl Claimed {
    /// The caller, if it is they who signed all of this.
    pub(super) fn check(self, head: &Parts, body: &[u8]) -> Result<Caller, ApiError> {
        let Self { caller, signature } = self;
        if let (Some(signature), Some(key)) = (signature, caller.key()) {
            signature.check(head, body, &key.secret)?;
        }
        Ok(caller)
    }
}

impl AccessKey {
    /// Whether a request that brings this session token, or none, can be this key's.
    fn takes(&self, session_token: Option<&str>) -> bool {
        match (&self.session_token, session_token) {
            (None, None) => true,
            (Some(own), Some(given)) => own.as_bytes().ct_eq(given.as_bytes()).into(),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl Caller {
    /// The caller of a request that nobody checks: from its `Authorization` header, or from the query of a presigned
    /// address.
    fn of(head: &Parts, defaults: &Defaults) -> Self {
        let header = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(header_credential);
        let credential = header.map(ToOwned::to_owned).or_else(|| head.uri.query().and_then(query_credential));
        let scope = credential.as_deref().map(Scope::of).unwrap_or_default();
        Self {
            account: scope.account.map_or_else(|| Arc::clone(&defaults.account), Arc::from),
            region: scope.region.map_or_else(|| Arc::clone(&defaults.region), Arc::from),
            space: Space::default(),
            key: None,
        }
    }

    fn key(&self) -> Option<&AccessKey> {
        self.key.as_ref().and_then(|(keys, id)| keys.get(id))
    }

    /// An error unless the caller may do this to that.
    pub(super) fn permit(&self, action: &str, target: Target<'_>) -> Result<(), ApiError> {
        let Some((keys, id)) = &self.key else { return Ok(()) };
        if keys.get(id).is_some_and(|key| key.allows(action, target)) {
            return Ok(());
        }
        let Self { account, region, .. } = self;
        let resource = match target {
            Target::Something | Target::Account => "*".to_owned(),
            Target::Stream(name) => format!("arn:aws:kinesis:{region}:{account}:stream/{}", name.as_str()),
        };
        Err(self.denied(action, &resource))
    }

    /// The answer to who may not do this to that.
    pub(super) fn denied(&self, action: &str, resource: &str) -> ApiError {
        let (account, id) = (&self.account, self.key.as_ref().map_or("", |(_, id)| id));
        let message = format!(
            "User: arn:aws:iam::{account}:user/{id} is not authorized to perform: kinesis:{action} on resource: {resource} \
             because no identity-based policy allows the kinesis:{action} action"
        );
        ApiError::new(ErrorKind::AccessDenied, message)
    }

    /// The streams that the caller means by their names.
    pub(super) fn space(&self) -> Space {
        self.space.clone()
    }

    /// Whether what has this ARN is in the caller's account and region; always where there are no keys.
    pub(super) fn owns(&self, arn: &str) -> bool {
        let mut parts = arn.split(':').skip(3);
        self.key.is_none() || parts.next() == Some(&self.region) && parts.next() == Some(&self.account)
    }

    /// Whether a listing shows the caller this stream.
    pub(super) fn sees(&self, stream: &StreamName) -> bool {
        *stream.space() == self.space && self.permit("ListStreams", Target::Stream(stream)).is_ok()
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

/// Whether a text is what a pattern with the wildcards `*` (any characters) and `?` (one) says.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut star, mut from) = (0, None, 0);
    let mut next = 0;
    while next < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some(at);
                from = next;
                at += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == text.get(next) => {
                at += 1;
                next += 1;
            }
            // The last star takes one character more.
            _ => match star {
                Some(star) => {
                    at = star + 1;
                    from += 1;
                    next = from;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
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
    fn wildcards_match_as_in_policies() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a*c", "ab", false),
            ("*a*b", "xaxb", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("Put*", "PutRecords", true),
            ("Put*", "GetPut", false),
        ] {
            assert_eq!(wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn defaults_are_checked() {
        assert!(Defaults::new("123456789012", "eu-central-1").is_ok());
        assert!(matches!(Defaults::new("12345", "eu-central-1"), Err(InvalidDefault::Account { .. })));
        assert!(matches!(Defaults::new("123456789012", "eu:1"), Err(InvalidDefault::Region { .. })));
    }
}
