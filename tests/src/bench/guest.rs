//! A component called with wasmtime alone: no limits, no threads, no log of ours. The limit of the function room.

use tidemill::functions::Invocation;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, Result, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use self::bindings::Consumer;
use self::bindings::tidemill::function as host;
use self::bindings::tidemill::function::types;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../sdk/wit",
        world: "tidemill:function/consumer",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// A warm instance.
pub(super) struct Bare {
    store: Store<Host>,
    world: Consumer,
}

/// A batch in the shape that the component takes, made once.
pub(super) struct Prepared<'a> {
    invocation: &'a Invocation,
    records: Vec<types::Record<'a>>,
}

impl Bare {
    pub(super) async fn start(wasm: &[u8]) -> Result<Self> {
        let engine = Engine::new(&config())?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        Consumer::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
        let host = Host { wasi: WasiCtx::builder().build(), resources: ResourceTable::new() };
        let mut store = Store::new(&engine, host);
        store.set_epoch_deadline(u64::MAX / 2); // nobody moves it on
        let component = Component::from_binary(&engine, wasm)?;
        let world = Consumer::instantiate_async(&mut store, &component, &linker).await?;
        Ok(Self { store, world })
    }

    pub(super) async fn call(&mut self, batch: &Prepared<'_>) -> Result<()> {
        let handled = self.world.call_handle(&mut self.store, batch.batch()).await?;
        handled.map_err(wasmtime::Error::msg)
    }
}

/// As the sandbox configures its engine: what the guest's code is compiled to must be the same.
fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.concurrency_support(false);
    config
}

impl<'a> Prepared<'a> {
    pub(super) fn new(invocation: &'a Invocation) -> Self {
        let records = invocation.records.iter().map(|record| types::Record {
            position: record.position.0,
            arrival_ms: record.arrival.as_millis(),
            partition_key: record.partition_key.as_str(),
            data: &record.data,
        });
        Self { invocation, records: records.collect() }
    }

    /// How many records it has.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    fn batch(&self) -> types::Batch<'_> {
        let Invocation { stream, shard, shard_created, request_id, attempt, .. } = self.invocation;
        types::Batch {
            stream: stream.as_str(),
            shard: types::Shard { index: shard.0, created_seconds: shard_created.as_secs() },
            request_id,
            attempt: *attempt,
            records: &self.records,
        }
    }
}

struct Host {
    wasi: WasiCtx,
    resources: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl host::types::Host for Host {}

impl host::log::Host for Host {
    /// The function that is measured says nothing.
    fn log(&mut self, _level: host::log::Level, _message: String) {}
}

impl host::output::Host for Host {
    /// Nor does it emit.
    fn emit(&mut self, _stream: String, _key: String, _data: Vec<u8>) -> std::result::Result<(), String> {
        Ok(())
    }
}

impl host::config::Host for Host {
    fn get(&mut self, _name: String) -> Option<String> {
        None
    }
}
