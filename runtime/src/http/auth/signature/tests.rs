//! Requests of AWS's published test suite for Signature Version 4, and what becomes of them when a byte is another.

use http::Request;
use proptest::prelude::*;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const DATE: &str = "20150830T123600Z";
/// Of `get-vanilla`.
const VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
/// Of `get-vanilla-query-order-key-case`.
const QUERY: &str = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";

fn request(uri: &str, signature: &str) -> Parts {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    let request = Request::builder().uri(uri).header("Host", "example.amazonaws.com").header("X-Amz-Date", DATE);
    request.header("Authorization", authorization).body(()).unwrap().into_parts().0
}

fn said(checked: Result<(), ApiError>) -> String {
    checked.map_or_else(|error| format!("{:?}: {}", error.kind, error.message), |()| "fine".to_owned())
}

fn checked(head: &Parts, body: &[u8], secret: &str) -> String {
    said(Signature::of(head).and_then(|signature| signature.check(head, body, secret)))
}

#[test]
fn the_published_requests_are_taken() {
    assert_eq!(checked(&request("/", VANILLA), b"", SECRET), "fine");
    assert_eq!(checked(&request("/?Param2=value2&Param1=value1", QUERY), b"", SECRET), "fine");
    assert_eq!(checked(&request("/?Param1=value1&Param2=value2", QUERY), b"", SECRET), "fine", "the order is another");
}

#[test]
fn whatever_else_is_changed_is_found() {
    let refused = said(Err(mismatch()));
    let check = |head: &Parts, body: &[u8], secret: &str| assert_eq!(checked(head, body, secret), refused, "{head:?}");
    check(&request("/", QUERY), b"", SECRET);
    check(&request("/", VANILLA), b"x", SECRET);
    check(&request("/", VANILLA), b"", "another secret");
    check(&request("/a", VANILLA), b"", SECRET);
    check(&request("/?a", VANILLA), b"", SECRET);
    let with = |change: fn(&mut Parts)| {
        let mut head = request("/", VANILLA);
        change(&mut head);
        head
    };
    check(&with(|head| head.method = http::Method::PUT), b"", SECRET);
    check(&with(|head| drop(head.headers.insert("Host", "example.amazonaws.con".parse().unwrap()))), b"", SECRET);
    check(&with(|head| drop(head.headers.insert("X-Amz-Date", "20150830T123601Z".parse().unwrap()))), b"", SECRET);
    let shorter = &VANILLA[..63];
    check(&request("/", shorter), b"", SECRET);
}

#[test]
fn a_client_may_sign_the_host_without_its_port() {
    let mut head = request("/", VANILLA);
    head.headers.insert("Host", "example.amazonaws.com:4567".parse().unwrap());
    assert_eq!(checked(&head, b"", SECRET), "fine");
}

/// A request as the AWS SDK for JavaScript, version 3.967.0, signs it: over HTTP/2, with the secret `b`.
fn over_http2(authority: &str) -> Parts {
    let names = "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;x-amz-content-sha256;x-amz-date;\
                 x-amz-target;x-amz-user-agent";
    let signature = "92338ac76ba5e2e55b674abebb0a3c5a18edaefeaacaafe5bbca294c2531ec26";
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/kinesis/aws4_request, SignedHeaders=:authority;{names}, \
         Signature={signature}"
    );
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let mut request = Request::post(format!("http://{authority}/")).version(http::Version::HTTP_2);
    for (name, value) in [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "Kinesis_20131202.ListStreams"),
        ("content-length", "2"),
        ("x-amz-user-agent", "aws-sdk-js/3.967.0"),
        ("amz-sdk-invocation-id", "99f55d6f-5d20-4e5c-95fa-a1a910395d0f"),
        ("amz-sdk-request", "attempt=1; max=3"),
        ("x-amz-date", "20261123T223203Z"),
        ("x-amz-content-sha256", hash),
        ("authorization", &authorization),
    ] {
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn a_client_of_http2_may_sign_the_authority_instead_of_the_host() {
    assert_eq!(checked(&over_http2("127.0.0.1:36489"), b"{}", "b"), "fine");
    let refused = said(Err(mismatch()));
    assert_eq!(checked(&over_http2("127.0.0.1:36480"), b"{}", "b"), refused);
    let mut named_twice = over_http2("127.0.0.1:36489");
    named_twice.headers.insert("Host", "elsewhere".parse().unwrap());
    assert_eq!(checked(&named_twice, b"{}", "b"), refused);
}

#[test]
fn what_is_not_said_is_asked_for() {
    let of = |header: Option<&str>, uri: &str| {
        let mut request = Request::builder().uri(uri).header("Host", "h").header("X-Amz-Target", "Kinesis_20131202.X");
        if let Some(header) = header {
            request = request.header("Authorization", header);
        }
        said(Signature::of(&request.body(()).unwrap().into_parts().0).map(drop))
    };
    for (header, uri, expected) in [
        (None, "/", "MissingAuthenticationToken: Missing Authentication Token"),
        (Some("AWS4-HMAC-SHA256 "), "/", "requires 'Credential' parameter. Authorization header requires 'Signature'"),
        (Some("AWS4-HMAC-SHA256 "), "/", "either a 'X-Amz-Date' or a 'Date' header."),
        (Some("Bearer x"), "/", "IncompleteSignature: Unsupported AWS 'algorithm': 'Bearer'"),
        (Some("AWS4-HMAC-SHA256 "), "/?X-Amz-Algorithm=AWS4-HMAC-SHA256", "InvalidSignature: Found both"),
        (None, "/?X-Amz-Algorithm=AWS4-HMAC-SHA256", "must include 'X-Amz-Credential'. AWS query-string"),
        (
            None,
            "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d&X-Amz-Signature=0&X-Amz-SignedHeaders=host\
             &X-Amz-Date=20150830T123600Z&X-Amz-Expires=60",
            "exactly 5 slash-delimited elements",
        ),
        (
            None,
            "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/e&X-Amz-Signature=0&X-Amz-SignedHeaders=host\
             &X-Amz-Date=now&X-Amz-Expires=60",
            "Date must be in ISO-8601 'basic format'. Got 'now'.",
        ),
        (
            None,
            "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/e&X-Amz-Signature=0&X-Amz-SignedHeaders=host\
             &X-Amz-Date=20150830T123600Z&X-Amz-Expires=604801",
            "X-Amz-Expires must be 1 to 604800",
        ),
        (
            None,
            "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/e&X-Amz-Signature=0&X-Amz-SignedHeaders=host\
             &X-Amz-Date=20150830T123600Z&X-Amz-Expires=60",
            "'x-amz-target' must be a 'SignedHeader'",
        ),
    ] {
        let said = of(header, uri);
        assert!(said.contains(expected), "{header:?} {uri}: {said}");
    }
}

#[test]
fn a_signature_holds_for_its_service_and_for_a_while() {
    let signature = Signature::of(&request("/", VANILLA)).unwrap();
    let of_kinesis = Signature { service: "kinesis".to_owned(), ..signature.clone() };
    let at = |minutes: i64| {
        let signed = i64::try_from(of_kinesis.time.as_millis()).unwrap();
        Timestamp::from_millis(u64::try_from(signed + minutes * 60_000).unwrap())
    };
    assert!(said(signature.check_scope(at(0))).contains("scoped to correct service: 'kinesis'"));
    for minutes in [-5, 0, 5] {
        assert_eq!(said(of_kinesis.check_scope(at(minutes))), "fine", "{minutes}");
    }
    assert_eq!(
        said(of_kinesis.check_scope(at(6))),
        "InvalidSignature: Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T124200Z - 5 min.)"
    );
    assert_eq!(
        said(of_kinesis.check_scope(at(-6))),
        "InvalidSignature: Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z \
         (20150830T123000Z + 5 min.)"
    );
    let other_day = Signature { date: "20150829".to_owned(), ..of_kinesis.clone() };
    assert!(said(other_day.check_scope(at(0))).contains("Date in Credential scope does not match"));
    let presigned = Signature { expires: Some(Duration::from_hours(1)), ..of_kinesis.clone() };
    assert_eq!(said(presigned.check_scope(at(59))), "fine");
    assert!(said(presigned.check_scope(at(61))).contains("Signature expired"));
}

proptest! {
    /// Whatever a request says of its signature, it is told what is wrong with it.
    #[test]
    fn no_header_and_no_query_is_taken_unless_it_was_signed(
        fields in "(AWS4-HMAC-SHA256|Bearer|)[ ,=]{0,2}((Credential|Signature|SignedHeaders|x)=?[a-z0-9/;=, ]{0,40}[, ]{0,2}){0,4}",
        query in "/\\?(X-Amz-(Algorithm|Credential|Signature|SignedHeaders|Date|Expires|Security-Token)(=[A-Za-z0-9%+/;-]{0,24})?&?){0,8}",
        date in "[0-9]{0,9}T?[0-9]{0,7}Z?",
        with_header: bool,
    ) {
        let mut request = Request::builder().header("Host", "h");
        if with_header {
            request = request.header("Authorization", fields.as_str()).header("X-Amz-Date", date.as_str());
        }
        if let Ok(request) = request.uri(query.as_str()).body(()) {
            let head = request.into_parts().0;
            prop_assert_ne!(checked(&head, b"", SECRET), "fine");
        }
    }
}
