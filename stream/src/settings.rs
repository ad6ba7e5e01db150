//! What the owner of a stream sets beside its shards, mode and retention. It is part of the stream's document.
//!
//! Must not know which values a caller may ask for, nor what AWS calls them.

use std::collections::BTreeSet;
use std::sync::Arc;

use minicbor::{Decode, Encode};

use crate::limits::RECORD_BYTES_DEFAULT;
use crate::name::StreamName;
use crate::reshard::ReshardError;
use crate::store::Store;
use crate::stream::{Stream, StreamMode};

/// What a stream's owner has set. Kept as it is: fields are numbered, new ones are added with new numbers, as options.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Settings {
    /// Data and partition key of one record, KiB.
    #[n(0)]
    pub record_kib_max: u32,
    /// How records find their shard.
    #[n(1)]
    pub distribution: Distribution,
    /// Metrics of its shards that are asked for.
    #[n(2)]
    pub shard_metrics: BTreeSet<ShardMetric>,
    /// The throughput that an on-demand stream shall be ready for, MiB a second.
    #[n(3)]
    pub warm_throughput_mibps: Option<u32>,
}

/// How the records of a stream find their shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Distribution {
    /// By partition key, or by the hash key that the producer gives.
    #[n(0)]
    PartitionKey,
    /// At random, whatever keys they have.
    #[n(1)]
    Even,
}

/// A metric of single shards (Kinesis shape `MetricsName`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum ShardMetric {
    /// Bytes put.
    #[n(0)]
    IncomingBytes,
    /// Records put.
    #[n(1)]
    IncomingRecords,
    /// Bytes read.
    #[n(2)]
    OutgoingBytes,
    /// Records read.
    #[n(3)]
    OutgoingRecords,
    /// Puts refused for want of throughput.
    #[n(4)]
    WriteProvisionedThroughputExceeded,
    /// Reads refused for want of throughput.
    #[n(5)]
    ReadProvisionedThroughputExceeded,
    /// How far readers are behind.
    #[n(6)]
    IteratorAgeMilliseconds,
}

impl ShardMetric {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::IncomingBytes,
        Self::IncomingRecords,
        Self::OutgoingBytes,
        Self::OutgoingRecords,
        Self::WriteProvisionedThroughputExceeded,
        Self::ReadProvisionedThroughputExceeded,
        Self::IteratorAgeMilliseconds,
    ];
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            record_kib_max: (RECORD_BYTES_DEFAULT / 1024) as u32,
            distribution: Distribution::PartitionKey,
            shard_metrics: BTreeSet::new(),
            warm_throughput_mibps: None,
        }
    }
}

impl Settings {
    /// Data and partition key of one record, bytes.
    pub fn record_bytes_max(&self) -> usize {
        self.record_kib_max as usize * 1024
    }

    /// What is left of them in a stream of this mode: the user of a provisioned one sets the shards, and records go where
    /// their keys say.
    pub(crate) fn of_mode(self, mode: StreamMode) -> Self {
        match mode {
            StreamMode::OnDemand => self,
            StreamMode::Provisioned => {
                Self { distribution: Distribution::PartitionKey, warm_throughput_mibps: None, ..self }
            }
        }
    }
}

/// A stream whose settings were changed.
#[derive(Debug, Clone)]
pub struct SettingsChanged {
    /// What they were before.
    pub before: Settings,
    /// The stream with those that hold now.
    pub stream: Arc<Stream>,
}

impl Store {
    /// Changes the settings of a stream; they hold when this returns. What a stream of its mode cannot have is dropped.
    pub async fn change_settings(
        &self,
        name: &StreamName,
        change: impl Fn(&mut Settings) + Send + Sync + 'static,
    ) -> Result<SettingsChanged, ReshardError> {
        let (store, name) = (self.clone(), name.clone());
        let changed = async move {
            let settings = move |stream: &Stream| {
                let mut settings = stream.settings.clone();
                change(&mut settings);
                Stream { settings: settings.of_mode(stream.mode), ..stream.clone() }
            };
            let (before, stream) = store.change_in_turn(&name, settings).await?;
            Ok(SettingsChanged { before: before.settings.clone(), stream })
        };
        self.to_the_end(changed).await
    }
}
