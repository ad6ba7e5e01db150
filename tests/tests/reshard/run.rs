//! One run: a node that is started and killed, its stream, and the history that is written down of it.

use std::collections::{BTreeMap, HashSet};
use std::mem::discriminant;
use std::sync::Arc;

use anyhow::Result;
use aws_sdk_kinesis::Client;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tidemill_tests::delivery::{self, Delivery};
use tidemill_tests::node::{Node, Setup};
use tidemill_tests::{client, numbered};

use super::change::range;
use super::follow::read_wholly;
use super::history::{History, Met, Range, Reader, Shard, ShardId, Told};
use super::judge;
use super::produce::Ledger;

/// The manifest says so: every start of the node brings the stream back to it.
pub(crate) const SHARDS: u32 = 3;

#[derive(Debug)]
pub(crate) struct Run {
    _folder: TempDir,
    pub(crate) setup: Setup,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) random: StdRng,
    delivered: Vec<Met>,
}

impl Run {
    /// With a seed that is printed, and a trigger that takes so many records at a time.
    pub(crate) fn new(batch_records_max: u32) -> Result<Self> {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let folder = tempfile::tempdir()?;
        let setup = Setup::new(folder.path(), &numbered::manifest(SHARDS, batch_records_max)?)?;
        let random = StdRng::seed_from_u64(seed);
        Ok(Self { _folder: folder, setup, ledger: Ledger::new(), random, delivered: Vec::new() })
    }

    /// Kills the node, and keeps what its function saw.
    pub(crate) fn kill(&mut self, node: Node) -> Result<()> {
        self.delivered.extend(delivered(&node.kill()?));
        Ok(())
    }

    /// Starts the node again, waits until its function has seen all, and reads what there is. Judges all of it.
    pub(crate) async fn judge(mut self, readers: Vec<Reader>, listings: Vec<Vec<Range>>) -> Result<(History, Node)> {
        let node = self.setup.start()?;
        let (submitted, acked) =
            (self.ledger.submitted.lock().unwrap().clone(), self.ledger.acked.lock().unwrap().clone());
        let mut waited_for = acked.clone();
        for met in &self.delivered {
            waited_for.remove(met);
        }
        let rest = node.wait_for("all acknowledged records", |lines| {
            // Reading the log is dear: not before enough lines are there.
            let rest = if lines.len() < waited_for.len() { Vec::new() } else { delivered(lines) };
            let known: HashSet<&Met> = rest.iter().collect();
            waited_for.keys().all(|met| known.contains(met)).then_some(rest)
        })?;
        self.delivered.extend(rest);
        let kept = kept(&client::sdk(&node.url())).await?;
        let history = History { submitted, acked, listings, readers, delivered: self.delivered, kept };
        tell(&history);
        let found = judge::judge(&history);
        let mut kinds = HashSet::new();
        let shown: Vec<_> = found.iter().filter(|fault| kinds.insert(discriminant(*fault))).collect();
        assert!(found.is_empty(), "{} faults; the first of each kind: {shown:#?}", found.len());
        Ok((history, node))
    }
}

fn tell(history: &History) {
    let (acked, shards, delivered) = (history.acked.len(), history.kept.len(), history.delivered.len());
    let seen: usize = history.readers.iter().map(|reader| reader.seen.len()).sum();
    let listings = history.listings.len();
    println!("{acked} records in {shards} shards, read {seen} times, delivered {delivered} times, {listings} listings");
}

fn delivered(lines: &[String]) -> Vec<Met> {
    let met = |delivery: Delivery| {
        let record = Told { key: delivery.key, count: delivery.data.parse().unwrap() };
        Met { shard: delivery.shard, number: delivery.sequence, record }
    };
    delivery::deliveries(lines).into_iter().map(met).collect()
}

async fn kept(client: &Client) -> Result<BTreeMap<ShardId, Shard>> {
    let mut kept = BTreeMap::new();
    for shard in client.list_shards().stream_name("orders").send().await?.shards() {
        let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
        let numbers = shard.sequence_number_range();
        let described = Shard {
            range: range(shard.hash_key_range())?,
            parents: parents.into_iter().flatten().map(str::to_owned).collect(),
            is_open: numbers.is_some_and(|numbers| numbers.ending_sequence_number().is_none()),
            records: read_wholly(client, shard.shard_id()).await?,
        };
        kept.insert(shard.shard_id().to_owned(), described);
    }
    Ok(kept)
}
