//! The functions room with real guests: built from `tests/functions`, deployed and called as a poller would.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod calls;
mod deploying;
mod guests;
mod instances;
mod lambda;
mod lines;
mod setting;
