//! From what the manifest says of plain HTTP to what the door judges by: tokens come from the environment here.

use anyhow::{Context as _, anyhow};

use crate::deploy::{IngestSpec, TokenSpec};
use crate::http::{IngestSettings, TokenDigest};

/// The settings, or which variable is missing.
pub(super) fn settings(spec: &IngestSpec) -> anyhow::Result<IngestSettings> {
    let tokens: anyhow::Result<Vec<TokenDigest>> = spec.tokens.iter().map(token).collect();
    Ok(IngestSettings { tokens: tokens?, origins: spec.origins.clone() })
}

fn token(spec: &TokenSpec) -> anyhow::Result<TokenDigest> {
    match spec {
        TokenSpec::Digest(digest) => Ok(digest.clone()),
        TokenSpec::Variable(name) => {
            let token = std::env::var(name).map_err(|error| {
                anyhow!("ingest.tokens names the environment variable '{name}': {error}; set it before the node starts")
            })?;
            TokenDigest::of_token(&token).with_context(|| format!("the environment variable '{name}' is no token"))
        }
    }
}
