//! The node that a command asks, and what its user can do when the answer is an error.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tidemill_client::{AccessKey, Client, ClientError, is_secured};

/// The node that commands ask unless they are told another.
const NODE_DEFAULT: &str = "http://127.0.0.1:4567";

/// The region that is meant where none is named.
const REGION_DEFAULT: &str = "us-east-1";

/// Which node.
#[derive(Debug, Clone, Args)]
pub(super) struct Asked {
    /// The node.
    #[arg(long = "node", value_name = "URL", default_value = NODE_DEFAULT)]
    pub(super) url: String,
    /// The certificates that vouch for a node at https://, in PEM, instead of those that the system knows; without it the
    /// variable `AWS_CA_BUNDLE` counts. A node's own is tls/certificate.pem in its data folder.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_bundle: Option<PathBuf>,
}

/// The key in the variables that AWS's tools read.
fn access_key(variable: impl Fn(&str) -> Option<String>) -> Option<AccessKey> {
    let of = |name| variable(name).filter(|value| !value.is_empty());
    Some(AccessKey {
        id: of("AWS_ACCESS_KEY_ID")?,
        secret: of("AWS_SECRET_ACCESS_KEY")?,
        session_token: of("AWS_SESSION_TOKEN"),
        region: of("AWS_REGION").or_else(|| of("AWS_DEFAULT_REGION")).unwrap_or_else(|| REGION_DEFAULT.to_owned()),
    })
}

impl Asked {
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let client = match self.ca_bundle() {
            Some(path) if is_secured(&self.url) => {
                let shown = path.display();
                let pem = std::fs::read(&path).with_context(|| format!("cannot read the certificates in {shown}"))?;
                Client::with_ca_bundle(&self.url, &pem)
                    .with_context(|| format!("cannot use the certificates in {shown}"))?
            }
            _ => Client::new(&self.url).map_err(|error| self.failure(error))?,
        };
        Ok(match access_key(|name| std::env::var(name).ok()) {
            Some(key) => client.signing_with(key),
            None => client,
        })
    }

    fn ca_bundle(&self) -> Option<PathBuf> {
        let variable = || std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()).map(PathBuf::from);
        self.ca_bundle.clone().or_else(variable)
    }

    /// What the node says, if it says it in time.
    pub(super) async fn in_time<T>(&self, limit: Duration, answer: impl Future<Output = T>) -> anyhow::Result<T> {
        let answer = tokio::time::timeout(limit, answer).await;
        answer.map_err(|_| anyhow!("the node at {} did not answer within {} ms", self.url, limit.as_millis()))
    }

    /// An error of the node or of the way to it, and what to do.
    pub(super) fn failure(&self, error: ClientError) -> anyhow::Error {
        let url = &self.url;
        if error.is_endpoint_wrong() {
            return anyhow!("'{url}' is no node's URL; write it like {NODE_DEFAULT}");
        }
        if error.is_unreachable() {
            let cause = root_cause(&error);
            if cause.starts_with("invalid peer certificate") {
                return anyhow!(
                    "the node at {url} cannot be trusted ({cause}); --ca-bundle names the certificate that vouches for it"
                );
            }
            if cause.starts_with("received corrupt message") {
                return anyhow!("what answers at {url} does not speak TLS; ask http://, or start the node with --tls");
            }
            return anyhow!(
                "no node answers at {url} ({cause}); start one with 'tidemill serve', or name another with --node"
            );
        }
        if error.is_unsigned() {
            return anyhow!(
                "the node at {url} wants signed requests; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to one of its access keys"
            );
        }
        if matches!(error, ClientError::NoTrust(_)) {
            return anyhow!("{error}; or name the certificate that vouches for the node with --ca-bundle");
        }
        anyhow::Error::new(error)
    }

    /// The same, of a call that names a stream.
    pub(super) fn stream_failure(&self, stream: &str, error: ClientError) -> anyhow::Error {
        if error.is_not_found() {
            return anyhow!(
                "there is no stream '{stream}' at {}; 'tidemill stream list' shows those there are, and 'tidemill stream \
                 create {stream}' makes this one",
                self.url
            );
        }
        self.failure(error)
    }
}

/// A span of time on the command line.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    span.filter(|span| !span.is_zero())
        .ok_or_else(|| format!("'{text}' is no span of time; write one like 500ms, 5s or 1m"))
}

/// The first cause, which says most: the layers above it only say that they failed.
pub(super) fn root_cause(error: &ClientError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Node, NodeOptions, Place, TlsIdentity};

    #[tokio::test(start_paused = true)]
    async fn a_node_that_hangs_is_given_up() {
        let asked = Asked { url: "http://127.0.0.1:1".to_owned(), ca_bundle: None };
        let error = asked.in_time(Duration::from_secs(5), std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(error.to_string(), "the node at http://127.0.0.1:1 did not answer within 5000 ms");
    }

    #[test]
    fn spans_have_their_unit() {
        assert_eq!((span("5s"), span("500ms")), (Ok(Duration::from_secs(5)), Ok(Duration::from_millis(500))));
        for bad in ["5", "0s", "-1s", "soon", ""] {
            assert!(span(bad).unwrap_err().contains("like 500ms"), "{bad}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_with_tls_is_asked_when_its_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().join("data"));
        let tls = Some(TlsIdentity::SelfSigned);
        let node = Node::start(NodeOptions { place, tls, ..NodeOptions::in_memory() }).await.unwrap();
        let plain = Node::start(NodeOptions::in_memory()).await.unwrap();
        let named = Some(folder.path().join("data/tls/certificate.pem"));
        let foreign = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/outbound/tls/certificate.pem"));
        let ask = async |scheme: &str, node: &Node, ca_bundle: &Option<PathBuf>| {
            let asked = Asked { url: format!("{scheme}://{}", node.address()), ca_bundle: ca_bundle.clone() };
            let streams = asked.client().unwrap().list_streams().await;
            streams.map_err(|error| asked.failure(error).to_string())
        };
        for (scheme, ca_bundle) in [("https", &named), ("HTTPS", &named), ("http", &None), ("http", &foreign)] {
            assert_eq!(ask(scheme, &node, ca_bundle).await, Ok(Vec::new()), "{scheme} {ca_bundle:?}");
        }
        let said = ask("https", &node, &foreign).await.unwrap_err();
        assert!(said.contains("cannot be trusted (invalid peer certificate") && said.contains("--ca-bundle"), "{said}");
        let said = ask("https", &plain, &named).await.unwrap_err();
        assert!(said.contains("does not speak TLS"), "{said}");
        for (ca_bundle, expected) in
            [("/nowhere", "cannot read the certificates in /nowhere"), ("Cargo.toml", "cannot use")]
        {
            let asked = Asked { url: "https://127.0.0.1:1".to_owned(), ca_bundle: Some(ca_bundle.into()) };
            assert!(asked.client().unwrap_err().to_string().starts_with(expected));
        }
        node.stop().await;
        plain.stop().await;
    }

    #[tokio::test]
    async fn an_address_that_nobody_serves_is_explained() {
        for (url, expected) in [
            ("http://127.0.0.1:1", "no node answers at http://127.0.0.1:1 (Connection refused"),
            ("orders", "'orders' is no node's URL; write it like http://127.0.0.1:4567"),
        ] {
            let asked = Asked { url: url.to_owned(), ca_bundle: None };
            let error = asked.client().unwrap().list_streams().await.unwrap_err();
            let said = asked.stream_failure("orders", error).to_string();
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
