//! `tidemill stream describe`

use clap::Args;
use serde::Serialize;

use super::StreamJson;
use crate::cli::asked::Asked;
use crate::cli::output::{json_to_stdout, to_stdout};
use crate::cli::shard::{ShardJson, map};

/// Show a stream: what it is, and its shards.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill stream describe orders
  tidemill stream describe orders --json")]
pub(super) struct DescribeArgs {
    /// The stream.
    name: String,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// A stream and its shards, for `--json`.
#[derive(Debug, Serialize)]
struct Described {
    #[serde(flatten)]
    stream: StreamJson,
    shards: Vec<ShardJson>,
}

pub(super) async fn describe(args: DescribeArgs) -> anyhow::Result<()> {
    let (asked, name) = (&args.asked, &args.name);
    let client = asked.client()?;
    let summary = client.describe(name).await.map_err(|error| asked.stream_failure(name, error))?;
    let shards = client.list_shards(name).await.map_err(|error| asked.stream_failure(name, error))?;
    let shards = shards.into_iter().map(ShardJson::try_from).collect::<Result<Vec<_>, _>>()?;
    let described = Described { stream: summary.into(), shards };
    if args.json {
        return json_to_stdout(&serde_json::to_string_pretty(&described)?);
    }
    to_stdout(&page(&described))
}

fn page(Described { stream, shards }: &Described) -> String {
    let closed = shards.iter().filter(|shard| !shard.open).count();
    let lines = [
        ("Name", stream.name.clone()),
        ("ARN", stream.arn.clone()),
        ("Status", stream.status.clone()),
        ("Mode", stream.mode.clone()),
        ("Retention", format!("{} h", stream.retention_hours)),
        ("Created", stream.created.clone()),
        ("Shards", format!("{} open, {closed} closed", shards.len() - closed)),
    ];
    let lines: Vec<String> = lines.iter().map(|(what, value)| format!("{what:<10} {value}")).collect();
    format!("{}\n\n{}", lines.join("\n"), map(shards))
}
