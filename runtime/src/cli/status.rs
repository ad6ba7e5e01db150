//! `tidemill status`: what a node is doing, for a person or a program.

use anyhow::Context as _;
use clap::Args;
use tidemill_client::Client;
use tidemill_stream::clock::{Clock, Timestamp};

use super::output::to_stdout;
use crate::status::{LastErrorReport, Report, StreamReport, TriggerReport};

/// The widest line of the tables.
const WIDTH_CHARS_MAX: usize = 80;

/// Show a node's streams, functions and triggers.
///
/// A trigger has a line for each shard: what it is doing there, how long the oldest record that waits has waited, and
/// how many records it has processed and calls have failed since the node started. Its last error follows.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill status
  tidemill status --json --node http://127.0.0.1:4567")]
pub(super) struct StatusArgs {
    /// Print what the node said as JSON.
    #[arg(long)]
    json: bool,
    /// The node.
    #[arg(long, value_name = "URL", default_value = super::NODE_DEFAULT)]
    node: String,
}

pub(super) async fn status(args: StatusArgs) -> anyhow::Result<()> {
    let said = Client::new(&args.node)?.status().await.with_context(|| format!("the node at {}", args.node))?;
    if args.json {
        return to_stdout(&serde_json::to_string_pretty(&said)?);
    }
    let report: Report = serde_json::from_value(said).context("the node is of another version")?;
    to_stdout(&table(&report, Clock::system().now()))
}

fn table(report: &Report, now: Timestamp) -> String {
    let mut lines = vec![format!("{:<46} {:>6} {:>10} {:>10}", "STREAM", "SHARDS", "STATUS", "RETENTION")];
    lines.extend(report.streams.iter().map(stream_line));
    lines.extend([String::new(), format!("{:<46} VERSION", "FUNCTION")]);
    lines.extend(
        report
            .functions
            .iter()
            .map(|function| format!("{:<46} {}", cut(&function.name, 46), cut(&function.version, 12))),
    );
    let head =
        format!("{:<28} {:>5} {:<10} {:>9} {:>12} {:>8}", "TRIGGER", "SHARD", "STATE", "BEHIND", "RECORDS", "FAILED");
    lines.extend([String::new(), head]);
    for trigger in &report.triggers {
        lines.push(trigger_line(trigger));
        lines.extend(trigger.last_error.as_ref().map(|error| error_line(error, now)));
    }
    lines.join("\n")
}

fn stream_line(stream: &StreamReport) -> String {
    let (name, retention) = (cut(&stream.name, 46), format!("{} h", stream.retention_hours));
    format!("{name:<46} {:>6} {:>10} {retention:>10}", stream.open_shards, stream.status)
}

fn trigger_line(trigger: &TriggerReport) -> String {
    let shard = trigger.shard.as_deref().map_or("-", short_shard);
    let (name, state) = (cut(&trigger.trigger, 28), short_state(&trigger.state));
    let behind = span(trigger.behind_ms);
    format!("{name:<28} {shard:>5} {state:<10} {behind:>9} {:>12} {:>8}", trigger.records, trigger.failures)
}

fn error_line(error: &LastErrorReport, now: Timestamp) -> String {
    let ago = span(now.as_millis().saturating_sub(error.at_ms));
    cut(&format!("  last error {ago} ago, attempt {}: {}", error.attempt, error.message), WIDTH_CHARS_MAX)
}

/// `shardId-000000000007` is shown as 7.
fn short_shard(id: &str) -> &str {
    let digits = id.trim_start_matches("shardId-").trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

fn short_state(state: &str) -> &str {
    if state.starts_with("waiting") { state.rsplit(' ').next().map_or("waiting", waiting_for) } else { state }
}

fn waiting_for(what: &str) -> &'static str {
    match what {
        "stream" => "no stream",
        "function" => "no functn.",
        _ => "waiting",
    }
}

/// A span of time in its largest fitting unit.
fn span(millis: u64) -> String {
    match millis {
        0..=999 => format!("{millis} ms"),
        1_000..=119_999 => format!("{:.1} s", millis as f64 / 1000.0),
        120_000..=7_199_999 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

/// The text, at most so many characters of it.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::FunctionReport;

    fn trigger(name: &str, shard: Option<&str>, state: &str) -> TriggerReport {
        TriggerReport {
            trigger: name.to_owned(),
            stream: "orders".to_owned(),
            function: "score".to_owned(),
            shard: shard.map(str::to_owned),
            state: state.to_owned(),
            behind_ms: 61_000,
            last_error: None,
            last_sequence_number: None,
            invocations: 20,
            records: 123_456_789_012,
            failures: 12_345_678,
        }
    }

    #[test]
    fn the_tables_fit_80_columns() {
        let long = "n".repeat(128);
        let mut failing = trigger(&long, Some("shardId-000000009999"), "retrying");
        failing.last_error = Some(LastErrorReport { message: "boom ".repeat(100), attempt: 7, at_ms: 1000 });
        let stream =
            StreamReport { name: long.clone(), status: "ACTIVE".into(), open_shards: 10_000, retention_hours: 8760 };
        let report = Report {
            version: "0.1.0".to_owned(),
            streams: vec![stream],
            functions: vec![FunctionReport { name: long, version: "a".repeat(64) }],
            triggers: vec![
                failing,
                trigger("t", Some("shardId-000000000000"), "running"),
                trigger("u", None, "waiting for stream"),
            ],
        };
        let shown = table(&report, Timestamp::from_millis(4500));
        for line in shown.lines() {
            assert!(line.chars().count() <= WIDTH_CHARS_MAX, "{} columns: {line}", line.chars().count());
        }
        assert!(shown.contains("last error 3.5 s ago, attempt 7: boom boom"), "{shown}");
        let row = shown.lines().find(|line| line.starts_with("t ")).unwrap();
        let cells: Vec<_> = row.split_whitespace().collect();
        assert_eq!(cells, ["t", "0", "running", "61.0", "s", "123456789012", "12345678"]);
        assert!(shown.contains("no stream"), "{shown}");
    }

    #[test]
    fn spans_are_shown_in_their_unit() {
        for (millis, text) in [(0, "0 ms"), (999, "999 ms"), (1500, "1.5 s"), (120_000, "2 min"), (90_000_000, "25 h")]
        {
            assert_eq!(span(millis), text);
        }
    }
}
