//! Who may connect to a node that is about to start.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use tidemill_stream::keys::Keyring;
use tracing::{info, warn};

use crate::encryption_keys;
use crate::http::{Access, Credentials};

/// The access keys in this file, or anyone.
pub(super) fn access(credentials: Option<&Path>) -> anyhow::Result<Access> {
    let Some(path) = credentials else { return Ok(Access::Anyone) };
    let keys = Credentials::load(path)?;
    warn_if_open(path);
    info!(keys = keys.count(), "requests must be signed");
    Ok(Access::Keys(Arc::new(keys)))
}

/// The encryption keys in this file, or none.
pub(super) fn encryption_keys(file: Option<&Path>, data: &Path) -> anyhow::Result<Keyring> {
    let Some(path) = file else { return Ok(Keyring::default()) };
    encryption_keys::check_apart(path, data)?;
    let keys = encryption_keys::load(path)?;
    warn_if_open(path);
    Ok(keys)
}

/// A file of keys is its owner's alone, or that is said.
pub(super) fn warn_if_open(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        warn!(path = %path.display(), "others can read the keys: chmod 600");
    }
}

/// Without keys anyone who can connect may do everything, so only this machine may connect unless the user says otherwise.
pub(super) fn check_exposure(ip: IpAddr, insecure: bool, has_keys: bool) -> anyhow::Result<()> {
    ensure!(
        ip.is_loopback() || insecure || has_keys,
        "listening on {ip} would let everyone who can reach this machine read and write: name the access keys that may with \
         --credentials, listen on 127.0.0.1, or say --insecure"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served_without_asking() {
        for (ip, insecure, allowed) in [
            ("127.0.0.1", false, true),
            ("::1", false, true),
            ("0.0.0.0", false, false),
            ("192.168.0.1", false, false),
            ("::", false, false),
            ("0.0.0.0", true, true),
        ] {
            assert!(check_exposure(ip.parse().unwrap(), insecure, true).is_ok());
            assert_eq!(check_exposure(ip.parse().unwrap(), insecure, false).is_ok(), allowed, "{ip} {insecure}");
        }
    }
}
