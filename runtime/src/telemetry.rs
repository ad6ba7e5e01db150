//! What the node tells its operator: log lines and metrics, and the metrics' names.
//!
//! Log lines go to standard error, never to standard output, which belongs to commands. Payloads are never logged.

use std::fmt;
use std::io::IsTerminal as _;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tidemill_stream::clock::Clock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::status::{Board, State, TriggerStatus};

/// The filter of log lines unless the user gives one.
const FILTER_DEFAULT: &str = "info";

/// What log lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for a person: time, level, where, what, fields.
    Human,
    /// One JSON object a line.
    Json,
}

/// Why log lines could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("the log filter '{given}' cannot be read: {source}; write a level like info, or target=level,..")]
    Filter {
        /// What was given.
        given: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Log lines were set up before.
    #[error("log lines were set up before")]
    Twice,
}

/// Sends log lines to standard error from now on. `filter` is the user's, or `None`: then `RUST_LOG` counts, else
/// `info`.
pub fn log_to_stderr(format: LogFormat, filter: Option<&str>) -> Result<(), LogError> {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let given = filter.map(str::to_owned).or(from_environment).unwrap_or_else(|| FILTER_DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&given).map_err(|source| LogError::Filter { given, source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| LogError::Twice)
}

/// An empty registry; every name in it begins with `tidemill_`.
pub fn registry() -> Registry {
    Registry::with_prefix("tidemill")
}

/// Adds the metrics of triggers, which are read off the status board when somebody asks.
pub fn register_triggers(registry: &mut Registry, board: Board, clock: Clock) {
    registry.register_collector(Box::new(TriggerMetrics { board, clock }));
}

struct TriggerMetrics {
    board: Board,
    clock: Clock,
}

impl fmt::Debug for TriggerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TriggerMetrics")
    }
}

type Read<T> = fn(&TriggerStatus) -> T;

impl TriggerMetrics {
    /// Names, what they mean, and where they are on the board. The exposition adds `_total`.
    const COUNTERS: [(&'static str, &'static str, Read<u64>); 3] = [
        ("trigger_invocations", "Calls of the function, failed ones included", |row| row.status.invocations),
        ("trigger_records", "Records that were processed", |row| row.status.records),
        ("trigger_failures", "Calls of the function that failed", |row| row.status.failures),
    ];
    const BEHIND: (&'static str, &'static str) =
        ("trigger_behind", "How long the oldest record that is known to wait has waited");
    const RUNNING: (&'static str, &'static str) =
        ("trigger_running", "1 while the trigger delivers, 0 while it retries, waits or is stopped");
}

impl Collector for TriggerMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let rows = self.board.snapshot();
        let now = self.clock.now();
        for (name, help, read) in Self::COUNTERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for row in &rows {
                ConstCounter::new(read(row)).encode(metric.encode_family(&labels(row))?)?;
            }
        }
        let (name, help) = Self::BEHIND;
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for row in &rows {
            ConstGauge::new(row.status.behind(now).as_secs_f64()).encode(metric.encode_family(&labels(row))?)?;
        }
        let (name, help) = Self::RUNNING;
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for row in &rows {
            let running = i64::from(row.status.state == State::Running);
            ConstGauge::new(running).encode(metric.encode_family(&labels(row))?)?;
        }
        Ok(())
    }
}

fn labels(row: &TriggerStatus) -> [(&'static str, String); 2] {
    let shard = row.key.shard.map(|shard| shard.to_string()).unwrap_or_default();
    [("trigger", row.key.trigger.clone()), ("shard", shard)]
}

#[cfg(test)]
mod tests {
    use tidemill_stream::clock::Timestamp;
    use tidemill_stream::shard::ShardIndex;

    use super::*;
    use crate::status::RowKey;

    #[test]
    fn the_board_is_shown_as_metrics() {
        let board = Board::new();
        let key = RowKey { trigger: "t".to_owned(), shard: Some(ShardIndex(1)) };
        let row = board.row(key, "orders", "score", State::Running);
        row.failed("no", 2, Timestamp::from_millis(4000));
        row.update(|status| {
            status.invocations = 3;
            status.failures = 2;
            status.records = 7;
            status.pending_since = Some(Timestamp::from_millis(2500));
        });
        let mut registry = registry();
        register_triggers(&mut registry, board, Clock::manual(Timestamp::from_millis(5000)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let labels = r#"{trigger="t",shard="shardId-000000000001"}"#;
        for line in [
            format!("tidemill_trigger_invocations_total{labels} 3"),
            format!("tidemill_trigger_failures_total{labels} 2"),
            format!("tidemill_trigger_records_total{labels} 7"),
            format!("tidemill_trigger_behind_seconds{labels} 2.5"),
            format!("tidemill_trigger_running{labels} 0"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = log_to_stderr(LogFormat::Human, Some("tidemill=loud")).unwrap_err();
        assert!(error.to_string().contains("'tidemill=loud'"), "{error}");
    }
}
