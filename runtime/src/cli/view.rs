//! The live view of `tidemill up`: what the node does, below its log lines.
//!
//! Promises that log lines pass above it whole, and that nothing is drawn where standard error is no terminal. It must not
//! know how a node is run.

use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::text::{TABLE_COLUMNS_MAX, cell, cut, on_one_line, span, time_of_day};
use crate::functions::LogLine;
use crate::node::Observer;
use crate::status::{Report, TriggerReport};

/// How often it is drawn anew.
const PERIOD: Duration = Duration::from_millis(500);
/// Lines of functions that it shows.
const ALERTS_MAX: usize = 4;

/// Standard error with the view at its end. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct View {
    screen: MultiProgress,
    panel: ProgressBar,
}

impl View {
    /// On standard error, not shown yet.
    pub(super) fn new() -> anyhow::Result<Self> {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let panel = screen.add(ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{msg}")?));
        Ok(Self { screen, panel })
    }

    /// From now on it is drawn.
    pub(super) fn show(&self) {
        self.screen.set_draw_target(ProgressDrawTarget::stderr());
    }

    /// Makes room for somebody else who writes to standard error.
    pub(super) fn hide(&self) {
        let _ = self.screen.clear(); // where nobody can see it, it need not be cleared
        self.screen.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Draws for ever.
    pub(super) async fn run(&self, observer: &Observer) {
        let mut before = observer.status();
        let mut ticks = tokio::time::interval(PERIOD);
        let mut rates = Rates::default();
        loop {
            let now = ticks.tick().await;
            let report = observer.status();
            rates.note(now, &before, &report);
            self.panel.set_message(panel(&report, &rates, &observer.last_lines(Level::WARN, ALERTS_MAX)));
            before = report;
        }
    }
}

/// Log lines go above the view.
impl<'a> MakeWriter<'a> for View {
    type Writer = Above<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Above(self)
    }
}

pub(super) struct Above<'a>(&'a View);

impl io::Write for Above<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.screen.suspend(|| io::Write::write_all(&mut io::stderr(), bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut io::stderr())
    }
}

/// What streams take a second, smoothed, in the order of the report.
#[derive(Debug, Default)]
struct Rates {
    per_second: Vec<f64>,
    at: Option<tokio::time::Instant>,
}

impl Rates {
    fn note(&mut self, now: tokio::time::Instant, before: &Report, after: &Report) {
        let passed = self.at.replace(now).map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        self.per_second.resize(after.streams.len(), 0.0);
        for (rate, stream) in self.per_second.iter_mut().zip(&after.streams) {
            let known = before.streams.iter().find(|known| known.name == stream.name);
            let taken = known.map_or(0, |known| stream.records.saturating_sub(known.records));
            if passed > 0.0 {
                *rate += 0.3 * (taken as f64 / passed - *rate);
            }
        }
    }
}

fn panel(report: &Report, rates: &Rates, alerts: &[(String, LogLine)]) -> String {
    let mut lines = vec![String::new(), format!("{} {:>12} {:>10}", cell("STREAM", 45), "RECORDS IN", "A SECOND")];
    for (stream, rate) in report.streams.iter().zip(&rates.per_second) {
        lines.push(format!("{} {:>12} {rate:>10.0}", cell(&stream.name, 45), stream.records));
    }
    let head = format!("{:<10} {:>11} {:>11} {:>14} {:>7}", "STATE", "INVOCATIONS", "RECORDS", "LAG", "FAILED");
    lines.push(format!("{} {head}", cell("TRIGGER", 22)));
    for trigger in triggers(report) {
        lines.extend(trigger.lines());
    }
    if !alerts.is_empty() {
        lines.push("LAST ALERTS".to_owned());
        lines.extend(alerts.iter().map(|(function, line)| alert(function, line)));
    }
    lines.join("\n")
}

fn alert(function: &str, line: &LogLine) -> String {
    let text = on_one_line(&line.text);
    cut(&format!("{} {} {text}", time_of_day(line.at), cell(function, 10)), TABLE_COLUMNS_MAX)
}

/// A trigger in all its shards.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    trigger: &'a str,
    state: &'a str,
    invocations: u64,
    records: u64,
    behind_ms: u64,
    failures: u64,
    /// Of a shard that is not running now: the last error.
    error: Option<&'a str>,
}

/// How much the state of one shard tells of its trigger.
fn weight(state: &str) -> u8 {
    match state {
        "finished" => 0,
        "waiting for parents" => 1,
        "running" => 2,
        _ => 3,
    }
}

/// One row for each trigger. A shard that is not running tells more than one that is, unless it is not its turn.
fn triggers(report: &Report) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for shard in &report.triggers {
        let row = Row::of(shard);
        match rows.last_mut().filter(|last| last.trigger == row.trigger) {
            Some(last) => last.add(&row),
            None => rows.push(row),
        }
    }
    rows
}

impl<'a> Row<'a> {
    fn of(shard: &'a TriggerReport) -> Self {
        let is_well = weight(&shard.state) <= weight("running");
        Self {
            trigger: &shard.trigger,
            state: &shard.state,
            invocations: shard.counts.invocations,
            records: shard.counts.records,
            behind_ms: shard.behind_ms,
            failures: shard.counts.failures,
            error: shard.last_error.as_ref().filter(|_| !is_well).map(|error| error.message.as_str()),
        }
    }

    fn add(&mut self, other: &Self) {
        self.invocations += other.invocations;
        self.records += other.records;
        self.failures += other.failures;
        self.behind_ms = self.behind_ms.max(other.behind_ms);
        self.error = self.error.or(other.error);
        if weight(other.state) >= weight(self.state) {
            self.state = other.state;
        }
    }

    fn lines(&self) -> Vec<String> {
        let Self { trigger, state, invocations, records, behind_ms, failures, error } = self;
        let lag = if *behind_ms == 0 { "caught up".to_owned() } else { span(*behind_ms) };
        let (trigger, state) = (cell(trigger, 22), cell(state, 10));
        let row = format!("{trigger} {state} {invocations:>11} {records:>11} {lag:>14} {failures:>7}");
        let error = error.map(|error| cut(&format!("  {}", on_one_line(error)), TABLE_COLUMNS_MAX));
        std::iter::once(row).chain(error).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidemill_stream::clock::Timestamp;

    use super::*;
    use crate::status::{Counts, LastErrorReport, StreamReport};

    fn shard(index: u32, state: &str, behind_ms: u64) -> TriggerReport {
        TriggerReport {
            trigger: "alert".to_owned(),
            stream: "quakes".to_owned(),
            function: "alert".to_owned(),
            shard: Some(format!("shardId-{index:012}")),
            state: state.to_owned(),
            behind_ms,
            last_error: Some(LastErrorReport { message: "a drill".repeat(20), attempt: 2, at_ms: 0 }),
            last_sequence_number: None,
            phase: "Enabled".to_owned(),
            iterator_age_ms: 0,
            blocked: Vec::new(),
            counts: Counts { invocations: 3, records: 40, failures: 1, ..Counts::default() },
        }
    }

    fn stream(records: u64) -> StreamReport {
        let (name, status) = ("quakes".to_owned(), "ACTIVE".to_owned());
        StreamReport { name, status, open_shards: 2, retention_hours: 24, records, bytes: 0 }
    }

    fn report(records: u64, triggers: Vec<TriggerReport>) -> Report {
        Report {
            version: String::new(),
            testing_aids: Vec::new(),
            streams: vec![stream(records)],
            functions: Vec::new(),
            triggers,
        }
    }

    #[test]
    fn shards_are_added_up_and_trouble_is_shown() {
        let report = report(80, vec![shard(0, "retrying", 7000), shard(1, "running", 0)]);
        let line = LogLine {
            number: 1,
            at: Timestamp::from_millis(1_000),
            level: Level::WARN,
            call: Arc::default(),
            text: "strong".to_owned(),
        };
        let shown = panel(&report, &Rates { per_second: vec![19.6], at: None }, &[("alert".to_owned(), line)]);
        let words: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(words.contains(&vec!["quakes", "80", "20"]), "{shown}");
        assert!(words.contains(&vec!["alert", "retrying", "6", "80", "7", "s", "2"]), "{shown}");
        assert!(words.contains(&vec!["00:00:01", "alert", "strong"]), "{shown}");
        assert!(shown.contains("  a drilla drill"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= TABLE_COLUMNS_MAX), "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn rates_follow_what_streams_take() {
        let mut rates = Rates::default();
        let start = tokio::time::Instant::now();
        for second in 0..20 {
            let at = start + Duration::from_secs(second);
            rates.note(at, &report(100 * second.saturating_sub(1), vec![]), &report(100 * second, vec![]));
        }
        assert!((rates.per_second[0] - 100.0).abs() < 1.0, "{rates:?}");
    }
}
