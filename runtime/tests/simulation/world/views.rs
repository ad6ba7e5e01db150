//! What is there: cursors, counts, shards, outputs.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_stream::cursor::TriggerId;
use tidemill_stream::engine::{Bound, Position, ReadLimits};
use tidemill_stream::record::{PartitionKey, StoredRecord};
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::stream::Stream;

use super::{LOOK_INTERVAL, PATIENCE, World, name};
use crate::history::{Kept, Number, START_MS, Shard, What};
use crate::stage::number_of;

const ALL: ReadLimits = ReadLimits { records_max: 10_000, bytes_max: 1 << 20 };
/// More looks than earlier views come in a row: the longest one is that of now.
const LOOKS: usize = 8;

impl World {
    /// The triggers are made one after another, so that each is known by its cursors.
    pub(super) async fn learn_ids(&self) {
        let mut known: BTreeSet<u64> = BTreeSet::new();
        for trigger in 0..self.wanted.len() {
            let specs = self.specs()[..=trigger].to_vec();
            let _ = self.triggers.as_ref().unwrap().apply(specs).await;
            let id = loop {
                let found = self.ids().await;
                if let Some(id) = found.difference(&known).next() {
                    break *id;
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            };
            known.insert(id);
            self.stage.know_id(trigger, TriggerId(id));
        }
    }

    async fn ids(&self) -> BTreeSet<u64> {
        let documents = self.stage.store.engine().list("cursor/", None, 1000).await.unwrap();
        let id = |text: &str| u64::from_str_radix(text.split('/').nth(1).unwrap(), 16).unwrap();
        documents.iter().map(|document| id(document.key.as_str())).collect()
    }

    pub(super) async fn look_at_cursors(&self) {
        let stream = self.stage.store.stream(&name("s")).unwrap();
        for trigger in 0..self.wanted.len() {
            for shard in &stream.shards {
                self.stage.look_at_cursor(trigger, shard.index.0).await;
            }
        }
    }

    pub(super) async fn shards(&self) -> BTreeMap<u32, Shard> {
        let stream = self.stage.store.stream(&name("s")).unwrap();
        let mut shards = BTreeMap::new();
        for shard in &stream.shards {
            let records = self.all_of(&stream, shard.index).await;
            let kept = |record: StoredRecord| Kept {
                number: number_of(&record.data),
                position: record.position.0,
                key: record.partition_key.as_str().to_owned(),
                arrival_ms: record.arrival.as_millis() - START_MS,
            };
            let parents = shard.parents.iter().map(|parent| parent.0).collect();
            shards.insert(shard.index.0, Shard { parents, records: records.into_iter().map(kept).collect() });
        }
        shards
    }

    async fn all_of(&self, stream: &Stream, shard: ShardIndex) -> Vec<StoredRecord> {
        let mut longest = Vec::new();
        for _ in 0..LOOKS {
            let read = self.stage.store.read(stream, shard, Bound::START, ALL).await.unwrap();
            longest = if read.records.len() > longest.len() { read.records } else { longest };
        }
        longest
    }

    pub(super) async fn emitted(&self) -> Vec<(usize, Number)> {
        let stream = self.stage.store.stream(&name("out")).unwrap();
        let records = self.all_of(&stream, ShardIndex(0)).await;
        let emission = |record: &StoredRecord| {
            let text = String::from_utf8_lossy(&record.data).into_owned();
            let (trigger, number) = text.split_once(' ').unwrap();
            (trigger.parse().unwrap(), number.parse().unwrap())
        };
        records.iter().map(emission).collect()
    }

    /// Waits until all cursors have passed all records.
    pub(super) async fn settle(&self, shards: &BTreeMap<u32, Shard>) {
        let settled = async {
            while !self.is_settled(shards).await {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            self.stage.note(What::Endless);
        }
    }

    async fn is_settled(&self, shards: &BTreeMap<u32, Shard>) -> bool {
        for trigger in 0..self.wanted.len() {
            let id = self.stage.id(trigger).unwrap();
            for (index, shard) in shards {
                let Ok(Some(cursor)) = self.stage.store.cursor(id, ShardIndex(*index)).await else { return false };
                let key = |kept: &Kept| PartitionKey::parse(kept.key.clone()).unwrap();
                let is_passed = |kept: &Kept| cursor.progress.includes(&key(kept), Position(kept.position));
                if !shard.records.iter().all(is_passed) {
                    return false;
                }
            }
        }
        true
    }

    pub(super) fn note_counts(&self) {
        for row in self.board.snapshot() {
            let Some(shard) = row.key.shard else { continue };
            let trigger: usize = row.key.trigger[1..].parse().unwrap();
            let (counts, known) = (row.status.counts, &self.stage.script.triggers[trigger]);
            let given_up = if known.has_destination { counts.set_aside } else { counts.dropped };
            let (run, taken, given_up) = (self.wanted[trigger].run, counts.records as usize, given_up as usize);
            self.stage.note(What::Counted { trigger, run, shard: shard.0, taken, given_up });
        }
    }
}
