//! Putting records: routing by hash key, and the append.

mod admit;
mod once;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future;

use self::admit::Admission;
pub(crate) use self::once::Rings;
pub use self::once::{OnceKey, OncePut, PutOnceError};
use crate::capacity::OverCapacity;
use crate::engine::{Append, AppendError, Appended, LogId, MarkChange, Resolved};
use crate::error::{Damaged, NoStream};
use crate::limits::{APPEND_RECORDS_MAX, PUT_BYTES_MAX, PUT_RECORDS_MAX, PUT_ROUTINGS_MAX};
use crate::name::StreamName;
use crate::record::Record;
use crate::sequence::SequenceNumber;
use crate::settings::Distribution;
use crate::shard::{HashKey, ShardIndex};
use crate::store::Store;
use crate::stream::{Stream, StreamMode, StreamStatus};
use crate::traffic::Taken;

/// 2^128 over the golden ratio: multiples of it, modulo 2^128, lie evenly however many there are.
const GOLDEN_STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its shard.
    pub shard: ShardIndex,
    /// Its sequence number.
    pub sequence: SequenceNumber,
}

/// Why one record of a put was not appended, or may not have been. The producer may put it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutFailure {
    /// More is coming in than can be committed.
    #[error("{0}")]
    Throughput(String),
    /// Its shard is at the limit that its stream has.
    #[error(transparent)]
    OverCapacity(#[from] OverCapacity),
    /// There is no space. The record may be put again when there is some.
    #[error("the disk is full: {0}")]
    Full(String),
    /// The stream is encrypted with a key that the node was not given.
    #[error("{0}")]
    NoKey(String),
    /// The log is damaged. Putting the record again is of no use until somebody has mended it.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The log failed.
    #[error("{0}")]
    Internal(String),
}

/// What became of one record.
pub type PutOutcome = Result<Placed, PutFailure>;

/// Why a put was refused as a whole. Nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// There is no such stream.
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// The stream takes no records now.
    #[error("the stream '{name}' is {status:?} and takes no records")]
    NotActive {
        /// The stream.
        name: StreamName,
        /// Where it is in its life.
        status: StreamStatus,
    },
    /// No record, or too many.
    #[error("a put has 1 to {max} records, not {records}")]
    Count {
        /// How many.
        records: usize,
        /// The limit.
        max: usize,
    },
    /// A record is too large.
    #[error("record {index} has {bytes} bytes of data and partition key, over the limit of {max}")]
    RecordTooLarge {
        /// Which, from 0.
        index: usize,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// All together are too large.
    #[error("the records have {bytes} bytes of data and partition keys, over the limit of {max}")]
    TooLarge {
        /// Their size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

impl Store {
    /// Appends records to the shards that their hash keys belong to. Returns what became of each, in order; those of
    /// one shard are appended in order, and are durable when they are reported as placed.
    pub async fn put(&self, name: &StreamName, records: Vec<Record>) -> Result<Vec<PutOutcome>, PutError> {
        self.put_at_most(PUT_RECORDS_MAX, name, records, Admission::Each).await
    }

    /// Like [`Store::put`], for as many records as an engine appends at once. Those that go to one log are appended all or
    /// none: all of a stream where it has one log. Where a shard is at its limit none is.
    pub async fn put_whole(&self, name: &StreamName, records: Vec<Record>) -> Result<Vec<PutOutcome>, PutError> {
        self.put_at_most(APPEND_RECORDS_MAX, name, records, Admission::Whole).await
    }

    /// Like [`Store::put_whole`], for records of the house itself: no limit of shards is asked, and nothing is counted
    /// against it.
    pub async fn put_many(&self, name: &StreamName, records: Vec<Record>) -> Result<Vec<PutOutcome>, PutError> {
        self.put_at_most(APPEND_RECORDS_MAX, name, records, Admission::Free).await
    }

    async fn put_at_most(
        &self,
        records_max: usize,
        name: &StreamName,
        records: Vec<Record>,
        admission: Admission,
    ) -> Result<Vec<PutOutcome>, PutError> {
        let mut stream = self.writable(name)?;
        check_sizes(&records, records_max, &stream)?;
        let hashes = match stream.settings.distribution {
            Distribution::PartitionKey => records.iter().map(HashKey::of_record).collect(),
            Distribution::Even => self.spread(records.len()),
        };
        let mut outcomes = self.admit(&stream, &records, &hashes, admission);
        let admitted = records.into_iter().enumerate().zip(&outcomes).filter(|(_, refused)| refused.is_none());
        let mut waiting: Vec<(usize, Record)> = admitted.map(|(numbered, _)| numbered).collect();
        let mut unrouted = "the shard map keeps changing: put the record again".to_owned();
        for _ in 0..PUT_ROUTINGS_MAX {
            waiting = self.put_once(&stream, waiting, &hashes, &mut outcomes).await;
            if waiting.is_empty() {
                break;
            }
            stream = match self.map_after_fence(&stream).await {
                Ok(Some(stream)) => stream,
                // Some records may be placed already: only a put of which nothing is can be refused as a whole.
                Ok(None) if outcomes.iter().all(Option::is_none) => {
                    return Err(NoStream { name: name.clone() }.into());
                }
                Ok(None) => {
                    unrouted = NoStream { name: name.clone() }.to_string();
                    break;
                }
                Err(error) => {
                    unrouted = error.to_string();
                    break;
                }
            };
        }
        let unrouted = || Err(PutFailure::Internal(unrouted.clone()));
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unrouted)).collect())
    }

    /// Hash keys that lie evenly, whatever was put before.
    fn spread(&self, count: usize) -> Vec<HashKey> {
        let first = self.spread_count(count as u64);
        (first..).take(count).map(|number| HashKey(u128::from(number).wrapping_mul(GOLDEN_STEP))).collect()
    }

    fn writable(&self, name: &StreamName) -> Result<Arc<Stream>, PutError> {
        let stream = self.stream(name)?;
        match stream.status {
            StreamStatus::Active | StreamStatus::Updating => Ok(stream),
            status @ (StreamStatus::Creating | StreamStatus::Deleting) => {
                Err(PutError::NotActive { name: name.clone(), status })
            }
        }
    }

    /// One append to each log concerned. Returns the records that were fenced, to be routed anew.
    async fn put_once(
        &self,
        stream: &Stream,
        records: Vec<(usize, Record)>,
        hashes: &[HashKey],
        outcomes: &mut [Option<PutOutcome>],
    ) -> Vec<(usize, Record)> {
        let parts = route(stream, records, hashes);
        let appends = parts.into_iter().map(|(log, part)| self.put_part(stream, log, part, Vec::new()));
        let mut fenced = Vec::new();
        for done in future::join_all(appends).await {
            match done {
                PartDone::Fenced(records) => fenced.extend(records),
                PartDone::Settled(settled) => {
                    for (index, outcome) in settled {
                        if let Some(slot) = outcomes.get_mut(index) {
                            *slot = Some(outcome);
                        }
                    }
                }
            }
        }
        fenced.sort_by_key(|(index, _)| *index);
        fenced
    }

    async fn put_part(&self, stream: &Stream, log: LogId, part: Part, marks: Vec<MarkChange>) -> PartDone {
        let Some(generation) = stream.generations.get(log.part as usize).copied() else {
            return part.failed(&PutFailure::Internal(format!("the stream has no log {log}")));
        };
        let taken = part.taken();
        let append = || Append { records: part.records.clone(), marks: marks.clone() };
        let placed = |part: Part, appended: &Appended| {
            self.traffic().count(stream.id, taken);
            if stream.mode == StreamMode::OnDemand {
                let of_record = |(shard, record): &(ShardIndex, Record)| (*shard, record.size_bytes() as u64);
                self.traffic().count_shards(stream.id, part.records.iter().map(of_record));
            }
            part.placed(stream, appended)
        };
        let mut appended = self.engine().append(log, generation, append()).await;
        // What the log may give up makes room for what comes.
        if matches!(appended, Err(AppendError::Full(_)))
            && self.engine().expire(log).await.is_ok_and(|expired| expired.bytes > 0)
        {
            appended = self.engine().append(log, generation, append()).await;
        }
        match appended {
            Ok(appended) => placed(part, &appended),
            // A log that is gone went with its stream: the map says so when it is read again.
            Err(AppendError::Fenced { .. } | AppendError::NoLog(_)) => part.fenced(),
            Err(AppendError::Unknown(ticket)) => match self.engine().resolve(&ticket).await {
                Ok(Resolved::Appended(appended)) => placed(part, &appended),
                Ok(Resolved::NotAppended) => part.fenced(),
                Err(error) => part.failed(&PutFailure::Internal(error.to_string())),
            },
            Err(error @ AppendError::Overloaded { .. }) => part.failed(&PutFailure::Throughput(error.to_string())),
            Err(AppendError::Damaged(corruption)) => {
                part.failed(&Damaged { stream: stream.name.clone(), corruption }.into())
            }
            Err(error @ AppendError::NoKey { .. }) => part.failed(&PutFailure::NoKey(error.to_string())),
            Err(error @ AppendError::Full(_)) => part.failed(&PutFailure::Full(error.to_string())),
            Err(
                error @ (AppendError::MarkConflict | AppendError::TooLarge { .. } | AppendError::Unavailable { .. }),
            ) => part.failed(&PutFailure::Internal(error.to_string())),
        }
    }
}

/// The records of a put that go to one log.
#[derive(Default)]
struct Part {
    indexes: Vec<usize>,
    records: Vec<(ShardIndex, Record)>,
}

enum PartDone {
    Settled(Vec<(usize, PutOutcome)>),
    Fenced(Vec<(usize, Record)>),
}

impl Part {
    fn taken(&self) -> Taken {
        let bytes = self.records.iter().map(|(_, record)| record.size_bytes() as u64).sum();
        Taken { records: self.records.len() as u64, bytes }
    }

    fn placed(self, stream: &Stream, appended: &Appended) -> PartDone {
        let shards = self.records.iter().map(|(shard, _)| *shard);
        let placed = self.indexes.into_iter().zip(shards).zip(&appended.positions);
        let outcome = |((index, shard), position): ((usize, ShardIndex), &_)| {
            let sequence = stream.shard(shard).map(|known| SequenceNumber::new(known, *position, appended.arrival));
            let lost = || PutFailure::Internal(format!("the stream has no shard {shard}"));
            (index, sequence.map(|sequence| Placed { shard, sequence }).ok_or_else(lost))
        };
        PartDone::Settled(placed.map(outcome).collect())
    }

    fn fenced(self) -> PartDone {
        PartDone::Fenced(self.indexes.into_iter().zip(self.records.into_iter().map(|(_, record)| record)).collect())
    }

    fn failed(self, failure: &PutFailure) -> PartDone {
        PartDone::Settled(self.indexes.into_iter().map(|index| (index, Err(failure.clone()))).collect())
    }
}

fn route(stream: &Stream, records: Vec<(usize, Record)>, hashes: &[HashKey]) -> BTreeMap<LogId, Part> {
    let mut parts: BTreeMap<LogId, Part> = BTreeMap::new();
    for (index, record) in records {
        let shard = hashes.get(index).and_then(|hash| stream.route(*hash));
        // A stream's open shards cover the hash space; a record without one stays unanswered and fails as unrouted.
        let Some(shard) = shard else { continue };
        let part = parts.entry(stream.log_of(shard.index)).or_default();
        part.indexes.push(index);
        part.records.push((shard.index, record));
    }
    parts
}

fn check_sizes(records: &[Record], records_max: usize, stream: &Stream) -> Result<(), PutError> {
    let max = stream.settings.record_bytes_max();
    if !(1..=records_max).contains(&records.len()) {
        return Err(PutError::Count { records: records.len(), max: records_max });
    }
    let mut total = 0;
    for (index, record) in records.iter().enumerate() {
        let bytes = record.size_bytes();
        if bytes > max {
            return Err(PutError::RecordTooLarge { index, bytes, max });
        }
        total += bytes;
    }
    if total > PUT_BYTES_MAX {
        return Err(PutError::TooLarge { bytes: total, max: PUT_BYTES_MAX });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
