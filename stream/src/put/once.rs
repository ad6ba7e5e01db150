//! Puts under a key: one that is repeated puts nothing, and is answered as the first was.
//!
//! Promises that the key is kept in the same append as the records, as a mark of their log: so both are there after a
//! crash, or neither. It is remembered for [`ONCE_LIFETIME`]; where so many are young that no mark is free, a put is
//! refused rather than one of them forgotten. The places of the records are not kept: a repeated put brings the records
//! again, and they are looked for from the first one's time on. This module must not know where a key comes from.

mod ring;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::ring::Rings;
use self::ring::{Claim, Claimed, Kept};
use super::admit::Admission;
use super::{PartDone, Placed, PutError, PutFailure, PutOutcome, check_sizes, route};
use crate::engine::{Bound, LogError, LogId, Mark, MarkChange, ReadLimits, Seek};
use crate::error::{NoStream, StoreError};
use crate::limits::{
    APPEND_RECORDS_MAX, ONCE_KEYS_PER_LOG_MAX, ONCE_LIFETIME, ONCE_READS_MAX, PUT_ROUTINGS_MAX, READ_BYTES_MAX,
    READ_RECORDS_MAX,
};
use crate::name::StreamName;
use crate::record::{Record, StoredRecord};
use crate::sequence::SequenceNumber;
use crate::shard::{HashKey, Shard, ShardIndex};
use crate::store::Store;
use crate::stream::Stream;

/// What makes two puts the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnceKey {
    /// A digest of the key that the producer chose.
    pub key: [u8; 32],
    /// A digest of all that was put under it.
    pub content: [u8; 32],
}

/// What became of a put under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OncePut {
    /// That of each record, in order.
    pub outcomes: Vec<PutOutcome>,
    /// Whether an earlier put under the key placed the records, and this one nothing.
    pub is_repeat: bool,
}

/// Why a put under a key was refused. Nothing was appended by it.
#[derive(Debug, thiserror::Error)]
pub enum PutOnceError {
    /// As any put is.
    #[error(transparent)]
    Put(#[from] PutError),
    /// The first put under the key has not ended.
    #[error("a put under this key is in work: try again when it has ended")]
    InWork,
    /// The key was used for something else.
    #[error("this key was used for other records less than {} s ago: use a new one", ONCE_LIFETIME.as_secs())]
    OtherContent,
    /// All keys that the stream may remember are young.
    #[error("the stream remembers {ONCE_KEYS_PER_LOG_MAX} keys already: the next is free in {} s", .free_in.as_secs())]
    TooManyKeys {
        /// When the oldest one may be forgotten.
        free_in: Duration,
    },
    /// The stream has several logs, and a key is kept in one.
    #[error("the stream has several logs, so its puts can have no key")]
    SeveralLogs,
    /// The records were put, and are not found: they may have been purged.
    #[error("the records were put under this key before, and their places are not known any more")]
    PlacesUnknown,
    /// The engine failed. A put that was in work may have been made; under the same key it may be tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Appends records, all or none, unless a put under the same key has done so in the last [`ONCE_LIFETIME`]. It goes on
    /// to its end whatever becomes of the caller.
    pub async fn put_keyed(
        &self,
        name: &StreamName,
        once: OnceKey,
        records: Vec<Record>,
    ) -> Result<OncePut, PutOnceError> {
        let stream = self.writable(name)?;
        check_sizes(&records, APPEND_RECORDS_MAX, &stream)?;
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.put_or_find(&name, once, records).await }).await
    }

    async fn put_or_find(
        &self,
        name: &StreamName,
        once: OnceKey,
        records: Vec<Record>,
    ) -> Result<OncePut, PutOnceError> {
        let stream = self.writable(name)?;
        let log = only_log(&stream)?;
        match self.claim(log, &once).await? {
            Claim::Taken(claimed) => {
                let outcomes = self.put_marked(stream, log, &claimed, once, records).await;
                self.end_claim(log, &claimed, &outcomes).await;
                Ok(OncePut { outcomes: outcomes?, is_repeat: false })
            }
            Claim::Repeat(kept) => {
                let outcomes = self.find(&stream, &kept, &records).await?;
                Ok(OncePut { outcomes, is_repeat: true })
            }
        }
    }

    /// Claims the key, with the log's marks in memory.
    async fn claim(&self, log: LogId, once: &OnceKey) -> Result<Claim, PutOnceError> {
        loop {
            if let Some(claim) = self.rings().claim(log, once, self.clock().now())? {
                return Ok(claim);
            }
            let evictions = self.rings().evictions();
            let mut marks = Vec::new();
            for slot in 0..ONCE_KEYS_PER_LOG_MAX {
                marks.push(self.engine().mark(log, &ring::mark_of(slot)).await.map_err(StoreError::from)?);
            }
            self.rings().load(log, &marks, evictions);
        }
    }

    /// Appends the records and the key's mark, routed anew as often as any put is.
    async fn put_marked(
        &self,
        mut stream: Arc<Stream>,
        log: LogId,
        claimed: &Claimed,
        once: OnceKey,
        records: Vec<Record>,
    ) -> Result<Vec<PutOutcome>, PutOnceError> {
        // By key also where a stream spreads its records: a put that is repeated looks for them there.
        let hashes: Vec<HashKey> = records.iter().map(HashKey::of_record).collect();
        let count = records.len();
        if let Some(refused) = self.admit(&stream, &records, &hashes, Admission::Whole).into_iter().collect() {
            return Ok(refused);
        }
        let mut waiting: Vec<(usize, Record)> = records.into_iter().enumerate().collect();
        let mark = MarkChange {
            key: ring::mark_of(claimed.slot),
            expect: claimed.expect,
            value: ring::encode(&Kept { key: once.key, content: once.content, at: self.clock().now(), first: None }),
        };
        for _ in 0..PUT_ROUTINGS_MAX {
            let Some(part) = route(&stream, waiting, &hashes).remove(&log) else {
                return Err(PutOnceError::SeveralLogs);
            };
            match self.put_part(&stream, log, part, vec![mark.clone()]).await {
                PartDone::Settled(settled) => return Ok(in_order(settled)),
                PartDone::Fenced(records) => waiting = records,
            }
            let name = stream.name.clone();
            stream = self.map_after_fence(&stream).await?.ok_or_else(|| PutError::from(NoStream { name }))?;
        }
        let unrouted = PutFailure::Internal("the shard map keeps changing: put the record again".to_owned());
        Ok(vec![Err(unrouted); count])
    }

    /// The log says what became of the claim.
    async fn end_claim(&self, log: LogId, claimed: &Claimed, outcomes: &Result<Vec<PutOutcome>, PutOnceError>) {
        let placed = outcomes.iter().flatten().flatten();
        let first = placed.map(|placed| placed.sequence.position()).min();
        match self.engine().mark(log, &ring::mark_of(claimed.slot)).await {
            Ok(mark) => self.rings().settle(log, claimed, mark.as_ref(), first),
            Err(LogError::NoLog(_)) => self.rings().forget(log),
            // Nobody knows what became of it, so it stays in work until the log is read again.
            Err(
                error @ (LogError::Corrupt(_)
                | LogError::Io { .. }
                | LogError::NoKey { .. }
                | LogError::Unavailable { .. }),
            ) => {
                tracing::warn!(%error, "the key of a put stays in work: its log cannot be read");
            }
        }
    }

    /// The places of records that an earlier put under the key has appended.
    async fn find(&self, stream: &Stream, kept: &Kept, records: &[Record]) -> Result<Vec<PutOutcome>, PutOnceError> {
        let mut shards: BTreeMap<ShardIndex, Vec<usize>> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            let hash = HashKey::of_record(record);
            let shard = shard_then(stream, hash, kept).ok_or(PutOnceError::PlacesUnknown)?;
            shards.entry(shard.index).or_default().push(index);
        }
        let mut settled = Vec::with_capacity(records.len());
        for (index, wanted) in shards {
            let shard = stream.shard(index).ok_or(PutOnceError::PlacesUnknown)?;
            let run: Vec<&Record> = wanted.iter().filter_map(|index| records.get(*index)).collect();
            let found = self.find_run(stream, shard, kept, &run).await?.ok_or(PutOnceError::PlacesUnknown)?;
            let placed = |record: &StoredRecord| Placed {
                shard: index,
                sequence: SequenceNumber::new(shard, record.position, record.arrival),
            };
            settled.extend(wanted.into_iter().zip(found.iter().map(|record| Ok(placed(record)))));
        }
        Ok(in_order(settled))
    }

    /// The first records of a shard, in a row, that are these. Those of one append stand in a row.
    async fn find_run(
        &self,
        stream: &Stream,
        shard: &Shard,
        kept: &Kept,
        run: &[&Record],
    ) -> Result<Option<Vec<StoredRecord>>, PutOnceError> {
        let log = stream.log_of(shard.index);
        let mut from = match kept.first {
            Some(first) => Bound::at(first),
            None => self.engine().seek(log, shard.index, Seek::Time(kept.at)).await.map_err(StoreError::from)?,
        };
        let mut read: Vec<StoredRecord> = Vec::new();
        let limits = ReadLimits { records_max: READ_RECORDS_MAX, bytes_max: READ_BYTES_MAX };
        for _ in 0..ONCE_READS_MAX {
            let batch = self.engine().read(log, shard.index, from, limits).await.map_err(StoreError::from)?;
            let is_last = batch.records.is_empty();
            from = batch.next;
            read.extend(batch.records);
            let found = read.windows(run.len()).find(|window| window.iter().zip(run).all(|(a, b)| is_same(a, b)));
            if let Some(found) = found {
                return Ok(Some(found.to_vec()));
            }
            if is_last {
                break;
            }
            // A run may begin in what was read and end in what is read next.
            read.drain(..read.len().saturating_sub(run.len().saturating_sub(1)));
        }
        Ok(None)
    }
}

fn is_same(stored: &StoredRecord, given: &Record) -> bool {
    stored.partition_key == given.partition_key
        && stored.explicit_hash.as_deref() == given.explicit_hash.as_ref()
        && stored.data == given.data
}

/// The log of a stream that has one.
fn only_log(stream: &Stream) -> Result<LogId, PutOnceError> {
    let mut logs = stream.logs();
    match (logs.next(), logs.next()) {
        (Some(log), None) => Ok(log),
        (Some(_), Some(_)) | (None, _) => Err(PutOnceError::SeveralLogs),
    }
}

/// The shard that took a hash key when the key was kept: its oldest that was not closed by then.
fn shard_then<'s>(stream: &'s Stream, hash: HashKey, kept: &Kept) -> Option<&'s Shard> {
    let was_open = |shard: &&Shard| match (shard.closed, kept.first) {
        (None, _) => true,
        (Some(closed), Some(first)) => closed.position > first,
        (Some(closed), None) => closed.at >= kept.at,
    };
    stream.shards.iter().find(|shard| shard.range.contains(hash) && was_open(shard))
}

fn in_order(mut settled: Vec<(usize, PutOutcome)>) -> Vec<PutOutcome> {
    settled.sort_by_key(|(index, _)| *index);
    settled.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests;
