//! The door against real clients of HTTP: a listening server on a free port, an engine in memory, a clock in hand.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail the test")]

mod attached;
mod capacity;
mod client;
mod damage;
mod delay;
mod deployment;
mod ingest;
mod inject;
mod node;
mod operator;
mod paging;
mod quota;
mod reading;
mod refusals;
mod reshard;
mod rest;
mod retention;
mod server;
mod settings;
mod siege;
mod streams;
mod subscribing;
mod tls;
mod validation;
mod writing;
