//! The worlds of functions: how a component's is recognised, and how it is started and called.
//!
//! This file promises that a component that can be called is of exactly one world, that what it exports and imports is
//! what that world says, and that a call of either world ends as a [`Reply`] or an error. It must not know how long a
//! call may take, and what becomes of an instance.

mod consumer;
mod lambda;

use std::fmt;

use tidemill_stream::clock::Timestamp;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::component::{WasmError, describe};
use super::invoke::{Invocation, InvokeError, Reply};
use super::sandbox::Guest;
use super::{limits, text};

/// The generated half of the contract in `sdk/wit`: the interfaces of both worlds, and the world `consumer`.
pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../sdk/wit",
        world: "tidemill:function/consumer",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });

    /// The world `lambda`.
    pub(in crate::functions) mod lambda {
        wasmtime::component::bindgen!({
            path: "../sdk/wit",
            world: "tidemill:function/lambda",
            exports: { default: async },
            ownership: Borrowing { duplicate_if_necessary: true },
            with: {
                "tidemill:function/log": super::tidemill::function::log,
                "tidemill:function/config": super::tidemill::function::config,
                "tidemill:function/output": super::tidemill::function::output,
            },
        });
    }
}

/// What a function is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// It takes typed records.
    Consumer,
    /// It takes the event that AWS Lambda would give it.
    Lambda,
}

impl World {
    const ALL: [Self; 2] = [Self::Consumer, Self::Lambda];

    /// The function that a component of it exports.
    pub const fn export(self) -> &'static str {
        match self {
            Self::Consumer => "handle",
            Self::Lambda => "handle-event",
        }
    }

    /// That of a component: the one whose function it exports.
    fn of(component: &Component, engine: &Engine) -> Result<Self, WasmError> {
        let is_exported = |world: &Self| component.get_export_index(None, world.export()).is_some();
        let mut worlds = Self::ALL.into_iter().filter(is_exported);
        match (worlds.next(), worlds.next()) {
            (Some(world), None) => Ok(world),
            (Some(_), Some(_)) => Err(WasmError::TwoWorlds),
            (None, _) => Err(WasmError::MissingExport { found: exports(component, engine) }),
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consumer => "tidemill:function/consumer",
            Self::Lambda => "tidemill:function/lambda",
        })
    }
}

/// What a component exports, in words.
fn exports(component: &Component, engine: &Engine) -> String {
    let names: Vec<_> = component.component_type().exports(engine).map(|(name, _)| format!("'{name}'")).collect();
    if names.is_empty() { "nothing".to_owned() } else { text::clean(&names.join(", "), limits::FAILURE_BYTES_MAX) }
}

/// Offers what the worlds import, beside WASI.
pub(super) fn offer(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::Consumer::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    bindings::lambda::tidemill::function::invocation::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

/// A component that can be started.
pub(super) enum Linked {
    Consumer(bindings::ConsumerPre<Guest>),
    Lambda(bindings::lambda::LambdaPre<Guest>),
}

impl Linked {
    /// Checks a component against its world.
    pub(super) fn new(component: &Component, linker: &Linker<Guest>) -> Result<Self, WasmError> {
        let world = World::of(component, linker.engine())?;
        let instance = linker
            .instantiate_pre(component)
            .map_err(|error| WasmError::ForeignImport { world, message: describe(&error) })?;
        let linked = match world {
            World::Consumer => bindings::ConsumerPre::new(instance).map(Self::Consumer),
            World::Lambda => bindings::lambda::LambdaPre::new(instance).map(Self::Lambda),
        };
        linked.map_err(|error| WasmError::ForeignExport { world, message: describe(&error) })
    }

    pub(super) fn world(&self) -> World {
        match self {
            Self::Consumer(_) => World::Consumer,
            Self::Lambda(_) => World::Lambda,
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        match self {
            Self::Consumer(linked) => linked.engine(),
            Self::Lambda(linked) => linked.engine(),
        }
    }

    /// Starts an instance in a store.
    pub(super) async fn start(&self, store: &mut Store<Guest>) -> wasmtime::Result<Started> {
        Ok(match self {
            Self::Consumer(linked) => Started::Consumer(linked.instantiate_async(store).await?),
            Self::Lambda(linked) => Started::Lambda(linked.instantiate_async(store).await?),
        })
    }
}

/// An instance that can be called.
pub(super) enum Started {
    Consumer(bindings::Consumer),
    Lambda(bindings::lambda::Lambda),
}

/// How a call went whose guest ran to its end.
type Called = Result<Reply, InvokeError>;

impl Started {
    /// One call, which is stopped at `deadline`. The outer error is one after which the instance must not be used again.
    pub(super) async fn call(
        &self,
        store: &mut Store<Guest>,
        invocation: &Invocation,
        deadline: Timestamp,
    ) -> wasmtime::Result<Called> {
        match self {
            Self::Consumer(started) => consumer::call(started, store, invocation).await,
            Self::Lambda(started) => lambda::call(started, store, invocation, deadline).await,
        }
    }
}

/// What a guest says of its failure, fit to be shown.
fn failed(message: &str) -> InvokeError {
    InvokeError::Failed { message: text::clean(message, limits::FAILURE_BYTES_MAX) }
}
