//! A function as one poller's lane calls it: one warm instance, one batch after another.
//!
//! This file promises that a call ends in time, that an instance that failed in a way that may have damaged it is never
//! used again, and that the next call after a deployment runs the new version. It must not know how a file became a
//! component.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;
use wasmtime::Store;
use wasmtime_wasi::I32Exit;

use super::component::bindings::Consumer;
use super::component::bindings::tidemill::function::types;
use super::component::describe;
use super::deploy::Deployment;
use super::invoke::{Invocation, Invoke, InvokeError};
use super::log::GuestLog;
use super::name::FunctionName;
use super::sandbox::{Guest, Sandbox};
use super::{limits, text};

/// Calls one function; whatever version of it is deployed.
pub struct FunctionLane {
    name: FunctionName,
    sandbox: Arc<Sandbox>,
    deployed: watch::Receiver<Option<Arc<Deployment>>>,
    /// Warm from the last call; `None` before the first one and after a failure that spoilt it.
    instance: Option<Instance>,
}

impl FunctionLane {
    pub(super) fn new(
        name: FunctionName,
        sandbox: Arc<Sandbox>,
        deployed: watch::Receiver<Option<Arc<Deployment>>>,
    ) -> Self {
        Self { name, sandbox, deployed, instance: None }
    }

    /// The function that is called.
    pub fn name(&self) -> &FunctionName {
        &self.name
    }

    /// The warm instance if it is of the version that is deployed now.
    fn take_instance(&mut self, deployment: &Arc<Deployment>) -> Option<Instance> {
        self.instance.take().filter(|instance| Arc::ptr_eq(&instance.deployment, deployment))
    }
}

#[async_trait::async_trait]
impl Invoke for FunctionLane {
    async fn invoke(&mut self, batch: &Invocation) -> Result<(), InvokeError> {
        let deployment = self.deployed.borrow().clone().ok_or_else(|| not_deployed(&self.name))?;
        let call = Call { warm: self.take_instance(&deployment), deployment, invocation: batch.clone() };
        let (instance, result) = self.sandbox.run(call.run()).await.ok_or_else(stopped)?;
        self.instance = instance;
        result
    }
}

fn not_deployed(name: &FunctionName) -> InvokeError {
    unavailable(format!("no function named '{name}' is deployed"))
}

fn stopped() -> InvokeError {
    unavailable("the node is stopping".to_owned())
}

fn unavailable(message: String) -> InvokeError {
    InvokeError::Unavailable { message }
}

/// Starts an instance and throws it away: whether a version can be called at all.
pub(super) async fn try_out(sandbox: &Sandbox, deployment: Arc<Deployment>) -> Result<(), InvokeError> {
    let limit = deployment.settings.timeout;
    let log = GuestLog::new(deployment.name.clone());
    let start = async move { within(limit, Instance::start(deployment, log)).await.map(drop) };
    sandbox.run(start).await.ok_or_else(stopped)?
}

/// One call, on the sandbox's threads.
struct Call {
    warm: Option<Instance>,
    deployment: Arc<Deployment>,
    invocation: Invocation,
}

impl Call {
    /// The outcome, and the instance if it can be used again.
    async fn run(self) -> (Option<Instance>, Result<(), InvokeError>) {
        let Self { warm, deployment, invocation } = self;
        let log = warm.as_ref().map_or_else(|| GuestLog::new(deployment.name.clone()), |instance| instance.log.clone());
        log.begin(&invocation);
        let limit = deployment.settings.timeout;
        let outcome = within(limit, async {
            let mut instance = match warm {
                Some(instance) => instance,
                None => Instance::start(deployment, log.clone()).await?,
            };
            let answer = instance.handle(&invocation).await?;
            Ok((instance, answer))
        })
        .await;
        log.end();
        match outcome {
            Ok((instance, answer)) => (Some(instance), answer),
            Err(error) => (None, Err(error)),
        }
    }
}

/// Runs guest code against the wall clock. Guests yield every few milliseconds, and host calls are futures, so whatever
/// the guest waits for, it ends here.
async fn within<T>(limit: Duration, guest: impl Future<Output = Result<T, InvokeError>>) -> Result<T, InvokeError> {
    time::timeout(limit, guest).await.unwrap_or(Err(InvokeError::TimedOut { limit }))
}

/// A started component.
struct Instance {
    store: Store<Guest>,
    world: Consumer,
    log: GuestLog,
    deployment: Arc<Deployment>,
}

impl Instance {
    async fn start(deployment: Arc<Deployment>, log: GuestLog) -> Result<Self, InvokeError> {
        let limit_bytes = deployment.settings.memory_bytes;
        let mut store = Guest::store(Arc::clone(&deployment), log.clone());
        match deployment.world.instantiate_async(&mut store).await {
            Ok(world) => Ok(Self { store, world, log, deployment }),
            Err(_) if store.data().is_out_of_memory() => Err(InvokeError::OutOfMemory { limit_bytes }),
            Err(error) => Err(unavailable(format!("it does not start: {}", reason(&error, &log)))),
        }
    }

    /// Calls the function. The outer error is one after which the instance must not be used again.
    async fn handle(&mut self, invocation: &Invocation) -> Result<Result<(), InvokeError>, InvokeError> {
        let records: Vec<_> = invocation.records.iter().map(record).collect();
        let shard = types::Shard { index: invocation.shard.0, created_seconds: invocation.shard_created.as_secs() };
        let batch = types::Batch {
            stream: invocation.stream.as_str(),
            shard,
            request_id: &invocation.request_id,
            attempt: invocation.attempt,
            records: &records,
        };
        match self.world.call_handle(&mut self.store, batch).await {
            Ok(Ok(())) => Ok(Ok(())),
            Ok(Err(message)) => {
                let message = text::clean(&message, limits::FAILURE_BYTES_MAX);
                Ok(Err(InvokeError::Failed { message }))
            }
            Err(error) => Err(self.trapped(&error)),
        }
    }

    fn trapped(&self, error: &wasmtime::Error) -> InvokeError {
        if self.store.data().is_out_of_memory() {
            return InvokeError::OutOfMemory { limit_bytes: self.deployment.settings.memory_bytes };
        }
        // Where it happened, for the function's author: offsets in the wasm file, no addresses of ours.
        self.log.message(tracing::Level::DEBUG, &format!("{error:?}"));
        InvokeError::Trapped { message: reason(error, &self.log) }
    }
}

fn record(record: &tidemill_stream::record::StoredRecord) -> types::Record<'_> {
    types::Record {
        position: record.position.0,
        arrival_ms: record.arrival.as_millis(),
        partition_key: record.partition_key.as_str(),
        data: &record.data,
    }
}

/// Why guest code stopped: its own last words if it had any, else what the engine says.
fn reason(error: &wasmtime::Error, log: &GuestLog) -> String {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return format!("it ended itself with exit code {code}");
    }
    log.last_words().unwrap_or_else(|| match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => describe(error),
    })
}
