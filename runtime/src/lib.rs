//! The node: takes records over HTTP, keeps them in streams, and feeds them to WebAssembly functions.

pub mod build;
pub mod certificate;
pub mod cli;
pub mod deploy;
pub mod encryption_keys;
pub mod functions;
mod harmless;
pub mod home;
pub mod http;
mod key_field;
pub mod limits;
pub mod node;
mod outbound;
pub mod pattern;
pub mod status;
pub mod tasks;
pub mod telemetry;
pub mod trigger;
