//! `tidemill logs`: what a function has said.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use tidemill_client::{Client, ClientError};
use tidemill_stream::clock::Timestamp;

use super::asked::Asked;
use super::output::{as_it_is_to_stdout, is_broken_pipe, reader_gone, to_stderr};
use super::patience::Patience;
use super::signals::Stop;
use super::text::{on_one_line, short_shard, terminal, time};
use crate::functions::FunctionName;
use crate::harmless;
use crate::limits::{LOG_PAGE_LINES_MAX, LOG_WAIT_MAX};
use crate::status::{LogLineReport, LogReport};

/// Show what a function has logged, and why its calls failed.
///
/// A line has its time (UTC), its level, the stream and shard whose records were handled, and the message. The node keeps
/// the last 256 KiB of each function in memory, since it started; its own log, on standard error, has them too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill logs orders
  tidemill logs orders -f --level warn
  tidemill logs orders --lines 1000 --json | jq .text")]
pub(super) struct LogsArgs {
    /// The function's name.
    function: String,
    /// Go on with what is logged from now on, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// How many of the last lines to look at.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=LOG_PAGE_LINES_MAX as u64))]
    lines: u64,
    /// The least level that is shown.
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "info")]
    level: Level,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// Levels, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    fn of(line: &LogLineReport) -> Self {
        Self::from_str(&line.level, true).unwrap_or(Self::Error)
    }
}

pub(super) async fn logs(args: LogsArgs) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::new()?;
    tokio::select! {
        biased;
        () = stop.received() => Ok(ExitCode::SUCCESS),
        () = reader_gone() => Ok(ExitCode::SUCCESS),
        shown = show(&args) => shown.map(|()| ExitCode::SUCCESS),
    }
}

async fn show(args: &LogsArgs) -> anyhow::Result<()> {
    FunctionName::parse(&args.function)?;
    let client = args.asked.client()?;
    let mut last = match read(&client, args, None).await {
        Ok(page) => page?,
        Err(error) => return Err(args.failure(error)),
    };
    let mut patience = Patience::new(args.asked.url.clone());
    while let (true, Some(after)) = (args.follow, last) {
        match read(&client, args, Some(after)).await {
            Ok(page) => {
                patience.answered();
                last = page?;
            }
            // A function that is deployed anew may be away for a moment, as a node that is started anew is.
            Err(error) if error.is_passing() || error.is_not_found() => patience.wait(&error).await,
            Err(error) => return Err(args.failure(error)),
        }
    }
    Ok(())
}

/// Shows a page. Returns where to go on; `None` when nobody reads standard output any more.
async fn read(
    client: &Client,
    args: &LogsArgs,
    after: Option<u64>,
) -> Result<anyhow::Result<Option<u64>>, ClientError> {
    let (lines, wait) = match after {
        None => (args.lines, Duration::ZERO),
        Some(_) => (LOG_PAGE_LINES_MAX as u64, LOG_WAIT_MAX),
    };
    let said = client.function_log(&args.function, after, lines, wait).await?;
    Ok(print(args, said))
}

fn print(args: &LogsArgs, said: serde_json::Value) -> anyhow::Result<Option<u64>> {
    let page: LogReport = serde_json::from_value(said).context("the node is of another version")?;
    if page.missed > 0 {
        to_stderr(&format!("{} lines were not kept long enough to be shown", page.missed));
    }
    let wanted = page.lines.iter().filter(|line| Level::of(line) >= args.level);
    let lines: Vec<String> = wanted.map(|line| args.line(line)).collect::<Result<_, _>>()?;
    if lines.is_empty() {
        return Ok(Some(page.last));
    }
    match as_it_is_to_stdout(&lines.join("\n")) {
        Err(error) if is_broken_pipe(&error) => Ok(None),
        printed => printed.map(|()| Some(page.last)),
    }
}

impl LogsArgs {
    fn line(&self, line: &LogLineReport) -> anyhow::Result<String> {
        if self.json {
            return Ok(harmless::json(&serde_json::to_string(line)?));
        }
        let at = time(Timestamp::from_millis(line.at_ms));
        let level = format!("{:<5}", line.level);
        let level = if terminal().is_some() { coloured(Level::of(line), &level) } else { level };
        let place = match line.stream.as_str() {
            "" => "start".to_owned(),
            stream => format!("{stream}/{}", short_shard(&line.shard)),
        };
        Ok(format!("{at} {level} {} {}", on_one_line(&place), harmless::lines(&line.text)))
    }

    fn failure(&self, error: ClientError) -> anyhow::Error {
        if error.is_not_found() {
            let (name, url) = (&self.function, &self.asked.url);
            return anyhow!("no function '{name}' is deployed at {url}; 'tidemill status' shows those that are");
        }
        self.asked.failure(error)
    }
}

fn coloured(level: Level, text: &str) -> String {
    let colour = match level {
        Level::Trace | Level::Debug => "2",
        Level::Info => "32",
        Level::Warn => "33",
        Level::Error => "31",
    };
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}
