//! `tidemill put`: one record a line.

mod checkpoint;
mod lines;
mod pace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;
use tidemill_client::{Client, PutRecord, PutRecordsError};
use tokio::time::Instant;

use self::checkpoint::{Checkpoint, Target};
use self::lines::{KeySource, Line, Lines};
use self::pace::{Pace, Rate};
use super::INTERRUPTED;
use super::asked::Asked;
use super::output::{json_to_stdout, to_stderr};
use super::signals::Stop;

/// How long a request in flight may go on after Ctrl-C.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// How often the progress is drawn while nothing else happens.
const PROGRESS_PERIOD: Duration = Duration::from_millis(200);

/// Put the lines of a file into a stream, one record a line.
///
/// Lines keep their order: they go in batches of up to 500, and a batch goes when the one before it is acknowledged.
/// Blank lines are skipped. A line's partition key is
/// given with --key, or is the value of a field of the line's JSON object with --key-field, else it is the SHA-256 of
/// the line, so that equal lines go to the same shard.
///
/// With --key-field a.b the field of that name counts and, where there is none, the field b of the object a. A number is
/// its digits as they stand there.
///
/// With --checkpoint a file remembers how many lines the node has acknowledged, and a later run goes on behind them.
/// After a crash a few lines may be put twice, none is left out. A checkpoint of another stream, of another file, or of a
/// file that has other lines there now, is refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill put orders orders.jsonl
  tidemill put earthquakes --key-field network --rate 20 --checkpoint feed.checkpoint quakes.jsonl
  tail -f app.log | tidemill put logs --key app --node http://127.0.0.1:4567")]
pub(super) struct PutArgs {
    /// The stream.
    stream: String,
    /// The file; '-' is standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// The partition key of all records.
    #[arg(long, value_name = "KEY", conflicts_with = "key_field")]
    key: Option<String>,
    /// The field of a line's JSON object that is its partition key; dots lead into objects within it.
    #[arg(long, value_name = "NAME")]
    key_field: Option<String>,
    #[command(flatten)]
    asked: Asked,
    /// Records a second at most, like 20 or 20/s; without it as fast as the node takes them.
    #[arg(long, value_name = "N/s")]
    rate: Option<Rate>,
    /// Remember the progress in this file, and go on from it.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Print one line of JSON on standard output at the end: what was put, and how long it took.
    #[arg(long)]
    json: bool,
}

/// What was done, for `--json`.
#[derive(Debug, Default, Serialize)]
struct Done {
    /// Records that were acknowledged in this run.
    records: u64,
    /// Lines of the file that are done, with those of earlier runs and blank ones.
    lines: u64,
    elapsed_ms: u64,
    interrupted: bool,
}

pub(super) async fn put(args: PutArgs) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::new()?;
    let client = args.asked.client()?;
    ensure!(
        args.checkpoint.is_none() || args.file != Path::new("-"),
        "--checkpoint counts the lines of a file, and standard input is another one each time: name the file"
    );
    let mut checkpoint = checkpoint(&args, &client).await?;
    let key = KeySource::new(args.key.clone(), args.key_field.clone())?;
    let (lines, bytes) = Lines::open(&args.file, key, checkpoint.lines())?;
    let progress = progress_bar(bytes, client.clone());
    let mut feed = Feed {
        asked: args.asked.clone(),
        client,
        stream: args.stream.clone(),
        lines,
        pace: Pace::new(args.rate),
        progress,
    };
    let started = Instant::now();
    let outcome = feed.run(&mut checkpoint, &mut stop).await;
    feed.progress.finish_and_clear();
    let (records, interrupted) = outcome?;
    let elapsed = started.elapsed();
    let elapsed_ms = u64::try_from(elapsed.as_millis())?;
    report(&args, &Done { records, lines: checkpoint.lines(), elapsed_ms, interrupted })?;
    Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// The progress through the file. The node is asked which stream it is that has this name now.
async fn checkpoint(args: &PutArgs, client: &Client) -> anyhow::Result<Checkpoint> {
    let Some(path) = &args.checkpoint else { return Ok(Checkpoint::none()) };
    let described = client.describe(&args.stream).await;
    let described = described.map_err(|error| args.asked.stream_failure(&args.stream, error))?;
    let created_ms = u64::try_from(described.stream_creation_timestamp.millis).unwrap_or_default();
    Checkpoint::open(path, &args.file, Target { stream: args.stream.clone(), created_ms })
}

fn report(args: &PutArgs, done: &Done) -> anyhow::Result<()> {
    if args.json {
        return json_to_stdout(&serde_json::to_string(done)?);
    }
    let seconds = (done.elapsed_ms as f64 / 1000.0).max(0.001);
    let (records, rate) = (done.records, done.records as f64 / seconds);
    let what = if records == 1 { "record" } else { "records" };
    let lines_are = if done.lines == 1 { "line is" } else { "lines are" };
    let how = if done.interrupted { "interrupted: " } else { "" };
    to_stderr(&format!(
        "{how}put {records} {what} into {} in {seconds:.1} s ({rate:.0}/s); {} {lines_are} done",
        args.stream, done.lines
    ));
    Ok(())
}

struct Feed {
    asked: Asked,
    client: Client,
    stream: String,
    lines: Lines,
    pace: Pace,
    progress: ProgressBar,
}

impl Feed {
    /// Puts until the lines end or the user stops it; how many records, and whether it was stopped.
    async fn run(&mut self, checkpoint: &mut Checkpoint, stop: &mut Stop) -> anyhow::Result<(u64, bool)> {
        let (mut records, started) = (0, Instant::now());
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.received() => return Ok((records, true)),
                batch = self.next_batch() => batch?,
            };
            let Some(last) = batch.last() else { return Ok((records, false)) };
            let put = tokio::select! {
                biased;
                put = self.put(&batch, checkpoint) => put,
                () = stopped_for_long(stop) => return Ok((records, true)),
            };
            put?;
            records += batch.len() as u64;
            checkpoint.advance(last)?;
            self.progress.set_position(last.end_bytes);
            self.progress.set_message(so_far(records, started.elapsed()));
        }
    }

    async fn next_batch(&mut self) -> anyhow::Result<Vec<Line>> {
        let batch = self.lines.next_batch(self.pace.batch_records_max()).await?;
        // At the end nothing comes that could be too early.
        if !batch.is_empty() {
            self.pace.wait_for(batch.len()).await;
        }
        Ok(batch)
    }

    async fn put(&self, batch: &[Line], checkpoint: &mut Checkpoint) -> anyhow::Result<()> {
        let records: Vec<PutRecord> = batch.iter().map(Line::record).collect();
        let Err(PutRecordsError { placed, source }) = self.client.put_records(&self.stream, &records).await else {
            return Ok(());
        };
        // Those before the first gap are done; of the others some may be put again by a later run.
        let done = placed.iter().take_while(|place| place.is_some()).count();
        if let Some(line) = done.checked_sub(1).and_then(|index| batch.get(index)) {
            checkpoint.advance(line)?;
        }
        let line = batch.get(done).map_or(0, |line| line.number);
        Err(self.asked.stream_failure(&self.stream, source))
            .with_context(|| format!("line {line} was not put into the stream '{}'", self.stream))
    }
}

async fn stopped_for_long(stop: &mut Stop) {
    stop.received().await;
    tokio::time::sleep(STOP_DEADLINE).await;
}

fn so_far(records: u64, elapsed: Duration) -> String {
    let rate = records as f64 / elapsed.as_secs_f64().max(0.001);
    format!("{records} records  {rate:.0} records/s")
}

/// Shown on a terminal only. A put that is sent again and again shows by the errors that are counted.
fn progress_bar(bytes: Option<u64>, client: Client) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{msg}  {errors}  {wide_bar}  {percent}%  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner}  {msg}  {errors}  {elapsed}"),
    };
    let errors = move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
        let _ = write!(text, "{} errors", client.retries()); // nobody can be told
    };
    let Ok(style) = ProgressStyle::with_template(template) else { return bar };
    let bar = bar.with_style(style.with_key("errors", errors));
    bar.enable_steady_tick(PROGRESS_PERIOD);
    bar
}
