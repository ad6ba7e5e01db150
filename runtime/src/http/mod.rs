//! The door: the Kinesis API over HTTP/1.1 and HTTP/2, with TLS or without, plain HTTP for those who have no SDK, and what
//! an operator reads (`/health`, `/metrics`, `/status`, `/deployment`, `/functions/NAME/log`).
//!
//! Promises that what is doubtful stays outside: a request is bounded, parsed and checked here, and only domain types
//! go further. It must not know of triggers, functions or the manifest; it meets them in the store, and reads their
//! state through a function that it was given.

mod auth;
mod codec;
mod connection;
mod constraint;
mod context;
mod delay;
mod deployment;
mod dispatch;
mod error;
mod event_stream;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod guard;
mod idle;
mod ingest;
mod inject;
mod iterator;
mod leftover;
pub mod limits;
mod metrics;
mod operation;
mod operator;
mod patience;
mod quota;
mod replay;
mod routes;
mod server;
mod streams;
mod subscriptions;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use prometheus_client::registry::Registry;
use tidemill_stream::keys::Keyring;
use tidemill_stream::store::Store;

pub use auth::{Access, Credentials, Defaults, InvalidCredentials, InvalidDefault};
pub use delay::{DelayTimes, Delays};
pub use deployment::{ApplyOrder, DeploymentAccess, NotApplied};
pub use ingest::{Ingest, IngestSettings, InvalidOrigin, InvalidToken, Origin, Origins, TokenDigest};
pub use inject::{InjectedError, InjectedErrors, InvalidInjection};
pub use iterator::IteratorKey;
pub use limits::HttpLimits;
pub use metrics::HttpMetrics;
pub use quota::Quotas;
pub use server::serve;
pub use tls::Tls;

/// Tells what the rooms behind the store do, for `GET /status`.
pub type StatusProvider = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// Whose lines are asked for by `GET /functions/NAME/log`, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuestion {
    /// The function.
    pub function: String,
    /// Those behind this number; `None`: the last ones.
    pub after: Option<u64>,
    /// At most so many.
    pub lines_max: usize,
    /// How long to wait for one where there is none yet.
    pub wait: Duration,
}

/// Answers questions for lines; `None` when there is no such function.
pub type LogProvider = Arc<dyn Fn(LogQuestion) -> BoxFuture<'static, Option<serde_json::Value>> + Send + Sync>;

/// What requests are answered with.
#[derive(Clone)]
pub struct HttpState {
    /// The streams; its clock is the clock here.
    pub store: Store,
    /// The account and region of a caller that names none.
    pub defaults: Defaults,
    /// Who may use the Kinesis API.
    pub access: Access,
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
    /// What `GET /functions/NAME/log` shows.
    pub log: LogProvider,
    /// Who may put over plain HTTP.
    pub ingest: Ingest,
    /// Names by which a node that listens on its own machine only may be asked, beside its address and localhost.
    pub hosts: Vec<String>,
    /// The keys that streams may be encrypted with.
    pub keys: Keyring,
    /// How many shards and on-demand streams the API makes.
    pub quotas: Quotas,
    /// What shows late on purpose.
    pub delays: Option<Arc<Delays>>,
    /// What fails on purpose.
    pub errors: Option<Arc<InjectedErrors>>,
    /// What clients that speak TLS are met with; without it they are not understood.
    pub tls: Option<Tls>,
    /// The limits of connections and requests.
    pub limits: HttpLimits,
}
