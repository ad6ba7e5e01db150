//! Random changes of the shards, and how the shards look meanwhile.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{HashKeyRange, ScalingType, Shard, ShardFilter, ShardFilterType};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::history::Range;
use super::produce::Ledger;

/// Puts that are answered between one change and the next.
const PUTS_BETWEEN: u64 = 24;
const OPEN_MAX: usize = 8;

/// Changes the shards so many times, each time after some puts.
pub(crate) async fn change(client: &Client, random: &mut StdRng, changes: usize, ledger: &Ledger) -> Result<()> {
    for _ in 0..changes {
        ledger.wait_for_puts(PUTS_BETWEEN).await?;
        change_once(client, random).await?;
        ledger.changed.send_modify(|changed| *changed += 1);
    }
    Ok(())
}

async fn change_once(client: &Client, random: &mut StdRng) -> Result<()> {
    let open = open_shards(client).await?;
    let at = random.random_range(0..open.len());
    match random.random_range(0..3) {
        0 if at + 1 < open.len() => {
            let merge = client.merge_shards().stream_name("orders").shard_to_merge(open[at].shard_id());
            merge.adjacent_shard_to_merge(open[at + 1].shard_id()).send().await?;
        }
        1 if open.len() < OPEN_MAX => {
            let Range { start, end } = range(open[at].hash_key_range())?;
            let middle = start + (end - start) / 2;
            let split = client.split_shard().stream_name("orders").shard_to_split(open[at].shard_id());
            split.new_starting_hash_key(middle.to_string()).send().await?;
        }
        _ => {
            update(client, random.random_range(open.len().div_ceil(2)..=(open.len() * 2).min(OPEN_MAX))).await?;
        }
    }
    Ok(())
}

async fn update(client: &Client, target: usize) -> Result<()> {
    let update = client.update_shard_count().stream_name("orders").target_shard_count(i32::try_from(target)?);
    update.scaling_type(ScalingType::UniformScaling).send().await?;
    Ok(())
}

/// Changes the shards until there are so many, all of one size.
pub(crate) async fn scale(client: &Client, target: usize, ledger: &Ledger) -> Result<()> {
    loop {
        ledger.wait_for_puts(PUTS_BETWEEN).await?;
        let open = open_shards(client).await?.len();
        let next = target.clamp(open.div_ceil(2), open * 2);
        update(client, next).await?;
        if next == target {
            return Ok(());
        }
    }
}

/// The open shards in the order of their ranges.
pub(crate) async fn open_shards(client: &Client) -> Result<Vec<Shard>> {
    let open = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build()?;
    let listed = client.list_shards().stream_name("orders").shard_filter(open).send().await?;
    let mut shards = listed.shards().to_vec();
    shards.sort_by_key(|shard| range(shard.hash_key_range()).ok());
    Ok(shards)
}

pub(crate) fn range(range: Option<&HashKeyRange>) -> Result<Range> {
    let range = range.context("a shard without a range")?;
    Ok(Range { start: range.starting_hash_key().parse()?, end: range.ending_hash_key().parse()? })
}

/// Lists the open shards again and again while producers put. Returns each listing that is not as the one before.
pub(crate) async fn watch(client: Client, ledger: Arc<Ledger>) -> Result<Vec<Vec<Range>>> {
    let (mut listings, mut is_done): (Vec<Vec<Range>>, _) = (Vec::new(), ledger.is_done.subscribe());
    while !*is_done.borrow_and_update() {
        let listed = open_shards(&client).await?;
        let listed = listed.iter().map(|shard| range(shard.hash_key_range())).collect::<Result<Vec<_>>>()?;
        if listings.last() != Some(&listed) {
            listings.push(listed);
        }
        tokio::select! {
            puts = ledger.wait_for_puts(1) => puts?,
            done = is_done.changed() => done?,
        }
    }
    Ok(listings)
}
