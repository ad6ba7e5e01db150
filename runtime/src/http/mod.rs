//! The door: the Kinesis API over HTTP/1.1 and HTTP/2, plain HTTP for those who have no SDK, and what an operator reads
//! (`/health`, `/metrics`, `/status`, `/deployment`).
//!
//! Promises that what is doubtful stays outside: a request is bounded, parsed and checked here, and only domain types
//! go further. It must not know of triggers, functions or the manifest; it meets them in the store, and reads their
//! state through a function that it was given.

mod auth;
mod codec;
mod constraint;
mod context;
mod deployment;
mod dispatch;
mod error;
mod ingest;
mod iterator;
mod limits;
mod metrics;
mod operation;
mod operator;
mod patience;
mod server;

use std::sync::Arc;

use prometheus_client::registry::Registry;
use tidemill_stream::store::Store;

pub use auth::{Defaults, InvalidDefault};
pub use deployment::{ApplyOrder, DeploymentAccess, NotApplied};
pub use ingest::{Ingest, IngestSettings, InvalidOrigin, InvalidToken, Origin, Origins, TokenDigest};
pub use iterator::IteratorKey;
pub use limits::HttpLimits;
pub use metrics::HttpMetrics;
pub use server::serve;

/// Tells what the rooms behind the store do, for `GET /status`.
pub type StatusProvider = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// What requests are answered with.
#[derive(Clone)]
pub struct HttpState {
    /// The streams; its clock is the clock here.
    pub store: Store,
    /// The account and region of a caller that names none.
    pub defaults: Defaults,
    /// Seals shard iterators and paging tokens. With a key that is kept they outlive a restart.
    pub iterator_key: IteratorKey,
    /// What requests count into; registered in `registry`.
    pub metrics: HttpMetrics,
    /// What `GET /metrics` shows.
    pub registry: Arc<Registry>,
    /// What `GET /status` shows.
    pub status: StatusProvider,
    /// What `GET /deployment` shows and `POST /deployment` orders.
    pub deployment: DeploymentAccess,
    /// Who may put over plain HTTP.
    pub ingest: Ingest,
    /// The limits of connections and requests.
    pub limits: HttpLimits,
}
