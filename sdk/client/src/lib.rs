//! Producer and consumer libraries for a Tidemill node, or anything else that speaks the Kinesis API.
//!
//! Promises that a put is retried only for the records that were not taken, and that nothing is sent before what came
//! ahead of it is settled. It must not know how a node keeps streams.

mod client;
mod error;
mod get;
mod put;
mod sign;
mod trust;

pub use client::{Client, is_secured};
pub use error::ClientError;
pub use get::{Record, Records, Start};
pub use put::{Placed, PutRecord, PutRecordsError};
pub use sign::AccessKey;
pub use tidemill_wire::{Shard, StreamDescriptionSummary};
pub use trust::{NoTrust, roots_of_the_system, trusting};
