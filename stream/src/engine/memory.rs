//! An engine in memory: for tests, for `--ephemeral` nodes, and as the plainest statement of the laws.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::wake::Wakes;
use super::{
    Append, AppendError, Appended, Batch, Bound, Capabilities, Change, Document, DocumentError, Durability, Engine,
    Generation, Health, Key, LogError, LogId, LogSettings, LogStats, Mark, Position, ReadLimits, Resolved, Revision,
    SealError, Sealed, Seek, Ticket, Tip, UnknownTicket,
};
use crate::clock::{Clock, Timestamp};
use crate::record::{Record, StoredRecord};
use crate::shard::ShardIndex;

/// An engine whose content goes with it.
#[derive(Debug)]
pub struct Memory {
    clock: Clock,
    shards_per_log: u32,
    state: Mutex<State>,
    documents_changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    documents: BTreeMap<Key, (Revision, Bytes)>,
    logs: HashMap<LogId, Log>,
}

#[derive(Debug)]
struct Log {
    generation: Generation,
    next: u64,
    last_arrival: Timestamp,
    shards: BTreeMap<ShardIndex, Shard>,
    marks: HashMap<Bytes, Mark>,
    wakes: Arc<Wakes>,
}

#[derive(Debug, Default)]
struct Shard {
    records: BTreeMap<Position, StoredRecord>,
    tip: Option<Tip>,
    closed_at: Option<Position>,
}

impl Memory {
    /// An empty engine.
    pub fn new(clock: Clock) -> Self {
        Self::with_shards_per_log(clock, u32::MAX)
    }

    /// An empty engine that gives every `shards_per_log` shards of a stream a log of their own.
    pub fn with_shards_per_log(clock: Clock, shards_per_log: u32) -> Self {
        Self { clock, shards_per_log, state: Mutex::default(), documents_changed: watch::Sender::new(0) }
    }

    fn with_log<T>(&self, id: LogId, work: impl FnOnce(&mut Log) -> T) -> Result<T, LogError> {
        self.state.lock().logs.get_mut(&id).map(work).ok_or(LogError::NoLog(id))
    }
}

#[async_trait]
impl Engine for Memory {
    fn capabilities(&self) -> Capabilities {
        super::file_capabilities(self.shards_per_log)
    }

    fn health(&self) -> Health {
        Health::Healthy
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>, DocumentError> {
        let state = self.state.lock();
        Ok(state.documents.get(key).map(|(revision, value)| document(key, *revision, value)))
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<Document>, DocumentError> {
        let state = self.state.lock();
        let from = after.cloned().unwrap_or_else(|| Key::new(prefix));
        let behind = |key: &Key| after.is_none_or(|after| key > after) && key.as_str().starts_with(prefix);
        let found = state.documents.range(from..).skip_while(|(key, _)| after == Some(*key));
        let page = found.take_while(|(key, _)| behind(key)).take(limit);
        Ok(page.map(|(key, (revision, value))| document(key, *revision, value)).collect())
    }

    async fn compare_and_set(&self, changes: Vec<Change>, _: Durability) -> Result<Vec<Revision>, DocumentError> {
        super::check_changes(&changes)?;
        let mut state = self.state.lock();
        for change in &changes {
            let found = state.documents.get(&change.key).map(|(revision, _)| *revision);
            super::check_expected(change, found)?;
        }
        let revisions = changes.into_iter().map(|change| state.set(change)).collect();
        drop(state);
        self.documents_changed.send_modify(|count| *count += 1);
        Ok(revisions)
    }

    fn watch(&self, _prefix: &str) -> watch::Receiver<u64> {
        self.documents_changed.subscribe()
    }

    async fn log_put(&self, id: LogId, _settings: LogSettings) -> Result<(), LogError> {
        self.state.lock().logs.entry(id).or_insert_with(Log::new);
        Ok(())
    }

    async fn log_drop(&self, id: LogId) -> Result<(), LogError> {
        let dropped = self.state.lock().logs.remove(&id);
        if let Some(log) = dropped {
            log.wakes.wake_all();
        }
        Ok(())
    }

    async fn stats(&self, id: LogId) -> Result<LogStats, LogError> {
        self.with_log(id, |log| log.stats())
    }

    async fn append(&self, id: LogId, generation: Generation, append: Append) -> Result<Appended, AppendError> {
        super::check_append(&append)?;
        let now = self.clock.now();
        self.with_log(id, |log| log.append(generation, append, now)).map_err(|_| AppendError::NoLog(id))?
    }

    async fn resolve(&self, _ticket: &Ticket) -> Result<Resolved, UnknownTicket> {
        Err(UnknownTicket)
    }

    async fn mark(&self, id: LogId, key: &[u8]) -> Result<Option<Mark>, LogError> {
        self.with_log(id, |log| log.marks.get(key).cloned())
    }

    async fn seal(
        &self,
        id: LogId,
        generation: Generation,
        close: &[ShardIndex],
        open: &[ShardIndex],
    ) -> Result<Sealed, SealError> {
        self.with_log(id, |log| log.seal(generation, close, open))?
    }

    async fn purge(&self, id: LogId, shard: ShardIndex) -> Result<(), LogError> {
        self.with_log(id, |log| {
            if let Some(shard) = log.shards.get_mut(&shard).filter(|shard| shard.closed_at.is_some()) {
                shard.records.clear();
                shard.tip = None;
            }
        })
    }

    async fn read(&self, id: LogId, shard: ShardIndex, from: Bound, limits: ReadLimits) -> Result<Batch, LogError> {
        self.with_log(id, |log| log.shards.get(&shard).map_or_else(|| nothing(from), |shard| shard.read(from, limits)))
    }

    async fn seek(&self, id: LogId, shard: ShardIndex, to: Seek) -> Result<Bound, LogError> {
        self.with_log(id, |log| log.shards.get(&shard).map_or(Bound::START, |shard| shard.seek(to)))
    }

    async fn changed(&self, id: LogId, shard: ShardIndex, from: Bound, wait: Duration) {
        let Ok(wakes) = self.with_log(id, |log| Arc::clone(&log.wakes)) else { return };
        let notify = wakes.of(shard);
        let woken = notify.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let there = |log: &mut Log| {
            let shard = log.shards.get(&shard);
            shard.is_some_and(|shard| {
                shard.closed_at.is_some() || shard.tip.is_some_and(|tip| from.admits(tip.position))
            })
        };
        if !self.with_log(id, there).unwrap_or(true) {
            let _ = tokio::time::timeout(wait, woken).await;
        }
    }
}

impl State {
    fn set(&mut self, change: Change) -> Revision {
        self.revision += 1;
        let revision = Revision(self.revision);
        match change.value {
            Some(value) => drop(self.documents.insert(change.key, (revision, value))),
            None => drop(self.documents.remove(&change.key)),
        }
        revision
    }
}

impl Log {
    fn new() -> Self {
        Self {
            generation: Generation::FIRST,
            next: 1,
            last_arrival: Timestamp::default(),
            shards: BTreeMap::new(),
            marks: HashMap::new(),
            wakes: Arc::default(),
        }
    }

    fn stats(&self) -> LogStats {
        let records = || self.shards.values().flat_map(|shard| shard.records.values());
        LogStats {
            bytes: records().map(|record| record.size_bytes() as u64).sum(),
            oldest: records().map(|record| record.arrival).min(),
            generation: self.generation,
        }
    }

    fn append(&mut self, generation: Generation, append: Append, now: Timestamp) -> Result<Appended, AppendError> {
        if generation != self.generation {
            return Err(AppendError::Fenced { given: generation, current: self.generation });
        }
        for change in &append.marks {
            if self.marks.get(&change.key).map(|mark| mark.revision) != change.expect {
                return Err(AppendError::MarkConflict);
            }
        }
        let arrival = now.max(self.last_arrival);
        self.last_arrival = arrival;
        let revision = Position(self.next);
        self.next += u64::from(append.records.is_empty());
        for change in append.marks {
            self.marks.insert(change.key, Mark { revision, value: change.value });
        }
        let mut touched = Vec::new();
        let mut positions = Vec::with_capacity(append.records.len());
        for (shard, record) in append.records {
            touched.push(shard);
            positions.push(self.keep(shard, record, arrival));
        }
        self.wakes.wake(touched);
        Ok(Appended { positions, arrival })
    }

    fn keep(&mut self, shard: ShardIndex, record: Record, arrival: Timestamp) -> Position {
        let position = Position(self.next);
        self.next += 1;
        let Record { partition_key, explicit_hash, data } = record;
        let shard = self.shards.entry(shard).or_default();
        shard.records.insert(position, StoredRecord { position, arrival, partition_key, explicit_hash, data });
        shard.tip = Some(Tip { position, arrival });
        position
    }

    fn seal(&mut self, generation: Generation, close: &[ShardIndex], open: &[ShardIndex]) -> Result<Sealed, SealError> {
        if generation != self.generation {
            return Err(SealError::Fenced { given: generation, current: self.generation });
        }
        self.generation = Generation(self.generation.0 + 1);
        let position = Position(self.next);
        self.next += 1;
        for shard in close {
            self.shards.entry(*shard).or_default().closed_at = Some(position);
        }
        for shard in open {
            self.shards.entry(*shard).or_default();
        }
        self.wakes.wake_all();
        Ok(Sealed { generation: self.generation, position })
    }
}

impl Shard {
    fn read(&self, from: Bound, limits: ReadLimits) -> Batch {
        let mut bytes = 0;
        let mut records: Vec<StoredRecord> = Vec::new();
        for (_, record) in self.records.range(from.lowest()..) {
            bytes += record.size_bytes();
            let full = records.len() >= limits.records_max || bytes > limits.bytes_max;
            if full && !records.is_empty() {
                break;
            }
            records.push(record.clone());
        }
        let next = records.last().map_or(from, |record| Bound::after(record.position));
        Batch { records, next, tip: self.tip, closed_at: self.closed_at }
    }

    fn seek(&self, to: Seek) -> Bound {
        let latest = self.tip.map_or(Bound::START, |tip| Bound::after(tip.position));
        match to {
            Seek::Horizon => self.records.keys().next().map_or(latest, |first| Bound::at(*first)),
            Seek::Latest => latest,
            Seek::Time(time) => {
                let first = self.records.values().find(|record| record.arrival >= time);
                first.map_or(latest, |record| Bound::at(record.position))
            }
        }
    }
}

fn nothing(from: Bound) -> Batch {
    Batch { records: Vec::new(), next: from, tip: None, closed_at: None }
}

fn document(key: &Key, revision: Revision, value: &Bytes) -> Document {
    Document { key: key.clone(), revision, value: value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_laws() {
        crate::engine::laws::check(&|clock| Arc::new(Memory::new(clock))).await;
    }
}
