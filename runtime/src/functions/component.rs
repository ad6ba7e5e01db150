//! From the bytes of a wasm file to a component that fits one of the worlds.
//!
//! This file promises that a file that is no function is refused with a reason its author can act on, that compiling
//! happens on a thread of its own, one file at a time, and that compiled code is loaded only when its cache vouches for
//! it. It must not know of lanes, calls and versions in use.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::cache::{CompiledCache, LoadError};
use super::name::Version;
use super::sandbox::Guest;
use super::world::{self, Linked, World};
use super::{limits, text};

/// How every wasm file begins.
const MAGIC: &[u8] = b"\0asm";
/// Bytes 4..8 of a component (version 13, layer 1) and of a core module (version 1, layer 0).
const COMPONENT: &[u8] = &[0x0d, 0x00, 0x01, 0x00];
const CORE_MODULE: &[u8] = &[0x01, 0x00, 0x00, 0x00];

/// Why a wasm file is no function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WasmError {
    /// The file is too large.
    #[error("the file has {bytes} bytes; a function may have {max}")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// The file is something else.
    #[error("the file is not WebAssembly: it does not begin with a wasm header")]
    NotWasm,
    /// The file is a core module.
    #[error(
        "the file is a core wasm module, but a function is a component: build it for the target wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The file is damaged, or uses what the engine does not support.
    #[error("the component cannot be compiled: {message}")]
    Invalid {
        /// What the compiler says.
        message: String,
    },
    /// The component does not export what a function exports.
    #[error(
        "the component is of no world of a function: it exports neither '{}' ({}) nor '{}' ({}), it exports {found}",
        World::Consumer.export(), World::Consumer, World::Lambda.export(), World::Lambda
    )]
    MissingExport {
        /// What there is instead, in words.
        found: String,
    },
    /// The component exports the functions of both worlds.
    #[error(
        "the component is of two worlds: it exports both '{}' ({}) and '{}' ({}), and nobody could tell which of them is to be called",
        World::Consumer.export(), World::Consumer, World::Lambda.export(), World::Lambda
    )]
    TwoWorlds,
    /// The component exports something else under the right name.
    #[error("the component is not of the world {world}, although it exports '{}': {message}", world.export())]
    ForeignExport {
        /// The world that its exports look like.
        world: World,
        /// How it differs.
        message: String,
    },
    /// The component imports what a node does not offer.
    #[error("the component is not of the world {world}: {message}")]
    ForeignImport {
        /// The world of its exports.
        world: World,
        /// Which import, and what is wrong with it.
        message: String,
    },
}

/// A component that can be instantiated.
pub(super) struct Compiled {
    pub(super) version: Version,
    pub(super) linked: Linked,
    /// How long compiling took; `None` when it came from the cache.
    pub(super) compile_time: Option<Duration>,
}

/// Makes components of wasm files.
pub(super) struct Compiler {
    engine: Engine,
    linker: Linker<Guest>,
    cache: CompiledCache,
}

impl Compiler {
    pub(super) fn new(engine: Engine, cache: CompiledCache) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&engine);
        // All of WASI 0.2 can be imported, because the standard libraries of languages do; what can be done with it is
        // for the sandbox to say.
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        world::offer(&mut linker)?;
        Ok(Self { engine, linker, cache })
    }

    /// Checks and compiles. Takes seconds for a large file: see [`Workshop`].
    fn compile(&self, wasm: &[u8]) -> Result<Compiled, WasmError> {
        check_header(wasm)?;
        let version = Version::of(wasm);
        let name = self.cache_name(version);
        let (component, compile_time) = if let Some(component) = self.load(&name) {
            (component, None)
        } else {
            let (component, took) = self.translate(wasm)?;
            self.keep(&name, &component);
            (component, Some(took))
        };
        Ok(Compiled { version, linked: Linked::new(&component, &self.linker)?, compile_time })
    }

    fn translate(&self, wasm: &[u8]) -> Result<(Component, Duration), WasmError> {
        let start = Instant::now();
        let component = Component::from_binary(&self.engine, wasm)
            .map_err(|error| WasmError::Invalid { message: describe(&error) })?;
        Ok((component, start.elapsed()))
    }

    /// The name under which the cache keeps a version: with all that decides what the compiler makes of it, among it
    /// wasmtime's own version.
    fn cache_name(&self, version: Version) -> String {
        let mut hasher = DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        format!("{version}-{:016x}", hasher.finish())
    }

    fn load(&self, name: &str) -> Option<Component> {
        let compiled = match self.cache.load(name) {
            Ok(compiled) => compiled,
            Err(LoadError::Absent) => return None,
            Err(error @ (LoadError::Forged | LoadError::Io(_))) => {
                tracing::warn!(name, %error, "a compiled function is not used, and compiled again");
                return None;
            }
        };
        self.trust(&compiled)
            .inspect_err(
                |error| tracing::warn!(name, %error, "a compiled function does not load, and is compiled again"),
            )
            .ok()
    }

    #[expect(unsafe_code, reason = "the one place where machine code is loaded")]
    fn trust(&self, compiled: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` needs the unmodified output of `serialize`. The cache has authenticated these bytes, which
        // are in our memory, so nothing can change them between check and use: they are what `keep` stored, under a name
        // that holds the wasm's hash and the engine's configuration, with a key that only this node has.
        unsafe { Component::deserialize(&self.engine, compiled) }
    }

    fn keep(&self, name: &str, component: &Component) {
        let stored = component.serialize().and_then(|compiled| Ok(self.cache.store(name, &compiled)?));
        if let Err(error) = stored {
            tracing::warn!(name, %error, "a compiled function is not kept: the next start compiles it again");
        }
    }
}

/// The compiler on threads of its own, one file at a time.
pub(super) struct Workshop {
    compiler: Arc<Compiler>,
    turn: Arc<Semaphore>,
    threads: Handle,
}

impl Workshop {
    pub(super) fn new(compiler: Compiler, threads: Handle) -> Self {
        Self { compiler: Arc::new(compiler), turn: Arc::new(Semaphore::new(1)), threads }
    }

    /// Compiles in turn. The permit holds the turn: whoever keeps it until the outcome is in use keeps the order in which
    /// versions were handed over. `None`: the workshop has stopped.
    pub(super) async fn compile(&self, wasm: Bytes) -> Option<(OwnedSemaphorePermit, Result<Compiled, WasmError>)> {
        let permit = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let compiler = Arc::clone(&self.compiler);
        // The permit goes along, so that a caller who leaves does not let the next one in beside the work still going on.
        self.threads.spawn_blocking(move || (permit, compiler.compile(&wasm))).await.ok()
    }
}

fn check_header(wasm: &[u8]) -> Result<(), WasmError> {
    let (bytes, max) = (wasm.len(), limits::WASM_BYTES_MAX);
    if bytes > max {
        return Err(WasmError::TooLarge { bytes, max });
    }
    match wasm.strip_prefix(MAGIC).and_then(|rest| rest.get(..4)) {
        Some(COMPONENT) => Ok(()),
        Some(CORE_MODULE) => Err(WasmError::CoreModule),
        Some(other) => Err(WasmError::Invalid { message: format!("its format version {other:02x?} is unknown") }),
        None => Err(WasmError::NotWasm),
    }
}

/// An error of the engine with its causes, in one line.
pub(super) fn describe(error: &wasmtime::Error) -> String {
    text::clean(&format!("{error:#}"), limits::FAILURE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_told_apart_by_its_header() {
        assert_eq!(check_header(b""), Err(WasmError::NotWasm));
        assert_eq!(check_header(b"\x7fELF\x02\x01\x01\0"), Err(WasmError::NotWasm));
        assert_eq!(check_header(b"\0asm"), Err(WasmError::NotWasm));
        assert_eq!(check_header(b"\0asm\x01\0\0\0"), Err(WasmError::CoreModule));
        assert_eq!(check_header(b"\0asm\x0d\0\x01\0"), Ok(()));
        assert!(matches!(check_header(b"\0asm\x0e\0\x01\0"), Err(WasmError::Invalid { .. })));
        let large = vec![0; limits::WASM_BYTES_MAX + 1];
        let (bytes, max) = (limits::WASM_BYTES_MAX + 1, limits::WASM_BYTES_MAX);
        assert_eq!(check_header(&large), Err(WasmError::TooLarge { bytes, max }));
    }
}
