//! The canonical form of a request: what is signed of it.

use std::fmt::Write as _;

use http::header::HOST;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::parts::{SIGNATURE, Signature};

/// What stays as it is in a canonical query.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// And in a path.
const SEGMENTS: &AsciiSet = &UNRESERVED.remove(b'/');

/// What signed headers call the host; the second is HTTP/2's, which has no `Host`.
pub(super) const HOST_NAMES: [&str; 2] = ["host", ":authority"];

/// The request as both sides write it down. `host` is the name that the client may have signed.
pub(super) fn canonical(signature: &Signature, head: &Parts, host: &str, body_hash: &str) -> String {
    let path = utf8_percent_encode(head.uri.path(), SEGMENTS);
    let mut text = format!("{}\n{path}\n{}\n", head.method, query(head.uri.query().unwrap_or_default()));
    for name in &signature.signed_headers {
        let value = if HOST_NAMES.contains(&name.as_str()) { host.to_owned() } else { header(head, name) };
        let _ = writeln!(text, "{name}:{value}");
    }
    let _ = write!(text, "\n{}\n{body_hash}", signature.signed_headers.join(";"));
    text
}

/// Sorted, and escaped in the one way that there is; without the signature itself.
fn query(query: &str) -> String {
    let escape = |text: &str| {
        let plain = percent_decode_str(text).collect::<Vec<u8>>();
        percent_encoding::percent_encode(&plain, UNRESERVED).to_string()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<(String, String)> =
        pairs.map(|(name, value)| (escape(name), escape(value))).filter(|(name, _)| name != SIGNATURE).collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The values of a header, each without blanks around it and with single ones inside.
fn header(head: &Parts, name: &str) -> String {
    let tidy = |value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    head.headers.get_all(name).iter().map(tidy).collect::<Vec<_>>().join(",")
}

/// The names that the client may have asked for: some sign the host without its port.
pub(super) fn host_candidates(head: &Parts) -> impl Iterator<Item = &str> {
    let header = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = header.or_else(|| head.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let bare = host.rsplit_once(':').map(|(bare, _)| bare);
    std::iter::once(host).chain(bare)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
