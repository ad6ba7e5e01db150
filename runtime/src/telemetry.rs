//! What the node tells its operator: log lines and metrics, and the metrics' names.
//!
//! Log lines go to standard error, never to standard output, which belongs to commands. Payloads are never logged.

mod human;

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tidemill_stream::clock::Clock;
use tidemill_stream::engine::embedded::{Counts, Embedded};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

use self::human::Human;
use crate::status::{Board, TriggerStatus};

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
    /// The filter would show nothing.
    #[error(
        "the log filter '{given}' names no level; write error, warn, info, debug, trace or off, or target=level,.. with \
         a target like tidemill::trigger"
    )]
    Level {
        /// What was given.
        given: String,
    },
    /// Log lines were set up before.
    #[error("log lines were set up before")]
    Twice,
}

/// Sends log lines to standard error from now on. `filter` is the user's, or `None`: then `RUST_LOG` counts, else
/// `info`.
pub fn log_to_stderr(format: LogFormat, filter: Option<&str>) -> Result<(), LogError> {
    log_to(std::io::stderr, format, filter)
}

/// Sends log lines to whatever stands before standard error, as above.
pub fn log_to<W>(writer: W, format: LogFormat, filter: Option<&str>) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    if let Some(given) = filter.filter(|filter| !names_levels(filter)) {
        return Err(LogError::Level { given: given.to_owned() });
    }
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let given = filter.map(str::to_owned).or(from_environment).unwrap_or_else(|| FILTER_DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&given).map_err(|source| LogError::Filter { given, source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let done = match format {
        LogFormat::Human => {
            let is_terminal = std::io::stderr().is_terminal();
            lines.with_ansi(is_terminal).event_format(Human::default()).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| LogError::Twice)
}

/// Whether each part of a filter is a level, or names a target of ours: a level that is mistyped would be taken for a
/// target that nothing logs to.
fn names_levels(filter: &str) -> bool {
    let is_known = |part: &str| {
        part.parse::<tracing_subscriber::filter::LevelFilter>().is_ok()
            || part.contains(['=', '['])
            || part.starts_with("tidemill")
    };
    !filter.trim().is_empty() && filter.split(',').all(|part| is_known(part.trim()))
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
    const COUNTERS: [(&'static str, &'static str, Read<u64>); 15] = [
        ("trigger_invocations", "Calls of the function, failed ones included", |row| row.status.counts.invocations),
        ("trigger_records", "Records that were processed", |row| row.status.counts.records),
        (
            "trigger_failures",
            "Calls of the function that did not take all of their records, or whose outputs could not be put",
            |row| row.status.counts.failures,
        ),
        ("trigger_emitted", "Records that the function put on other streams", |row| row.status.counts.emitted),
        ("trigger_polled", "Records that were read for delivery", |row| row.status.counts.polled),
        ("trigger_filtered", "Records that the filter did not let pass", |row| row.status.counts.filtered),
        (
            "trigger_not_json",
            "Records that the filter did not let pass, as they are no JSON though it asks for some",
            |row| row.status.counts.not_json,
        ),
        (
            "trigger_invoked_records",
            "Records that the function was called with; one that is delivered twice counts twice",
            |row| row.status.counts.invoked_records,
        ),
        ("trigger_failed_records", "Records of calls that failed, and records that the function reported", |row| {
            row.status.counts.failed_records
        }),
        ("trigger_set_aside", "Records that were given up, and the destination of failures knows of it", |row| {
            row.status.counts.set_aside
        }),
        ("trigger_dropped", "Records that were given up, and no destination knows of it", |row| {
            row.status.counts.dropped
        }),
        ("trigger_destination_failures", "Times that the destination of failures could not be told", |row| {
            row.status.counts.destination_failures
        }),
        ("trigger_skips", "Times that records had expired before they were delivered", |row| row.status.counts.skips),
        ("trigger_malformed", "Records that begin as aggregates and are none; they are delivered as they are", |row| {
            row.status.counts.malformed
        }),
        (
            "trigger_misplaced",
            "User records of aggregates that belong to another shard, in part or as a whole; they are delivered",
            |row| row.status.counts.misplaced,
        ),
    ];
    const ITERATOR_AGE: (&'static str, &'static str) =
        ("trigger_iterator_age", "How old the last record of the last call was when it was made");
    const BEHIND: (&'static str, &'static str) =
        ("trigger_behind", "How long the oldest record that is known to wait has waited");
    const RUNNING: (&'static str, &'static str) = (
        "trigger_running",
        "1 while the trigger delivers, or it is not the shard's turn; 0 while it retries, lacks its stream or function, or is stopped",
    );
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
        let (name, help) = Self::ITERATOR_AGE;
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for row in &rows {
            ConstGauge::new(row.status.iterator_age.as_secs_f64()).encode(metric.encode_family(&labels(row))?)?;
        }
        let (name, help) = Self::RUNNING;
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for row in &rows {
            let running = i64::from(row.status.state.is_well());
            ConstGauge::new(running).encode(metric.encode_family(&labels(row))?)?;
        }
        Ok(())
    }
}

/// Adds the metrics of the engine's logs and documents, which are read off the engine when somebody asks.
pub fn register_engine(registry: &mut Registry, engine: Arc<Embedded>) {
    registry.register_collector(Box::new(EngineMetrics(engine)));
}

#[derive(Debug)]
struct EngineMetrics(Arc<Embedded>);

/// A metric's name, what it means, and where it is among the counts.
type Counted = (&'static str, &'static str, fn(&Counts) -> u64);

impl EngineMetrics {
    /// Since the node was started. The exposition adds `_total`.
    const COUNTERS: [Counted; 9] = [
        ("log_commits", "Frames written and synced", |counts| counts.commits),
        ("log_commit_records", "Records in frames written and synced", |counts| counts.commit_records),
        ("log_commit_bytes", "Bytes of frames written and synced", |counts| counts.commit_bytes),
        ("log_commit_failures", "Frames that were not written or not synced", |counts| counts.commit_failures),
        ("log_corruptions", "Times that data on disk was found damaged", |counts| counts.corruptions),
        ("log_torn_frames", "Last frames that a crash had torn, cut off at the start", |counts| counts.torn_frames),
        ("log_segments_reused", "Segments begun in the file of a trimmed one", |counts| counts.segments_reused),
        ("documents_checkpoints", "Checkpoints of the documents", |counts| counts.checkpoints),
        ("documents_reopened", "Times the documents were opened anew after a failure", |counts| {
            counts.documents_reopened
        }),
    ];
    /// As of now.
    const GAUGES: [Counted; 5] = [
        ("tail_bytes", "Bytes of frames in memory for readers at the tip", |counts| counts.tail_bytes),
        ("open_files", "Segment files that are kept open", |counts| counts.open_files),
        ("pending_bytes", "Bytes of appends that wait for their commit", |counts| counts.pending_bytes),
        ("disk_bytes", "Bytes of disk that records take, with what is allocated ahead of them", |counts| {
            counts.disk_bytes
        }),
        ("disk_quota_bytes", "Bytes of disk that records may take; 0 where nothing limits them", |counts| {
            counts.disk_quota_bytes.unwrap_or(0)
        }),
    ];
}

impl Collector for EngineMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.counts();
        for (name, help, read) in Self::COUNTERS {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(read(&counts)).encode(metric)?;
        }
        for (name, help, read) in Self::GAUGES {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(read(&counts)).unwrap_or(i64::MAX)).encode(metric)?;
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
    use bytes::Bytes;
    use tidemill_stream::clock::Timestamp;
    use tidemill_stream::engine::embedded::EmbeddedOptions;
    use tidemill_stream::engine::{Change, Durability, Engine as _, Expect, Key};
    use tidemill_stream::shard::ShardIndex;

    use super::*;
    use crate::status::{RowKey, State};

    #[test]
    fn a_filter_names_levels() {
        for right in ["info", "OFF", "warn,tidemill::trigger=debug", "error, hyper=info", "tidemill", "[request]=debug"]
        {
            assert!(names_levels(right), "{right}");
        }
        for wrong in ["inof", "", " ", "info,debgu"] {
            assert!(!names_levels(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_board_is_shown_as_metrics() {
        let board = Board::new();
        let key = RowKey { trigger: "t".to_owned(), shard: Some(ShardIndex(1)) };
        let row = board.row(key, "orders", "score", State::Running);
        row.failed("no", 2, Timestamp::from_millis(4000));
        row.update(|status| {
            status.counts.invocations = 3;
            status.counts.failures = 2;
            status.counts.records = 7;
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

    #[tokio::test]
    async fn the_counts_of_the_engine_are_shown_as_metrics() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Embedded::open(folder.path(), Clock::system(), EmbeddedOptions::default()).unwrap();
        let engine = Arc::new(engine);
        let mut registry = registry();
        register_engine(&mut registry, Arc::clone(&engine));
        for text in ["first", "second"] {
            let change = Change { key: Key::new(text), expect: Expect::Any, value: Some(Bytes::from(text)) };
            engine.compare_and_set(vec![change], Durability::Synced).await.unwrap();
        }
        let counts = engine.counts();
        assert!(counts.commits >= 2 && counts.commit_bytes > 0 && counts.open_files > 0, "{counts:?}");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for (name, kind, value) in [
            ("log_commits_total", "counter", counts.commits),
            ("log_commit_records_total", "counter", counts.commit_records),
            ("log_commit_bytes_total", "counter", counts.commit_bytes),
            ("log_commit_failures_total", "counter", 0),
            ("log_corruptions_total", "counter", 0),
            ("log_torn_frames_total", "counter", 0),
            ("log_segments_reused_total", "counter", 0),
            ("documents_checkpoints_total", "counter", counts.checkpoints),
            ("documents_reopened_total", "counter", 0),
            ("tail_bytes", "gauge", counts.tail_bytes),
            ("open_files", "gauge", counts.open_files),
            ("pending_bytes", "gauge", 0),
            ("disk_bytes", "gauge", counts.disk_bytes),
            ("disk_quota_bytes", "gauge", 0),
        ] {
            let family = name.trim_end_matches("_total");
            for line in [format!("tidemill_{name} {value}"), format!("# TYPE tidemill_{family} {kind}")] {
                assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
            }
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = log_to_stderr(LogFormat::Human, Some("tidemill=loud")).unwrap_err();
        assert!(error.to_string().contains("'tidemill=loud'"), "{error}");
    }
}
