//! Which servers are trusted.

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::Address;

/// It is not known which servers can be trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTrust {
    #[error(
        "this system has no certificates of authorities, which https:// needs: install them (the package is often called \
         ca-certificates) or name a file of them in SSL_CERT_FILE{first}"
    )]
    NoRoots { first: String },
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Whom the system trusts: its store of certificates, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
pub(super) async fn of_the_system() -> Result<Arc<ClientConfig>, NoTrust> {
    let loaded = tokio::task::spawn_blocking(roots_of_the_system).await;
    trusting(loaded.unwrap_or_else(|error| Err(NoTrust::NoRoots { first: format!(": {error}") }))?)
}

fn roots_of_the_system() -> Result<RootCertStore, NoTrust> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let first = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(NoTrust::NoRoots { first });
    }
    Ok(roots)
}

/// Trusts those that these vouch for.
pub(super) fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, NoTrust> {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(Arc::new(versions.with_root_certificates(roots).with_no_client_auth()))
}

/// What a server's certificate must name.
pub(super) fn name_of(address: &Address) -> io::Result<ServerName<'static>> {
    ServerName::try_from(address.host().to_owned()).map_err(io::Error::other)
}

#[cfg(test)]
#[path = "tls/tests.rs"]
mod tests;
