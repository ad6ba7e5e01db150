//! A function as one poller's lane calls it: one instance, warm while the node has room for it, one batch after another.
//!
//! This file promises that a call ends in time once it has a place, that an instance that failed in a way that may have
//! damaged it is never used again, and that the next call after a deployment runs the new version. It must not know how
//! a file became a component.

use std::sync::Arc;
use std::time::Duration;

use tidemill_stream::clock::{Clock, Timestamp};
use tokio::sync::watch;
use tokio::time;
use wasmtime::Store;
use wasmtime_wasi::I32Exit;

use super::component::describe;
use super::deploy::Deployment;
use super::invoke::{Answer, Invocation, Invoke, InvokeError};
use super::log::GuestLog;
use super::name::FunctionName;
use super::place::{Place, Places, Stay};
use super::sandbox::{Guest, Sandbox};
use super::world::Started;

/// Calls one function; whatever version of it is deployed.
pub struct FunctionLane {
    name: FunctionName,
    sandbox: Arc<Sandbox>,
    places: Arc<Places>,
    clock: Clock,
    deployed: watch::Receiver<Option<Arc<Deployment>>>,
    /// Warm from the last call; `None` before the first one, after a failure that spoilt it, and when it had its place for
    /// one call only.
    instance: Option<Instance>,
}

impl FunctionLane {
    pub(super) fn new(
        name: FunctionName,
        sandbox: Arc<Sandbox>,
        places: Arc<Places>,
        clock: Clock,
        deployed: watch::Receiver<Option<Arc<Deployment>>>,
    ) -> Self {
        Self { name, sandbox, places, clock, deployed, instance: None }
    }

    /// The function that is called.
    pub fn name(&self) -> &FunctionName {
        &self.name
    }

    /// The warm instance if it is of the version that is deployed now, or else a place for a new one. Waiting for it is
    /// no part of the call, so it does not count against the function's time limit.
    async fn vessel(&mut self, deployment: &Arc<Deployment>) -> Result<Vessel, InvokeError> {
        match self.instance.take().filter(|instance| Arc::ptr_eq(&instance.deployment, deployment)) {
            Some(instance) => Ok(Vessel::Warm(instance)),
            None => self.places.take().await.map(Vessel::Cold).map_err(|_| stopped()),
        }
    }
}

#[async_trait::async_trait]
impl Invoke for FunctionLane {
    async fn invoke(&mut self, batch: &Invocation) -> Result<Answer, InvokeError> {
        let deployment = self.deployed.borrow().clone().ok_or_else(|| not_deployed(&self.name))?;
        let vessel = self.vessel(&deployment).await?;
        let deadline = self.clock.now().plus(deployment.settings.timeout);
        let call = Call { vessel, deployment, deadline, invocation: batch.clone() };
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
pub(super) async fn try_out(
    sandbox: &Sandbox,
    places: &Places,
    deployment: Arc<Deployment>,
) -> Result<(), InvokeError> {
    let place = places.take_for_trial().await.map_err(|_| stopped())?;
    let limit = deployment.settings.timeout;
    let log = GuestLog::new(&deployment);
    let start = async move { within(limit, Instance::start(place, deployment, log)).await.map(drop) };
    sandbox.run(start).await.ok_or_else(stopped)?
}

/// One call, on the sandbox's threads.
struct Call {
    vessel: Vessel,
    deployment: Arc<Deployment>,
    /// What the function is told; a moment before it is stopped.
    deadline: Timestamp,
    invocation: Invocation,
}

/// What a call runs in.
enum Vessel {
    Warm(Instance),
    Cold(Place),
}

impl Vessel {
    fn log(&self, deployment: &Deployment) -> GuestLog {
        match self {
            Self::Warm(instance) => instance.log.clone(),
            Self::Cold(_) => GuestLog::new(deployment),
        }
    }
}

impl Call {
    /// The outcome, and the instance if it can be used again.
    async fn run(self) -> (Option<Instance>, Result<Answer, InvokeError>) {
        let Self { vessel, deployment, deadline, invocation } = self;
        let log = vessel.log(&deployment);
        log.begin(&invocation);
        let limit = deployment.settings.timeout;
        let outcome = within(limit, async {
            let mut instance = match vessel {
                Vessel::Warm(instance) => instance,
                Vessel::Cold(place) => Instance::start(place, deployment, log.clone()).await?,
            };
            let answer = instance.handle(&invocation, deadline).await?;
            Ok((instance, answer))
        })
        .await;
        let (instance, answer) = match outcome {
            Ok((instance, answer)) => (instance.kept(), answer),
            Err(error) => (None, Err(error)),
        };
        log.end(answer.as_ref().err());
        (instance, answer)
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
    started: Started,
    log: GuestLog,
    deployment: Arc<Deployment>,
    /// Last, so that it is given back after everything that it is for is gone.
    place: Place,
}

impl Instance {
    async fn start(place: Place, deployment: Arc<Deployment>, log: GuestLog) -> Result<Self, InvokeError> {
        let limit_bytes = deployment.settings.memory_bytes;
        let mut store = Guest::store(Arc::clone(&deployment), log.clone());
        match deployment.linked.start(&mut store).await {
            Ok(started) => Ok(Self { store, started, log, deployment, place }),
            Err(_) if store.data().is_out_of_memory() => Err(InvokeError::OutOfMemory { limit_bytes }),
            Err(error) => Err(unavailable(format!("it does not start: {}", reason(&error, &log)))),
        }
    }

    /// Itself if it may stay for the next call.
    fn kept(self) -> Option<Self> {
        match self.place.stay() {
            Stay::Kept => Some(self),
            Stay::OneCall => None,
        }
    }

    /// Calls the function. The outer error is one after which the instance must not be used again.
    async fn handle(
        &mut self,
        invocation: &Invocation,
        deadline: Timestamp,
    ) -> Result<Result<Answer, InvokeError>, InvokeError> {
        let called = self.started.call(&mut self.store, invocation, deadline).await;
        let emitted = self.store.data_mut().take_emitted();
        match called {
            Ok(reply) => Ok(reply.map(|reply| Answer { emitted, reply })),
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

/// Why guest code stopped: its own last words if it trapped and had any, else what the engine says.
fn reason(error: &wasmtime::Error, log: &GuestLog) -> String {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return format!("it ended itself with exit code {code}");
    }
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => log.last_words().unwrap_or_else(|| trap.to_string()),
        None => describe(error),
    }
}
