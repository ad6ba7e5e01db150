//! What is done to a store while the recorder looks on: streams are made and deleted, their shards split and merged while
//! records are put, modes and retentions changed, and now and then the process ends, in good order or not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use rand::RngExt;
use rand::rngs::StdRng;

use super::super::facts::Fact;
use super::super::recorder::Recorder;
use super::change::NewPut;
use super::facts::{Kept, Kind, StoreFact};
use super::map::Reshape;
use super::options;
use super::reader::{Found, read_stream};
use crate::clock::{Clock, Timestamp};
use crate::engine::Engine;
use crate::engine::embedded::Embedded;
use crate::name::StreamName;
use crate::record::{PartitionKey, Record};
use crate::shard::{HashKey, Shard};
use crate::store::Store;
use crate::stream::{Stream, StreamMode, key_of};

pub(super) const STREAMS: usize = 3;
const SHARDS_MAX: u32 = 7;
const KEYS: u8 = 12;
const OPENINGS_MAX: usize = 20;
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(super) struct Workload<'a> {
    pub(super) recorder: Arc<Recorder>,
    root: &'a Path,
    pub(super) chance: StdRng,
    shards_per_log: u32,
    next_put: u32,
    /// What became of each name.
    pub(super) slots: [Slot; STREAMS],
    pub(super) clock: Clock,
}

/// What is known of the stream of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Free,
    Making,
    There,
    Going,
}

pub(super) fn name(slot: usize) -> StreamName {
    StreamName::parse(&format!("s{slot}")).unwrap()
}

impl<'a> Workload<'a> {
    pub(super) fn new(recorder: Arc<Recorder>, root: &'a Path, chance: StdRng, shards_per_log: u32) -> Self {
        let (slots, clock) = ([Slot::Free; STREAMS], Clock::manual(START));
        Self { recorder, root, chance, shards_per_log, next_put: 0, slots, clock }
    }

    pub(super) fn note(&self, fact: StoreFact) {
        self.recorder.note(Fact::Store(fact));
    }

    /// The life of one process.
    pub(super) async fn live(&mut self, steps: usize) {
        self.recorder.revive();
        self.pass_time(Duration::from_millis(1));
        self.note(StoreFact::Began(Kind::Open));
        let (engine, store) = self.open().await;
        self.note(StoreFact::Done(Kind::Open));
        self.find_out(&store).await;
        if self.chance.random_bool(0.75) {
            self.recorder.kill_after(self.chance.random_range(0..500));
        }
        for _ in 0..steps {
            self.step(&engine, &store).await;
            if self.recorder.is_dead() {
                return;
            }
        }
        if self.chance.random_bool(0.3) {
            engine.close();
        }
    }

    /// Now and then a sync fails: whoever starts the node tries again.
    async fn open(&self) -> (Arc<Embedded>, Store) {
        for _ in 0..OPENINGS_MAX {
            let options = options(self.shards_per_log);
            let engine = Embedded::open_on(self.recorder.clone(), self.root, self.clock.clone(), options);
            let Ok(engine) = engine.map(Arc::new) else { continue };
            let shared: Arc<dyn Engine> = engine.clone();
            if let Ok(store) = Store::open(shared, self.clock.clone()).await {
                return (engine, store);
            }
        }
        panic!("the store was not opened in {OPENINGS_MAX} tries");
    }

    /// What became of all that was in doubt.
    async fn find_out(&mut self, store: &Store) {
        for slot in 0..STREAMS {
            match (self.slots[slot], store.stream(&name(slot))) {
                (Slot::Making | Slot::There | Slot::Going, Ok(stream)) => {
                    self.slots[slot] = Slot::There;
                    let is_settled = self.has_settled(store, &stream).await;
                    self.note(StoreFact::Shown { stream, is_settled });
                }
                (Slot::Making | Slot::Going, Err(_)) if self.is_free(store, slot).await => {
                    if self.slots[slot] == Slot::Going {
                        self.note(StoreFact::Deleted(name(slot)));
                    }
                    self.slots[slot] = Slot::Free;
                }
                // What could not be finished at this start is at the next.
                (Slot::Making | Slot::Going | Slot::There, Err(_)) | (Slot::Free, _) => {}
            }
        }
    }

    async fn is_free(&self, store: &Store, slot: usize) -> bool {
        store.engine().get(&key_of(&name(slot))).await.is_ok_and(|document| document.is_none())
    }

    /// Whether all logs of a stream are kept as its document says.
    pub(super) async fn has_settled(&self, store: &Store, stream: &Stream) -> bool {
        for log in stream.logs() {
            let stats = store.engine().stats(log).await;
            if !stats.is_ok_and(|stats| stats.settings == stream.log_settings()) {
                return false;
            }
        }
        true
    }

    async fn step(&mut self, engine: &Embedded, store: &Store) {
        match self.chance.random_range(0..100) {
            0..12 => self.create(store).await,
            12..22 => self.delete(store).await,
            22..29 => drop(join_all(self.puts(store)).await),
            29..42 => self.split(store).await,
            42..55 => self.merge(store).await,
            55..67 => self.update(store).await,
            67..73 => self.set_mode(store).await,
            73..83 => self.set_retention(store).await,
            83..95 => self.expire(store).await,
            95..97 => {
                engine.documents.flush().unwrap();
                self.recorder.keep_sled(false).unwrap();
            }
            _ => self.look(store).await,
        }
    }

    pub(super) fn pass_time(&mut self, span: Duration) {
        let now = self.clock.now().plus(span);
        // Said first: from then on something may expire.
        self.note(StoreFact::Time(now));
        self.clock.set(now);
    }

    /// A stream that somebody was shown.
    pub(super) fn any_stream(&mut self, store: &Store) -> Option<Arc<Stream>> {
        let there: Vec<usize> = (0..STREAMS).filter(|slot| self.slots[*slot] == Slot::There).collect();
        let slot = *there.get(self.chance.random_range(0..there.len().max(1)))?;
        store.stream(&name(slot)).ok()
    }

    /// Several producers at a time.
    pub(super) fn puts(&mut self, store: &Store) -> Vec<impl Future<Output = ()> + use<>> {
        let count = self.chance.random_range(0..4);
        let puts: Vec<NewPut> = (0..count).filter_map(|_| self.new_put(store)).collect();
        puts.into_iter().map(|put| put.make(Arc::clone(&self.recorder), store.clone(), self.clock.now())).collect()
    }

    fn new_put(&mut self, store: &Store) -> Option<NewPut> {
        let name = self.any_stream(store)?.name.clone();
        let number = self.next_put;
        self.next_put += 1;
        let keys: Vec<u8> = (0..self.chance.random_range(1..6)).map(|_| self.chance.random_range(0..KEYS)).collect();
        let records = (0..).zip(&keys).map(|(index, key)| self.record(number, index, *key)).collect();
        Some(NewPut { name, number, keys, records })
    }

    fn record(&mut self, append: u32, index: u32, key: u8) -> Record {
        let mut data = [append.to_le_bytes(), index.to_le_bytes()].concat();
        data.resize(8 + self.chance.random_range(0..1500), append as u8);
        let partition_key = PartitionKey::parse(key.to_string()).unwrap();
        Record { partition_key, explicit_hash: None, data: data.into() }
    }

    async fn split(&mut self, store: &Store) {
        let Some(stream) = self.any_stream(store) else { return };
        let open: Vec<&Shard> = stream.open_shards().collect();
        if open.len() >= SHARDS_MAX as usize {
            return;
        }
        let shard = open[self.chance.random_range(0..open.len())];
        let (start, end) = (shard.range.start.0, shard.range.end.0);
        let key = HashKey(start + (end - start) / 256 * self.chance.random_range(1..256));
        let reshape = Reshape::Split(shard.index, key);
        self.reshape(store, &stream, Kind::Split, reshape).await;
    }

    async fn merge(&mut self, store: &Store) {
        let Some(stream) = self.any_stream(store) else { return };
        let mut open: Vec<&Shard> = stream.open_shards().collect();
        open.sort_by_key(|shard| shard.range.start);
        if open.len() < 2 {
            return;
        }
        let at = self.chance.random_range(0..open.len() - 1);
        let reshape = Reshape::Merge(open[at].index, open[at + 1].index);
        self.reshape(store, &stream, Kind::Merge, reshape).await;
    }

    async fn update(&mut self, store: &Store) {
        let Some(stream) = self.any_stream(store) else { return };
        let open = stream.open_shards().count() as u32;
        let target = 1 + (open - 1 + self.chance.random_range(1..SHARDS_MAX)) % SHARDS_MAX;
        self.reshape(store, &stream, Kind::Count, Reshape::Count(target)).await;
    }

    /// A change of the shards, while others put.
    async fn reshape(&mut self, store: &Store, stream: &Stream, kind: Kind, reshape: Reshape) {
        self.note(StoreFact::ReshapeAsked(stream.name.clone(), reshape));
        let puts = self.puts(store);
        let change =
            self.change(store, stream, kind, super::change::reshape(store.clone(), stream.name.clone(), reshape));
        join(change, join_all(puts)).await;
    }

    async fn set_mode(&mut self, store: &Store) {
        let Some(stream) = self.any_stream(store) else { return };
        let mut modes = vec![StreamMode::OnDemand, StreamMode::Provisioned];
        // An on-demand stream is split and merged by nobody.
        if self.chance.random_bool(0.2) {
            modes.pop();
        }
        for mode in modes {
            self.note(StoreFact::ModeAsked(stream.name.clone(), mode));
            let name = stream.name.clone();
            self.change(store, &stream, Kind::Mode, async move { store.set_mode(&name, mode).await.ok() }).await;
        }
    }

    /// A reader: what it was given must stay.
    async fn look(&mut self, store: &Store) {
        let Some(stream) = self.any_stream(store) else { return };
        let read = read_stream(store, &stream).await.unwrap_or_default();
        let kept = |found: Found| (found.name, Kept { place: found.place, arrival: found.arrival });
        self.note(StoreFact::Kept(stream.name.clone(), read.into_iter().map(kept).collect()));
        self.note(StoreFact::Shown { stream, is_settled: false });
    }
}
