//! Whose certificate the node shows, and where that is.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tidemill_stream::clock::{Clock, Timestamp};
use tracing::info;

use super::{NodeOptions, TlsIdentity};
use crate::certificate::{Certificate, CertificateFiles, self_signed};
use crate::http::Tls;

/// Sets TLS up as the options say; a certificate of the node's own lies in `folder`.
pub(super) async fn set_up(
    options: &NodeOptions,
    folder: PathBuf,
    clock: &Clock,
) -> anyhow::Result<(Option<Tls>, Option<Certificate>)> {
    let Some(identity) = options.tls.clone() else { return Ok((None, None)) };
    // Clients' clocks go right, whatever this one is told.
    let (names, now) = (names(options), clock.now_elsewhere());
    let read = move || {
        let files = match identity {
            TlsIdentity::Given(files) => files,
            TlsIdentity::SelfSigned => own(&folder, &names, now)?,
        };
        anyhow::Ok(Certificate::load(files)?)
    };
    let certificate = tokio::task::spawn_blocking(read).await??;
    let tls = Tls::showing(certificate.shown()).context("TLS cannot be set up")?;
    Ok((Some(tls), Some(certificate)))
}

fn own(folder: &Path, names: &[String], now: Timestamp) -> anyhow::Result<CertificateFiles> {
    let files = self_signed(folder, names, now);
    let files = files.with_context(|| format!("--tls needs a certificate for {}", names.join(", ")))?;
    info!(certificate = %files.certificate.display(), "clients that check certificates must be told to trust the node's own");
    Ok(files)
}

/// What the node may be called by whoever asks it.
fn names(options: &NodeOptions) -> Vec<String> {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(Some(machine).filter(|machine| !machine.is_empty() && is_name(machine)));
    names.extend((!options.listen.ip().is_unspecified()).then(|| options.listen.ip().to_string()));
    names.extend(options.allowed_hosts.iter().cloned());
    names.sort();
    names.dedup();
    names
}
