//! All records of a stream, as a reader gets them, and what must hold of each shard by itself.

use super::super::facts::{Name, name_of};
use crate::clock::Timestamp;
use crate::engine::{Bound, Position, ReadLimits};
use crate::sequence::SequenceNumber;
use crate::shard::{HashKey, Shard, ShardIndex};
use crate::store::Store;
use crate::stream::Stream;

const PAGE: ReadLimits = ReadLimits { records_max: 40, bytes_max: 40_000 };

/// A record that was read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: Name,
    pub(super) key: u8,
    pub(super) place: (ShardIndex, Position),
    pub(super) arrival: Timestamp,
    pub(super) sequence: SequenceNumber,
}

pub(super) async fn read_stream(store: &Store, stream: &Stream) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    for shard in &stream.shards {
        let records = read_shard(store, stream, shard).await.map_err(|what| format!("{}: {what}", shard.index))?;
        found.extend(records);
    }
    Ok(found)
}

async fn read_shard(store: &Store, stream: &Stream, shard: &Shard) -> Result<Vec<Found>, String> {
    let (mut from, mut found) = (Bound::START, Vec::<Found>::new());
    loop {
        let read = store.read(stream, shard.index, from, PAGE).await.map_err(|error| error.to_string())?;
        for record in &read.records {
            let (position, arrival) = (record.position, record.arrival);
            if !shard.range.contains(HashKey::of(&record.partition_key)) {
                return Err(format!("{position:?} is of another shard"));
            }
            if shard.closed.is_some_and(|closed| closed.position <= position) {
                return Err(format!("{position:?} lies behind the end, {:?}", shard.closed));
            }
            if found.last().is_some_and(|last| last.place.1 >= position || last.arrival > arrival) {
                return Err(format!("it steps back at {position:?}"));
            }
            let (name, sequence) = (name_of(&record.data), SequenceNumber::new(shard, position, arrival));
            let key = record.partition_key.as_str().parse().map_err(|_| format!("the key of {name:?}"))?;
            found.push(Found { name, key, place: (shard.index, position), arrival, sequence });
        }
        if read.is_at_tip && read.is_at_end == shard.is_open() {
            return Err(format!("at its end: {}, and {:?}", read.is_at_end, shard.closed));
        }
        if read.is_at_tip {
            return Ok(found);
        }
        if read.records.is_empty() {
            return Err(format!("nothing at {from:?}, and that is not its tip"));
        }
        from = read.next;
    }
}
