//! The pages in `docs/` say what is so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that goes wrong shall stop"
)]

mod aws;
mod backup;
mod cli;
mod failures;
mod functions;
mod limits;
mod links;
mod manifest;
mod metrics;
mod page;
#[allow(dead_code, reason = "shared with the tests of other commands")]
#[path = "../program/mod.rs"]
mod program;
