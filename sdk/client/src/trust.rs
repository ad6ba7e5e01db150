//! Which servers are trusted.
//!
//! Promises that a server is believed to be who it says only where one of these authorities vouches for it. It must not
//! know what is asked of it.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// It is not known which servers can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum NoTrust {
    /// The system knows no authorities.
    #[error(
        "this system has no certificates of authorities, which https:// needs: install them (the package is often called \
         ca-certificates) or name a file of them in SSL_CERT_FILE{first}"
    )]
    NoRoots {
        /// What went wrong first, behind a colon.
        first: String,
    },
    /// What was given as certificates is none.
    #[error("these are no certificates in PEM, beginning with -----BEGIN CERTIFICATE-----")]
    NotPem,
    /// The library for TLS refuses.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Whom the system trusts: its store of certificates, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Reads files.
pub fn roots_of_the_system() -> Result<RootCertStore, NoTrust> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let first = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(NoTrust::NoRoots { first });
    }
    Ok(roots)
}

/// The authorities in a text of PEM.
pub(crate) fn roots_in(pem: &[u8]) -> Result<RootCertStore, NoTrust> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|_| NoTrust::NotPem)?)?;
    }
    if roots.is_empty() { Err(NoTrust::NotPem) } else { Ok(roots) }
}

/// Trusts those that these vouch for.
pub fn trusting(roots: RootCertStore) -> Result<ClientConfig, NoTrust> {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let versions = versions.with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
