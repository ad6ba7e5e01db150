//! Whose certificate the node shows, and where that is.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tidemill_stream::clock::Clock;
use tracing::info;

use super::{NodeOptions, TlsIdentity};
use crate::certificate::{Certificate, CertificateFiles, self_signed};
use crate::http::Tls;

/// Sets TLS up as this says; a certificate of the node's own lies in `folder`.
pub(super) async fn set_up(
    identity: TlsIdentity,
    options: &NodeOptions,
    folder: PathBuf,
    clock: &Clock,
) -> anyhow::Result<(Tls, Certificate)> {
    let (names, now) = (names(options), SystemTime::UNIX_EPOCH + Duration::from_millis(clock.now().as_millis()));
    let read = move || {
        let files = match identity {
            TlsIdentity::Given(files) => files,
            TlsIdentity::SelfSigned => own(&folder, &names, now)?,
        };
        anyhow::Ok(Certificate::load(files)?)
    };
    let certificate = tokio::task::spawn_blocking(read).await??;
    let tls = Tls::showing(certificate.shown()).context("TLS cannot be set up")?;
    Ok((tls, certificate))
}

fn own(folder: &Path, names: &[String], now: SystemTime) -> anyhow::Result<CertificateFiles> {
    let files = self_signed(folder, names, now)?;
    info!(certificate = %files.certificate.display(), "clients that check certificates must be told to trust the node's own");
    Ok(files)
}

/// What the node may be called by whoever asks it.
fn names(options: &NodeOptions) -> Vec<String> {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), machine];
    names.extend((!options.listen.ip().is_unspecified()).then(|| options.listen.ip().to_string()));
    names.extend(options.allowed_hosts.iter().cloned());
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}
