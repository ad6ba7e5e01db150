//! What is asked of a store, and what is written down of the answers.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::super::facts::{Fact, Name};
use super::super::recorder::Recorder;
use super::facts::{Kept, Kind, RETENTION, StoreFact};
use super::map::Reshape;
use super::workload::{STREAMS, Slot, Workload, name};
use crate::clock::Timestamp;
use crate::name::StreamName;
use crate::put::PutOutcome;
use crate::record::Record;
use crate::reshard::Scale;
use crate::retention::RetentionChange;
use crate::store::Store;
use crate::stream::{Stream, StreamMode};

/// Records that are to be put.
pub(super) struct NewPut {
    pub(super) name: StreamName,
    pub(super) number: u32,
    pub(super) keys: Vec<u8>,
    pub(super) records: Vec<Record>,
}

impl NewPut {
    pub(super) async fn make(self, recorder: Arc<Recorder>, store: Store, now: Timestamp) {
        let Self { name, number, keys, records } = self;
        let note = |fact| recorder.note(Fact::Store(fact));
        note(StoreFact::PutAsked { name: name.clone(), put: number, keys });
        let outcomes = store.put(&name, records).await.unwrap_or_default();
        let kept = |(index, outcome): (u32, PutOutcome)| {
            let placed = outcome.ok()?;
            let place = (placed.shard, placed.sequence.position());
            Some((Name { append: number, index }, Kept { place, arrival: now }))
        };
        let kept: Vec<_> = (0..).zip(outcomes).filter_map(kept).collect();
        note(if kept.is_empty() { StoreFact::InVain(Kind::Put) } else { StoreFact::Done(Kind::Put) });
        note(StoreFact::Kept(name.clone(), kept));
        note(StoreFact::PutAnswered(name, number));
    }
}

/// Asks for new shards. Returns the stream if that was done.
pub(super) async fn reshape(store: Store, name: StreamName, reshape: Reshape) -> Option<Arc<Stream>> {
    let changed = match reshape {
        Reshape::Split(shard, key) => store.split_shard(&name, shard, key).await,
        Reshape::Merge(one, other) => store.merge_shards(&name, one, other).await,
        Reshape::Count(target) => store.update_shard_count(&name, target, Scale::Any).await,
    };
    changed.ok()
}

impl Workload<'_> {
    /// Asks for a change of a stream, and notes what came of it.
    pub(super) async fn change(
        &self,
        store: &Store,
        stream: &Stream,
        kind: Kind,
        work: impl Future<Output = Option<Arc<Stream>>>,
    ) {
        let before = store.engine().get(&stream.key()).await.ok().flatten().map(|document| document.revision);
        self.note(StoreFact::Began(kind));
        let Some(changed) = work.await else { return self.note(StoreFact::InVain(kind)) };
        // What was changed is behind all that was asked for before; what was not may stand before a change in doubt.
        let is_new = before.is_some_and(|before| before < changed.revision);
        let is_settled = is_new && self.has_settled(store, &changed).await;
        self.note(StoreFact::Shown { stream: changed, is_settled });
        self.note(if is_new { StoreFact::Done(kind) } else { StoreFact::InVain(kind) });
    }

    pub(super) async fn create(&mut self, store: &Store) {
        let Some(slot) = (0..STREAMS).find(|slot| self.slots[*slot] == Slot::Free) else { return };
        self.slots[slot] = Slot::Making;
        self.note(StoreFact::CreateAsked(name(slot)));
        self.note(StoreFact::Began(Kind::Create));
        let shards = self.chance.random_range(1..5);
        match store.create_stream(&name(slot), shards, StreamMode::Provisioned, RETENTION).await {
            Ok(stream) => {
                self.slots[slot] = Slot::There;
                self.note(StoreFact::Shown { stream, is_settled: true });
                self.note(StoreFact::Done(Kind::Create));
            }
            Err(_) => self.note(StoreFact::InVain(Kind::Create)),
        }
    }

    pub(super) async fn delete(&mut self, store: &Store) {
        let slot = self.chance.random_range(0..STREAMS);
        if self.slots[slot] != Slot::There {
            return;
        }
        self.slots[slot] = Slot::Going;
        self.note(StoreFact::DeleteAsked(name(slot)));
        self.note(StoreFact::Began(Kind::Delete));
        if store.delete_stream(&name(slot)).await.is_ok() {
            self.slots[slot] = Slot::Free;
            self.note(StoreFact::Deleted(name(slot)));
            self.note(StoreFact::Done(Kind::Delete));
        } else {
            self.note(StoreFact::InVain(Kind::Delete));
        }
    }

    pub(super) async fn set_retention(&mut self, store: &Store) {
        let Some(stream) = self.any_stream(store) else { return };
        let others = [3, 6, 12, 48].map(Duration::from_hours).into_iter().filter(|other| *other != stream.retention);
        let others: Vec<Duration> = others.collect();
        let retention = others[self.chance.random_range(0..others.len())];
        self.note(StoreFact::RetentionAsked(stream.name.clone(), retention));
        let name = stream.name.clone();
        let change = async move { store.set_retention(&name, RetentionChange::To(retention)).await.ok() };
        self.change(store, &stream, Kind::Retention, change).await;
    }

    pub(super) async fn expire(&mut self, store: &Store) {
        if self.chance.random_bool(0.9) {
            let hours = self.chance.random_range(2..10);
            self.pass_time(Duration::from_hours(hours));
        }
        let listed = || store.streams().iter().map(|stream| stream.shards.len()).sum::<usize>();
        let before = listed();
        self.note(StoreFact::Began(Kind::Expire));
        let expiry = store.expire().await;
        let has_expired = expiry.bytes > 0 || listed() < before;
        self.note(if has_expired { StoreFact::Done(Kind::Expire) } else { StoreFact::InVain(Kind::Expire) });
    }
}
