//! Where guest code runs, and what it may do there.
//!
//! This file promises that a guest has its memory, its time, a clock, random numbers, its log, its outbox, and nothing else: no
//! files, no sockets, no environment, no arguments; and that a guest that never returns takes no more than its share of
//! the threads. It must not know where batches come from.

use std::io;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use wasmtime::component::ResourceTable;
use wasmtime::{Config, Engine, ResourceLimiter, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::deploy::Deployment;
use super::emit::{Emitted, Outbox};
use super::limits;
use super::log::{GuestLog, Source};
use super::output::Output;
use super::world::World;
use super::world::bindings::lambda::tidemill::function::invocation;
use super::world::bindings::tidemill::function as host;

/// The engine and the threads that guests run on, apart from those of the node.
pub(super) struct Sandbox {
    engine: Engine,
    threads: Handle,
    /// Behind `threads`; here to be stopped.
    runtime: Option<Runtime>,
    ticker: Arc<Ticker>,
}

impl Sandbox {
    pub(super) fn new(threads: usize) -> io::Result<Self> {
        let engine = Engine::new(&config()).map_err(io::Error::other)?;
        let runtime = runtime(threads)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self { engine, threads: runtime.handle().clone(), runtime: Some(runtime), ticker })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The threads for guest code.
    pub(super) fn threads(&self) -> &Handle {
        &self.threads
    }

    /// Runs guest code: in place for who is on these threads already, else on them. Dropping the future ends it at its next
    /// yield; `None`: the sandbox is gone.
    pub(super) async fn run<T: Send + 'static>(&self, guest: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let running = Running::new(&self.ticker);
        if Handle::try_current().is_ok_and(|here| here.id() == self.threads.id()) {
            let _running = running;
            return Some(guest.await);
        }
        let task = async move {
            // In the task, not beside it: what was given up still has to be made to yield.
            let _running = running;
            guest.await
        };
        AbortOnDropHandle::new(self.threads.spawn(task.in_current_span())).await.ok()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.ticker.guests.lock().is_over = true;
        self.ticker.wake.notify_one();
        // Waiting for the threads is not allowed where async code runs; they end when their guests next yield.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Guests of WASI 0.2 have no use for it, and calls cost less without (the component model's
    // async is not even compiled in).
    config.concurrency_support(false);
    config
}

fn runtime(threads: usize) -> io::Result<Runtime> {
    let number = std::sync::atomic::AtomicUsize::new(0);
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .thread_name_fn(move || format!("wasm-{}", number.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
        .event_interval(limits::POLLS_PER_TIMER_CHECK)
        .enable_all()
        .build()
}

/// The thread that moves the engine's epoch on while guests run, and sleeps while none does. It ends after the last one.
struct Ticker {
    guests: Mutex<Guests>,
    wake: Condvar,
}

#[derive(Default)]
struct Guests {
    running: usize,
    is_over: bool,
}

/// A guest is running.
struct Running(Arc<Ticker>);

impl Running {
    fn new(ticker: &Arc<Ticker>) -> Self {
        ticker.guests.lock().running += 1;
        ticker.wake.notify_one();
        Self(Arc::clone(ticker))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.guests.lock().running -= 1;
        self.0.wake.notify_one();
    }
}

impl Ticker {
    fn start(engine: Engine) -> io::Result<Arc<Self>> {
        let ticker = Arc::new(Self { guests: Mutex::default(), wake: Condvar::new() });
        let task = Arc::clone(&ticker);
        thread::Builder::new().name("wasm-epoch".to_owned()).spawn(move || task.run(&engine))?;
        Ok(ticker)
    }

    fn run(&self, engine: &Engine) {
        while self.wait_for_guests() {
            thread::sleep(limits::EPOCH_TICK);
            engine.increment_epoch();
        }
    }

    /// Whether there is anything to do, waiting for it if not.
    fn wait_for_guests(&self) -> bool {
        let mut guests = self.guests.lock();
        while guests.running == 0 && !guests.is_over {
            self.wake.wait(&mut guests);
        }
        guests.running > 0
    }
}

/// What one instance has.
pub(super) struct Guest {
    wasi: WasiCtx,
    resources: ResourceTable,
    memory: MemoryLimit,
    log: GuestLog,
    outbox: Outbox,
    deployment: Arc<Deployment>,
}

impl Guest {
    /// A store for one instance, with nothing in it yet.
    pub(super) fn store(deployment: Arc<Deployment>, log: GuestLog) -> Store<Self> {
        let engine = deployment.linked.engine().clone();
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(limits::HANDLES_MAX);
        let memory = MemoryLimit {
            bytes_left: deployment.settings.memory_bytes,
            elements_left: limits::TABLE_ELEMENTS_MAX,
            is_exhausted: false,
        };
        let outbox = Outbox::default();
        let host_call_bytes_max = match deployment.world() {
            World::Consumer => limits::HOST_CALL_BYTES_MAX,
            World::Lambda => limits::HOST_CALL_BYTES_LAMBDA_MAX,
        };
        let mut store = Store::new(&engine, Self { wasi: wasi(&log), resources, memory, log, outbox, deployment });
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(host_call_bytes_max);
        store.set_max_component_handles(limits::HANDLES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }

    /// What it is an instance of.
    pub(super) fn deployment(&self) -> Arc<Deployment> {
        Arc::clone(&self.deployment)
    }

    /// Whether it was refused memory.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.memory.is_exhausted
    }

    /// What the call that has ended has emitted.
    pub(super) fn take_emitted(&mut self) -> Emitted {
        self.outbox.take()
    }
}

/// A WASI that grants nothing but a clock, random numbers and output.
fn wasi(log: &GuestLog) -> WasiCtx {
    let output = |source| Output::new(log.clone(), source);
    WasiCtx::builder()
        .stdout(output(Source::Stdout))
        .stderr(output(Source::Stderr))
        .max_random_size(limits::RANDOM_BYTES_MAX)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl host::types::Host for Guest {}

impl invocation::Host for Guest {}

impl host::log::Host for Guest {
    fn log(&mut self, level: host::log::Level, message: String) {
        let level = match level {
            host::log::Level::Trace => tracing::Level::TRACE,
            host::log::Level::Debug => tracing::Level::DEBUG,
            host::log::Level::Info => tracing::Level::INFO,
            host::log::Level::Warn => tracing::Level::WARN,
            host::log::Level::Error => tracing::Level::ERROR,
        };
        self.log.message(level, &message);
    }
}

impl host::config::Host for Guest {
    fn get(&mut self, name: String) -> Option<String> {
        self.deployment.settings.config.get(&name).cloned()
    }
}

impl host::output::Host for Guest {
    fn emit(&mut self, stream: String, partition_key: String, data: Vec<u8>) -> Result<(), String> {
        let allowed = &self.deployment.settings.emit;
        self.outbox.emit(allowed, &stream, partition_key, data).map_err(|error| error.to_string())
    }
}

/// The guest asked for more than it may have.
#[derive(Debug, thiserror::Error)]
#[error("the limit of the function's {what} is reached")]
struct LimitReached {
    what: &'static str,
}

/// What the instance may still take. All its memories count together, and so do its tables.
struct MemoryLimit {
    bytes_left: usize,
    elements_left: usize,
    is_exhausted: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if let Some(left) = self.bytes_left.checked_sub(desired.saturating_sub(current)) {
            self.bytes_left = left;
            return Ok(true);
        }
        self.is_exhausted = true;
        // A trap tells what happened; a refusal would surface as whatever the guest makes of it.
        Err(LimitReached { what: "memory" }.into())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if let Some(left) = self.elements_left.checked_sub(desired.saturating_sub(current)) {
            self.elements_left = left;
            return Ok(true);
        }
        Err(LimitReached { what: "table elements" }.into())
    }

    fn instances(&self) -> usize {
        limits::CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        limits::TABLES_MAX
    }

    fn memories(&self) -> usize {
        limits::MEMORIES_MAX
    }
}
