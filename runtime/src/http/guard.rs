//! Whom a node that only its own machine reaches does not answer: web pages of other origins, and browsers that were led
//! here by a foreign name (DNS rebinding).
//!
//! Promises that on a loopback address every request, health and metrics included, is looked at before anything else. A
//! node that others reach is named by whatever name its network gives it, and has tokens instead.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::auth::Access;
use super::codec::Codec;
use super::ingest::Ingest;
use super::limits::ECHO_CHARS_MAX;

/// The error's name for clients of the Kinesis API.
const KIND: &str = "AccessDeniedException";
/// Below it requests say for themselves which pages may ask.
const OWN_RULES: &str = "/streams/";

/// Judges requests by what they say of where they come from.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    /// Whether nobody but this machine reaches the node.
    is_local: bool,
    /// Names that the user has given it.
    hosts: Arc<[String]>,
    ingest: Ingest,
    /// Whether the Kinesis API needs signatures.
    has_keys: bool,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) Option<SocketAddr>);

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "this node listens on its own machine only, and '{host}' is neither an IP address nor localhost: ask it by one \
         of these, or start it with --allow-host {host}"
    )]
    Host { host: String },
    #[error("pages of the origin '{origin}' may not ask this node; name it in ingest.cors.origins of the manifest")]
    Origin { origin: String },
    #[error("other machines are answered only at /, with a signature, at /health, and below /streams/, with a token")]
    Peer,
}

impl Refusal {
    const fn name(&self) -> &'static str {
        match self {
            Self::Host { .. } => "host_not_allowed",
            Self::Origin { .. } => "origin_not_allowed",
            Self::Peer => "machine_not_allowed",
        }
    }
}

impl Guard {
    pub(super) fn new(address: Option<SocketAddr>, hosts: &[String], ingest: Ingest, access: &Access) -> Self {
        let has_keys = matches!(access, Access::Keys(_));
        let is_local = address.is_some_and(|address| address.ip().is_loopback());
        Self { is_local, hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(), ingest, has_keys }
    }

    /// Lets a request in, or says why not.
    pub(super) fn judge(&self, head: &Parts, peer: Peer) -> Result<(), Refusal> {
        let guards_itself = |path: &str| matches!(path, "/" | "/health") || path.starts_with(OWN_RULES);
        if self.has_keys && !guards_itself(head.uri.path()) && !is_of_this_machine(head, peer) {
            return Err(Refusal::Peer);
        }
        if !self.is_local {
            return Ok(());
        }
        let host = host(head);
        if let Some(host) = host.map(name_of).filter(|name| !self.knows(name)) {
            return Err(Refusal::Host { host: shown(host.as_bytes()) });
        }
        let Some(origin) = head.headers.get(ORIGIN).filter(|_| !head.uri.path().starts_with(OWN_RULES)) else {
            return Ok(());
        };
        let origin = origin.as_bytes();
        let own = |host: &str| [format!("http://{host}"), format!("https://{host}")];
        let is_own = host.is_some_and(|host| own(host).iter().any(|own| origin == own.as_bytes()));
        let is_allowed = || self.ingest.settings().is_some_and(|settings| settings.origins.allow(origin));
        if is_own || is_allowed() { Ok(()) } else { Err(Refusal::Origin { origin: shown(origin) }) }
    }

    fn knows(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let plain = name.strip_suffix('.').unwrap_or(&name);
        let address = plain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(plain);
        address.parse::<IpAddr>().is_ok()
            || plain == "localhost"
            || plain.ends_with(".localhost")
            || self.hosts.iter().any(|host| host == plain)
    }
}

fn is_of_this_machine(head: &Parts, peer: Peer) -> bool {
    // Whoever hands on requests of others says so.
    let is_handed_on =
        ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| head.headers.contains_key(*name));
    !is_handed_on && peer.0.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// What a request calls the node: HTTP/2 says it in the URI. A request that says nothing comes from no browser. Two hosts
/// are none that is known.
fn host(head: &Parts) -> Option<&str> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = head.headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or(""));
    let first = hosts.next();
    if hosts.next().is_some() { Some("") } else { first }
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (name.ends_with(']') || !name.contains(':')) => name,
        Some(_) | None => host,
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(ECHO_CHARS_MAX).collect()
}

/// The answer to a request that is not let in.
pub(super) fn refuse(refusal: &Refusal, head: &Parts) -> Response {
    tracing::warn!(%refusal, "a request was refused");
    answer(refusal, Codec::of(&head.headers).unwrap_or(Codec::Json))
}

/// A refusal as its body, for AWS's clients and for others.
#[derive(Serialize)]
struct RefusalBody {
    #[serde(rename = "__type")]
    kind: &'static str,
    error: &'static str,
    message: String,
}

fn answer(refusal: &Refusal, codec: Codec) -> Response {
    let body = RefusalBody { kind: KIND, error: refusal.name(), message: refusal.to_string() };
    let body = codec.encode(&body, 256).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::FORBIDDEN;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, codec.content_type());
    headers.insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(KIND));
    response
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::http::{IngestSettings, Origin, Origins};

    fn guard_at(address: &str) -> Guard {
        let ingest = Ingest::default();
        let origins = Origins::These(vec![Origin::parse("https://app.example.com").unwrap()]);
        ingest.set(IngestSettings { tokens: Vec::new(), origins });
        Guard::new(Some(address.parse().unwrap()), &["Node.test".to_owned()], ingest, &Access::Anyone)
    }

    fn judge(guard: &Guard, path: &str, host: &str, origin: Option<&str>) -> &'static str {
        let mut request = Request::builder().uri(path).header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        guard
            .judge(&request.body(()).unwrap().into_parts().0, Peer(None))
            .map_or_else(|refusal| refusal.name(), |()| "in")
    }

    #[test]
    fn a_node_of_this_machine_is_asked_by_its_address_or_as_localhost() {
        let guard = guard_at("127.0.0.1:4567");
        for (host, expected) in [
            ("127.0.0.1:4567", "in"),
            ("127.0.0.1", "in"),
            ("192.168.0.7:1", "in"),
            ("[::1]:4567", "in"),
            ("[::1]", "in"),
            ("localhost:4567", "in"),
            ("LocalHost", "in"),
            ("kinesis.localhost:4567", "in"),
            ("localhost.:4567", "in"),
            ("node.test:4567", "in"),
            ("evil.example:4567", "host_not_allowed"),
            ("notlocalhost", "host_not_allowed"),
            ("localhost.evil.example", "host_not_allowed"),
            ("127.0.0.1.evil.example", "host_not_allowed"),
            ("", "host_not_allowed"),
        ] {
            assert_eq!(judge(&guard, "/health", host, None), expected, "{host}");
        }
        let two = Request::builder().uri("/").header(HOST, "localhost").header(HOST, "evil.example");
        assert!(guard.judge(&two.body(()).unwrap().into_parts().0, Peer(None)).is_err());
        let none = Request::builder().uri("/");
        assert!(guard.judge(&none.body(()).unwrap().into_parts().0, Peer(None)).is_ok(), "HTTP/1.0");
        let second = Request::builder().uri("http://evil.example/");
        assert!(guard.judge(&second.body(()).unwrap().into_parts().0, Peer(None)).is_err(), "HTTP/2");
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let guard = guard_at("[::1]:4567");
        for (path, origin, expected) in [
            ("/", "http://localhost:4567", "in"),
            ("/", "https://localhost:4567", "in"),
            ("/", "https://app.example.com", "in"),
            ("/", "http://localhost:3000", "origin_not_allowed"),
            ("/metrics", "http://evil.example", "origin_not_allowed"),
            ("/", "null", "origin_not_allowed"),
            ("/streams/s/records", "http://evil.example", "in"),
        ] {
            assert_eq!(judge(&guard, path, "localhost:4567", Some(origin)), expected, "{origin}");
        }
    }

    #[test]
    fn a_node_that_others_reach_has_any_name() {
        for address in ["0.0.0.0:4567", "192.168.0.7:4567", "[::]:4567"] {
            assert_eq!(judge(&guard_at(address), "/", "tidemill:4567", Some("http://evil.example")), "in", "{address}");
        }
    }
}
