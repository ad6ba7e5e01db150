//! Creating a stream.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{DocumentError, Expect, Generation, Revision, StreamId};
use crate::error::StoreError;
use crate::limits::SHARDS_PER_STREAM_MAX;
use crate::name::StreamName;
use crate::shard::{HashRange, Shard, ShardIndex};
use crate::store::Store;
use crate::stream::{Routes, Stream, StreamMode, StreamStatus};

/// Why a stream was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateStreamError {
    /// There is one of this name already.
    #[error("there is a stream '{0}' already")]
    Exists(StreamName),
    /// Not a number of shards that a stream can have.
    #[error("a stream has 1 to {max} shards, not {given}")]
    ShardCount {
        /// What was asked for.
        given: u32,
        /// The most.
        max: u32,
    },
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Creates a stream whose shards share the hash space equally. It takes records when this returns.
    pub async fn create_stream(
        &self,
        name: &StreamName,
        shards: u32,
        mode: StreamMode,
        retention: Duration,
    ) -> Result<Arc<Stream>, CreateStreamError> {
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.create(&name, shards, mode, retention).await }).await
    }

    async fn create(
        &self,
        name: &StreamName,
        shards: u32,
        mode: StreamMode,
        retention: Duration,
    ) -> Result<Arc<Stream>, CreateStreamError> {
        if !(1..=SHARDS_PER_STREAM_MAX).contains(&shards) {
            return Err(CreateStreamError::ShardCount { given: shards, max: SHARDS_PER_STREAM_MAX });
        }
        let mut stream = self.new_stream(name, shards, mode, retention)?;
        match self.change(stream.key(), Expect::Absent, Some(stream.encode())).await {
            Ok(revision) => stream.revision = revision,
            Err(DocumentError::Conflict { .. }) => return Err(CreateStreamError::Exists(name.clone())),
            Err(error) => return Err(StoreError::from(error).into()),
        }
        match self.finish_creation(stream.clone()).await {
            Ok(stream) => Ok(stream),
            Err(error) => self.take_back(&stream).await.ok_or_else(|| error.into()),
        }
    }

    /// Frees the name of a stream that was not made to its end; what cannot be taken back now, the next start finishes.
    /// Returns the stream if it was made after all: its logs go only once it is marked, else it would be left without.
    pub(crate) async fn take_back(&self, stream: &Stream) -> Option<Arc<Stream>> {
        match self.mark_deleting(stream).await {
            Ok(marked) => {
                let _ = self.finish_deletion(&marked).await;
                None
            }
            Err(DocumentError::Conflict { .. }) => {
                let made = self.reload(stream).await.ok()??;
                self.remember(Arc::clone(&made));
                Some(made)
            }
            Err(
                DocumentError::Unknown
                | DocumentError::TooLarge { .. }
                | DocumentError::Full(_)
                | DocumentError::Unavailable(_),
            ) => None,
        }
    }

    fn new_stream(
        &self,
        name: &StreamName,
        shards: u32,
        mode: StreamMode,
        retention: Duration,
    ) -> Result<Stream, StoreError> {
        let created = self.clock().now();
        let shards_per_log = self.engine().capabilities().shards_per_log.max(1);
        let shard = |(index, range)| Shard { index: ShardIndex(index), range, created, parents: vec![], closed: None };
        Ok(Stream {
            name: name.clone(),
            id: StreamId(random_u64()?),
            status: StreamStatus::Creating,
            mode,
            created,
            retention,
            shards: (0..).zip(HashRange::uniform(shards)).map(shard).collect(),
            shards_per_log,
            generations: vec![Generation::FIRST; shards.div_ceil(shards_per_log) as usize],
            reshard: None,
            revision: Revision(0),
            routes: Routes::default(),
        })
    }

    /// From CREATING to ACTIVE; also after a crash between the two.
    pub(crate) async fn finish_creation(&self, mut stream: Stream) -> Result<Arc<Stream>, StoreError> {
        for log in stream.logs() {
            self.engine().log_put(log, stream.log_settings()).await?;
        }
        stream.status = StreamStatus::Active;
        stream.revision = self.change(stream.key(), Expect::At(stream.revision), Some(stream.encode())).await?;
        let stream = Arc::new(stream);
        self.remember(Arc::clone(&stream));
        Ok(stream)
    }
}

/// A random number for an id.
pub(crate) fn random_u64() -> Result<u64, StoreError> {
    getrandom::u64().map_err(|error| StoreError::NoRandomness(error.to_string()))
}
