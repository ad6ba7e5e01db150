//! `tidemill stream create`

use anyhow::{bail, ensure};
use clap::Args;
use tidemill_client::{Client, StreamDescriptionSummary};

use super::{CHANGE_DEADLINE, CHANGE_POLL, StreamJson};
use crate::cli::asked::Asked;
use crate::cli::output::{json_to_stdout, to_stderr};

/// Create a stream, and wait until it takes records.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill stream create orders
  tidemill stream create orders --shards 4")]
pub(super) struct CreateArgs {
    /// The stream's name: 1 to 128 characters of a-z, A-Z, 0-9, '_', '-' and '.'.
    name: String,
    /// How many shards. Records of a shard are kept and delivered in order; shards work in parallel.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    shards: u32,
    /// Print the new stream as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let (asked, name) = (&args.asked, &args.name);
    let client = asked.client()?;
    client.create_stream(name, args.shards).await.map_err(|error| asked.failure(error))?;
    let waited = tokio::time::timeout(CHANGE_DEADLINE, active(&client, asked, name)).await;
    let Ok(created) = waited else {
        bail!("the stream '{name}' takes no records after {} s", CHANGE_DEADLINE.as_secs());
    };
    let created = StreamJson::from(created?);
    if args.json {
        return json_to_stdout(&serde_json::to_string_pretty(&created)?);
    }
    let shards = created.open_shards;
    let plural = if shards == 1 { "" } else { "s" };
    to_stderr(&format!("created the stream '{name}' with {shards} shard{plural}"));
    Ok(())
}

async fn active(client: &Client, asked: &Asked, name: &str) -> anyhow::Result<StreamDescriptionSummary> {
    let mut looks = tokio::time::interval(CHANGE_POLL);
    loop {
        looks.tick().await;
        let found = client.describe(name).await.map_err(|error| asked.stream_failure(name, error))?;
        match found.stream_status.as_str() {
            "ACTIVE" => return Ok(found),
            status => ensure!(status == "CREATING", "the stream '{name}' is {status}: somebody else changes it"),
        }
    }
}
