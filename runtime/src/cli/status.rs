//! `tidemill status`: what a node is doing, for a person or a program.

mod screen;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tidemill_client::Client;
use tidemill_stream::clock::Clock;

use self::screen::Screen;
use self::table::table;
use super::asked::Asked;
use super::output::{json_to_stdout, to_stdout, with_causes};
use super::signals::Stop;
use super::text::{Fit, terminal};
use crate::status::Report;

/// How often a watch looks.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// How long a node may take to say its status.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Show a node's streams, functions and triggers.
///
/// A trigger has a line for each shard: what it is doing there, its iterator age, and how many records it has processed
/// and calls have failed since the node started. The iterator age is how long the oldest record that waits has waited.
/// The last error follows.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill status
  tidemill status --watch
  tidemill status --json --node http://127.0.0.1:4567")]
pub(super) struct StatusArgs {
    /// Print what the node said as JSON.
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    /// Show it anew each second, on a terminal, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn status(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let client = args.asked.client()?;
    if args.watch {
        watch(&client, &args.asked).await?;
    } else if args.json {
        let said = said(&client, &args.asked).await?;
        json_to_stdout(&serde_json::to_string_pretty(&said)?)?;
    } else {
        to_stdout(&look(&client, &args.asked, Fit::of_stdout()).await?)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn look(client: &Client, asked: &Asked, fit: Fit) -> anyhow::Result<String> {
    let said = said(client, asked).await?;
    let report: Report = serde_json::from_value(said).context("the node is of another version")?;
    Ok(table(&report, Clock::system().now(), fit))
}

async fn said(client: &Client, asked: &Asked) -> anyhow::Result<serde_json::Value> {
    let said = asked.in_time(TIMEOUT, client.status()).await?;
    said.map_err(|error| asked.failure(error))
}

/// Until Ctrl-C. A node that goes away is waited for: the screen says so meanwhile.
async fn watch(client: &Client, asked: &Asked) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    if terminal().is_none() {
        bail!("--watch draws on a terminal, and standard output is none; use --json for programs");
    }
    let mut screen = Screen::default();
    screen.draw(&look(client, asked, Fit::Cut).await?)?;
    let mut looks = tokio::time::interval(WATCH_PERIOD);
    looks.tick().await;
    loop {
        let shown = tokio::select! {
            biased;
            () = stop.received() => return Ok(()),
            shown = async { looks.tick().await; look(client, asked, Fit::Cut).await } => shown,
        };
        screen.draw(&shown.unwrap_or_else(|error| with_causes(&error)))?;
    }
}
