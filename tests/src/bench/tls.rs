//! What TLS costs: the same puts to the same node, with it and without.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tidemill_client::trusting;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::figure::Figure;
use super::http::{Call, MANIFEST, ROUND};
use super::rounds::{Pairs, rounds};
use super::{MB, PUT_RECORDS, RECORD_BYTES, ROUNDS};
use crate::node::Setup;

pub(super) const NAMES: [&str; 1] = ["tls.put_records.500x1KiB"];

pub(super) async fn run(folder: &Path) -> Result<Vec<Figure>> {
    let mut setup = Setup::new(folder, MANIFEST)?;
    setup.options.push("--tls".to_owned());
    let node = setup.start()?;
    let plain = Call::PutRecords.load()?;
    let mut secured = plain.clone();
    secured.tls = Some(trusting_own(&setup)?);
    for load in [&plain, &secured] {
        load.calls_per_second(node.address(), ROUND).await?; // warms both up
    }
    let [name] = NAMES;
    let mut pairs = Pairs::default();
    for _ in rounds(name, ROUNDS) {
        let limit = plain.calls_per_second(node.address(), ROUND).await?;
        pairs.note(limit, secured.calls_per_second(node.address(), ROUND).await?);
    }
    node.stop()?;
    let call_mb = (PUT_RECORDS * RECORD_BYTES) as f64 / MB;
    Ok(vec![Figure::new(name, pairs.value()? * call_mb, "MB/s").with_limit(pairs.limit()? * call_mb)])
}

/// Trusts the certificate that the node has made.
fn trusting_own(setup: &Setup) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&fs::read(setup.data().join("tls/certificate.pem"))?)?)?;
    Ok(Arc::new(trusting(roots)?))
}
