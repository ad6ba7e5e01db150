//! A certificate of the node's own: nobody vouches for it but itself, so its clients are given it, or do not ask for any.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use tidemill_stream::clock::Timestamp;

use super::CertificateFiles;
use crate::limits::{CERTIFICATE_LIFETIME, CERTIFICATE_SLACK};

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const SUBJECT: &str = "Tidemill";
/// Behind the name of a folder that is being filled.
const BEGUN: &str = "new";

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
pub fn self_signed(folder: &Path, names: &[String], now: Timestamp) -> Result<CertificateFiles, SelfSignedError> {
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

fn make(names: &[String], now: Timestamp) -> Result<Made, rcgen::Error> {
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, SUBJECT);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.as_millis());
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
    let begun = folder.with_extension(BEGUN);
    // A crash may have left it.
    if begun.try_exists()? {
        fs::remove_dir_all(&begun)?;
    }
    DirBuilder::new().mode(0o700).create(&begun)?;
    write(&begun.join(CERTIFICATE), &made.certificate)?;
    write(&begun.join(KEY), &made.key)?;
    File::open(&begun)?.sync_all()?;
    fs::rename(&begun, folder)?;
    File::open(parent)?.sync_all()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
