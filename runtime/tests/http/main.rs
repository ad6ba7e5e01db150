//! The door against real clients of HTTP: a listening server on a free port, an engine in memory, a clock in hand.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail the test")]

mod client;
mod damage;
mod deployment;
mod ingest;
mod node;
mod operator;
mod paging;
mod reading;
mod refusals;
mod reshard;
mod retention;
mod server;
mod siege;
mod streams;
mod validation;
mod writing;
