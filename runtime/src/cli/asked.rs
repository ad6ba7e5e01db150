//! The node that a command asks, and what its user can do when the answer is an error.

use anyhow::anyhow;
use clap::Args;
use tidemill_client::{Client, ClientError};

/// The node that commands ask unless they are told another.
const NODE_DEFAULT: &str = "http://127.0.0.1:4567";

/// Which node.
#[derive(Debug, Clone, Args)]
pub(super) struct Asked {
    /// The node.
    #[arg(long = "node", value_name = "URL", default_value = NODE_DEFAULT)]
    pub(super) url: String,
}

impl Asked {
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.url).map_err(|error| self.failure(error))
    }

    /// An error of the node or of the way to it, and what to do.
    pub(super) fn failure(&self, error: ClientError) -> anyhow::Error {
        let url = &self.url;
        if error.is_endpoint_wrong() {
            return anyhow!("'{url}' is no node's URL; write it like {NODE_DEFAULT}");
        }
        if error.is_unreachable() {
            let cause = root_cause(&error);
            return anyhow!(
                "no node answers at {url} ({cause}); start one with 'tidemill serve', or name another with --node"
            );
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

    #[tokio::test]
    async fn an_address_that_nobody_serves_is_explained() {
        for (url, expected) in [
            ("http://127.0.0.1:1", "no node answers at http://127.0.0.1:1 (Connection refused"),
            ("orders", "'orders' is no node's URL; write it like http://127.0.0.1:4567"),
        ] {
            let asked = Asked { url: url.to_owned() };
            let error = asked.client().unwrap().list_streams().await.unwrap_err();
            let said = asked.stream_failure("orders", error).to_string();
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
