//! From the intent to the new map: each step can be done again, by anybody, from what the document says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Reshard, plan};
use crate::clock::Timestamp;
use crate::engine::{Bound, DocumentError, Generation, LogError, LogId, Position, ReadLimits, SealError, Sealed};
use crate::error::StoreError;
use crate::limits::{RESHARD_LOOK_WAIT, RESHARD_LOOKS_MAX, RESHARD_TRIES_MAX};
use crate::shard::{Closed, Shard, ShardIndex};
use crate::store::Store;
use crate::stream::{Stream, StreamStatus};

/// Behind every record: a read from here returns none.
const END: Bound = Bound::at(Position(i64::MAX as u64));

impl Reshard {
    /// The shards that it closes.
    pub(crate) fn parents(&self) -> BTreeSet<ShardIndex> {
        self.open.iter().flat_map(|opening| opening.parents.iter().copied()).collect()
    }
}

impl Stream {
    /// The shards that are being opened, by index.
    pub(crate) fn planned(&self) -> impl Iterator<Item = ShardIndex> {
        let first = self.shards.last().map_or(0, |last| last.index.0 + 1);
        let count = self.reshard.as_ref().map_or(0, |reshard| reshard.open.len());
        (first..).map(ShardIndex).take(count)
    }
}

impl Store {
    /// Finishes a change that was begun, with all its steps; `None` when the stream is gone. The caller has the turn.
    pub(crate) async fn finish_reshard(&self, mut stream: Arc<Stream>) -> Result<Option<Arc<Stream>>, StoreError> {
        // Ends: a step brings the map nearer to its target, and who is overtaken finds the steps of others done.
        while let Some(reshard) = &stream.reshard {
            match self.finish_step(&stream, reshard).await? {
                Some(next) => stream = next,
                None => return Ok(None),
            }
        }
        Ok(Some(stream))
    }

    /// The map by which what was fenced is routed anew: a change that stands in the way is finished first.
    pub(crate) async fn map_after_fence(&self, fenced: &Stream) -> Result<Option<Arc<Stream>>, StoreError> {
        let stands_in_the_way =
            |now: &Stream| now.reshard.is_some() && now.generations == fenced.generations && now.id == fenced.id;
        let Some(now) = self.reload(fenced).await? else { return Ok(None) };
        if !stands_in_the_way(&now) {
            return Ok(Some(now));
        }
        let store = self.clone();
        self.to_the_end(async move {
            let _turn = store.turns().wait(now.id).await;
            // Whoever had the turn has finished it, most likely.
            match store.reload(&now).await? {
                Some(now) => store.finish_reshard(now).await,
                None => Ok(None),
            }
        })
        .await
    }

    /// Refuses what could not be finished: a log that is damaged or gone.
    pub(super) async fn check_logs(&self, stream: &Stream, reshard: &Reshard) -> Result<(), StoreError> {
        for log in by_log(stream, reshard.parents()).into_keys() {
            self.engine().stats(log).await?;
        }
        Ok(())
    }

    /// One step: logs for the children, then the parents' end, then the document.
    async fn finish_step(&self, stream: &Stream, reshard: &Reshard) -> Result<Option<Arc<Stream>>, StoreError> {
        for log in stream.logs().skip(stream.generations.len()) {
            self.engine().log_put(log, stream.log_settings()).await?;
        }
        let mut opened = by_log(stream, stream.planned());
        let mut sealed = BTreeMap::new();
        for (log, close) in by_log(stream, reshard.parents()) {
            let open = opened.remove(&log).unwrap_or_default();
            sealed.insert(log.part, self.seal_surely(stream, log, &close, &open).await?);
        }
        match self.replace(stream, after(stream, reshard, &sealed, self.clock().now())).await {
            Err(DocumentError::Conflict { .. }) => self.reload(stream).await,
            changed => Ok(changed.map(Some)?),
        }
    }

    /// Seals a log, unless it was sealed for this change before.
    async fn seal_surely(
        &self,
        stream: &Stream,
        log: LogId,
        close: &[ShardIndex],
        open: &[ShardIndex],
    ) -> Result<Sealed, StoreError> {
        let generation = generation_of(stream, log);
        for _ in 0..RESHARD_TRIES_MAX {
            match self.engine().seal(log, generation, close, open).await {
                Ok(sealed) => return Ok(sealed),
                Err(SealError::Fenced { .. } | SealError::Unknown) => {}
                Err(SealError::Log(error)) => return Err(error.into()),
            }
            let current = self.engine().stats(log).await?.generation;
            if current != generation {
                return self.sealed_before(log, current, close).await;
            }
        }
        Err(unavailable(log, "its shard map cannot be changed now").into())
    }

    /// A closed shard says where it ends; a read may be of an earlier view, so it is asked more than once.
    async fn sealed_before(
        &self,
        log: LogId,
        generation: Generation,
        close: &[ShardIndex],
    ) -> Result<Sealed, StoreError> {
        let limits = ReadLimits { records_max: 1, bytes_max: 1 };
        let shard = close.first().copied().ok_or_else(|| unavailable(log, "no shard of it is to be closed"))?;
        for _ in 0..RESHARD_LOOKS_MAX {
            let batch = self.engine().read(log, shard, END, limits).await?;
            if let Some(position) = batch.closed_at {
                return Ok(Sealed { generation, position });
            }
            self.engine().changed(log, shard, END, RESHARD_LOOK_WAIT).await;
        }
        Err(unavailable(log, "it was sealed, and does not say where yet").into())
    }
}

fn unavailable(log: LogId, reason: &str) -> LogError {
    LogError::Unavailable { log, reason: reason.to_owned() }
}

fn generation_of(stream: &Stream, log: LogId) -> Generation {
    stream.generations.get(log.part as usize).copied().unwrap_or(Generation::FIRST)
}

fn by_log(stream: &Stream, shards: impl IntoIterator<Item = ShardIndex>) -> BTreeMap<LogId, Vec<ShardIndex>> {
    let mut logs: BTreeMap<LogId, Vec<ShardIndex>> = BTreeMap::new();
    for shard in shards {
        logs.entry(stream.log_of(shard)).or_default().push(shard);
    }
    logs
}

/// The stream behind one step, with the intent of the next one if there is any.
fn after(stream: &Stream, reshard: &Reshard, sealed: &BTreeMap<u32, Sealed>, now: Timestamp) -> Stream {
    let mut changed = stream.clone();
    let parents = reshard.parents();
    // Read off the clock after the seal: no record of a parent arrived later, unless the clock was set back.
    let at = born(stream, &parents, now);
    for shard in changed.shards.iter_mut().filter(|shard| parents.contains(&shard.index)) {
        let part = stream.log_of(shard.index).part;
        shard.closed = sealed.get(&part).map(|sealed| Closed { at, position: sealed.position });
    }
    let children = stream.planned().zip(&reshard.open).map(|(index, opening)| Shard {
        index,
        range: opening.range,
        created: at,
        parents: opening.parents.clone(),
        closed: None,
    });
    changed.shards.extend(children);
    changed.generations.resize(stream.logs().count(), Generation::FIRST);
    for (part, sealed) in sealed {
        if let Some(generation) = changed.generations.get_mut(*part as usize) {
            *generation = sealed.generation;
        }
    }
    changed.reshard = reshard.target.and_then(|target| plan::toward(&changed.shards, target));
    changed.status = if changed.reshard.is_some() { StreamStatus::Updating } else { StreamStatus::Active };
    changed
}

/// When the children are created: in a later second than any parent, so that their sequence numbers sort behind.
fn born(stream: &Stream, parents: &BTreeSet<ShardIndex>, now: Timestamp) -> Timestamp {
    let created = stream.shards.iter().filter(|shard| parents.contains(&shard.index)).map(|shard| shard.created);
    let earliest = created.max().map_or(0, |created| (created.as_secs() + 1) * 1000);
    now.max(Timestamp::from_millis(earliest))
}
