//! The node as its users meet it: the real binary, real clients, real functions. What the tests and benches share.
//!
//! But for [`bench`], nothing here looks inside the node: it is started as a process, and seen through HTTP and its log.

pub mod bench;
pub mod build;
pub mod client;
pub mod delivery;
pub mod node;
pub mod numbered;
pub mod project;
mod shown;
