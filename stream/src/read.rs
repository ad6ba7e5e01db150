//! Reading a shard: positions to start from, and batches.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::{Bound, LogError, ReadLimits, Seek};
use crate::error::{Damaged, NoShard, NoStream, StoreError};
use crate::limits::{READ_BYTES_MAX, READ_RECORDS_MAX};
use crate::record::StoredRecord;
use crate::sequence::SequenceNumber;
use crate::shard::ShardIndex;
use crate::store::Store;
use crate::stream::Stream;

/// Where to start in a shard: the five iterator types of Kinesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// The oldest record that has not expired.
    TrimHorizon,
    /// Behind the newest record.
    Latest,
    /// The first record that arrived then or later; before the horizon it means the horizon.
    Time(Timestamp),
    /// The record of this number; one that has expired means the horizon.
    AtSequence(SequenceNumber),
    /// The first record behind this number.
    AfterSequence(SequenceNumber),
}

/// What a read returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The records, in order.
    pub records: Vec<StoredRecord>,
    /// Where the next read begins.
    pub next: Bound,
    /// How far the reader is behind the newest record; zero at the tip.
    pub behind: Duration,
    /// Nothing lies behind this for now.
    pub is_at_tip: bool,
    /// The shard is closed, and this was its last.
    pub is_at_end: bool,
    /// Records of this shard between the bound and `next` have expired: the reader never had them.
    pub skipped: bool,
}

/// Why a shard was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream is gone.
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// It has no such shard.
    #[error(transparent)]
    NoShard(#[from] NoShard),
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why there is no such position.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// The shard cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The number is not of this shard.
    #[error("the sequence number {sequence} is not of shard {shard} of the stream '{stream}'")]
    ForeignSequence {
        /// The number.
        sequence: SequenceNumber,
        /// The shard.
        shard: ShardIndex,
        /// The stream.
        stream: crate::name::StreamName,
    },
}

impl Store {
    /// Durable records of a shard from a bound on, within the limits of a read.
    pub async fn read(
        &self,
        stream: &Stream,
        shard: ShardIndex,
        from: Bound,
        limits: ReadLimits,
    ) -> Result<Read, ReadError> {
        known(stream, shard)?;
        let limits = ReadLimits {
            records_max: limits.records_max.min(READ_RECORDS_MAX),
            bytes_max: limits.bytes_max.min(READ_BYTES_MAX),
        };
        let batch = self.engine().read(stream.log_of(shard), shard, from, limits).await;
        let batch = batch.map_err(|error| unreadable(stream, error))?;
        let (is_at_tip, is_at_end) = (batch.is_at_tip(), batch.is_at_end());
        let seen = batch.records.last().map(|record| record.arrival).filter(|_| !is_at_tip);
        let behind = seen.map_or(Duration::ZERO, |arrival| self.clock().now().since(arrival));
        Ok(Read { records: batch.records, next: batch.next, behind, is_at_tip, is_at_end, skipped: batch.skipped })
    }

    /// Where a read of this shard begins.
    pub async fn position(&self, stream: &Stream, shard: ShardIndex, start: StartAt) -> Result<Bound, PositionError> {
        let created = known(stream, shard)?.created;
        let seek = match start {
            StartAt::TrimHorizon => Seek::Horizon,
            StartAt::Latest => Seek::Latest,
            StartAt::Time(time) => Seek::Time(time),
            StartAt::AtSequence(sequence) | StartAt::AfterSequence(sequence) => {
                if sequence.shard() != shard || sequence.shard_created_secs() != created.as_secs() {
                    return Err(PositionError::ForeignSequence { sequence, shard, stream: stream.name.clone() });
                }
                let at = matches!(start, StartAt::AtSequence(_));
                return Ok(if at { Bound::at(sequence.position()) } else { Bound::after(sequence.position()) });
            }
        };
        let bound = self.engine().seek(stream.log_of(shard), shard, seek).await;
        Ok(bound.map_err(|error| unreadable(stream, error))?)
    }
}

fn known(stream: &Stream, shard: ShardIndex) -> Result<&crate::shard::Shard, ReadError> {
    let none = || NoShard { stream: stream.name.clone(), shard };
    Ok(stream.shard(shard).ok_or_else(none)?)
}

/// A log that is gone means that the stream is.
fn unreadable(stream: &Stream, error: LogError) -> ReadError {
    match error {
        LogError::NoLog(_) => NoStream { name: stream.name.clone() }.into(),
        LogError::Corrupt(corruption) => StoreError::from(Damaged { stream: stream.name.clone(), corruption }).into(),
        error @ (LogError::Io { .. } | LogError::NoKey { .. } | LogError::Unavailable { .. }) => {
            StoreError::from(error).into()
        }
    }
}
