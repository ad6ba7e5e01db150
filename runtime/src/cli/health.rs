//! `tidemill health`: whether a node works, as an exit code.

use std::time::Duration;

use anyhow::bail;
use clap::Args;

use super::asked::{Asked, span};
use super::output::to_stdout;

/// Ask a node whether it works.
///
/// Ends with 0 when all of it does, and with 1 when part of it does not, or when no node answers: then it says what is
/// wrong. For health checks of containers and for scripts; `GET /health` says the same.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill health
  tidemill health --timeout 2s
  tidemill health --node http://127.0.0.1:4567 || echo trouble")]
pub(super) struct HealthArgs {
    #[command(flatten)]
    asked: Asked,
    /// How long the node may take to answer.
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = span)]
    timeout: Duration,
}

pub(super) async fn health(args: &HealthArgs) -> anyhow::Result<()> {
    let troubles = args.asked.in_time(args.timeout, args.asked.client()?.health()).await?;
    let troubles = troubles.map_err(|error| args.asked.failure(error))?;
    if troubles.is_empty() {
        return to_stdout("healthy");
    }
    bail!("the node at {} answers, but part of it does not work:\n  {}", args.asked.url, troubles.join("\n  "));
}
