//! `tidemill shard`: a stream's shards, and which part of the hash keys each has.

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use tidemill_client::Shard;

use super::asked::Asked;
use super::output::{json_to_stdout, to_stdout};
use super::text::{cell, short_shard};

/// Columns of the bar that is all hash keys.
const BAR_COLUMNS: usize = 40;

/// Show a stream's shards as a map of the hash keys.
///
/// The MD5 of a record's partition key is a number of 128 bits, and decides its shard. The bar of a shard shows which of
/// these numbers it has, from 0 on the left to 2^128 on the right. Open shards take records; closed ones hold what came
/// before they were split or merged, and their hash keys are their children's now.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill shard orders
  tidemill shard orders --json")]
pub(super) struct ShardArgs {
    /// The stream.
    stream: String,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn shard(args: ShardArgs) -> anyhow::Result<()> {
    let (asked, stream) = (&args.asked, &args.stream);
    let listed = asked.client()?.list_shards(stream).await.map_err(|error| asked.stream_failure(stream, error))?;
    let shards = listed.into_iter().map(ShardJson::try_from).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        return json_to_stdout(&serde_json::to_string_pretty(&shards)?);
    }
    to_stdout(&map(&shards))
}

/// A shard as `--json` shows it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ShardJson {
    id: String,
    pub(super) open: bool,
    parents: Vec<String>,
    /// The first hash key, decimal: a number of JSON may not be exact.
    hash_key_start: String,
    /// The last hash key, decimal.
    hash_key_end: String,
    #[serde(skip)]
    start: u128,
    #[serde(skip)]
    end: u128,
}

impl TryFrom<Shard> for ShardJson {
    type Error = anyhow::Error;

    fn try_from(shard: Shard) -> anyhow::Result<Self> {
        let key = |text: &str| {
            text.parse().with_context(|| format!("the node says that a hash key of {} is '{text}'", shard.shard_id))
        };
        let range = &shard.hash_key_range;
        let (start, end) = (key(&range.starting_hash_key)?, key(&range.ending_hash_key)?);
        Ok(Self {
            open: shard.sequence_number_range.ending_sequence_number.is_none(),
            parents: shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect(),
            hash_key_start: range.starting_hash_key.clone(),
            hash_key_end: range.ending_hash_key.clone(),
            id: shard.shard_id,
            start,
            end,
        })
    }
}

/// The shards as a map, a line each, 80 columns wide.
pub(super) fn map(shards: &[ShardJson]) -> String {
    let scale = format!("0{:>width$}", "2^128", width = BAR_COLUMNS - 1);
    let mut lines = vec![format!("{:<6} {:<6} {:>6}  {scale}  PARENTS", "SHARD", "STATE", "SHARE")];
    lines.extend(shards.iter().map(line));
    lines.join("\n")
}

fn line(shard: &ShardJson) -> String {
    let state = if shard.open { "open" } else { "closed" };
    let parents: Vec<&str> = shard.parents.iter().map(|id| short_shard(id)).collect();
    let share = shard.end.saturating_sub(shard.start) as f64 / u128::MAX as f64 * 100.0;
    let line = format!(
        "{} {state:<6} {share:>5.1}%  {}  {}",
        cell(short_shard(&shard.id), 6),
        bar(shard),
        cell(&parents.join(" "), 12)
    );
    line.trim_end().to_owned()
}

/// Neighbours meet without a gap; the smallest part is one column.
fn bar(shard: &ShardJson) -> String {
    let drawn = if shard.open { '█' } else { '░' };
    let first = column(shard.start).min(BAR_COLUMNS - 1);
    let end = shard.end.checked_add(1).map_or(BAR_COLUMNS, column);
    let part = first..end.max(first + 1);
    (0..BAR_COLUMNS).map(|column| if part.contains(&column) { drawn } else { '·' }).collect()
}

/// The edge between two columns that is nearest to a hash key.
fn column(key: u128) -> usize {
    let keys_per_column = u128::MAX / BAR_COLUMNS as u128;
    let rounded_up = usize::from(key % keys_per_column > keys_per_column / 2);
    usize::try_from(key / keys_per_column).map_or(BAR_COLUMNS, |column| column + rounded_up).min(BAR_COLUMNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(number: u32, open: bool, (start, end): (u128, u128), parents: &[&str]) -> ShardJson {
        ShardJson {
            id: format!("shardId-{number:012}"),
            open,
            parents: parents.iter().map(|id| (*id).to_owned()).collect(),
            hash_key_start: start.to_string(),
            hash_key_end: end.to_string(),
            start,
            end,
        }
    }

    #[test]
    fn ranges_are_drawn_where_they_lie() {
        let quarter = 1 << 126;
        let shards = [
            shard(0, false, (0, 2 * quarter - 1), &[]),
            shard(1, true, (2 * quarter, u128::MAX), &[]),
            shard(2, true, (0, quarter - 1), &["shardId-000000000000"]),
            shard(3, true, (quarter, 2 * quarter - 1), &["shardId-000000000000", "shardId-000000000001"]),
            shard(4, true, (quarter, quarter), &[]),
            shard(5, true, (u128::MAX, u128::MAX), &[]),
        ];
        let (half, quarter) = ("·".repeat(20), "·".repeat(10));
        let expected = [
            "SHARD  STATE   SHARE  0                                  2^128  PARENTS".to_owned(),
            format!("0      closed  50.0%  {}{half}", "░".repeat(20)),
            format!("1      open    50.0%  {half}{}", "█".repeat(20)),
            format!("2      open    25.0%  {}{quarter}{half}  0", "█".repeat(10)),
            format!("3      open    25.0%  {quarter}{}{half}  0 1", "█".repeat(10)),
            format!("4      open     0.0%  {quarter}█{}", "·".repeat(29)),
            format!("5      open     0.0%  {}█", "·".repeat(39)),
        ];
        let drawn = map(&shards);
        assert_eq!(drawn.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn even_shards_share_the_bar_without_gap_or_overlap() {
        for count in 1..=40_u128 {
            let width = u128::MAX / count;
            let range = |n: u128| (n * width, if n + 1 == count { u128::MAX } else { (n + 1) * width - 1 });
            let drawn: Vec<String> = (0..count).map(|n| bar(&shard(0, true, range(n), &[]))).collect();
            for column in 0..BAR_COLUMNS {
                let owners = drawn.iter().filter(|bar| bar.chars().nth(column) == Some('█')).count();
                assert_eq!(owners, 1, "column {column} of {count} shards: {drawn:#?}");
            }
        }
    }

    #[test]
    fn the_map_fits_80_columns() {
        let long = "x".repeat(50);
        let wide = ShardJson { id: long.clone(), ..shard(0, false, (0, u128::MAX), &[&long, &long]) };
        assert!(map(&[wide]).lines().all(|line| line.chars().count() <= 80));
    }
}
