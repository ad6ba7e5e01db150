//! What a stream is and how it is kept: shards, hash ranges, sequence numbers, reads, cursors, and the engines below.
//!
//! This crate promises that an acknowledged record is never lost, and that every reader of a shard sees the same
//! records in the same order. It must not know of sockets, HTTP, JSON, functions or triggers.

pub mod account;
pub mod aggregated;
pub mod attached;
pub mod capacity;
pub mod clock;
pub mod create;
pub mod cursor;
pub mod delete;
pub mod demand;
pub mod encryption;
pub mod engine;
pub mod error;
pub mod fsck;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::indexing_slicing, reason = "a judge may fail")]
pub mod fuzzing;
pub mod keys;
pub mod limits;
pub mod name;
pub mod put;
pub mod read;
pub mod record;
pub mod reshard;
pub mod retention;
pub mod sequence;
pub mod settings;
pub mod shard;
pub mod store;
pub mod stream;
pub mod traffic;
