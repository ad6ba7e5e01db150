//! `tidemill stream`: makes, shows, changes and deletes streams, as any client of the API can.

mod create;
mod delete;
mod describe;
mod list;
mod reshard;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use tidemill_client::StreamDescriptionSummary;
use tidemill_stream::clock::Timestamp;

use super::text;

/// How long a stream may take until it takes records, or is gone.
const CHANGE_DEADLINE: Duration = Duration::from_mins(2);
/// How often it is looked at meanwhile.
const CHANGE_POLL: Duration = Duration::from_millis(100);

/// List, create, describe, reshard and delete streams.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill stream create orders --shards 4
  tidemill stream list
  tidemill stream describe orders
  tidemill stream reshard orders --shards 8
  tidemill stream delete orders")]
pub(super) struct StreamArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::ListArgs),
    Create(create::CreateArgs),
    Describe(describe::DescribeArgs),
    Reshard(reshard::ReshardArgs),
    Delete(delete::DeleteArgs),
}

pub(super) async fn stream(args: StreamArgs) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::List(args) => list::list(args).await?,
        Verb::Create(args) => create::create(args).await?,
        Verb::Describe(args) => describe::describe(args).await?,
        Verb::Reshard(args) => reshard::reshard(args).await?,
        Verb::Delete(args) => return delete::delete(args).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// A stream as `--json` shows it.
#[derive(Debug, Serialize)]
struct StreamJson {
    name: String,
    arn: String,
    status: String,
    mode: String,
    retention_hours: u64,
    open_shards: u64,
    /// RFC 3339.
    created: String,
}

impl From<StreamDescriptionSummary> for StreamJson {
    fn from(summary: StreamDescriptionSummary) -> Self {
        let mode = summary.stream_mode_details.and_then(|details| details.stream_mode);
        let created = u64::try_from(summary.stream_creation_timestamp.millis).unwrap_or(0);
        Self {
            name: summary.stream_name,
            arn: summary.stream_arn,
            status: summary.stream_status,
            mode: mode.unwrap_or_else(|| "PROVISIONED".to_owned()),
            retention_hours: summary.retention_period_hours,
            open_shards: summary.open_shard_count,
            created: text::time(Timestamp::from_millis(created)),
        }
    }
}
