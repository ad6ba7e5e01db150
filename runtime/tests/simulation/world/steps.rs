//! The steps of chaos.

use std::sync::Arc;
use std::time::Duration;

use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::shard::{HashKey, Shard};

use super::{World, name};
use crate::history::{Change, What};
use crate::script::Step;
use crate::stage::Stage;

/// Shards that are open at once, at most.
const OPEN_MAX: usize = 4;
/// How long a restart waits for its moment.
const MOMENT: Duration = Duration::from_secs(3);

impl World {
    pub(super) async fn take(&mut self, step: Step) {
        match step {
            Step::Put(keys) => self.put(&keys).await,
            Step::Split(which) => self.split(which).await,
            Step::Merge(which) => self.merge(which).await,
            Step::Restart => self.restart().await,
            Step::RestartAtRest => {
                self.wait_until(|stage| stage.in_work() == 0).await;
                self.restart().await;
            }
            Step::RestartAtWork => {
                self.wait_until(|stage| stage.in_work() > 0).await;
                self.restart().await;
            }
            Step::RestartAtStall => {
                self.wait_until(Stage::is_stalled).await;
                self.restart().await;
            }
            Step::Change { trigger, lanes, batch_max } => {
                self.change(trigger, lanes, batch_max);
                self.apply().await;
            }
            Step::ChangeAndRestart { lanes } => self.change_and_restart(lanes).await,
            Step::Disable(trigger) => self.enable(trigger, false, Change::Disabled).await,
            Step::Enable(trigger) => self.enable(trigger, true, Change::Enabled).await,
            Step::Version => {
                self.versions.send_modify(|_| {});
                self.stage.note(What::Version);
            }
        }
    }

    async fn put(&mut self, keys: &[usize]) {
        let first = self.records;
        self.records += keys.len() as u32;
        let record = |(number, key): (u32, &usize)| Record {
            partition_key: PartitionKey::parse(format!("k{key}")).unwrap(),
            explicit_hash: None,
            data: number.to_string().into(),
        };
        let records = (first..).zip(keys).map(record).collect();
        let outcomes = self.stage.store.put(&name("s"), records).await.unwrap();
        for (number, outcome) in (first..).zip(outcomes) {
            if let Ok(placed) = outcome {
                let (shard, position) = (placed.shard.0, placed.sequence.position().0);
                self.stage.note(What::Put { number, shard, position });
            }
        }
    }

    fn open_shards(&self) -> Vec<Shard> {
        let stream = self.stage.store.stream(&name("s")).unwrap();
        let mut open: Vec<Shard> = stream.open_shards().cloned().collect();
        open.sort_by_key(|shard| shard.range.start);
        open
    }

    async fn split(&mut self, which: usize) {
        let open = self.open_shards();
        if open.len() >= OPEN_MAX {
            return self.merge_now(which).await;
        }
        let shard = &open[which % open.len()];
        let middle = HashKey(shard.range.start.0 / 2 + shard.range.end.0 / 2);
        if self.stage.store.split_shard(&name("s"), shard.index, middle).await.is_ok() {
            self.stage.note(What::Split);
        }
    }

    async fn merge(&mut self, which: usize) {
        if self.open_shards().len() < 2 { self.split(which).await } else { self.merge_now(which).await }
    }

    async fn merge_now(&mut self, which: usize) {
        let open = self.open_shards();
        let at = which % (open.len() - 1);
        if self.stage.store.merge_shards(&name("s"), open[at].index, open[at + 1].index).await.is_ok() {
            self.stage.note(What::Merge);
        }
    }

    async fn wait_until(&self, is_it: impl Fn(&Stage) -> bool) {
        let look = async {
            while !is_it(&self.stage) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = tokio::time::timeout(MOMENT, look).await;
    }

    async fn restart(&mut self) {
        self.stop().await;
        self.look_at_cursors().await;
        for trigger in 0..self.wanted.len() {
            self.reorder(trigger, Change::Start);
        }
        self.start();
        self.apply().await;
    }

    fn change(&mut self, trigger: usize, lanes: usize, batch_max: usize) {
        let rules = &mut self.wanted[trigger].rules;
        let change = if rules.lanes == lanes { Change::BatchSize } else { Change::Lanes };
        (rules.lanes, rules.batch_max) = (lanes, batch_max);
        self.reorder(trigger, change);
    }

    /// The stop comes while the change is waiting for calls.
    async fn change_and_restart(&mut self, lanes: usize) {
        self.wait_until(Stage::is_stalled).await;
        for trigger in 0..self.wanted.len() {
            let batch_max = self.wanted[trigger].rules.batch_max;
            self.change(trigger, lanes, batch_max);
        }
        let triggers = Arc::clone(self.triggers.as_ref().unwrap());
        let apply = triggers.apply(self.specs());
        let restart = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.restart().await;
        };
        let _ = tokio::join!(apply, restart);
    }

    async fn enable(&mut self, trigger: usize, is_enabled: bool, change: Change) {
        if self.wanted[trigger].is_enabled != is_enabled {
            self.wanted[trigger].is_enabled = is_enabled;
            self.reorder(trigger, change);
            self.apply().await;
        }
    }
}
