//! The tables of `tidemill status`. They fit 80 columns.

use tidemill_stream::clock::Timestamp;

use crate::cli::text::{Fit, TABLE_COLUMNS_MAX, cell, counted, cut, on_one_line, short_shard, span};
use crate::status::{BlockedReport, Counts, FunctionReport, LastErrorReport, Report, StreamReport, TriggerReport};

/// Lanes that cannot go on, of one shard, that are shown.
const BLOCKED_LANES_SHOWN: usize = 3;

/// All that a node says of itself, as of now.
pub(super) fn table(report: &Report, now: Timestamp, fit: Fit) -> String {
    let mut lines: Vec<String> = report.testing_aids.iter().map(|aid| aid_line(aid, fit)).collect();
    lines.extend((!lines.is_empty()).then(String::new));
    lines.push(format!("{} {:>6} {:>10} {:>10}", cell("STREAM", 46), "SHARDS", "STATUS", "RETENTION"));
    lines.extend(or_none(report.streams.iter().map(|stream| stream_line(stream, fit)).collect()));
    lines.extend([String::new(), format!("{} VERSION", cell("FUNCTION", 46))]);
    lines.extend(or_none(report.functions.iter().map(|function| function_line(function, fit)).collect()));
    let head = format!(
        "{} {:>5} {:<10} {:>14} {:>12} {:>8}",
        cell("TRIGGER", 25),
        "SHARD",
        "STATE",
        "ITERATOR AGE",
        "RECORDS",
        "FAILED"
    );
    lines.extend([String::new(), head]);
    lines.extend(or_none(report.triggers.iter().flat_map(|trigger| trigger_lines(trigger, now, fit)).collect()));
    lines.join("\n")
}

fn aid_line(aid: &str, fit: Fit) -> String {
    format!("Testing aid: {}", fit.cell(aid, 67).trim_end())
}

fn or_none(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["(none)".to_owned()] } else { lines }
}

fn stream_line(stream: &StreamReport, fit: Fit) -> String {
    let retention = format!("{} h", stream.retention_hours);
    format!("{} {:>6} {:>10} {retention:>10}", fit.cell(&stream.name, 46), stream.open_shards, stream.status)
}

fn function_line(function: &FunctionReport, fit: Fit) -> String {
    format!("{} {}", fit.cell(&function.name, 46), cut(&function.version, 12))
}

fn trigger_lines(trigger: &TriggerReport, now: Timestamp, fit: Fit) -> Vec<String> {
    let shard = trigger.shard.as_deref().map_or("-", short_shard);
    let (name, state, age) = (fit.cell(&trigger.trigger, 25), short_state(&trigger.state), age(trigger));
    let row = format!(
        "{name} {shard:>5} {state:<10} {age:>14} {:>12} {:>8}",
        trigger.counts.records, trigger.counts.failures
    );
    let error = trigger.last_error.as_ref().map(|error| error_line(error, now, fit));
    let blocked = trigger.blocked.iter().take(BLOCKED_LANES_SHOWN).flat_map(|blocked| blocked_lines(blocked, now));
    let more = trigger.blocked.len().saturating_sub(BLOCKED_LANES_SHOWN);
    let more = (more > 0).then(|| format!("  and {more} more lanes that cannot go on"));
    std::iter::once(row).chain(error).chain(given_up_line(&trigger.counts)).chain(blocked).chain(more).collect()
}

/// Records that are not delivered any more.
fn given_up_line(counts: &Counts) -> Option<String> {
    let Counts { set_aside, dropped, .. } = counts;
    let all = set_aside + dropped;
    let records = counted(all, "record");
    (all > 0).then(|| match (set_aside, dropped) {
        (_, 0) => format!("  gave up {records}; the destination was told"),
        (0, _) => format!("  gave up {records}; no destination was told"),
        _ => format!("  gave up {records}; the destination was not told of {dropped}"),
    })
}

/// What a lane cannot get past.
fn blocked_lines(blocked: &BlockedReport, now: Timestamp) -> [String; 2] {
    let BlockedReport { lane, first_sequence_number, records, attempt, next_at_ms, .. } = blocked;
    let records = counted(*records as u64, "record");
    let times = if *attempt == 1 { "once".to_owned() } else { format!("{attempt} times") };
    let next = span(next_at_ms.saturating_sub(now.as_millis()));
    [
        format!("  stuck at {first_sequence_number}"),
        format!("    {records}, lane {lane}, delivered {times}, again in {next}"),
    ]
}

/// How far behind a trigger is in its shard: the age of the oldest record that waits.
fn age(trigger: &TriggerReport) -> String {
    match (&trigger.shard, trigger.behind_ms) {
        (None, _) => "-".to_owned(),
        (Some(_), 0) => "caught up".to_owned(),
        (Some(_), behind_ms) => format!("{} behind", span(behind_ms)),
    }
}

fn error_line(error: &LastErrorReport, now: Timestamp, fit: Fit) -> String {
    let ago = span(now.as_millis().saturating_sub(error.at_ms));
    let message = on_one_line(&error.message);
    fit.line(&format!("  last error {ago} ago, attempt {}: {message}", error.attempt), TABLE_COLUMNS_MAX)
}

fn short_state(state: &str) -> &str {
    if state.starts_with("waiting") { state.rsplit(' ').next().map_or("waiting", waiting_for) } else { state }
}

fn waiting_for(what: &str) -> &'static str {
    match what {
        "stream" => "no stream",
        "function" => "no functn.",
        "parents" => "for parent",
        _ => "waiting",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            phase: "Enabled".to_owned(),
            iterator_age_ms: 0,
            blocked: Vec::new(),
            counts: Counts { invocations: 20, records: 123_456_789_012, failures: 12_345_678, ..Counts::default() },
        }
    }

    #[test]
    fn the_tables_fit_80_columns() {
        let long = "n".repeat(128);
        let mut failing = trigger(&long, Some("shardId-000000009999"), "retrying");
        failing.behind_ms = 119_999;
        failing.last_error = Some(LastErrorReport { message: "boom ".repeat(100), attempt: 7, at_ms: 1000 });
        let blocked = |lane| BlockedReport {
            lane,
            first_sequence_number: "4".repeat(56),
            last_sequence_number: "5".repeat(56),
            records: 10_000,
            since_ms: 0,
            attempt: u32::MAX,
            next_at_ms: 14_500,
        };
        failing.blocked = (0..5).map(blocked).collect();
        let stream = StreamReport {
            name: long.clone(),
            status: "ACTIVE".into(),
            open_shards: 10_000,
            retention_hours: 8760,
            records: 0,
            bytes: 0,
        };
        let report = Report {
            version: "0.1.0".to_owned(),
            testing_aids: vec!["--clock-offset 1h".to_owned()],
            streams: vec![stream],
            functions: vec![FunctionReport { name: long, version: "a".repeat(64) }],
            triggers: vec![
                failing,
                trigger("t", Some("shardId-000000000000"), "running"),
                trigger("u", None, "waiting for stream"),
            ],
        };
        let shown = table(&report, Timestamp::from_millis(4500), Fit::Cut);
        for line in shown.lines() {
            assert!(line.chars().count() <= TABLE_COLUMNS_MAX, "{} columns: {line}", line.chars().count());
        }
        assert!(shown.contains("last error 3 s ago, attempt 7: boom boom"), "{shown}");
        let row = shown.lines().find(|line| line.starts_with("t ")).unwrap();
        let cells: Vec<_> = row.split_whitespace().collect();
        assert_eq!(cells, ["t", "0", "running", "61", "s", "behind", "123456789012", "12345678"]);
        assert!(shown.contains("no stream"), "{shown}");
        let stuck = format!(
            "  stuck at {}\n    10000 records, lane 2, delivered 4294967295 times, again in 10 s",
            "4".repeat(56)
        );
        assert!(shown.contains(&stuck) && !shown.contains("lane 3"), "{shown}");
        assert!(shown.contains("  and 2 more lanes that cannot go on"), "{shown}");
        assert!(shown.starts_with("Testing aid: --clock-offset 1h\n\nSTREAM"), "{shown}");
        let whole = table(&report, Timestamp::from_millis(4500), Fit::Whole);
        assert!(whole.contains(&"n".repeat(128)) && whole.contains(&"boom ".repeat(100)), "{whole}");
    }

    #[test]
    fn what_was_given_up_is_said() {
        let said = |set_aside, dropped| given_up_line(&Counts { set_aside, dropped, ..Counts::default() });
        for (set_aside, dropped, expected) in [
            (0, 0, None),
            (1, 0, Some("  gave up 1 record; the destination was told")),
            (0, 2, Some("  gave up 2 records; no destination was told")),
            (3, 2, Some("  gave up 5 records; the destination was not told of 2")),
        ] {
            assert_eq!(said(set_aside, dropped).as_deref(), expected);
        }
    }

    #[test]
    fn ages_are_words() {
        let with = |shard, behind_ms| age(&TriggerReport { behind_ms, ..trigger("t", shard, "running") });
        let shard = Some("shardId-000000000000");
        assert_eq!(
            (with(shard, 0), with(shard, 3999), with(None, 0)),
            ("caught up".into(), "3 s behind".into(), "-".into())
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        let report = Report {
            version: String::new(),
            testing_aids: vec![],
            streams: vec![],
            functions: vec![],
            triggers: vec![],
        };
        assert_eq!(table(&report, Timestamp::from_millis(0), Fit::Cut).matches("(none)").count(), 3);
    }
}
