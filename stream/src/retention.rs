//! How long a stream's records are kept, and how many bytes of them, and what goes when they have expired.
//!
//! Promises that a change is whole: the document says it first, and the logs follow, at the latest when something expires
//! or the store is opened anew. Must not know which lengths a caller may ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Bound, DocumentError, LogError, ReadLimits};
use crate::error::{NoStream, StoreError};
use crate::limits::CHANGE_TRIES_MAX;
use crate::name::StreamName;
use crate::shard::{Shard, ShardIndex};
use crate::store::Store;
use crate::stream::{Stream, StreamStatus};

/// What is asked of a stream's retention. The same length as before is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionChange {
    /// To this length.
    To(Duration),
    /// To this length, which is not shorter.
    Increase(Duration),
    /// To this length, which is not longer.
    Decrease(Duration),
}

/// What became of all that has expired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Bytes that were given back.
    pub bytes: u64,
    /// Streams of which something could not be given back, and why.
    pub troubles: BTreeMap<StreamName, String>,
}

/// Why a stream's retention was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SetRetentionError {
    /// There is none of this name.
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// It changes in another way now.
    #[error("the stream '{name}' is {status:?}, not active: wait until it is")]
    NotActive {
        /// The stream.
        name: StreamName,
        /// What it is.
        status: StreamStatus,
    },
    /// An increase to less, or a decrease to more.
    #[error("the stream '{name}' keeps records for {} h, and {} h is {}", hours(*.current), hours(*.given), if given < current { "no increase" } else { "no decrease" })]
    WrongWay {
        /// The stream.
        name: StreamName,
        /// How long it keeps records.
        current: Duration,
        /// What was asked for.
        given: Duration,
    },
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn hours(span: Duration) -> u64 {
    span.as_secs() / 3600
}

impl RetentionChange {
    fn given(self) -> Duration {
        match self {
            Self::To(given) | Self::Increase(given) | Self::Decrease(given) => given,
        }
    }

    fn check(self, stream: &Stream) -> Result<(), SetRetentionError> {
        let (current, given) = (stream.retention, self.given());
        let is_right = match self {
            Self::To(_) => true,
            Self::Increase(given) => given >= current,
            Self::Decrease(given) => given <= current,
        };
        if !is_right {
            return Err(SetRetentionError::WrongWay { name: stream.name.clone(), current, given });
        }
        check_active(stream)
    }
}

fn check_active(stream: &Stream) -> Result<(), SetRetentionError> {
    if stream.status == StreamStatus::Active {
        Ok(())
    } else {
        Err(SetRetentionError::NotActive { name: stream.name.clone(), status: stream.status })
    }
}

impl Store {
    /// Changes how long a stream's records are kept. What has expired before does not come back.
    pub async fn set_retention(
        &self,
        name: &StreamName,
        change: RetentionChange,
    ) -> Result<Arc<Stream>, SetRetentionError> {
        let changed = move |stream: &Stream| {
            change.check(stream)?;
            Ok(Stream { retention: change.given(), ..stream.clone() })
        };
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.change_kept(&name, changed).await }).await
    }

    /// Changes how many bytes of records a stream keeps at most, about; `None`: as many as come. They are counted as they
    /// lie on the disk. The newest segment of each log stays in any case.
    pub async fn set_retention_bytes(
        &self,
        name: &StreamName,
        bytes: Option<u64>,
    ) -> Result<Arc<Stream>, SetRetentionError> {
        let changed = move |stream: &Stream| {
            check_active(stream)?;
            Ok(Stream { retention_bytes: bytes, ..stream.clone() })
        };
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.change_kept(&name, changed).await }).await
    }

    /// Changes how a stream's records are kept: its document first, then its logs.
    pub(crate) async fn change_kept<E: From<NoStream> + From<StoreError>>(
        &self,
        name: &StreamName,
        changed: impl Fn(&Stream) -> Result<Stream, E> + Send + Sync,
    ) -> Result<Arc<Stream>, E> {
        let known = self.stream(name)?;
        let mut conflict = None;
        for _ in 0..CHANGE_TRIES_MAX {
            let stream = self.reload(&known).await?.ok_or_else(|| NoStream { name: name.clone() })?;
            let changed = changed(&stream)?;
            let replaced = if changed == *stream { Ok(stream) } else { self.replace(&stream, changed).await };
            match replaced {
                Ok(stream) => {
                    self.settle_logs(&stream).await?;
                    return Ok(stream);
                }
                Err(error @ DocumentError::Conflict { .. }) => conflict = Some(error),
                Err(error) => return Err(StoreError::from(error).into()),
            }
        }
        Err(StoreError::from(conflict.unwrap_or(DocumentError::Unknown)).into())
    }

    /// Brings the logs to what the stream's document says.
    pub(crate) async fn settle_logs(&self, stream: &Stream) -> Result<(), StoreError> {
        for log in stream.logs() {
            self.engine().log_change(log, stream.log_settings()).await?;
        }
        Ok(())
    }

    /// Gives back what has expired, of all streams: records, and closed shards whose records are all gone. To be called
    /// now and then. One stream's trouble keeps no other from it.
    pub async fn expire(&self) -> Expiry {
        let mut expiry = Expiry::default();
        for stream in self.streams() {
            match self.expire_stream(&stream).await {
                Ok(bytes) => expiry.bytes += bytes,
                // It was deleted meanwhile.
                Err(StoreError::Log(LogError::NoLog(_))) => {}
                Err(error) => drop(expiry.troubles.insert(stream.name.clone(), error.to_string())),
            }
        }
        expiry
    }

    async fn expire_stream(&self, stream: &Arc<Stream>) -> Result<u64, StoreError> {
        self.settle_logs(stream).await?;
        let mut bytes = 0;
        for log in stream.logs() {
            bytes += self.engine().expire(log).await?.bytes;
        }
        if stream.status == StreamStatus::Active {
            self.retire_shards(stream).await?;
        }
        Ok(bytes)
    }

    /// Closed shards leave the stream when their last record has expired.
    async fn retire_shards(&self, stream: &Arc<Stream>) -> Result<(), StoreError> {
        let horizon = self.clock().now().minus(stream.retention);
        let is_old = |shard: &&Shard| shard.closed.is_some_and(|closed| closed.at < horizon);
        let mut gone: Vec<ShardIndex> = Vec::new();
        for shard in stream.shards.iter().filter(is_old) {
            if self.holds_nothing(stream, shard.index).await? {
                self.engine().purge(stream.log_of(shard.index), shard.index).await?;
                gone.push(shard.index);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let shards = stream.shards.iter().filter(|shard| !gone.contains(&shard.index)).cloned().collect();
        let changed = Stream { shards, ..Stream::clone(stream) };
        match self.replace(stream, changed).await {
            Ok(_) => {
                let shards: Vec<String> = gone.iter().map(ShardIndex::to_string).collect();
                tracing::info!(stream = %stream.name, ?shards, "closed shards whose records have expired are gone");
                Ok(())
            }
            // Somebody else changed it, or deleted it: the next time is early enough.
            Err(DocumentError::Conflict { .. }) => self.reload(stream).await.map(drop),
            Err(error) => Err(error.into()),
        }
    }

    async fn holds_nothing(&self, stream: &Stream, shard: ShardIndex) -> Result<bool, StoreError> {
        let one = ReadLimits { records_max: 1, bytes_max: 1 };
        let batch = self.engine().read(stream.log_of(shard), shard, Bound::START, one).await?;
        Ok(batch.records.is_empty() && batch.is_at_end())
    }
}

#[cfg(test)]
mod tests;
