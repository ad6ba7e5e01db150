//! Functions: WebAssembly components that handle batches of records.
//!
//! This room promises that a function gets a batch as the world of `sdk/wit` that it is written for says, under the limits of its deployment, and that
//! whatever it does (loop, panic, eat memory, flood the log) ends as one failed call of its own and harms nobody else.
//! wasmtime is known here and nowhere else. It must not know of HTTP, triggers, retries and cursors.
//!
//! ```no_run
//! # async fn example(wasm: bytes::Bytes, batch: tidemill::functions::Invocation) -> anyhow::Result<()> {
//! use tidemill::functions::{FunctionName, FunctionSettings, Functions, FunctionsOptions, Invoke as _};
//!
//! let functions = Functions::open("data/compiled".as_ref(), &FunctionsOptions::new("data".as_ref()))?;
//! let name = FunctionName::parse("score")?;
//! functions.deploy(&name, wasm, FunctionSettings::default()).await?;
//! functions.lane(&name).invoke(&batch).await?;
//! # Ok(()) }
//! ```

mod cache;
mod component;
mod deploy;
mod emit;
pub(crate) mod event;
mod invoke;
mod lane;
pub mod limits;
mod log;
mod name;
mod output;
mod place;
mod recent;
mod sandbox;
mod text;
mod world;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use tidemill_stream::clock::Clock;
use tokio::runtime::Handle;
use tokio::sync::watch;

use cache::CompiledCache;
use component::{Compiler, Workshop};
use place::Places;
use recent::Logs;
use sandbox::Sandbox;

pub use component::WasmError;
pub use deploy::{DeployError, Deployed, Deployment, FunctionSettings, Origin};
pub use emit::{Emission, Emitted};
pub use event::event_json;
pub use invoke::{Answer, Invocation, Invoke, InvokeError, Reply, WindowCall};
pub use lane::FunctionLane;
pub use log::TARGET as LOG_TARGET;
pub use name::{FunctionName, InvalidFunctionName, Version};
pub use place::InstanceCount;
pub use recent::{CallName, FunctionLog, LogLine, LogPage};
pub use world::World;

/// The functions of a node. Cheap to clone; the clones are one.
#[derive(Clone)]
pub struct Functions(Arc<Room>);

struct Room {
    sandbox: Arc<Sandbox>,
    places: Arc<Places>,
    workshop: Workshop,
    /// Every function that is deployed or that a lane waits for.
    slots: Mutex<BTreeMap<FunctionName, Slot>>,
    logs: Logs,
    clock: Clock,
}

/// Where the current version of a function is published; `None`: none is deployed.
type Slot = watch::Sender<Option<Arc<Deployment>>>;

/// How functions are run.
#[derive(Debug, Clone)]
pub struct FunctionsOptions {
    /// The folder that keeps the compiled cache's key.
    pub key_folder: PathBuf,
    /// The most that the compiled cache may hold, in bytes.
    pub cache_bytes_max: u64,
    /// Threads for guest code.
    pub threads: usize,
    /// The most instances that lanes keep between calls; a lane beyond them starts an instance for each call.
    pub instances_warm_max: usize,
    /// The most instances for one call that are alive at once beside the warm ones, at least 1.
    pub instances_transient_max: usize,
}

impl FunctionsOptions {
    /// The defaults: a cache of 1 GiB, as many threads as cores, the instances of [`limits`].
    pub fn new(key_folder: &Path) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self {
            key_folder: key_folder.to_owned(),
            cache_bytes_max: limits::CACHE_BYTES_DEFAULT,
            threads,
            instances_warm_max: limits::INSTANCES_WARM_DEFAULT,
            instances_transient_max: limits::INSTANCES_TRANSIENT_DEFAULT,
        }
    }
}

/// Functions cannot be run on this machine, or from this folder.
#[derive(Debug, thiserror::Error)]
#[error("functions cannot be run with the compiled cache in {}", folder.display())]
pub struct OpenError {
    /// The cache's folder.
    pub folder: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

impl Functions {
    /// Starts the threads for guests and opens the compiled cache in `cache_folder`.
    pub fn open(cache_folder: &Path, options: &FunctionsOptions) -> Result<Self, OpenError> {
        let failed = |source| OpenError { folder: cache_folder.to_owned(), source };
        Room::open(cache_folder, options).map(|room| Self(Arc::new(room))).map_err(failed)
    }

    /// A lane that calls the function, whichever version is deployed at each call. The function need not be there yet.
    pub fn lane(&self, name: &FunctionName) -> FunctionLane {
        let Room { sandbox, places, clock, .. } = &*self.0;
        FunctionLane::new(name.clone(), Arc::clone(sandbox), Arc::clone(places), clock.clone(), self.watch(name))
    }

    /// The threads that guest code runs on: a call that is made there runs in place.
    pub fn threads(&self) -> Handle {
        self.0.sandbox.threads().clone()
    }

    /// How many instances are alive, of all functions together.
    pub fn instances(&self) -> InstanceCount {
        self.0.places.count()
    }

    /// The version that is deployed.
    pub fn version(&self, name: &FunctionName) -> Option<Version> {
        let slots = self.0.slots.lock();
        slots.get(name).and_then(|slot| slot.borrow().as_ref().map(|deployment| deployment.version()))
    }

    /// Tells of every new version and setting: whoever waits before a retry can try again at once.
    pub fn watch(&self, name: &FunctionName) -> watch::Receiver<Option<Arc<Deployment>>> {
        let mut slots = self.0.slots.lock();
        slots.entry(name.clone()).or_insert_with(|| watch::channel(None).0).subscribe()
    }

    /// The last lines that the function has logged; `None` while none of this name is deployed.
    pub fn log(&self, name: &FunctionName) -> Option<FunctionLog> {
        self.0.logs.get(name)
    }

    /// Takes the function away; calls in progress end as they would have. Whether there was one.
    pub fn remove(&self, name: &FunctionName) -> bool {
        let mut slots = self.0.slots.lock();
        let was_there = slots.get(name).is_some_and(|slot| slot.send_replace(None).is_some());
        forget_unused(&mut slots);
        self.0.logs.forget(name);
        was_there
    }
}

impl Room {
    fn open(cache_folder: &Path, options: &FunctionsOptions) -> io::Result<Self> {
        let cache = CompiledCache::open(cache_folder, &options.key_folder, options.cache_bytes_max)?;
        let sandbox = Sandbox::new(options.threads)?;
        let compiler = Compiler::new(sandbox.engine().clone(), cache).map_err(io::Error::other)?;
        let workshop = Workshop::new(compiler, sandbox.threads().clone());
        let places = Arc::new(Places::new(options.instances_warm_max, options.instances_transient_max));
        let (sandbox, slots, logs) = (Arc::new(sandbox), Mutex::default(), Logs::default());
        Ok(Self { sandbox, places, workshop, slots, logs, clock: Clock::system() })
    }
}

/// Drops the slots that hold no version and that nobody watches.
fn forget_unused(slots: &mut BTreeMap<FunctionName, Slot>) {
    slots.retain(|_, slot| slot.receiver_count() > 0 || slot.borrow().is_some());
}
