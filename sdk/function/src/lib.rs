//! Write a Tidemill function in Rust: a handler and one line.
//!
//! ```
//! use tidemill_function::{Batch, Result, handler, log};
//!
//! #[derive(serde::Deserialize)]
//! struct Quake {
//!     place: String,
//!     magnitude: Option<f64>,
//! }
//!
//! handler!(on_quakes);
//!
//! fn on_quakes(batch: Batch<Quake>) -> Result<()> {
//!     for record in &batch {
//!         if record.value.magnitude.is_some_and(|magnitude| magnitude >= 6.0) {
//!             log::warn(&format!("{}: a strong earthquake, {}", record.partition_key, record.value.place));
//!         }
//!     }
//!     Ok(())
//! }
//! # use tidemill_function::{Record, Shard};
//! # let quake = Quake { place: "Hualien".into(), magnitude: Some(6.4) };
//! # let batch = Batch::new("quakes", Shard { index: 0, created_seconds: 0 }, vec![Record::new("us", quake)]);
//! # on_quakes(batch).unwrap();
//! ```
//!
//! The crate is a `cdylib`; `cargo build --target wasm32-wasip2 --release` makes the file to deploy.
//!
//! * `Batch<T>` holds records whose payload is JSON of `T`, any type that serde can deserialize. A record that is not
//!   fails its batch, and the error names the record. [`Batch<Raw>`](Raw) leaves payloads as they are.
//! * [`emit`] puts records on other streams when the batch has succeeded.
//! * An error fails the batch; so does a panic. What happens then is for the trigger to say: by default the batch is
//!   tried again.
//! * Whatever the function keeps in a `static` is there at the next batch of the same lane, unless the instance was
//!   replaced meanwhile (after a panic or a timeout, or when a new version was deployed).
//!
//! Handlers of AWS Lambda, which take the event as JSON and return a response, are in [`lambda`].
//!
//! * [`testing`] delivers payloads to a handler natively, so that `cargo test` needs no node.
//!
//! This crate promises to be all that a function needs of Tidemill. It must not know how a node is made.

mod batch;
mod bindings;
pub mod config;
mod handler;
pub mod lambda;
pub mod log;
mod output;
mod sequence;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use batch::{Batch, Raw, Record, Shard};
pub use handler::{Handler, Json};
pub use output::{emit, emit_raw};

/// Why a batch failed. Every error type converts into it, and so does a text: `Err("no such account")?`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a handler returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What [`handler!`] expands to; not for use by hand.
#[doc(hidden)]
pub mod export {
    pub use crate::bindings::tidemill::function::types::Batch;
    pub use crate::bindings::*;
    pub use crate::handler::handle;

    pub mod lambda {
        pub use crate::bindings::lambda::tidemill::function::invocation::Context;
        pub use crate::bindings::lambda::*;
        pub use crate::lambda::handle;
    }
}

/// Makes a function the handler of this component: `handler!(on_quakes);`, once in a crate.
///
/// The function is `fn(Batch<T>) -> Result<()>`; see [`Handler`].
#[macro_export]
macro_rules! handler {
    ($function:path) => {
        const _: () = {
            struct Function;
            impl $crate::export::Guest for Function {
                fn handle(batch: $crate::export::Batch) -> ::core::result::Result<(), ::std::string::String> {
                    $crate::export::handle(&$function, batch)
                }
            }
    $crate::export::export!(Function with_types_in $crate::export);
        };
    };
}

/// Makes a function the handler of this component, which then is of the world `lambda`: `lambda_handler!(on_event);`, once in
/// a crate, and instead of [`handler!`].
///
/// The function is `fn(E) -> Result<R>`, or one of the other shapes of a [`LambdaHandler`](lambda::LambdaHandler).
#[macro_export]
macro_rules! lambda_handler {
    ($function:path) => {
        const _: () = {
            struct Function;
            impl $crate::export::lambda::Guest for Function {
                fn handle_event(
                    event: ::std::vec::Vec<u8>,
                    context: $crate::export::lambda::Context,
                ) -> ::core::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                    $crate::export::lambda::handle(&$function, &event, context)
                }
            }
    $crate::export::lambda::export!(Function with_types_in $crate::export::lambda);
        };
    };
}

/// The guide of functions.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/functions.md")]
struct Guide;
