//! Streams that show CREATING, UPDATING and DELETING for a while, as those of AWS do, for tests of clients.
//!
//! The store is done with a change when it is answered; only what the Kinesis API shows and takes is late. So nothing is kept:
//! after a restart a stream is new for what is left of its time, ready, or gone. Whatever the clock does, a delay ends. This
//! must not know how a change is made.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::StreamId;
use tidemill_stream::name::StreamName;
use tidemill_stream::stream::{Stream, StreamStatus};
use tidemill_wire::Operation;

use super::limits::DELAYS_SHOWN_MAX;

/// For how long each change shows; zero: not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DelayTimes {
    /// A new stream is CREATING.
    pub creating: Duration,
    /// A stream that was changed is UPDATING.
    pub updating: Duration,
    /// A stream that was deleted is DELETING.
    pub deleting: Duration,
}

/// What shows late.
#[derive(Debug)]
pub struct Delays {
    times: DelayTimes,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    /// Since when they are.
    updating: HashMap<StreamId, Timestamp>,
    /// Streams that are gone, as they were.
    deleting: BTreeMap<StreamName, (Arc<Stream>, Timestamp)>,
}

/// What an operation asks of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing.
    Nothing,
    /// That its records can be put and read.
    Records,
    /// That it is made and not being deleted.
    Made,
    /// That nothing is being done to it. From then on something is.
    Rest,
}

pub(super) const fn asks(operation: Operation) -> Asks {
    match operation {
        Operation::CreateStream
        | Operation::DescribeAccountSettings
        | Operation::DescribeLimits
        | Operation::DescribeStream
        | Operation::DescribeStreamConsumer
        | Operation::DescribeStreamSummary
        | Operation::GetResourcePolicy
        | Operation::ListStreamConsumers
        | Operation::ListStreams
        | Operation::ListTagsForResource
        | Operation::ListTagsForStream
        | Operation::UpdateAccountSettings => Asks::Nothing,
        Operation::GetRecords
        | Operation::GetShardIterator
        | Operation::PutRecord
        | Operation::PutRecords
        | Operation::SubscribeToShard => Asks::Records,
        Operation::AddTagsToStream
        | Operation::DeleteResourcePolicy
        | Operation::DeleteStream
        | Operation::DeregisterStreamConsumer
        | Operation::ListShards
        | Operation::PutResourcePolicy
        | Operation::RegisterStreamConsumer
        | Operation::RemoveTagsFromStream
        | Operation::TagResource
        | Operation::UntagResource => Asks::Made,
        Operation::DecreaseStreamRetentionPeriod
        | Operation::DisableEnhancedMonitoring
        | Operation::EnableEnhancedMonitoring
        | Operation::IncreaseStreamRetentionPeriod
        | Operation::MergeShards
        | Operation::SplitShard
        | Operation::StartStreamEncryption
        | Operation::StopStreamEncryption
        | Operation::UpdateMaxRecordSize
        | Operation::UpdateShardCount
        | Operation::UpdateStreamMode
        | Operation::UpdateStreamRecordDistributionStrategy
        | Operation::UpdateStreamWarmThroughput => Asks::Rest,
    }
}

impl Asks {
    pub(super) const fn is_met_by(self, status: StreamStatus) -> bool {
        match self {
            Self::Nothing => true,
            Self::Records | Self::Made => matches!(status, StreamStatus::Active | StreamStatus::Updating),
            Self::Rest => matches!(status, StreamStatus::Active),
        }
    }
}

impl Delays {
    /// For so long each; `None` where nothing is late.
    pub fn of(times: DelayTimes) -> Option<Self> {
        (times != DelayTimes::default()).then(|| Self { times, shown: Mutex::default() })
    }

    /// A stream as it shows. One that is being made has no shards yet.
    pub(super) fn show(&self, stream: &Arc<Stream>, now: Timestamp) -> Arc<Stream> {
        if lasts(stream.created, now, self.times.creating) {
            let mut new = with_status(stream, StreamStatus::Creating);
            new.shards.clear();
            return Arc::new(new);
        }
        let changed = self.shown.lock().updating.get(&stream.id).copied();
        if changed.is_some_and(|changed| lasts(changed, now, self.times.updating)) {
            return Arc::new(with_status(stream, StreamStatus::Updating));
        }
        Arc::clone(stream)
    }

    /// A stream of this name that is gone, and shows as being deleted.
    pub(super) fn deleting(&self, name: &StreamName, now: Timestamp) -> Option<Arc<Stream>> {
        let shown = self.shown.lock();
        let (stream, since) = shown.deleting.get(name)?;
        lasts(*since, now, self.times.deleting).then(|| Arc::clone(stream))
    }

    /// Those that are there, as they show, and those that are being deleted, by name.
    pub(super) fn show_all(&self, streams: &[Arc<Stream>], now: Timestamp) -> Vec<Arc<Stream>> {
        let there = streams.iter().map(|stream| (stream.name.clone(), self.show(stream, now)));
        let names: Vec<StreamName> = self.shown.lock().deleting.keys().cloned().collect();
        let going = names.into_iter().filter_map(|name| Some((name.clone(), self.deleting(&name, now)?)));
        let all: BTreeMap<StreamName, Arc<Stream>> = going.chain(there).collect();
        all.into_values().collect()
    }

    pub(super) fn note_updated(&self, stream: StreamId, now: Timestamp) {
        let updating = &mut self.shown.lock().updating;
        updating.retain(|_, since| lasts(*since, now, self.times.updating));
        if updating.len() < DELAYS_SHOWN_MAX {
            updating.insert(stream, now);
        }
    }

    pub(super) fn note_deleted(&self, stream: &Stream, now: Timestamp) {
        let deleting = &mut self.shown.lock().deleting;
        deleting.retain(|_, (_, since)| lasts(*since, now, self.times.deleting));
        if deleting.len() < DELAYS_SHOWN_MAX {
            let gone = Arc::new(with_status(stream, StreamStatus::Deleting));
            deleting.insert(stream.name.clone(), (gone, now));
        }
    }
}

/// A clock that stepped back behind the beginning ends it.
fn lasts(since: Timestamp, now: Timestamp, span: Duration) -> bool {
    since <= now && now.since(since) < span
}

fn with_status(stream: &Stream, status: StreamStatus) -> Stream {
    let mut stream = stream.clone();
    stream.status = status;
    stream
}
