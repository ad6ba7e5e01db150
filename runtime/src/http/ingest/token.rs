//! Bearer tokens (RFC 6750).

use http::header::AUTHORIZATION;
use http::request::Parts;
use subtle::{Choice, ConstantTimeEq as _};

use super::error::{Code, IngestError};
use super::settings::{IngestSettings, TokenDigest};
use crate::http::auth::Access;

/// Refuses a request without a token of the settings, if there are any. A node that asks for signatures elsewhere does not
/// take unsigned records without one.
pub(super) fn check(settings: &IngestSettings, access: &Access, head: &Parts) -> Result<(), IngestError> {
    match (settings.tokens.is_empty(), access) {
        (true, Access::Anyone) => return Ok(()),
        (true, Access::Keys(_)) => {
            let message = "the node has access keys and no tokens: name some in ingest.tokens of the manifest";
            return Err(IngestError::new(Code::Unauthorized, message));
        }
        (false, _) => {}
    }
    let given = head.headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes).and_then(bearer);
    let message = match given {
        Some(token) if is_known(settings, token) => return Ok(()),
        Some(_) => "the token of the Authorization header is not known; use one that the node was given",
        None => "the request has no token; send the header Authorization: Bearer TOKEN",
    };
    Err(IngestError::new(Code::Unauthorized, message))
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// All are compared in full, so that the time it takes tells nothing.
fn is_known(settings: &IngestSettings, token: &[u8]) -> bool {
    let given = TokenDigest::of(token);
    let known = settings.tokens.iter().fold(Choice::from(0), |found, known| found | known.0.ct_eq(&given.0));
    known.into()
}
