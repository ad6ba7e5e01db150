//! `tidemill stream reshard`

use anyhow::bail;
use clap::Args;
use tidemill_client::{Client, StreamDescriptionSummary};

use super::{CHANGE_DEADLINE, CHANGE_POLL, StreamJson};
use crate::cli::asked::Asked;
use crate::cli::output::{json_to_stdout, to_stderr};

/// Change the number of a stream's open shards, and wait until it has them.
///
/// Shards are split and merged until all are of one size, twice as many or half as many at a time. Their records stay
/// where they are, and triggers read them before those of the new shards: the records of a key stay in order.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill stream reshard orders --shards 8")]
pub(super) struct ReshardArgs {
    /// The stream.
    name: String,
    /// How many open shards there shall be.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    shards: u32,
    /// Print the changed stream as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn reshard(args: ReshardArgs) -> anyhow::Result<()> {
    let (asked, name, target) = (&args.asked, &args.name, u64::from(args.shards));
    let client = asked.client()?;
    let before = client.describe(name).await.map_err(|error| asked.stream_failure(name, error))?.open_shard_count;
    let Ok(changed) = tokio::time::timeout(CHANGE_DEADLINE, go_to(&client, asked, name, target)).await else {
        bail!("the stream '{name}' is still being changed after {} s", CHANGE_DEADLINE.as_secs());
    };
    let changed = changed?;
    if args.json {
        return json_to_stdout(&serde_json::to_string_pretty(&StreamJson::from(changed))?);
    }
    to_stderr(&format!("the stream '{name}' has {} open shards now; it had {before}", changed.open_shard_count));
    Ok(())
}

/// One step after another, each when the one before is done.
async fn go_to(client: &Client, asked: &Asked, name: &str, target: u64) -> anyhow::Result<StreamDescriptionSummary> {
    let mut looks = tokio::time::interval(CHANGE_POLL);
    let mut is_asked = false;
    loop {
        looks.tick().await;
        let found = client.describe(name).await.map_err(|error| asked.stream_failure(name, error))?;
        if found.stream_status == "UPDATING" {
            continue;
        }
        if found.open_shard_count == target && is_asked {
            return Ok(found);
        }
        let step = step(found.open_shard_count, target);
        client.update_shard_count(name, step).await.map_err(|error| asked.stream_failure(name, error))?;
        is_asked = true;
    }
}

/// As far toward the target as one call may go.
fn step(current: u64, target: u64) -> u64 {
    target.clamp(current.div_ceil(2), current.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_reached_by_steps_of_twofold_at_most() {
        for (current, target, steps) in
            [(1, 8, vec![2, 4, 8]), (3, 7, vec![6, 7]), (9, 2, vec![5, 3, 2]), (4, 4, vec![4]), (4, 3, vec![3])]
        {
            let mut taken = vec![step(current, target)];
            while taken.last() != Some(&target) {
                taken.push(step(taken[taken.len() - 1], target));
            }
            assert_eq!(taken, steps, "from {current} to {target}");
        }
    }
}
