//! `tidemill stream list`

use clap::Args;

use super::StreamJson;
use crate::cli::asked::Asked;
use crate::cli::output::{json_to_stdout, to_stderr, to_stdout};
use crate::cli::text::Fit;

/// List the streams of a node.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill stream list
  tidemill stream list --json")]
pub(super) struct ListArgs {
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn list(args: ListArgs) -> anyhow::Result<()> {
    let streams = streams(&args.asked).await?;
    if args.json {
        return json_to_stdout(&serde_json::to_string_pretty(&streams)?);
    }
    to_stdout(&table(&streams, Fit::of_stdout()))?;
    if streams.is_empty() {
        to_stderr("there are no streams; create one with 'tidemill stream create NAME --shards 1'");
    }
    Ok(())
}

async fn streams(asked: &Asked) -> anyhow::Result<Vec<StreamJson>> {
    let client = asked.client()?;
    let names = client.list_streams().await.map_err(|error| asked.failure(error))?;
    let mut streams = Vec::with_capacity(names.len());
    for name in names {
        match client.describe(&name).await {
            Ok(summary) => streams.push(StreamJson::from(summary)),
            Err(error) if error.is_not_found() => {} // deleted since
            Err(error) => return Err(asked.failure(error)),
        }
    }
    Ok(streams)
}

fn table(streams: &[StreamJson], fit: Fit) -> String {
    let line = |name: &str, status: &str, mode: &str, shards: &str, retention: &str| {
        format!("{} {status:<8} {mode:<11} {shards:>6} {retention:>9}", fit.cell(name, 40))
    };
    let mut lines = vec![line("STREAM", "STATUS", "MODE", "SHARDS", "RETENTION")];
    lines.extend(streams.iter().map(|stream| {
        let (shards, retention) = (stream.open_shards.to_string(), format!("{} h", stream.retention_hours));
        line(&stream.name, &stream.status, &stream.mode, &shards, &retention)
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_80_columns() {
        let stream = StreamJson {
            name: "n".repeat(128),
            arn: String::new(),
            status: "CREATING".to_owned(),
            mode: "PROVISIONED".to_owned(),
            retention_hours: 8760,
            open_shards: 10_000,
            created: String::new(),
        };
        let streams = [stream];
        for line in table(&streams, Fit::Cut).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(table(&streams, Fit::Whole).contains(&"n".repeat(128)));
    }
}
