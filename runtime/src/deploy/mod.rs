//! The manifest: the streams, functions and triggers that a node shall have.
//!
//! What a [`Manifest`] holds has been checked: every name is legal, every amount in its range, every trigger's stream
//! and function is there. This module must not know how any of it is brought about.

mod error;
mod fields;
mod ingest;
mod inventory;
mod legal;
mod plan;
mod read;
mod reference;
mod tree;
mod trigger;
mod units;
mod warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill_stream::capacity::Capacity;
use tidemill_stream::name::StreamName;

pub use self::error::{InvalidManifest, LoadError, Mistake, Place, Problem};
pub use self::inventory::{DestinationItem, FunctionItem, IngestItem, Inventory, RulesItem, StreamItem, TriggerItem};
pub use self::plan::{Action, Kind, Plan, Setting, Step};
pub use self::reference::reference;
pub use self::trigger::{DestinationSpec, Semantics, Start, TriggerRules, TriggerSpec};
pub(crate) use self::units::{parse_duration, parse_quota, print_duration};
use crate::functions::{FunctionName, FunctionSettings};
use crate::http::{Origins, TokenDigest};
use crate::limits;

/// What a node shall have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Streams, by name.
    pub streams: Vec<StreamSpec>,
    /// Functions, by name.
    pub functions: Vec<FunctionSpec>,
    /// Triggers, in the order of the file.
    pub triggers: Vec<TriggerSpec>,
    /// Who may put over plain HTTP.
    pub ingest: IngestSpec,
}

/// Who may put over plain HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestSpec {
    /// A request must bring one of these tokens; none at all: it needs no token.
    pub tokens: Vec<TokenSpec>,
    /// The pages that may put from a browser.
    pub origins: Origins,
}

/// Where a bearer token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSpec {
    /// From the environment variable of this name.
    Variable(String),
    /// Only its digest is known.
    Digest(TokenDigest),
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its name.
    pub name: StreamName,
    /// How many shards it has.
    pub shards: ShardsSpec,
    /// How long it keeps records.
    pub retention: Duration,
    /// How many bytes of them at most, if that is limited.
    pub retention_bytes: Option<u64>,
    /// What its shards take and give, if it says so.
    pub capacity: Option<Capacity>,
}

/// Who says how many shards a stream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardsSpec {
    /// The manifest.
    Provisioned(u32),
    /// The node.
    OnDemand,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionSpec {
    /// Its name.
    pub name: FunctionName,
    /// A crate folder to build, or a `.wasm` file; seen from where the node runs.
    pub path: PathBuf,
    /// The memory that one instance may use, bytes.
    pub memory_bytes: usize,
    /// How long one call may take.
    pub timeout: Duration,
    /// What the function may ask for by name.
    pub config: BTreeMap<String, String>,
    /// The streams that it may emit to.
    pub emit: BTreeSet<StreamName>,
}

impl FunctionSpec {
    /// How it is run.
    pub fn settings(&self) -> FunctionSettings {
        let Self { name: _, path: _, memory_bytes, timeout, config, emit } = self.clone();
        FunctionSettings { memory_bytes, timeout, config, emit }
    }
}

impl Manifest {
    /// Reads and checks a file. Paths in it are seen from the folder that it lies in.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(limits::MANIFEST_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > limits::MANIFEST_BYTES_MAX {
            let message = format!("it is larger than {} bytes", limits::MANIFEST_BYTES_MAX);
            return Err(unreadable(std::io::Error::other(message)));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self::parse(&path.display().to_string(), folder, &text)?)
    }

    /// Checks a text. `file` is what errors call it; paths in it are seen from `folder`.
    pub fn parse(file: &str, folder: &Path, text: &str) -> Result<Self, InvalidManifest> {
        read::manifest(folder, text).map_err(|mistakes| InvalidManifest { file: file.to_owned(), mistakes })
    }
}
