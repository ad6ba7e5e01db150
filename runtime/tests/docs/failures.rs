//! What `docs/failures.md` shows of verifying a letter does verify.

use std::process::Command;

use crate::page;

/// The first block of this language.
fn block(page: &str, language: &str) -> String {
    let (_, behind) = page.split_once(&format!("```{language}\n")).unwrap();
    behind.split_once("```").unwrap().0.to_owned()
}

/// The example of the specification's reference libraries, and what must not be taken for it.
const CASES: &str = r#"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'
NOW = 1614265330
assert verify(SECRET, HEADERS, BODY, lambda: NOW)
assert not verify(SECRET, HEADERS, BODY + b" ", lambda: NOW)
assert not verify(SECRET, HEADERS | {"webhook-id": "msg_other"}, BODY, lambda: NOW)
assert not verify("another key", HEADERS, BODY, lambda: NOW)
assert not verify(SECRET, HEADERS, BODY, lambda: NOW + 301)
"#;

#[test]
fn the_receiver_of_the_page_verifies_signatures() {
    let script = format!("{}{CASES}", block(&page::read("failures.md"), "python"));
    let run = Command::new("python3").args(["-c", &script]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
