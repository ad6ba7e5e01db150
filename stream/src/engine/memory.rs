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
    Expired, Generation, Health, Key, LogError, LogId, LogSettings, LogStats, Mark, Position, ReadLimits, Resolved,
    Revision, SealError, Sealed, Seek, Ticket, Tip, UnknownTicket,
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
    settings: LogSettings,
    /// No record from before this time is read any more.
    horizon: Timestamp,
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
    /// Records before this position are gone.
    gone_before: Option<Position>,
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

    /// One shard of a log, without what has expired.
    fn with_shard<T>(&self, id: LogId, shard: ShardIndex, work: impl FnOnce(&Shard) -> T) -> Result<T, LogError> {
        let now = self.clock.now();
        self.with_log(id, |log| {
            let horizon = log.look_at(now);
            let nothing = Shard::default();
            let shard = log.shards.get_mut(&shard).map(|shard| {
                shard.drop_before(horizon);
                &*shard
            });
            work(shard.unwrap_or(&nothing))
        })
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

    async fn log_put(&self, id: LogId, settings: LogSettings) -> Result<(), LogError> {
        self.state.lock().logs.entry(id).or_insert_with(|| Log::new(settings));
        self.log_change(id, settings).await
    }

    async fn log_change(&self, id: LogId, settings: LogSettings) -> Result<(), LogError> {
        let now = self.clock.now();
        self.with_log(id, |log| {
            // By the old settings: what is behind this horizon stays there.
            log.look_at(now);
            log.settings = settings;
        })
    }

    async fn expire(&self, id: LogId) -> Result<Expired, LogError> {
        let now = self.clock.now();
        self.with_log(id, |log| log.expire(now))
    }

    async fn log_drop(&self, id: LogId) -> Result<(), LogError> {
        let dropped = self.state.lock().logs.remove(&id);
        if let Some(log) = dropped {
            log.wakes.wake_all();
        }
        Ok(())
    }

    async fn stats(&self, id: LogId) -> Result<LogStats, LogError> {
        let now = self.clock.now();
        self.with_log(id, |log| log.stats(now))
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
                shard.drop_while(|_| true);
                shard.tip = None;
            }
        })
    }

    async fn read(&self, id: LogId, shard: ShardIndex, from: Bound, limits: ReadLimits) -> Result<Batch, LogError> {
        self.with_shard(id, shard, |shard| shard.read(from, limits))
    }

    async fn seek(&self, id: LogId, shard: ShardIndex, to: Seek) -> Result<Bound, LogError> {
        self.with_shard(id, shard, |shard| shard.seek(to))
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
    fn new(settings: LogSettings) -> Self {
        Self {
            settings,
            horizon: Timestamp::default(),
            generation: Generation::FIRST,
            next: 1,
            last_arrival: Timestamp::default(),
            shards: BTreeMap::new(),
            marks: HashMap::new(),
            wakes: Arc::default(),
        }
    }

    /// The horizon at this time; it never steps back.
    fn look_at(&mut self, now: Timestamp) -> Timestamp {
        self.horizon = self.horizon.max(now.minus(self.settings.retention));
        self.horizon
    }

    fn stats(&mut self, now: Timestamp) -> LogStats {
        let horizon = self.look_at(now);
        let inside = |record: &&StoredRecord| record.arrival >= horizon;
        let records = || self.shards.values().flat_map(|shard| shard.records.values());
        LogStats {
            bytes: records().map(|record| record.size_bytes() as u64).sum(),
            oldest: records().filter(inside).map(|record| record.arrival).min(),
            generation: self.generation,
            settings: self.settings,
        }
    }

    fn expire(&mut self, now: Timestamp) -> Expired {
        let before = self.stats(now).bytes;
        let horizon = self.horizon;
        self.shards.values_mut().for_each(|shard| shard.drop_before(horizon));
        let mut bytes = self.stats(now).bytes;
        while bytes > self.settings.retention_bytes.unwrap_or(u64::MAX) {
            bytes -= self.drop_oldest().unwrap_or(bytes);
        }
        Expired { bytes: before - bytes }
    }

    /// Drops the oldest record; its bytes.
    fn drop_oldest(&mut self) -> Option<u64> {
        let first = |shard: &&mut Shard| shard.records.keys().next().copied();
        let shard = self.shards.values_mut().filter(|shard| !shard.records.is_empty()).min_by_key(first)?;
        let (position, record) = shard.records.pop_first()?;
        shard.gone_before = Some(Position(position.0 + 1));
        Some(record.size_bytes() as u64)
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
        let explicit_hash = explicit_hash.map(Box::new);
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
    fn drop_before(&mut self, horizon: Timestamp) {
        self.drop_while(|record| record.arrival < horizon);
    }

    fn drop_while(&mut self, is_gone: impl Fn(&StoredRecord) -> bool) {
        while let Some(first) = self.records.first_entry().filter(|first| is_gone(first.get())) {
            self.gone_before = Some(Position(first.remove().position.0 + 1));
        }
    }

    fn read(&self, bound: Bound, limits: ReadLimits) -> Batch {
        let from = self.gone_before.map_or(bound, |gone| bound.max(Bound::at(gone)));
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
        Batch { records, next, tip: self.tip, closed_at: self.closed_at, skipped: from > bound }
    }

    fn seek(&self, to: Seek) -> Bound {
        let gone = self.gone_before.map_or(Bound::START, Bound::at);
        let latest = self.tip.map_or(gone, |tip| Bound::after(tip.position));
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

fn document(key: &Key, revision: Revision, value: &Bytes) -> Document {
    Document { key: key.clone(), revision, value: value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StreamId;
    use crate::record::PartitionKey;

    #[tokio::test]
    async fn memory_keeps_the_laws() {
        crate::engine::laws::check(&|clock| Arc::new(Memory::new(clock))).await;
    }

    #[tokio::test]
    async fn of_too_many_bytes_the_oldest_records_go() {
        let (engine, log) = (Memory::new(Clock::system()), LogId { stream: StreamId(1), part: 0 });
        let settings = LogSettings { retention_bytes: Some(20), ..LogSettings::kept_for(Duration::from_hours(24)) };
        engine.log_put(log, settings).await.unwrap();
        for shard in [0, 1, 0, 1] {
            let partition_key = PartitionKey::parse("k").unwrap();
            let record = Record { partition_key, explicit_hash: None, data: Bytes::from_static(b"12345678") };
            let append = Append { records: vec![(ShardIndex(shard), record)], marks: vec![] };
            engine.append(log, Generation::FIRST, append).await.unwrap();
        }
        assert_eq!(engine.expire(log).await.unwrap().bytes, 18);
        let limits = ReadLimits { records_max: 9, bytes_max: 1000 };
        for shard in [0, 1] {
            let batch = engine.read(log, ShardIndex(shard), Bound::START, limits).await.unwrap();
            assert_eq!((batch.records.len(), batch.skipped), (1, true));
        }
    }
}
