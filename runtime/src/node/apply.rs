//! Making the node what a manifest says: planned first, and carried out just as planned.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use tidemill_stream::create::CreateStreamError;
use tidemill_stream::limits::ON_DEMAND_SHARDS_MIN;
use tidemill_stream::name::StreamName;
use tidemill_stream::reshard::{ReshardError, Scale};
use tidemill_stream::retention::RetentionChange;
use tidemill_stream::stream::StreamMode;
use tracing::{error, info, warn};

use super::{ByName, Node, ingest};
use crate::deploy::{Action, FunctionSpec, Inventory, Kind, Manifest, Plan, ShardsSpec, StreamSpec};
use crate::functions::limits::WASM_BYTES_MAX;
use crate::functions::{FunctionName, Version};
use crate::trigger::ApplyError;

impl Node {
    /// Makes the node what the manifest says; every function's path must be a `.wasm` file. Returns what that was.
    ///
    /// It is planned first, and just what is in the plan is carried out: applying the same twice changes nothing. What can
    /// be found wrong beforehand changes nothing either, and a function that cannot be deployed takes those before it
    /// back. Streams that the manifest does not name stay: they hold data.
    pub async fn apply(&mut self, manifest: &Manifest) -> anyhow::Result<Plan> {
        let ingest = ingest::settings(&manifest.ingest)?;
        let functions = read_functions(&manifest.functions).await?;
        let plan = Plan::between(&self.inventory(), &Inventory::wanted(manifest, &versions(&functions).await?));
        for warning in manifest.warnings() {
            warn!("{warning}");
        }
        log(&plan);
        if plan.has_changes() || !self.present.is_applied() {
            self.carry_out(&plan, manifest, functions).await?;
        }
        self.ingest.set(ingest);
        self.present.set(manifest);
        Ok(plan)
    }

    /// Whether the node has applied nothing yet: then what a client did to a stream meanwhile is no reason to stay down.
    fn is_starting(&self) -> bool {
        !self.present.is_applied()
    }

    async fn carry_out(&self, plan: &Plan, manifest: &Manifest, functions: ByName) -> anyhow::Result<()> {
        let changed = self.deploy(plan, &functions).await?;
        if let Err(error) = self.streams(plan, &manifest.streams).await {
            self.take_back(&changed).await;
            return Err(error);
        }
        match self.triggers.apply(manifest.triggers.clone()).await {
            // Each is in the log, and is tried again until it succeeds: the others go on without it.
            Ok(()) | Err(ApplyError::Failed(_)) => {}
            Err(error @ ApplyError::Stopped) => return Err(error.into()),
        }
        self.remove_others(&functions);
        *self.deployed.lock() = functions;
        Ok(())
    }

    async fn streams(&self, plan: &Plan, specs: &[StreamSpec]) -> anyhow::Result<()> {
        for spec in specs {
            let is_planned = |action| plan.does(action, Kind::Stream, spec.name.as_str());
            if is_planned(Action::Add) {
                self.create_stream(spec).await?;
            } else if is_planned(Action::Change) {
                self.change_stream(spec).await?;
            }
        }
        Ok(())
    }

    async fn change_stream(&self, spec: &StreamSpec) -> anyhow::Result<()> {
        match self.bring_about(spec).await {
            Err(error) if self.is_starting() => {
                warn!(error = format!("{error:#}"), "the node starts with the stream as it is");
                Ok(())
            }
            changed => changed,
        }
    }

    async fn bring_about(&self, spec: &StreamSpec) -> anyhow::Result<()> {
        let StreamSpec { name, shards, retention, retention_bytes, capacity } = spec;
        self.bring_to(name, *shards)
            .await
            .with_context(|| format!("cannot change the shards of the stream '{name}'"))?;
        let changed = async {
            self.store.set_retention(name, RetentionChange::To(*retention)).await?;
            self.store.set_retention_bytes(name, *retention_bytes).await
        };
        changed.await.with_context(|| format!("cannot change the retention of the stream '{name}'"))?;
        let changed = self.store.set_capacity(name, *capacity).await;
        changed.map(drop).with_context(|| format!("cannot change the capacity of the stream '{name}'"))
    }

    async fn bring_to(&self, name: &StreamName, shards: ShardsSpec) -> Result<(), ReshardError> {
        match shards {
            ShardsSpec::OnDemand => self.store.set_mode(name, StreamMode::OnDemand).await.map(drop),
            ShardsSpec::Provisioned(shards) => {
                self.store.set_mode(name, StreamMode::Provisioned).await?;
                self.store.update_shard_count(name, shards, Scale::Any).await.map(drop)
            }
        }
    }

    async fn create_stream(&self, spec: &StreamSpec) -> anyhow::Result<()> {
        let StreamSpec { name, shards, retention, retention_bytes, capacity } = spec;
        let (shards, mode) = match *shards {
            ShardsSpec::Provisioned(shards) => (shards, StreamMode::Provisioned),
            ShardsSpec::OnDemand => (ON_DEMAND_SHARDS_MIN, StreamMode::OnDemand),
        };
        let failed = || format!("cannot create the stream '{name}'");
        match self.store.create_stream(name, shards, mode, *retention).await {
            Ok(_) | Err(CreateStreamError::Exists(_)) => {} // or a client was faster
            Err(error) => return Err(error).with_context(failed),
        }
        if retention_bytes.is_some() {
            self.store.set_retention_bytes(name, *retention_bytes).await.with_context(failed)?;
        }
        if capacity.is_some() {
            self.store.set_capacity(name, *capacity).await.with_context(failed)?;
        }
        Ok(())
    }

    /// Deploys the functions that are new or changed, or none of them. Returns their names.
    async fn deploy(&self, plan: &Plan, functions: &ByName) -> anyhow::Result<Vec<FunctionName>> {
        let mut changed = Vec::new();
        let is_planned = |name: &FunctionName| {
            [Action::Add, Action::Change].iter().any(|action| plan.does(*action, Kind::Function, name.as_str()))
        };
        for (name, (wasm, settings)) in functions.iter().filter(|(name, _)| is_planned(name)) {
            match self.functions.deploy(name, wasm.clone(), settings.clone()).await {
                Ok(_) => changed.push(name.clone()),
                Err(error) => {
                    self.take_back(&changed).await;
                    return Err(error).with_context(|| format!("cannot deploy the function '{name}'"));
                }
            }
        }
        Ok(changed)
    }

    async fn take_back(&self, changed: &[FunctionName]) {
        for name in changed {
            let old = self.deployed.lock().get(name).cloned();
            let Some((wasm, settings)) = old else {
                self.functions.remove(name);
                continue;
            };
            if let Err(error) = self.functions.deploy(name, wasm, settings).await {
                error!(function = %name, error = %error, "the function could not be set back to its old version");
            }
        }
    }

    fn remove_others(&self, wanted: &ByName) {
        let deployed = self.deployed.lock();
        for name in deployed.keys().filter(|name| !wanted.contains_key(*name)) {
            self.functions.remove(name);
        }
    }
}

/// What is done, line by line.
fn log(plan: &Plan) {
    if !plan.has_changes() {
        info!("the manifest is applied: nothing changes");
        return;
    }
    for step in &plan.steps {
        info!("{step}");
    }
    let (new, changed) = (plan.count(Action::Add), plan.count(Action::Change));
    let removed = plan.count(Action::Remove);
    info!(new, changed, removed, unchanged = plan.unchanged, "the manifest is being applied");
}

/// The `.wasm` files of the manifest.
pub(crate) async fn read_functions(specs: &[FunctionSpec]) -> anyhow::Result<ByName> {
    let mut functions = BTreeMap::new();
    for spec in specs {
        let wasm = read_wasm(spec).await.with_context(|| format!("function '{}'", spec.name))?;
        functions.insert(spec.name.clone(), (wasm, spec.settings()));
    }
    Ok(functions)
}

/// The versions of functions. Hashing is work for another thread.
pub(crate) async fn versions(functions: &ByName) -> anyhow::Result<BTreeMap<FunctionName, Version>> {
    let files: Vec<(FunctionName, Bytes)> =
        functions.iter().map(|(name, (wasm, _))| (name.clone(), wasm.clone())).collect();
    let hash = move || files.into_iter().map(|(name, wasm)| (name, Version::of(&wasm))).collect();
    Ok(tokio::task::spawn_blocking(hash).await?)
}

async fn read_wasm(spec: &FunctionSpec) -> anyhow::Result<Bytes> {
    let path = spec.path.display();
    let metadata = tokio::fs::metadata(&spec.path).await.with_context(|| format!("cannot read {path}"))?;
    ensure!(metadata.is_file(), "{path} is no .wasm file");
    let bytes = metadata.len();
    ensure!(bytes <= WASM_BYTES_MAX as u64, "{path} has {bytes} bytes; a function has at most {WASM_BYTES_MAX}");
    let wasm = tokio::fs::read(&spec.path).await.with_context(|| format!("cannot read {path}"))?;
    Ok(wasm.into())
}
