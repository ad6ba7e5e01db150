//! Where a request goes.

use std::fmt;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Uri};

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// An `http://` or `https://` address. Shown without its path, which may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    scheme: Scheme,
    authority: Authority,
    target: PathAndQuery,
    host_header: HeaderValue,
}

/// A text that is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address is none that can be asked: {reason}")]
pub(crate) struct InvalidAddress {
    pub(crate) reason: String,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |reason: &str| InvalidAddress { reason: reason.to_owned() };
        let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))?;
        let parts = uri.into_parts();
        let scheme = match parts.scheme.as_ref().map(http::uri::Scheme::as_str) {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(invalid("it begins with 'http://' or 'https://'")),
        };
        let authority = parts.authority.filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| invalid("it names a host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("it has no user name and no password; a signature shows who asks"));
        }
        let host_header = HeaderValue::from_str(authority.as_str()).map_err(|error| invalid(&error.to_string()))?;
        let target = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { scheme, authority, target, host_header })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an IP address, without brackets.
    pub(crate) fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) fn port(&self) -> u16 {
        let default = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        self.authority.port_u16().unwrap_or(default)
    }

    /// Path and query.
    pub(crate) fn target(&self) -> Uri {
        Uri::from(self.target.clone())
    }

    pub(crate) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_a_port_and_a_target() {
        for (text, host, port, target) in [
            ("http://example.org", "example.org", 80, "/"),
            ("https://example.org/hooks/a?b=c#d", "example.org", 443, "/hooks/a?b=c"),
            ("HTTPS://example.org:8443?q", "example.org", 8443, "/?q"),
            ("http://[::1]:9000/x", "::1", 9000, "/x"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                (address.host(), address.port(), address.target().to_string().as_str()),
                (host, port, target),
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_is_shown_without_its_path() {
        let address = Address::parse("https://example.org:8443/services/secret?token=secret").unwrap();
        assert_eq!(
            (format!("{address}"), format!("{address:?}")),
            ("https://example.org:8443".into(), "Address(https://example.org:8443)".into())
        );
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for (text, reason) in [
            ("ftp://example.org", "'http://'"),
            ("/hooks", "'http://'"),
            ("example.org", "'http://'"),
            ("http://user:word@example.org/", "no user name"),
            ("http://", ""),
            ("http://exa mple.org", ""),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("word@"), "{text}: {error}");
        }
    }
}
