//! `tidemill fsck`: whether a data folder is sound, without a node.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tidemill_stream::fsck::{self, Above, Counts, Finding, Report, Severity};

use super::output::{json_to_stdout, to_stderr, to_stdout};
use super::signals::Stop;
use super::text::counted;
use super::{INTERRUPTED, serve};
use crate::{node, trigger};

/// Check a data folder that no node is using.
///
/// Every byte of every segment is read: checksums, the chain of frames, records, indexes; then whether documents, logs
/// and cursors agree. What is wrong is said with its file and its byte, one line each: an error is damage, a note is
/// something that a crash leaves and the next start puts right. Nothing in the folder is changed; a copy of sled is made
/// in the system's folder for temporary files. The exit code is 0 when there is no error, else 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill fsck
  tidemill fsck --data /var/lib/tidemill
  tidemill fsck --json | jq .findings")]
pub(super) struct FsckArgs {
    /// The folder that keeps everything.
    #[arg(long, value_name = "DIR", default_value = serve::DATA_DEFAULT)]
    data: PathBuf,
    /// Print what was found as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// What was found, for `--json`.
#[derive(Debug, Serialize)]
struct Found<'a> {
    data: String,
    sound: bool,
    errors: u64,
    notes: u64,
    counts: CountsFound,
    elapsed_ms: u64,
    /// The first ones, should there be very many.
    findings: Vec<FindingFound<'a>>,
}

#[derive(Debug, Serialize)]
struct CountsFound {
    streams: u64,
    logs: u64,
    segments: u64,
    frames: u64,
    records: u64,
    documents: u64,
    blobs: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct FindingFound<'a> {
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    what: &'a str,
}

pub(super) async fn fsck(args: FsckArgs) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::new()?;
    let scratch =
        tempfile::Builder::new().prefix("tidemill-fsck-").tempdir().context("no folder for a copy of sled")?;
    let progress = progress_bar();
    let (folder, copies, bar) = (args.data.clone(), scratch.path().to_owned(), progress.clone());
    let started = Instant::now();
    let checking = tokio::task::spawn_blocking(move || {
        let above = Above { names: &node::FOLDERS, trigger: &trigger::read_document };
        fsck::check(&folder, &copies, above, &mut |progress| {
            bar.set_length(progress.total_bytes);
            bar.set_position(progress.checked_bytes);
        })
    });
    let report = tokio::select! {
        report = checking => report?,
        () = stop.received() => {
            progress.finish_and_clear();
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    progress.finish_and_clear();
    let report = report?;
    tell(&args, &report, u64::try_from(started.elapsed().as_millis())?)?;
    Ok(if report.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(args: &FsckArgs, report: &Report, elapsed_ms: u64) -> anyhow::Result<()> {
    let data = args.data.display().to_string();
    if args.json {
        let findings = report.findings.iter().map(FindingFound::from).collect();
        let (errors, notes, counts) = (report.errors, report.notes, report.counts.into());
        let found = Found { data, sound: errors == 0, errors, notes, counts, elapsed_ms, findings };
        return json_to_stdout(&serde_json::to_string_pretty(&found)?);
    }
    for finding in &report.findings {
        to_stdout(&line(finding))?;
    }
    let left_out = (report.errors + report.notes).saturating_sub(report.findings.len() as u64);
    if left_out > 0 {
        to_stderr(&format!("{left_out} more are not shown"));
    }
    to_stdout(&summary(&data, report, elapsed_ms))
}

/// `error: FILE at byte N (stream 'NAME'): what is wrong`.
fn line(finding: &Finding) -> String {
    let severity = word(finding.severity);
    let offset = finding.offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
    let stream = finding.stream.as_ref().map(|stream| format!(" (stream '{stream}')")).unwrap_or_default();
    format!("{severity}: {}{offset}{stream}: {}", finding.file.display(), finding.what)
}

fn summary(data: &str, report: &Report, elapsed_ms: u64) -> String {
    let verdict = match (report.errors, report.notes) {
        (0, 0) => "is sound".to_owned(),
        (0, notes) => format!("is sound ({})", counted(notes, "note")),
        (errors, 0) => format!("is damaged: {}", counted(errors, "error")),
        (errors, notes) => format!("is damaged: {}, {}", counted(errors, "error"), counted(notes, "note")),
    };
    let counts = &report.counts;
    let looked_at = [
        (counts.streams, "stream"),
        (counts.logs, "log"),
        (counts.segments, "segment"),
        (counts.frames, "frame"),
        (counts.records, "record"),
        (counts.documents, "document"),
        (counts.blobs, "blob"),
    ];
    let looked_at: Vec<_> = looked_at.map(|(count, noun)| counted(count, noun)).to_vec();
    let (mebibytes, seconds) = (counts.bytes as f64 / f64::from(1 << 20), elapsed_ms as f64 / 1000.0);
    format!("{data} {verdict}; {}; {mebibytes:.1} MiB in {seconds:.1} s", looked_at.join(", "))
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Error => "error",
    }
}

/// Shown on a terminal only.
fn progress_bar() -> ProgressBar {
    let template = "{wide_bar}  {bytes} of {total_bytes}  {percent}%  {elapsed}, {eta} left";
    match ProgressStyle::with_template(template) {
        Ok(style) => ProgressBar::new(0).with_style(style),
        Err(_) => ProgressBar::new(0),
    }
}

impl<'a> From<&'a Finding> for FindingFound<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            severity: word(finding.severity),
            stream: finding.stream.as_ref().map(tidemill_stream::name::StreamName::as_str),
            log: finding.log.map(|log| log.to_string()),
            file: finding.file.display().to_string(),
            offset: finding.offset,
            what: &finding.what,
        }
    }
}

impl From<Counts> for CountsFound {
    fn from(counts: Counts) -> Self {
        let Counts { streams, logs, segments, frames, records, documents, blobs, bytes } = counts;
        Self { streams, logs, segments, frames, records, documents, blobs, bytes }
    }
}
