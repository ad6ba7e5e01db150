use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tidemill_stream::clock::Clock;

use super::*;

fn made(folder: &Path) -> CertificateFiles {
    self_signed(folder, &["localhost".to_owned(), "127.0.0.1".to_owned()], Clock::system().now()).unwrap()
}

fn shown(certificate: &Certificate) -> CertificateDer<'static> {
    certificate.shown.0.load().end_entity_cert().unwrap().clone().into_owned()
}

#[test]
fn a_certificate_is_made_once_and_its_key_is_secret() {
    let folder = tempfile::tempdir().unwrap();
    let files = made(&folder.path().join("tls"));
    let before = shown(&Certificate::load(files.clone()).unwrap());
    assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(made(&folder.path().join("tls")), files);
    assert_eq!(shown(&Certificate::load(files).unwrap()), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn what_is_shown_follows_the_files_and_nothing_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let (files, other) = (made(&folder.path().join("tls")), made(&folder.path().join("other")));
    let mut certificate = Certificate::load(files.clone()).unwrap();
    let before = shown(&certificate);
    assert!(!certificate.look().unwrap());
    let look = |certificate: &mut Certificate| {
        assert!(!certificate.look().unwrap(), "it may not be whole yet");
        certificate.look()
    };
    // The certificate comes before its key.
    fs::copy(&other.certificate, &files.certificate).unwrap();
    let error = look(&mut certificate).unwrap_err();
    assert!(matches!(error, CertificateError::Foreign { .. }), "{error}");
    fs::write(&files.key, "nothing").unwrap();
    let error = look(&mut certificate).unwrap_err().to_string();
    assert!(error.starts_with("there is no private key in ") && error.contains("-----BEGIN"), "{error}");
    fs::remove_file(&files.key).unwrap();
    let error = certificate.look().unwrap_err().to_string();
    assert!(error.starts_with("cannot read "), "{error}");
    assert_eq!(shown(&certificate), before);
    fs::copy(&other.key, &files.key).unwrap();
    assert!(look(&mut certificate).unwrap());
    assert_eq!(shown(&certificate), shown(&Certificate::load(other).unwrap()));
}

#[test]
fn files_without_a_certificate_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = made(&folder.path().join("tls"));
    fs::copy(&files.key, &files.certificate).unwrap();
    let error = Certificate::load(files).unwrap_err().to_string();
    assert!(error.starts_with("there is no certificate in "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_files_are_looked_at_again_until_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (files, other) = (made(&folder.path().join("tls")), made(&folder.path().join("other")));
    let certificate = Certificate::load(files.clone()).unwrap();
    let (resolver, stop) = (Arc::clone(&certificate.shown), CancellationToken::new());
    let expected = shown(&Certificate::load(other.clone()).unwrap());
    let changed = async {
        fs::copy(&other.key, &files.key).unwrap();
        fs::copy(&other.certificate, &files.certificate).unwrap();
        while resolver.0.load().end_entity_cert().unwrap() != &expected {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        stop.cancel();
    };
    tokio::join!(certificate.follow(stop.clone()), changed);
}

#[test]
fn trouble_is_told_once() {
    let trouble = || CertificateError::Unreadable { path: "a".into(), source: io::Error::other("gone") };
    let told = tell(Err(trouble()), None);
    assert_eq!(told, Some("cannot read a: gone".to_owned()));
    assert_eq!(tell(Err(trouble()), told.as_deref()), Some("cannot read a: gone".to_owned()));
    assert_eq!(tell(Ok(true), Some("cannot read a: gone")), None);
}
