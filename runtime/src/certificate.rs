//! The certificate that a node shows to clients which speak TLS.
//!
//! Promises that a key which is not the certificate's is refused, that what is shown follows its files, and that files which
//! cannot be used change nothing: what was shown before goes on. It must not know of HTTP.

mod self_signed;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use self::self_signed::{SelfSignedError, self_signed};
use crate::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATE_CHECK_INTERVAL};

/// Where a certificate and its key are, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and behind it those that lead to one which clients know.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is no PEM, or has not what is looked for.
    #[error("there is no {what} in {}: {source}; it must be PEM, beginning with -----BEGIN", path.display())]
    NotPem {
        /// What is missing.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// The key belongs to another certificate.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    Foreign {
        /// The key's file.
        key: PathBuf,
        /// The certificate's.
        certificate: PathBuf,
    },
    /// One of the two cannot be used for TLS.
    #[error("what is in {} cannot be used for TLS: {source}", path.display())]
    Unusable {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// A certificate that is shown, and what it was read from.
#[derive(Debug)]
pub struct Certificate {
    files: CertificateFiles,
    /// What is shown.
    used: Pems,
    /// What was read last.
    read: Pems,
    shown: Arc<Shown>,
}

/// What the files hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pems {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What clients are shown, whoever they ask for: a node has one certificate.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Certificate {
    /// Reads the files. Blocks.
    pub fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let used = Pems::read(&files)?;
        let shown = Arc::new(Shown(ArcSwap::from_pointee(used.certified(&files)?)));
        Ok(Self { files, read: used.clone(), used, shown })
    }

    /// What is shown, now and later.
    pub fn shown(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Shown>::clone(&self.shown)
    }

    /// Shows what the files hold whenever that changes, until `stop`.
    pub async fn follow(mut self, stop: CancellationToken) {
        let mut ticks = interval(CERTIFICATE_CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let looked = tokio::task::spawn_blocking(move || {
                let outcome = self.look();
                (self, outcome)
            });
            let Ok((looked, outcome)) = looked.await else {
                error!("the certificate is not looked at any more; restart the node to show another one");
                return;
            };
            self = looked;
            told = tell(outcome, told.as_deref());
        }
    }

    /// Shows what the files hold; whether that is new.
    fn look(&mut self) -> Result<bool, CertificateError> {
        let read = Pems::read(&self.files)?;
        // Who writes files is given the time to end.
        let is_settled = read == self.read;
        self.read = read;
        if !is_settled || self.read == self.used {
            return Ok(false);
        }
        self.shown.0.store(Arc::new(self.read.certified(&self.files)?));
        self.used = self.read.clone();
        Ok(true)
    }
}

/// Tells of a look at the files, of the same trouble once; returns the trouble.
fn tell(outcome: Result<bool, CertificateError>, told: Option<&str>) -> Option<String> {
    match outcome {
        Ok(is_new) => {
            if is_new {
                info!("clients are shown the new certificate");
            }
            None
        }
        Err(error) => {
            let error = error.to_string();
            if told != Some(&error) {
                warn!(error, "the certificate has changed and cannot be used; the one before is still shown");
            }
            Some(error)
        }
    }
}

impl Pems {
    fn read(files: &CertificateFiles) -> Result<Self, CertificateError> {
        Ok(Self { certificate: bytes_of(&files.certificate)?, key: bytes_of(&files.key)? })
    }

    fn certified(&self, files: &CertificateFiles) -> Result<CertifiedKey, CertificateError> {
        let CertificateFiles { certificate, key } = files;
        let not_pem = |what, path: &PathBuf| {
            let path = path.clone();
            move |source| CertificateError::NotPem { what, path, source }
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
        let chain = chain.map_err(not_pem("certificate", certificate))?;
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(not_pem("private key", key))?;
        let unusable = |path: &PathBuf| {
            let path = path.clone();
            move |source| CertificateError::Unusable { path, source }
        };
        let private = ring::default_provider().key_provider.load_private_key(private).map_err(unusable(key))?;
        let certified = CertifiedKey::new(chain, private);
        match certified.keys_match() {
            Ok(()) => Ok(certified),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(CertificateError::Foreign { key: key.clone(), certificate: certificate.clone() })
            }
            Err(source) => Err(unusable(certificate)(source)),
        }
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |source| CertificateError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(CERTIFICATE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if read.map_err(unreadable)? as u64 > CERTIFICATE_BYTES_MAX {
        return Err(unreadable(io::Error::other(format!("it has more than {CERTIFICATE_BYTES_MAX} bytes"))));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
