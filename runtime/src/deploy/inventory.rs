//! What a node has, or shall have, as plain settings: two of these can be compared, and sent.
//!
//! It names tokens and secrets, and never holds one. It must not know the store, HTTP, or how anything is brought about.

mod trigger;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::trigger::{DestinationItem, RulesItem, TriggerItem};
use super::{IngestSpec, Manifest, ShardsSpec, StreamSpec, TokenSpec};
use crate::functions::{FunctionName, FunctionSettings, Version};
use crate::http::Origins;

/// Streams, functions and triggers by name, and who may put.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Streams.
    pub streams: BTreeMap<String, StreamItem>,
    /// Functions.
    pub functions: BTreeMap<String, FunctionItem>,
    /// Triggers.
    pub triggers: BTreeMap<String, TriggerItem>,
    /// Who may put over plain HTTP.
    pub ingest: IngestItem,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamItem {
    /// Shards that take records; none where the node sets their number.
    pub shards: Option<u64>,
    /// How long it keeps records, milliseconds.
    pub retention_ms: u64,
    /// How many bytes of them it keeps at most, if that is limited.
    pub retention_bytes: Option<u64>,
    /// What its shards take and give, if it says so: `unlimited` or `provisioned`.
    pub capacity: Option<String>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionItem {
    /// The SHA-256 of its wasm, hexadecimal.
    pub version: String,
    /// The memory that one instance may use, bytes.
    pub memory_bytes: u64,
    /// How long one call may take, milliseconds.
    pub timeout_ms: u64,
    /// What it may ask for by name.
    pub config: BTreeMap<String, String>,
    /// The streams that it may emit to.
    pub emit: Vec<String>,
}

/// Who may put over plain HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestItem {
    /// What the manifest calls the tokens: the variable, or how the digest begins.
    pub tokens: Vec<String>,
    /// The pages that may put; `*` is every page.
    pub origins: Vec<String>,
}

impl Inventory {
    /// What a manifest asks for. Its functions are those whose version is known.
    pub fn wanted(manifest: &Manifest, versions: &BTreeMap<FunctionName, Version>) -> Self {
        let function = |spec: &super::FunctionSpec| {
            let version = *versions.get(&spec.name)?;
            Some((spec.name.to_string(), FunctionItem::of(version, &spec.settings())))
        };
        let stream = |spec: &StreamSpec| (spec.name.as_str().to_owned(), StreamItem::of(spec));
        Self {
            streams: manifest.streams.iter().map(stream).collect(),
            functions: manifest.functions.iter().filter_map(function).collect(),
            triggers: TriggerItem::by_name(&manifest.triggers),
            ingest: IngestItem::of(&manifest.ingest),
        }
    }
}

impl StreamItem {
    fn of(spec: &StreamSpec) -> Self {
        let retention_ms = u64::try_from(spec.retention.as_millis()).unwrap_or(u64::MAX);
        let shards = match spec.shards {
            ShardsSpec::Provisioned(shards) => Some(shards.into()),
            ShardsSpec::OnDemand => None,
        };
        let capacity = spec.capacity.map(|capacity| capacity.name().to_owned());
        Self { shards, retention_ms, retention_bytes: spec.retention_bytes, capacity }
    }
}

impl FunctionItem {
    /// Of a version under its settings.
    pub fn of(version: Version, settings: &FunctionSettings) -> Self {
        Self {
            version: version.to_string(),
            memory_bytes: settings.memory_bytes as u64,
            timeout_ms: u64::try_from(settings.timeout.as_millis()).unwrap_or(u64::MAX),
            config: settings.config.clone(),
            emit: settings.emit.iter().map(|stream| stream.as_str().to_owned()).collect(),
        }
    }
}

impl IngestItem {
    /// Of what a manifest says.
    pub fn of(spec: &IngestSpec) -> Self {
        let token = |token: &TokenSpec| match token {
            TokenSpec::Variable(name) => format!("env {name}"),
            TokenSpec::Digest(digest) => format!("sha256 {}…", digest.beginning()),
        };
        let origins = match &spec.origins {
            Origins::Any => vec!["*".to_owned()],
            Origins::These(origins) => origins.iter().map(ToString::to_string).collect(),
        };
        Self { tokens: spec.tokens.iter().map(token).collect(), origins }
    }
}
