//! An access key, and requests that are signed with it (AWS Signature Version 4).

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::ClientError;

/// What a key signs for.
const SERVICE: &str = "kinesis";

/// With what requests are signed.
#[derive(Clone)]
pub struct AccessKey {
    /// The key's id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
    /// The region whose streams are meant.
    pub region: String,
}

/// The secret stays where it is.
impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("region", &self.region).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// Adds to `headers` what proves that a `POST` of this body to this URL, with these headers, is the key's.
    pub fn sign(&self, url: &str, headers: &mut HeaderMap, body: &[u8]) -> Result<(), ClientError> {
        let failed = |error: &dyn fmt::Display| ClientError::Unsigned { reason: error.to_string() };
        let Self { id, secret, session_token, region } = self;
        let identity = Credentials::new(id, secret, session_token.clone(), None, "tidemill").into();
        #[expect(clippy::disallowed_methods, reason = "a client has no other clock than its machine's")]
        let now = SystemTime::now();
        let params = SigningParams::builder().identity(&identity).region(region).name(SERVICE).time(now);
        let params = params.settings(SigningSettings::default()).build().map_err(|error| failed(&error))?.into();
        let given = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let request = SignableRequest::new("POST", url, given, SignableBody::Bytes(body));
        let signed = sign(request.map_err(|error| failed(&error))?, &params).map_err(|error| failed(&error))?;
        let (instructions, _) = signed.into_parts();
        for (name, value) in instructions.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(&error))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|error| failed(&error))?);
        }
        Ok(())
    }
}
