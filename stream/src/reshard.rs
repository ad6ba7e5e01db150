//! Changing the shard map: shards are closed, and their children take over their ranges.
//!
//! A change is an intent in the stream's document, a seal of each log that loses a shard, and the document with the new
//! map. Promises that no record is in a child before all its parents are closed for ever; that the open ranges cover the
//! hash space exactly once at any time; and that a change which was cut short anywhere is finished at the next start, by
//! the next change, or by the next put that it stands in the way of. This module must not know who asks.

mod finish;
pub(crate) mod plan;
mod stored;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

pub(crate) use self::stored::StoredReshard;
pub(crate) use self::turns::Turns;
use crate::engine::DocumentError;
use crate::error::{NoShard, NoStream, StoreError};
use crate::limits::CHANGE_TRIES_MAX;
use crate::name::StreamName;
use crate::shard::{HashKey, HashRange, ShardIndex};
use crate::store::Store;
use crate::stream::{Stream, StreamMode, StreamStatus};

/// A change of the shard map that is on its way. The parents of what it opens are closed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reshard {
    /// The children, in the order of their numbers.
    pub(crate) open: Vec<Opening>,
    /// How many equal shares of the hash space there shall be in the end, if it is one of several steps.
    pub(crate) target: Option<u32>,
}

/// A shard that is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) range: HashRange,
    pub(crate) parents: Vec<ShardIndex>,
}

/// How far one update may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// To twice as many open shards, or half as many (Kinesis `UpdateShardCount`).
    Twofold,
    /// Anywhere.
    Any,
}

/// Why the shard map was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ReshardError {
    /// There is no such stream.
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// The stream has no such shard.
    #[error(transparent)]
    NoShard(#[from] NoShard),
    /// The stream is being changed already.
    #[error("the stream '{name}' is {status:?}: its shards can be changed when it is Active")]
    NotActive {
        /// The stream.
        name: StreamName,
        /// Where it is in its life.
        status: StreamStatus,
    },
    /// The store sets the number of its shards.
    #[error("the stream '{name}' is on-demand: only the shards of a provisioned stream can be changed")]
    OnDemand {
        /// The stream.
        name: StreamName,
    },
    /// The shard has children already.
    #[error("{shard} was split or merged before: only an open shard can be")]
    Closed {
        /// The shard.
        shard: ShardIndex,
    },
    /// A split there would leave a side without hash keys.
    #[error(
        "{shard} cannot be split at {given}: the new start must be greater than {} and less than {}",
        .range.start.0.saturating_add(1), .range.end
    )]
    SplitPoint {
        /// The shard.
        shard: ShardIndex,
        /// Where it should be split.
        given: HashKey,
        /// Its range.
        range: HashRange,
    },
    /// The shards are no neighbours.
    #[error("{one} and {other} cannot be merged: the range of the second must begin where that of the first ends")]
    NotAdjacent {
        /// The first.
        one: ShardIndex,
        /// The second.
        other: ShardIndex,
    },
    /// Not a number of shards that a stream can have.
    #[error("a stream has 1 to {max} open shards, not {given}")]
    ShardCount {
        /// What was asked for.
        given: u32,
        /// The most.
        max: u32,
    },
    /// Too far in one step.
    #[error(
        "{current} open shards cannot become {target} at once: {} to {} can be reached", .current.div_ceil(2), .current * 2
    )]
    Scale {
        /// Open shards.
        current: usize,
        /// What was asked for.
        target: u32,
    },
    /// Too many closed shards are still listed.
    #[error("the stream would list {listed} shards, open and closed, over the limit of {max}")]
    TooManyListed {
        /// How many.
        listed: usize,
        /// The limit.
        max: usize,
    },
    /// The engine failed. A change that was begun is finished later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Splits an open shard in two; the second child's range begins at `new_start`. It is done when this returns.
    pub async fn split_shard(
        &self,
        name: &StreamName,
        shard: ShardIndex,
        new_start: HashKey,
    ) -> Result<Arc<Stream>, ReshardError> {
        self.reshard(name, StreamMode::Provisioned, move |stream| plan::split(stream, shard, new_start).map(Some)).await
    }

    /// Makes one shard of two open neighbours, in the order of their ranges. It is done when this returns.
    pub async fn merge_shards(
        &self,
        name: &StreamName,
        one: ShardIndex,
        other: ShardIndex,
    ) -> Result<Arc<Stream>, ReshardError> {
        self.reshard(name, StreamMode::Provisioned, move |stream| plan::merge(stream, one, other).map(Some)).await
    }

    /// Makes `target` open shards that share the hash space equally, by splits and merges. It is done when this returns.
    pub async fn update_shard_count(
        &self,
        name: &StreamName,
        target: u32,
        scale: Scale,
    ) -> Result<Arc<Stream>, ReshardError> {
        self.reshard(name, StreamMode::Provisioned, move |stream| plan::update(stream, target, scale)).await
    }

    /// Changes the shards of a stream of this mode as planned.
    pub(crate) async fn reshard(
        &self,
        name: &StreamName,
        mode: StreamMode,
        plan: impl Fn(&Stream) -> Result<Option<Reshard>, ReshardError> + Send + Sync + 'static,
    ) -> Result<Arc<Stream>, ReshardError> {
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.reshard_in_turn(&name, mode, plan).await }).await
    }

    async fn reshard_in_turn(
        &self,
        name: &StreamName,
        mode: StreamMode,
        plan: impl Fn(&Stream) -> Result<Option<Reshard>, ReshardError> + Send + Sync,
    ) -> Result<Arc<Stream>, ReshardError> {
        let known = self.stream(name)?;
        let _turn = self.turn_to_change(&known).await?;
        let gone = || NoStream { name: name.clone() };
        for _ in 0..CHANGE_TRIES_MAX {
            let stream = self.as_it_is(&known).await?.ok_or_else(gone)?;
            match (mode, stream.mode) {
                (StreamMode::Provisioned, StreamMode::OnDemand) => {
                    return Err(ReshardError::OnDemand { name: name.clone() });
                }
                // The user sets the number of its shards since then.
                (StreamMode::OnDemand, StreamMode::Provisioned) => return Ok(stream),
                (StreamMode::Provisioned, StreamMode::Provisioned) | (StreamMode::OnDemand, StreamMode::OnDemand) => {}
            }
            let Some(reshard) = plan(&stream)? else { return Ok(stream) };
            self.check_logs(&stream, &reshard).await?;
            if let Some(begun) = self.begin_reshard(&stream, reshard).await? {
                return Ok(self.finish_reshard(begun).await?.ok_or_else(gone)?);
            }
        }
        Err(in_use(&known))
    }

    /// Says who sets the number of shards from now on. Those that are there stay. It is done when this returns.
    pub async fn set_mode(&self, name: &StreamName, mode: StreamMode) -> Result<Arc<Stream>, ReshardError> {
        let (store, name) = (self.clone(), name.clone());
        let change = move |stream: &Stream| Stream {
            mode,
            settings: stream.settings.clone().of_mode(mode),
            ..Stream::clone(stream)
        };
        self.to_the_end(async move { store.change_in_turn(&name, change).await.map(|(_, stream)| stream) }).await
    }

    /// Changes what a stream's document says beside its shards. Returns the stream before and behind that.
    pub(crate) async fn change_in_turn(
        &self,
        name: &StreamName,
        change: impl Fn(&Stream) -> Stream + Send + Sync,
    ) -> Result<(Arc<Stream>, Arc<Stream>), ReshardError> {
        let known = self.stream(name)?;
        let _turn = self.turn_to_change(&known).await?;
        for _ in 0..CHANGE_TRIES_MAX {
            let stream = self.as_it_is(&known).await?.ok_or_else(|| NoStream { name: name.clone() })?;
            let changed = change(&stream);
            if changed == *stream {
                return Ok((Arc::clone(&stream), stream));
            }
            match self.replace(&stream, changed).await {
                Err(DocumentError::Conflict { .. }) => {}
                changed => return Ok((stream, changed.map_err(StoreError::from)?)),
            }
        }
        Err(in_use(&known))
    }

    async fn turn_to_change(&self, known: &Stream) -> Result<OwnedSemaphorePermit, ReshardError> {
        // A put that was fenced may have the turn too: that is short, and no change of the shards.
        let turn = match known.status {
            StreamStatus::Updating => self.turns().try_now(known.id),
            StreamStatus::Active | StreamStatus::Creating | StreamStatus::Deleting => self.turns().wait(known.id).await,
        };
        turn.ok_or_else(|| in_use(known))
    }

    /// The newest map, with any change finished that was cut short; `None` when the stream is gone.
    async fn as_it_is(&self, known: &Stream) -> Result<Option<Arc<Stream>>, StoreError> {
        match self.reload(known).await? {
            Some(stream) => self.finish_reshard(stream).await,
            None => Ok(None),
        }
    }

    /// Writes down what shall be done; `None` when the document was changed meanwhile.
    async fn begin_reshard(&self, stream: &Stream, reshard: Reshard) -> Result<Option<Arc<Stream>>, StoreError> {
        let begun = Stream { status: StreamStatus::Updating, reshard: Some(reshard), ..stream.clone() };
        match self.replace(stream, begun).await {
            Err(DocumentError::Conflict { .. }) => Ok(None),
            begun => Ok(begun.map(Some)?),
        }
    }
}

fn in_use(stream: &Stream) -> ReshardError {
    ReshardError::NotActive { name: stream.name.clone(), status: StreamStatus::Updating }
}
