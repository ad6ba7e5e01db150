//! Putting a version of a function in place.
//!
//! This file promises that a version is in place only when it can be called, that lanes learn of it at once, and that
//! deploying what is there already changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidemill_stream::name::StreamName;

use super::component::{Compiled, WasmError};
use super::invoke::InvokeError;
use super::name::{FunctionName, Version};
use super::recent::FunctionLog;
use super::world::{Linked, World};
use super::{Functions, forget_unused, lane, limits};

/// What a deployment chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionSettings {
    /// The memory that one instance may have, in bytes.
    pub memory_bytes: usize,
    /// How long one call may take.
    pub timeout: Duration,
    /// What the function reads with `config.get`.
    pub config: BTreeMap<String, String>,
    /// The streams that it may emit to.
    pub emit: BTreeSet<StreamName>,
}

impl Default for FunctionSettings {
    /// 64 MiB, 5 s, no configuration, nothing to emit to.
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, timeout: Duration::from_secs(5), config: BTreeMap::new(), emit: BTreeSet::new() }
    }
}

/// A version of a function with its settings, ready to be called.
pub struct Deployment {
    pub(super) name: FunctionName,
    pub(super) version: Version,
    pub(super) settings: FunctionSettings,
    pub(super) linked: Linked,
    pub(super) log: FunctionLog,
}

impl Deployment {
    /// Which wasm file it is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What it is written for.
    pub fn world(&self) -> World {
        self.linked.world()
    }

    /// How it is run.
    pub fn settings(&self) -> &FunctionSettings {
        &self.settings
    }
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, settings, linked, log: _ } = self;
        let mut shown = f.debug_struct("Deployment");
        shown.field("name", name).field("version", version).field("world", &linked.world());
        shown.field("settings", settings).finish()
    }
}

/// A deployment went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployed {
    /// The version that is in place now.
    pub version: Version,
    /// What had to be done for it.
    pub origin: Origin,
}

impl Deployed {
    /// Whether nothing had to be compiled.
    pub fn from_cache(&self) -> bool {
        match self.origin {
            Origin::Unchanged | Origin::Cache => true,
            Origin::Compiled { .. } => false,
        }
    }
}

/// Where a deployed version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was in place already, with the same settings.
    Unchanged,
    /// It had been compiled before.
    Cache,
    /// It was compiled.
    Compiled {
        /// How long that took.
        took: Duration,
    },
}

/// Why a function was not deployed. What was in place stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// The file is no function.
    #[error(transparent)]
    Wasm(#[from] WasmError),
    /// The function does not start.
    #[error(transparent)]
    Start(InvokeError),
    /// The memory is out of range.
    #[error("a memory of {given} bytes is out of range: choose {} to {}", range.start(), range.end())]
    Memory {
        /// What was chosen.
        given: usize,
        /// What can be chosen.
        range: RangeInclusive<usize>,
    },
    /// The timeout is out of range.
    #[error("a timeout of {given:?} is out of range: choose {:?} to {:?}", range.start(), range.end())]
    Timeout {
        /// What was chosen.
        given: Duration,
        /// What can be chosen.
        range: RangeInclusive<Duration>,
    },
    /// The configuration is too large.
    #[error("the configuration has {bytes} bytes of names and values; a function may have {max}")]
    Config {
        /// What it has.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// The node has too many functions.
    #[error("the node has {max} functions, which is the most that it takes")]
    TooMany {
        /// How many it takes.
        max: usize,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl Functions {
    /// Puts a version in place: compiled if need be, started once to see that it can be, then published to the lanes.
    /// Deployments take their turns, so of two for one name the later one stays.
    pub async fn deploy(
        &self,
        name: &FunctionName,
        wasm: Bytes,
        settings: FunctionSettings,
    ) -> Result<Deployed, DeployError> {
        check(&settings)?;
        let (turn, compiled) = self.0.workshop.compile(wasm).await.ok_or(DeployError::Stopping)?;
        let Compiled { version, linked, compile_time } = compiled?;
        if self.is_in_place(name, version, &settings) {
            return Ok(Deployed { version, origin: Origin::Unchanged });
        }
        // That of a function which is not in place yet is published with it: what a failed start says is in the node's log.
        let log = self.log(name).unwrap_or_else(|| FunctionLog::new(self.0.clock.clone()));
        let deployment = Arc::new(Deployment { name: name.clone(), version, settings, linked, log });
        let trial = lane::try_out(&self.0.sandbox, &self.0.places, Arc::clone(&deployment));
        trial.await.map_err(DeployError::Start)?;
        self.publish(deployment)?;
        drop(turn);
        let origin = compile_time.map_or(Origin::Cache, |took| Origin::Compiled { took });
        tracing::info!(function = %name, %version, ?origin, "function deployed");
        Ok(Deployed { version, origin })
    }

    fn is_in_place(&self, name: &FunctionName, version: Version, settings: &FunctionSettings) -> bool {
        let same = |there: &Arc<Deployment>| there.version == version && there.settings == *settings;
        self.0.slots.lock().get(name).is_some_and(|slot| slot.borrow().as_ref().is_some_and(same))
    }

    fn publish(&self, deployment: Arc<Deployment>) -> Result<(), DeployError> {
        let max = limits::FUNCTIONS_MAX;
        let mut slots = self.0.slots.lock();
        forget_unused(&mut slots);
        if slots.len() >= max && !slots.contains_key(&deployment.name) {
            return Err(DeployError::TooMany { max });
        }
        let slot = slots.entry(deployment.name.clone()).or_insert_with(|| tokio::sync::watch::channel(None).0);
        self.0.logs.set(deployment.name.clone(), deployment.log.clone());
        slot.send_replace(Some(deployment));
        Ok(())
    }
}

fn check(settings: &FunctionSettings) -> Result<(), DeployError> {
    let FunctionSettings { memory_bytes, timeout, config, emit: _ } = settings;
    let range = limits::MEMORY_BYTES_MIN..=limits::MEMORY_BYTES_MAX;
    if !range.contains(memory_bytes) {
        return Err(DeployError::Memory { given: *memory_bytes, range });
    }
    let range = Duration::from_millis(limits::TIMEOUT_MS_MIN)..=Duration::from_millis(limits::TIMEOUT_MS_MAX);
    if !range.contains(timeout) {
        return Err(DeployError::Timeout { given: *timeout, range });
    }
    let (bytes, max) = (config.iter().map(|(name, value)| name.len() + value.len()).sum(), limits::CONFIG_BYTES_MAX);
    if bytes > max {
        return Err(DeployError::Config { bytes, max });
    }
    Ok(())
}
