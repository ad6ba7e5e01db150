//! A certificate of the node's own: nobody vouches for it but itself, so its clients are given it, or do not ask for any.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use super::CertificateFiles;
use crate::limits::{CERTIFICATE_LIFETIME, CERTIFICATE_SLACK};

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const SUBJECT: &str = "Tidemill";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// It cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// It cannot be kept.
    #[error("cannot keep a certificate: {0}")]
    Keep(#[from] io::Error),
}

/// The certificate in `folder`; where that is not there it is made, for these names and addresses. Only its owner
/// reads it. Blocks.
pub fn self_signed(folder: &Path, names: &[String], now: SystemTime) -> Result<CertificateFiles, SelfSignedError> {
    let files = CertificateFiles { certificate: folder.join(CERTIFICATE), key: folder.join(KEY) };
    if !folder.try_exists()? {
        keep(folder, &make(names, now)?)?;
    }
    Ok(files)
}

/// A certificate and its key, in PEM.
struct Made {
    certificate: String,
    key: String,
}

fn make(names: &[String], now: SystemTime) -> Result<Made, rcgen::Error> {
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, SUBJECT);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Clocks differ.
    parameters.not_before = (now - CERTIFICATE_SLACK).into();
    parameters.not_after = (now + CERTIFICATE_LIFETIME).into();
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Both are there, durably, or neither.
fn keep(folder: &Path, made: &Made) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    let begun = tempfile::Builder::new().prefix("tls-").tempdir_in(parent)?;
    write(&begun.path().join(CERTIFICATE), &made.certificate)?;
    write(&begun.path().join(KEY), &made.key)?;
    File::open(begun.path())?.sync_all()?;
    fs::rename(begun.path(), folder)?;
    let _ = begun.keep(); // it is elsewhere now
    File::open(parent)?.sync_all()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
