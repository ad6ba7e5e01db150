//! Power cuts under a store: after each the streams are as they were answered, what was not answered is there wholly or
//! not at all, and every record that was acknowledged is where its producer was told.

mod change;
mod facts;
mod map;
mod reader;
mod workload;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(super) use self::facts::{Kind, StoreFact};
use self::facts::{Promises, RETENTION};
use self::map::check_map;
use self::workload::Workload;
use super::Steady;
use super::facts::Fact;
use super::image::Image;
use super::recorder::{Honesty, Recorder, Step};
use crate::clock::Clock;
use crate::engine::LogId;
use crate::engine::embedded::{Embedded, EmbeddedOptions};
use crate::name::StreamName;
use crate::record::{PartitionKey, Record};
use crate::reshard::Scale;
use crate::store::Store;
use crate::stream::{Stream, StreamMode};

/// Kinds of things that are done to a store.
pub(super) const KINDS: usize = Kind::Expire as usize + 1;
/// Lives of one trace, and steps that it has at least.
const LIVES_MAX: usize = 100;
const STEPS_MIN: usize = 10_000;
/// A split that a store is asked for after the cut leaves so many shards.
const SHARDS_AFTER: u32 = 5;

/// How often each thing was done, and how often the power went while it was.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) done: BTreeMap<Kind, usize>,
    pub(super) in_vain: BTreeMap<Kind, usize>,
    pub(super) cuts_in: BTreeMap<Kind, usize>,
    pub(super) kept_records: usize,
}

impl Tally {
    pub(super) fn count_trace(&mut self, steps: &[Step]) {
        for fact in facts(steps) {
            match fact {
                StoreFact::Done(kind) => *self.done.entry(*kind).or_default() += 1,
                StoreFact::InVain(kind) => *self.in_vain.entry(*kind).or_default() += 1,
                _ => {}
            }
        }
    }
}

fn facts(steps: &[Step]) -> impl Iterator<Item = &StoreFact> {
    steps.iter().filter_map(|step| if let Step::Fact(Fact::Store(fact)) = step { Some(fact) } else { None })
}

/// Streams have one log each, or one for two shards.
fn shards_per_log(seed: u64) -> u32 {
    if (seed / 2).is_multiple_of(2) { 2 } else { u32::MAX }
}

fn options(shards_per_log: u32) -> EmbeddedOptions {
    EmbeddedOptions { shards_per_log, ..super::workload::options() }
}

pub(super) async fn record(seed: u64, honesty: Honesty) -> Vec<Step> {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::new(folder.path(), honesty));
    let chance = StdRng::seed_from_u64(seed);
    let mut workload = Workload::new(Arc::clone(&recorder), folder.path(), chance, shards_per_log(seed));
    for _ in 0..LIVES_MAX {
        workload.live(50).await;
        if recorder.len() > STEPS_MIN {
            break;
        }
    }
    assert!(recorder.len() > STEPS_MIN, "the trace is too short to show anything: {} steps", recorder.len());
    recorder.take_steps()
}

/// Where the power goes: anywhere, or while something is changed, one kind as often as another.
pub(super) fn place_of_cut(steps: &[Step], chance: &mut StdRng) -> usize {
    let mut changes: BTreeMap<Kind, Vec<(usize, usize)>> = BTreeMap::new();
    let mut began = None;
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Fact(Fact::Store(StoreFact::Began(kind))) => began = Some((*kind, at)),
            Step::Fact(Fact::Store(StoreFact::Done(kind))) => {
                if let Some((_, from)) = began.take_if(|(begun, _)| begun == kind) {
                    changes.entry(*kind).or_default().push((from, at));
                }
            }
            _ => {}
        }
    }
    if changes.is_empty() || chance.random_bool(0.3) {
        return chance.random_range(0..=steps.len());
    }
    let kind = chance.random_range(0..changes.len());
    let Some(places) = changes.values().nth(kind) else { return steps.len() };
    let (from, to) = places[chance.random_range(0..places.len())];
    chance.random_range(from + 1..=to)
}

/// What was being done when the power went.
fn kind_of_cut(steps: &[Step]) -> Option<Kind> {
    let mut open = None;
    for fact in facts(steps) {
        match fact {
            StoreFact::Began(kind) => open = Some(*kind),
            StoreFact::Done(kind) | StoreFact::InVain(kind) => open = open.filter(|open| open != kind),
            _ => {}
        }
    }
    open
}

pub(super) async fn check_cut(seed: u64, steps: &[Step], chance: &mut StdRng, tally: &mut Tally) -> Result<(), String> {
    if let Some(kind) = kind_of_cut(steps) {
        *tally.cuts_in.entry(kind).or_default() += 1;
    }
    let promises = Promises::after(facts(steps));
    let folder = tempfile::tempdir().unwrap();
    Image::after(steps, chance).write(folder.path()).unwrap();
    tally.kept_records += promises.kept_records();
    let cut = Cut { folder: folder.path(), clock: Clock::manual(promises.now), shards_per_log: shards_per_log(seed) };
    let (mut engine, mut store) = cut.open().await?;
    promises.check(&store).await?;
    if chance.random_bool(0.2) {
        // What was brought in order stays so.
        drop((engine, store));
        (engine, store) = cut.open().await?;
        promises.check(&store).await?;
    }
    check_logs(&engine, &store)?;
    go_on(&store).await?;
    check_logs(&engine, &store)
}

/// What a power cut has left.
struct Cut<'a> {
    folder: &'a Path,
    clock: Clock,
    shards_per_log: u32,
}

impl Cut<'_> {
    async fn open(&self) -> Result<(Arc<Embedded>, Store), String> {
        let options = options(self.shards_per_log);
        let engine = Embedded::open_on(Arc::new(Steady), self.folder, self.clock.clone(), options);
        let engine = Arc::new(engine.map_err(|error| error.to_string())?);
        let store = Store::open(engine.clone(), self.clock.clone()).await.map_err(|error| error.to_string())?;
        Ok((engine, store))
    }
}

/// No log is left of a stream that is gone, or was never made.
fn check_logs(engine: &Embedded, store: &Store) -> Result<(), String> {
    let streams = store.streams();
    let wanted: Vec<LogId> = streams.iter().flat_map(|stream| stream.logs().collect::<Vec<_>>()).collect();
    let found: Vec<LogId> = engine.logs.read().keys().copied().collect();
    match found.iter().find(|log| !wanted.contains(log)) {
        Some(log) => Err(format!("the log {log} is of no stream")),
        None => Ok(()),
    }
}

/// What is there is changed, takes records, and goes when it is to go; and there is room for more.
async fn go_on(store: &Store) -> Result<(), String> {
    for (at, stream) in store.streams().into_iter().enumerate() {
        let name = &stream.name;
        change(store, name).await.map_err(|error| format!("{name}: {error}"))?;
        let changed = store.stream(name).map_err(|error| error.to_string())?;
        check_map(&changed)?;
        if at == 0 {
            store.delete_stream(name).await.map_err(|error| error.to_string())?;
        }
    }
    let name = StreamName::parse("new").unwrap();
    store.create_stream(&name, 2, StreamMode::Provisioned, RETENTION).await.map_err(|error| error.to_string())?;
    put(store, &name).await
}

async fn change(store: &Store, name: &StreamName) -> Result<Arc<Stream>, String> {
    put(store, name).await?;
    store.set_mode(name, StreamMode::Provisioned).await.map_err(|error| error.to_string())?;
    let updated = store.update_shard_count(name, SHARDS_AFTER, Scale::Any).await.map_err(|error| error.to_string())?;
    put(store, name).await?;
    Ok(updated)
}

async fn put(store: &Store, name: &StreamName) -> Result<(), String> {
    let record = |key: u32| Record {
        partition_key: PartitionKey::parse(key.to_string()).unwrap(),
        explicit_hash: None,
        data: vec![0; 10].into(),
    };
    let outcomes = store.put(name, (0..10).map(record).collect()).await.map_err(|error| error.to_string())?;
    outcomes.into_iter().try_for_each(|outcome| outcome.map(drop)).map_err(|error| error.to_string())
}
