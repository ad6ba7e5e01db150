//! An engine that makes the troubles which every caller must be able to handle, over an engine that does not.
//!
//! It keeps the contract of [`Engine`], and uses up all the room that the contract leaves: unknown outcomes of both
//! kinds, fences without a change, earlier views, lost hints, pauses. It must not know what is below it.

mod dice;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::dice::{Counts, Fault, FaultyOptions};

use self::dice::{Dice, Operation};
use super::{
    Append, AppendError, Appended, Batch, Bound, Capabilities, Change, Document, DocumentError, Durability, Engine,
    Expired, Generation, Health, Key, LogError, LogId, LogSettings, LogStats, Mark, ReadLimits, Resolved, Revision,
    SealError, Sealed, Seek, Ticket, Tip, UnknownTicket,
};
use crate::shard::ShardIndex;

/// The first token: far from what an engine below would give.
const FIRST_TOKEN: u128 = 1 << 127;

/// An engine with troubles. `changed` may sleep through its whole wait: pause tokio's time.
#[derive(Debug)]
pub struct Faulty<E> {
    inner: E,
    dice: Dice,
    tickets: Mutex<Tickets>,
    silent: watch::Sender<u64>,
}

/// What became of the newest appends of unknown outcome.
#[derive(Debug)]
struct Tickets {
    next: u128,
    most: usize,
    kept: BTreeMap<u128, (LogId, Resolved)>,
}

impl<E: Engine> Faulty<E> {
    /// Troubles over this engine.
    pub fn new(inner: E, options: FaultyOptions) -> Self {
        let tickets = Tickets { next: FIRST_TOKEN, most: options.tickets_max, kept: BTreeMap::new() };
        Self { inner, dice: Dice::new(options), tickets: Mutex::new(tickets), silent: watch::Sender::new(0) }
    }

    /// How often each trouble was made.
    pub fn counts(&self) -> &Arc<Counts> {
        self.dice.counts()
    }

    fn unknown(&self, fault: Fault, log: LogId, outcome: Resolved) -> AppendError {
        self.dice.count(fault);
        AppendError::Unknown(self.tickets.lock().give(log, outcome))
    }
}

impl Tickets {
    fn give(&mut self, log: LogId, outcome: Resolved) -> Ticket {
        let token = self.next;
        self.next += 1;
        self.kept.insert(token, (log, outcome));
        while self.kept.len() > self.most {
            self.kept.pop_first();
        }
        Ticket { log, token }
    }

    fn find(&self, ticket: &Ticket) -> Option<Resolved> {
        let (log, outcome) = self.kept.get(&ticket.token)?;
        (*log == ticket.log).then(|| outcome.clone())
    }
}

#[async_trait]
impl<E: Engine> Engine for Faulty<E> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>, DocumentError> {
        self.dice.pause().await;
        self.inner.get(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<Document>, DocumentError> {
        self.dice.pause().await;
        self.inner.list(prefix, after, limit).await
    }

    async fn compare_and_set(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<Vec<Revision>, DocumentError> {
        self.dice.pause().await;
        let fault = self.dice.throw(Operation::Change, &[Fault::ChangeUnknownDone, Fault::ChangeUnknownNotDone]);
        let Some(fault) = fault else { return self.inner.compare_and_set(changes, durability).await };
        if fault == Fault::ChangeUnknownDone {
            self.inner.compare_and_set(changes, durability).await?;
        }
        self.dice.count(fault);
        Err(DocumentError::Unknown)
    }

    fn watch(&self, prefix: &str) -> watch::Receiver<u64> {
        match self.dice.throw(Operation::Watch, &[Fault::LostWatch]) {
            Some(fault) => {
                self.dice.count(fault);
                self.silent.subscribe()
            }
            None => self.inner.watch(prefix),
        }
    }

    async fn log_put(&self, log: LogId, settings: LogSettings) -> Result<(), LogError> {
        self.dice.pause().await;
        self.inner.log_put(log, settings).await
    }

    async fn log_change(&self, log: LogId, settings: LogSettings) -> Result<(), LogError> {
        self.dice.pause().await;
        self.inner.log_change(log, settings).await
    }

    async fn expire(&self, log: LogId) -> Result<Expired, LogError> {
        self.dice.pause().await;
        self.inner.expire(log).await
    }

    async fn log_drop(&self, log: LogId) -> Result<(), LogError> {
        self.dice.pause().await;
        self.inner.log_drop(log).await
    }

    async fn stats(&self, log: LogId) -> Result<LogStats, LogError> {
        self.dice.pause().await;
        self.inner.stats(log).await
    }

    async fn append(&self, log: LogId, generation: Generation, append: Append) -> Result<Appended, AppendError> {
        self.dice.pause().await;
        let faults = [Fault::AppendUnknownDone, Fault::AppendUnknownNotDone, Fault::AppendFenced];
        let Some(fault) = self.dice.throw(Operation::Append, &faults) else {
            return self.inner.append(log, generation, append).await;
        };
        if fault == Fault::AppendFenced {
            self.dice.count(fault);
            return Err(AppendError::Fenced { given: generation, current: generation });
        }
        if fault == Fault::AppendUnknownNotDone {
            return Err(self.unknown(fault, log, Resolved::NotAppended));
        }
        let appended = self.inner.append(log, generation, append).await?;
        Err(self.unknown(fault, log, Resolved::Appended(appended)))
    }

    async fn resolve(&self, ticket: &Ticket) -> Result<Resolved, UnknownTicket> {
        self.dice.pause().await;
        let found = self.tickets.lock().find(ticket);
        match found {
            Some(outcome) => Ok(outcome),
            None => self.inner.resolve(ticket).await,
        }
    }

    async fn mark(&self, log: LogId, key: &[u8]) -> Result<Option<Mark>, LogError> {
        self.dice.pause().await;
        self.inner.mark(log, key).await
    }

    async fn seal(
        &self,
        log: LogId,
        generation: Generation,
        close: &[ShardIndex],
        open: &[ShardIndex],
    ) -> Result<Sealed, SealError> {
        self.dice.pause().await;
        let faults = [Fault::SealUnknownDone, Fault::SealUnknownNotDone, Fault::SealFenced];
        let Some(fault) = self.dice.throw(Operation::Seal, &faults) else {
            return self.inner.seal(log, generation, close, open).await;
        };
        if fault == Fault::SealUnknownDone {
            self.inner.seal(log, generation, close, open).await?;
        }
        self.dice.count(fault);
        let is_fenced = fault == Fault::SealFenced;
        Err(if is_fenced { SealError::Fenced { given: generation, current: generation } } else { SealError::Unknown })
    }

    async fn purge(&self, log: LogId, shard: ShardIndex) -> Result<(), LogError> {
        self.dice.pause().await;
        self.inner.purge(log, shard).await
    }

    async fn read(&self, log: LogId, shard: ShardIndex, from: Bound, limits: ReadLimits) -> Result<Batch, LogError> {
        self.dice.pause().await;
        let batch = self.inner.read(log, shard, from, limits).await?;
        let Some(fault) = self.dice.throw(Operation::Read, &[Fault::StaleRead]) else { return Ok(batch) };
        let earlier = earlier(&batch, from, self.dice.number(batch.records.len()));
        if earlier != batch {
            self.dice.count(fault);
        }
        Ok(earlier)
    }

    async fn seek(&self, log: LogId, shard: ShardIndex, to: Seek) -> Result<Bound, LogError> {
        self.dice.pause().await;
        self.inner.seek(log, shard, to).await
    }

    async fn changed(&self, log: LogId, shard: ShardIndex, from: Bound, wait: Duration) {
        self.dice.pause().await;
        match self.dice.throw(Operation::Changed, &[Fault::LostWake]) {
            Some(fault) => {
                self.dice.count(fault);
                tokio::time::sleep(wait).await;
            }
            None => self.inner.changed(log, shard, from, wait).await,
        }
    }
}

/// The same read when only the first `kept` of its records were there, and the shard was open.
fn earlier(batch: &Batch, from: Bound, kept: usize) -> Batch {
    let records: Vec<_> = batch.records.iter().take(kept).cloned().collect();
    let last = records.last().map(|last| Tip { position: last.position, arrival: last.arrival });
    let next = last.map_or(from, |last| Bound::after(last.position));
    Batch { skipped: batch.skipped && last.is_some(), records, next, tip: last, closed_at: None }
}
