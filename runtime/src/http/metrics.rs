//! What requests count into.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The metrics of the door. Clones count into the same.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: Family<Outcome, Counter>,
    durations: Family<Named, Histogram, fn() -> Histogram>,
    bytes_in: Counter,
    bytes_out: Counter,
    ingest_records: Family<Ingested, Counter>,
    ingest_bytes: Family<Ingested, Counter>,
    pub(super) records_in: Counter,
    pub(super) records_out: Counter,
}

/// How a request ended; all values are names of this program, never a client's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    operation: &'static str,
    error: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ingested {
    error: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    operation: &'static str,
}

impl HttpMetrics {
    /// Metrics under names that begin with `http_`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_25, 2.0, 17))),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            ingest_records: Family::default(),
            ingest_bytes: Family::default(),
            records_in: Counter::default(),
            records_out: Counter::default(),
        };
        let http = registry.sub_registry_with_prefix("http");
        http.register("requests", "Requests answered, by operation and error", metrics.requests.clone());
        http.register("request_duration_seconds", "From head to answer", metrics.durations.clone());
        http.register("request_bytes", "Bytes of request bodies", metrics.bytes_in.clone());
        http.register("response_bytes", "Bytes of answers", metrics.bytes_out.clone());
        http.register("records_in", "Records appended", metrics.records_in.clone());
        http.register("records_out", "Records given to readers", metrics.records_out.clone());
        http.register(
            "ingest_records",
            "Records of requests over plain HTTP, by what became of the request",
            metrics.ingest_records.clone(),
        );
        http.register("ingest_bytes", "Data and partition keys of those records", metrics.ingest_bytes.clone());
        metrics
    }

    /// A request over plain HTTP was put, or was not; `error` is `none` for one that went well.
    pub(super) fn ingested(&self, error: &'static str, records: usize, bytes: usize) {
        let outcome = Ingested { error };
        self.ingest_records.get_or_create(&outcome).inc_by(records as u64);
        self.ingest_bytes.get_or_create(&outcome).inc_by(bytes as u64);
    }

    /// A request was answered; `error` is `none` for one that went well.
    pub(super) fn answered(&self, operation: &'static str, error: &'static str, took: Duration, bytes_out: usize) {
        self.requests.get_or_create(&Outcome { operation, error }).inc();
        self.durations.get_or_create(&Named { operation }).observe(took.as_secs_f64());
        self.bytes_out.inc_by(bytes_out as u64);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes_in.inc_by(bytes as u64);
    }
}
