//! Creating a stream.

use std::sync::Arc;
use std::time::Duration;

use crate::attached::{self, Attached, Tags};
use crate::engine::{Change, DocumentError, Durability, Expect, Generation, Revision, StreamId};
use crate::error::StoreError;
use crate::limits::{SHARDS_PER_STREAM_MAX, TAGS_MAX};
use crate::name::StreamName;
use crate::settings::Settings;
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
    /// More tags than a stream may have.
    #[error("a stream has at most {max} tags, not {given}")]
    TooManyTags {
        /// How many were given.
        given: usize,
        /// The most.
        max: usize,
    },
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a new stream shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStream {
    /// How many shards it begins with.
    pub shards: u32,
    /// Who sets the number of shards.
    pub mode: StreamMode,
    /// How long its records are kept.
    pub retention: Duration,
    /// What its owner sets beside that.
    pub settings: Settings,
    /// Its labels.
    pub tags: Tags,
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
        let (settings, tags) = (Settings::default(), Tags::new());
        self.create_stream_as(name, NewStream { shards, mode, retention, settings, tags }).await
    }

    /// Like [`Store::create_stream`], with all that can be said of a new stream.
    pub async fn create_stream_as(&self, name: &StreamName, new: NewStream) -> Result<Arc<Stream>, CreateStreamError> {
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.create(&name, new).await }).await
    }

    async fn create(&self, name: &StreamName, new: NewStream) -> Result<Arc<Stream>, CreateStreamError> {
        let NewStream { shards, tags, .. } = &new;
        if !(1..=SHARDS_PER_STREAM_MAX).contains(shards) {
            return Err(CreateStreamError::ShardCount { given: *shards, max: SHARDS_PER_STREAM_MAX });
        }
        if tags.len() > TAGS_MAX {
            return Err(CreateStreamError::TooManyTags { given: tags.len(), max: TAGS_MAX });
        }
        let mut stream = self.new_stream(name, &new)?;
        let document = Change { key: stream.key(), expect: Expect::Absent, value: Some(stream.encode()) };
        let labels = Attached::tagged(new.tags).encode();
        let labels =
            labels.map(|value| Change { key: attached::key_of(stream.id), expect: Expect::Absent, value: Some(value) });
        let changes: Vec<Change> = [document].into_iter().chain(labels).collect();
        match self.change_all(&changes, Durability::Synced).await {
            Ok(revisions) => stream.revision = revisions.first().copied().unwrap_or(Revision(0)),
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

    fn new_stream(&self, name: &StreamName, new: &NewStream) -> Result<Stream, StoreError> {
        let NewStream { shards, mode, retention, settings, tags: _ } = new.clone();
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
            retention_bytes: None,
            encryption: None,
            capacity: None,
            settings: settings.of_mode(mode),
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
