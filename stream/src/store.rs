//! The store: the façade over an engine. Each verb is a file of its own with an `impl` block.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::capacity::{Capacity, Shards};
use crate::clock::Clock;
use crate::engine::{
    Bound, Change, Document, DocumentError, Durability, Engine, Expect, Health, Key, Revision, StreamId, Trouble,
};
use crate::error::{NoStream, StoreError};
use crate::limits::CHANGE_TRIES_MAX;
use crate::name::StreamName;
use crate::put::Rings;
use crate::reshard::Turns;
use crate::shard::ShardIndex;
use crate::stream::{self, Stream, StreamStatus};
use crate::traffic::{Taken, Traffic};

/// Documents that one page of a listing holds.
const PAGE_DOCUMENTS: usize = 256;

/// Streams and documents over an engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Arc<dyn Engine>,
    clock: Clock,
    catalog: RwLock<BTreeMap<StreamName, Arc<Stream>>>,
    changes: watch::Sender<u64>,
    rings: Rings,
    turns: Turns,
    attaching: Turns,
    traffic: Traffic,
    capacity_default: Capacity,
    limited: Shards,
    spread: AtomicU64,
}

impl Store {
    /// Reads the catalogue, and finishes what a crash left half done.
    pub async fn open(engine: Arc<dyn Engine>, clock: Clock) -> Result<Self, StoreError> {
        Self::open_with(engine, clock, Capacity::default()).await
    }

    /// Like [`Store::open`]; streams that say nothing of their capacity have this one.
    pub async fn open_with(
        engine: Arc<dyn Engine>,
        clock: Clock,
        capacity_default: Capacity,
    ) -> Result<Self, StoreError> {
        let inner = Inner {
            engine,
            clock,
            catalog: RwLock::default(),
            changes: watch::Sender::new(0),
            rings: Rings::default(),
            turns: Turns::default(),
            attaching: Turns::default(),
            traffic: Traffic::default(),
            capacity_default,
            limited: Shards::default(),
            spread: AtomicU64::new(0),
        };
        let store = Self(Arc::new(inner));
        for stream in store.stored_streams().await? {
            let name = stream.name.clone();
            let finished = match stream.status {
                StreamStatus::Creating => store.finish_creation(stream).await.map(drop),
                StreamStatus::Deleting => store.finish_deletion(&stream).await,
                StreamStatus::Active | StreamStatus::Updating => {
                    // Served whether or not its shard map can be finished now.
                    let stream = Arc::new(stream);
                    store.remember(Arc::clone(&stream));
                    // Where this fails the log has a trouble that is told below; it is tried again when something expires.
                    let _ = store.settle_logs(&stream).await;
                    store.finish_reshard(stream).await.map(drop)
                }
            };
            // One stream that cannot be finished keeps no other from being served.
            if let Err(error) = finished {
                tracing::error!(stream = %name, %error, "a stream that was being made, changed or deleted is not finished");
            }
        }
        store.tell_troubles();
        Ok(store)
    }

    fn tell_troubles(&self) {
        let Health::Degraded(troubles) = self.health() else { return };
        for trouble in troubles {
            tracing::error!(%trouble, "part of what is kept cannot be used; the rest goes on without it");
        }
    }

    /// Runs work of several steps to its end, whatever becomes of the caller: half of it would be seen.
    pub(crate) async fn to_the_end<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        #[expect(clippy::disallowed_methods, reason = "its owner is the caller, its end that of the work")]
        let task = tokio::spawn(work);
        task.await.map_err(|error| StoreError::CutShort(error.to_string()))?
    }

    /// The time as the store sees it.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The engine, for documents of the rooms above.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.0.engine
    }

    /// What is remembered of puts under a key.
    pub(crate) fn rings(&self) -> &Rings {
        &self.0.rings
    }

    /// Who changes a stream's shard map.
    pub(crate) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    /// Who changes what hangs on a stream.
    pub(crate) fn attaching(&self) -> &Turns {
        &self.0.attaching
    }

    /// What a stream has taken since the store was opened.
    pub fn taken(&self, stream: &Stream) -> Taken {
        self.0.traffic.taken(stream.id)
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    pub(crate) fn capacity_default(&self) -> Capacity {
        self.0.capacity_default
    }

    /// What shards with limits may still take and give.
    pub(crate) fn limited(&self) -> &Shards {
        &self.0.limited
    }

    /// How many records were spread evenly before these.
    pub(crate) fn spread_count(&self, more: u64) -> u64 {
        self.0.spread.fetch_add(more, Ordering::Relaxed)
    }

    /// Whether the engine works. Trouble with a log names its stream.
    pub fn health(&self) -> Health {
        let Health::Degraded(troubles) = self.0.engine.health() else { return Health::Healthy };
        let streams = self.streams();
        let names: HashMap<StreamId, &StreamName> = streams.iter().map(|stream| (stream.id, &stream.name)).collect();
        let named = |trouble: Trouble| match trouble.log.and_then(|log| names.get(&log.stream)) {
            Some(name) => Trouble { what: format!("the stream '{name}': {trouble}"), ..trouble },
            None => trouble,
        };
        Health::Degraded(troubles.into_iter().map(named).collect())
    }

    /// Moves whenever a stream is created, changed or deleted.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The stream of this name.
    pub fn stream(&self, name: &StreamName) -> Result<Arc<Stream>, NoStream> {
        self.0.catalog.read().get(name).cloned().ok_or_else(|| NoStream { name: name.clone() })
    }

    /// All streams, by name.
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        self.0.catalog.read().values().cloned().collect()
    }

    /// Returns early when the shard may have a record at or behind `from`, else after `at_most`.
    pub async fn wait(&self, stream: &Stream, shard: ShardIndex, from: Bound, at_most: Duration) {
        self.0.engine.changed(stream.log_of(shard), shard, from, at_most).await;
    }

    pub(crate) fn remember(&self, stream: Arc<Stream>) {
        self.0.catalog.write().insert(stream.name.clone(), stream);
        self.0.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn forget(&self, stream: &Stream) {
        let mut catalog = self.0.catalog.write();
        if catalog.get(&stream.name).is_some_and(|known| known.id == stream.id) {
            catalog.remove(&stream.name);
        }
        drop(catalog);
        self.0.traffic.forget(stream.id);
        self.0.limited.forget(stream.id);
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// Reads a stream's document again; `None` when the name has none, or one that is not yet made or being deleted.
    ///
    /// The catalogue keeps the newer of what it has and what is found. It takes in no stream that it does not have: a
    /// deletion forgets its stream before it marks it, and whoever read in between must not bring it back.
    pub(crate) async fn reload(&self, known: &Stream) -> Result<Option<Arc<Stream>>, StoreError> {
        let found = self.0.engine.get(&known.key()).await?;
        let found = found.map(|document| decode(&document.key, document.revision, &document.value)).transpose()?;
        match found {
            Some(stream) if matches!(stream.status, StreamStatus::Active | StreamStatus::Updating) => {
                let stream = Arc::new(stream);
                self.renew(&stream);
                Ok(Some(stream))
            }
            Some(_) | None => {
                self.forget(known);
                Ok(None)
            }
        }
    }

    /// Takes in what is newer of a stream that is known.
    pub(crate) fn renew(&self, stream: &Arc<Stream>) {
        let mut catalog = self.0.catalog.write();
        let Some(known) = catalog.get_mut(&stream.name).filter(|known| known.revision < stream.revision) else {
            return;
        };
        *known = Arc::clone(stream);
        drop(catalog);
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// Writes a stream's document, where it is still at the revision of `stream`.
    pub(crate) async fn replace(&self, stream: &Stream, mut changed: Stream) -> Result<Arc<Stream>, DocumentError> {
        changed.revision = self.change(stream.key(), Expect::At(stream.revision), Some(changed.encode())).await?;
        let changed = Arc::new(changed);
        self.renew(&changed);
        Ok(changed)
    }

    async fn stored_streams(&self) -> Result<Vec<Stream>, StoreError> {
        let mut streams = Vec::new();
        let mut after: Option<Key> = None;
        loop {
            let page = self.0.engine.list(stream::PREFIX, after.as_ref(), PAGE_DOCUMENTS).await?;
            for document in &page {
                streams.push(decode(&document.key, document.revision, &document.value)?);
            }
            match page.last() {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok(streams),
            }
        }
    }

    /// Changes one document, durably. An unknown outcome is settled.
    pub(crate) async fn change(
        &self,
        key: Key,
        expect: Expect,
        value: Option<Bytes>,
    ) -> Result<Revision, DocumentError> {
        let revisions = self.change_all(&[Change { key, expect, value }], Durability::Synced).await?;
        Ok(revisions.first().copied().unwrap_or(Revision(0)))
    }

    /// Changes documents, all or none. After an unknown outcome the documents are read: a change that was not made is
    /// tried again. Once an outcome was unknown, only an answer settles it: until then, no trouble means "not made".
    pub(crate) async fn change_all(
        &self,
        changes: &[Change],
        durability: Durability,
    ) -> Result<Vec<Revision>, DocumentError> {
        let mut is_in_doubt = false;
        for _ in 0..CHANGE_TRIES_MAX {
            match self.0.engine.compare_and_set(changes.to_vec(), durability).await {
                Err(DocumentError::Unknown) => is_in_doubt = true,
                Err(DocumentError::Full(_) | DocumentError::Unavailable(_)) if is_in_doubt => break,
                done => return done,
            }
            let Ok(settled) = self.settle(changes).await else { break };
            if let Settled::Made(revisions) = settled {
                return Ok(revisions);
            }
        }
        Err(DocumentError::Unknown)
    }

    async fn settle(&self, changes: &[Change]) -> Result<Settled, DocumentError> {
        let mut revisions = Vec::with_capacity(changes.len());
        for change in changes {
            let found = self.0.engine.get(&change.key).await?;
            if !is_made(change, found.as_ref()) {
                return Ok(Settled::NotMade);
            }
            revisions.push(found.map_or(Revision(0), |document| document.revision));
        }
        Ok(Settled::Made(revisions))
    }
}

/// What became of a change whose outcome was unknown.
enum Settled {
    /// It was made.
    Made(Vec<Revision>),
    /// It was not, or was overtaken: trying it again says which.
    NotMade,
}

/// Whether a document is as this change would have left it.
fn is_made(change: &Change, found: Option<&Document>) -> bool {
    let is_as_before = matches!((change.expect, found), (Expect::At(before), Some(found)) if found.revision == before);
    !is_as_before && found.map(|document| &document.value) == change.value.as_ref()
}

fn decode(key: &Key, revision: Revision, value: &[u8]) -> Result<Stream, StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { key: key.as_str().to_owned(), reason };
    let text = key.as_str().strip_prefix(stream::PREFIX).unwrap_or_default();
    let name = StreamName::parse_qualified(text).map_err(|error| unreadable(error.to_string()))?;
    Stream::decode(name, revision, value).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests;
