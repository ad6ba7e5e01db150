//! What must hold for a signed request whatever it says: the fuzzers' and the tests' judge.
//!
//! It panics when a promise is broken. What is signed rightly is signed by AWS's own library, not by ours.

use std::str::FromStr as _;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials as Identity;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::header::{DATE, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{AUTHORIZATION, Access, ApiError, Caller, Credentials, Defaults, Timestamp};

/// 2026-11-23T12:00:00Z
const NOW: Timestamp = Timestamp::from_millis(1_795_435_200_000);
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLETOKEN+/=";
/// An address of more bytes is not made up: there is a limit to what can be one.
const TARGET_BYTES_MAX: usize = 8 << 10;
/// What clients leave as it is in a query, and in a path.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const SEGMENTS: &AsciiSet = &UNRESERVED.remove(b'/');
/// What a signature adds itself, or does not cover.
const NOT_SIGNED: [HeaderName; 5] = [AUTHORIZATION, DATE, HOST, TRANSFER_ENCODING, USER_AGENT];

/// Those that are known: one for good, one that is temporary.
static KEYS: LazyLock<Access> = LazyLock::new(|| {
    let key = format!("{{ secret: '{SECRET}', account: '123456789012'");
    let keys = Credentials::parse(&format!("AKIDFUZZ: {key} }}\nASIAFUZZ: {key}, session_token: '{TOKEN}' }}\n"));
    keys.map_or(Access::Anyone, |keys| Access::Keys(Arc::new(keys)))
});

type Asked = Request<Vec<u8>>;

/// Where the signature is, and whose it is.
#[derive(Debug, Clone, Copy)]
struct Form {
    location: SignatureLocation,
    key: &'static str,
    token: Option<&'static str>,
}

const FORMS: [Form; 4] = [
    Form { location: SignatureLocation::Headers, key: "AKIDFUZZ", token: None },
    Form { location: SignatureLocation::Headers, key: "ASIAFUZZ", token: Some(TOKEN) },
    Form { location: SignatureLocation::QueryParams, key: "AKIDFUZZ", token: None },
    Form { location: SignatureLocation::QueryParams, key: "ASIAFUZZ", token: Some(TOKEN) },
];

/// The bytes as a request: a line with method and address, lines with headers, an empty line, the body. Nobody who has not
/// the secret is let in. The same signed rightly is let in, and not with anything in it changed.
pub fn signature(bytes: &[u8]) {
    judge(bytes);
}

/// How many requests were signed and judged.
fn judge(bytes: &[u8]) -> usize {
    let (head, body) = split(bytes, b"\n\n");
    if let Some(given) = given(head, body) {
        assert!(checked(&given).is_err(), "let in without the secret: {given:?}");
    }
    let Some(plain) = plain(head, body) else { return 0 };
    let mut signed = 0;
    for form in FORMS {
        let Some(right) = sign_as(form, &plain) else { continue };
        let said = checked(&right).map_err(|error| error.message);
        assert!(said.is_ok(), "refused though it is signed: {said:?} {right:?}");
        signed += 1;
        for (what, changed) in changes(&right, form, bytes.len()) {
            assert!(checked(&changed).is_err(), "let in though {what} is another: {changed:?}");
        }
    }
    signed
}

fn checked(request: &Asked) -> Result<Caller, ApiError> {
    let (head, ()) = without_body(request).into_parts();
    KEYS.claim(&head, &Defaults::default(), NOW)?.check(&head, request.body())
}

fn without_body(request: &Asked) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    head
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> (&'a [u8], &'a [u8]) {
    let found = bytes.windows(at.len()).position(|window| window == at);
    let parts = found.and_then(|found| Some((bytes.get(..found)?, bytes.get(found + at.len()..)?)));
    parts.unwrap_or((bytes, b""))
}

fn headers_of(lines: &[u8]) -> HeaderMap {
    let header = |line: &[u8]| {
        let (name, value) = split(line, b": ");
        Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.split(|byte| *byte == b'\n').take(100).filter_map(header) {
        headers.append(name, value);
    }
    headers
}

/// The request just as it is given, where it can be one.
fn given(head: &[u8], body: &[u8]) -> Option<Asked> {
    let (line, lines) = split(head, b"\n");
    let (method, target) = split(line, b" ");
    let mut request = Request::new(body.to_vec());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = Uri::try_from(target).ok()?;
    *request.headers_mut() = headers_of(lines);
    Some(request)
}

/// The request as a client would send it: escaped, and with headers that can be signed.
fn plain(head: &[u8], body: &[u8]) -> Option<Asked> {
    let (line, lines) = split(head, b"\n");
    let (method, target) = split(line, b" ");
    let (path, query) = split(target.get(..target.len().min(TARGET_BYTES_MAX))?, b"?");
    let path = String::from_utf8_lossy(path);
    let query = String::from_utf8_lossy(query);
    let pairs = query.split('&').filter_map(escaped).collect::<Vec<_>>().join("&");
    let given = headers_of(lines);
    let host = given.get(HOST).and_then(|host| http::uri::Authority::try_from(host.as_bytes()).ok());
    let host = host.filter(|host| !host.as_str().contains('@'));
    let host = host.map_or_else(|| "node:4567".to_owned(), |host| host.as_str().to_owned());
    let path = utf8_percent_encode(path.trim_start_matches('/'), SEGMENTS);
    let mut request = Request::new(body.to_vec());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = Uri::from_str(&format!("http://{host}/{path}?{pairs}")).ok()?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(&host).ok()?);
    for (name, value) in &given {
        let is_text = value.to_str().is_ok_and(|text| !text.contains('\t'));
        if is_text && !NOT_SIGNED.contains(name) && !name.as_str().starts_with("x-amz") {
            request.headers_mut().insert(name, value.clone());
        }
    }
    if let Some(target) =
        given.get("x-amz-target").filter(|target| target.to_str().is_ok_and(|text| !text.contains('\t')))
    {
        request.headers_mut().insert("x-amz-target", target.clone());
    }
    Some(request)
}

/// A pair of a query that does not speak of signatures, as clients escape it.
fn escaped(pair: &str) -> Option<String> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let escape = |text: &str| {
        let plain = percent_decode_str(text).decode_utf8_lossy().into_owned();
        utf8_percent_encode(&plain, UNRESERVED).to_string()
    };
    let name = escape(name);
    (!name.is_empty() && !name.starts_with("X-Amz-")).then(|| format!("{name}={}", escape(value)))
}

/// The request with a signature of AWS's library.
fn sign_as(form: Form, plain: &Asked) -> Option<Asked> {
    let identity = Identity::new(form.key, SECRET, form.token.map(str::to_owned), None, "fuzzing").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = form.location;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.expires_in = matches!(form.location, SignatureLocation::QueryParams).then_some(Duration::from_mins(1));
    let time = UNIX_EPOCH + Duration::from_millis(NOW.as_millis());
    let params = SigningParams::builder().identity(&identity).region("us-east-1").name("kinesis").time(time);
    let params = params.settings(settings).build().ok()?.into();
    let headers = plain.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let (method, uri) = (plain.method().as_str(), plain.uri().to_string());
    let signable = SignableRequest::new(method, uri, headers, SignableBody::Bytes(plain.body())).ok()?;
    let (instructions, _) = sign(signable, &params).ok()?.into_parts();
    let mut signed = plain.clone();
    instructions.apply_to_request_http1x(&mut signed);
    let target = signed.uri().path_and_query()?.as_str().parse().ok()?;
    *signed.uri_mut() = target;
    Some(signed)
}

/// The request with each part that is signed changed. `at` says which byte, where there are several.
fn changes(right: &Asked, form: Form, at: usize) -> Vec<(&'static str, Asked)> {
    let mut all = vec![("the method", with_method(right))];
    all.extend(with_target(right, "the path", |path, query| Some(format!("{path}x?{query}"))));
    all.extend(with_target(right, "the query", |path, query| Some(format!("{path}?{query}&z=1"))));
    all.extend(with_header(right, "the host", &HOST, |host| format!("x{host}")));
    for name in right.headers().keys().filter(|name| **name != AUTHORIZATION) {
        all.extend(with_header(right, "a header", name, |value| format!("{value}x")));
    }
    let mut more = right.clone();
    more.headers_mut().insert("x-amz-more", HeaderValue::from_static("1"));
    all.push(("a header of AWS's", more));
    let mut longer = right.clone();
    longer.body_mut().push(0);
    all.push(("the length of the body", longer));
    let mut damaged = right.clone();
    let bytes = right.body().len();
    if let Some(byte) = damaged.body_mut().get_mut(at % bytes.max(1)) {
        *byte ^= 1;
        all.push(("the body", damaged));
    }
    let edits = [
        ("the key", "FUZZ/", "FUZY/"),
        ("the day", "/20261123/", "/20261122/"),
        ("the region", "/us-east-1/", "/us-east-2/"),
        ("the service", "/kinesis/", "/sqs/"),
        ("the signed headers", "SignedHeaders=", "SignedHeaders=x;"),
        ("the time", "T120000Z", "T120001Z"),
        ("how long it is good", "X-Amz-Expires=60", "X-Amz-Expires=61"),
        ("the session token", "EXAMPLETOKEN", "EXAMPLETOKEM"),
    ];
    for (what, from, to) in edits {
        all.extend(edited(right, form, what, |text| text.contains(from).then(|| text.replacen(from, to, 1))));
    }
    all.extend(edited(right, form, "the signature", |text| with_digit(text, at)));
    all
}

fn with_method(right: &Asked) -> Asked {
    let mut changed = right.clone();
    *changed.method_mut() = if right.method() == Method::PUT { Method::POST } else { Method::PUT };
    changed
}

fn with_target(
    right: &Asked,
    what: &'static str,
    change: impl Fn(&str, &str) -> Option<String>,
) -> Option<(&'static str, Asked)> {
    let mut changed = right.clone();
    *changed.uri_mut() = change(right.uri().path(), right.uri().query().unwrap_or_default())?.parse().ok()?;
    Some((what, changed))
}

fn with_header(
    right: &Asked,
    what: &'static str,
    name: &HeaderName,
    change: impl Fn(&str) -> String,
) -> Option<(&'static str, Asked)> {
    let mut changed = right.clone();
    let value = change(right.headers().get(name)?.to_str().ok()?);
    changed.headers_mut().insert(name, value.parse().ok()?);
    Some((what, changed))
}

/// The request with another text where its signature is said.
fn edited(
    right: &Asked,
    form: Form,
    what: &'static str,
    change: impl Fn(&str) -> Option<String>,
) -> Option<(&'static str, Asked)> {
    if form.location == SignatureLocation::QueryParams {
        return with_target(right, what, |path, query| {
            let (own, signature) = query.split_at_checked(query.find("X-Amz-Algorithm=")?)?;
            let changed = change(&signature.replace("%2F", "/"))?;
            Some(format!("{path}?{own}{changed}"))
        });
    }
    let mut changed = right.clone();
    let value = change(right.headers().get(AUTHORIZATION)?.to_str().ok()?)?;
    changed.headers_mut().insert(AUTHORIZATION, value.parse().ok()?);
    Some((what, changed))
}

/// The text with another digit in its signature.
fn with_digit(text: &str, at: usize) -> Option<String> {
    let begin = text.find("Signature=")? + "Signature=".len();
    let place = begin + at % 64;
    let digit = if text.get(place..=place)? == "0" { "1" } else { "0" };
    Some(format!("{}{digit}{}", text.get(..place)?, text.get(place + 1..)?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const REQUESTS: [&[u8]; 4] = [
        b"POST /\nhost: 127.0.0.1:4567\nx-amz-target: Kinesis_20131202.ListStreams\ncontent-type: application/x-amz-json-1.1\n\n{}",
        b"GET /a//b/../%41 b?b=2&a=1&a=%2F+%20&c\nhost: node\nx-amz-target:  two  words \nx: \n\n",
        b"PUT /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDFUZZ%2F20261123%2Fus-east-1%2Fkinesis%2Faws4_request\
          &X-Amz-Date=20261123T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00\nhost: h\n\n",
        b"POST /\nhost: h\nx-amz-date: 20261123T120000Z\nauthorization: AWS4-HMAC-SHA256 Credential=AKIDFUZZ/20261123/us-east-1/\
          kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature=00\n\nbody",
    ];

    #[test]
    fn the_requests_that_are_damaged_are_signed_in_every_form() {
        for request in REQUESTS {
            assert_eq!(judge(request), FORMS.len(), "{}", String::from_utf8_lossy(request));
        }
        let signed = FORMS.map(|form| sign_as(form, &plain(REQUESTS[0], b"{}").unwrap()).unwrap());
        let changed = FORMS.iter().zip(&signed).map(|(form, signed)| changes(signed, *form, 0).len());
        assert_eq!(changed.collect::<Vec<_>>(), [17, 18, 18, 19]);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_nobody_is_let_in(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            judge(&bytes);
        }

        /// Random bytes are seldom a request; a request with a few wrong bytes gets further.
        #[test]
        fn a_damaged_request_is_judged_as_any_other(
            request in prop::sample::select(REQUESTS.to_vec()),
            damages in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), 32_u8..127]), 1..6),
        ) {
            let mut bytes = request.to_vec();
            for (at, byte) in &damages {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            judge(&bytes);
        }
    }

    #[test]
    fn inputs_that_were_kept_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/signature");
        let inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= 10, "{} holds {} inputs", folder.display(), inputs.len());
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            assert!(std::panic::catch_unwind(|| judge(&bytes)).is_ok(), "{} breaks a promise", input.display());
        }
    }
}
