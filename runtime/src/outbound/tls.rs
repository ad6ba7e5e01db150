//! Which servers are trusted, and by what name.

use std::io;
use std::sync::Arc;

use tidemill_client::{NoTrust, roots_of_the_system, trusting};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Address;

/// Whom the system trusts.
pub(super) async fn of_the_system() -> Result<Arc<ClientConfig>, NoTrust> {
    let loaded = tokio::task::spawn_blocking(roots_of_the_system).await;
    let loaded = loaded.unwrap_or_else(|error| Err(NoTrust::NoRoots { first: format!(": {error}") }));
    Ok(Arc::new(trusting(loaded?)?))
}

/// What a server's certificate must name.
pub(super) fn name_of(address: &Address) -> io::Result<ServerName<'static>> {
    ServerName::try_from(address.host().to_owned()).map_err(io::Error::other)
}

#[cfg(test)]
#[path = "tls/tests.rs"]
mod tests;
