//! A world: a store, triggers and time, as a seed makes them. It writes down what happens and judges nothing.

mod steps;
mod views;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tidemill::deploy::{DestinationSpec, Semantics, Start, TriggerRules, TriggerSpec};
use tidemill::functions::Deployment;
use tidemill::home::Home;
use tidemill::pattern::Filter;
use tidemill::status::Board;
use tidemill::trigger::{Target, Targets, Triggers};
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::engine::Engine;
use tidemill_stream::engine::faulty::{Counts, Fault, Faulty, FaultyOptions};
use tidemill_stream::engine::memory::Memory;
use tidemill_stream::name::StreamName;
use tidemill_stream::store::Store;
use tidemill_stream::stream::StreamMode;
use tokio::sync::watch;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::ear::Ear;
use super::function::{Scripted, name_of};
use super::history::{Change, History, Number, Rules, START_MS, What};
use super::script::Script;
use super::stage::Stage;

/// How exactly the clock follows tokio's time.
const TICK: Duration = Duration::from_millis(10);
/// Of paused time, for all that the triggers still have to do when nothing happens any more.
const PATIENCE: Duration = Duration::from_mins(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// For what should not come any more to come.
const AFTERMATH: Duration = Duration::from_secs(15);

pub(crate) struct World {
    stage: Arc<Stage>,
    clock: Clock,
    board: Board,
    triggers: Option<Arc<Triggers>>,
    versions: watch::Sender<Option<Arc<Deployment>>>,
    wanted: Vec<Wanted>,
    starts: u64,
    records: Number,
}

/// A trigger as it shall be.
#[derive(Debug, Clone)]
struct Wanted {
    rules: Rules,
    run: u32,
    is_enabled: bool,
}

/// The whole life of the world of a seed; what troubles its engine made.
pub(crate) fn run(seed: u64) -> (History, Arc<Counts>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (world, counts) = World::new(Script::new(seed)).await;
        let subscriber = tracing_subscriber::registry().with(LevelFilter::DEBUG).with(Ear(Arc::clone(&world.stage)));
        let _heard = tracing::subscriber::set_default(subscriber);
        let (clock, stage) = (world.clock.clone(), Arc::clone(&world.stage));
        tokio::select! {
            biased;
            () = follow_time(&clock, &stage) => unreachable!("time does not end"),
            history = world.live() => (history, counts),
        }
    })
}

async fn follow_time(clock: &Clock, stage: &Stage) {
    loop {
        clock.set(Timestamp::from_millis(START_MS + stage.now_ms()));
        tokio::time::sleep(TICK).await;
    }
}

fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

impl World {
    async fn new(script: Script) -> (Self, Arc<Counts>) {
        let clock = Clock::manual(Timestamp::from_millis(START_MS));
        let memory = Memory::with_shards_per_log(clock.clone(), script.shards_per_log);
        let mut options = FaultyOptions { seed: script.seed, ..FaultyOptions::default() };
        if !script.is_faulty {
            options.per_mille.clear();
        }
        options.per_mille.remove(&Fault::LostWatch);
        let engine = Faulty::new(memory, options);
        let counts = Arc::clone(engine.counts());
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let store = Store::open(engine, clock.clone()).await.unwrap();
        for (stream, shards) in [("s", script.shards), ("out", 1), ("letters", 1)] {
            let day = Duration::from_hours(24);
            store.create_stream(&name(stream), shards, StreamMode::Provisioned, day).await.unwrap();
        }
        let stage = Stage::new(script, store);
        let wanted = |(trigger, known): (usize, &super::script::Trigger)| Wanted {
            rules: known.rules.clone(),
            run: stage.order(trigger, &known.rules, Change::Start),
            is_enabled: true,
        };
        let wanted = stage.script.triggers.iter().enumerate().map(wanted).collect();
        let (board, versions) = (Board::new(), watch::Sender::new(None));
        (Self { stage, clock, board, triggers: None, versions, wanted, starts: 0, records: 0 }, counts)
    }

    /// Chaos, then calm until everything is settled.
    async fn live(mut self) -> History {
        self.start();
        self.learn_ids().await;
        for (wait_ms, step) in self.stage.script.steps.clone() {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            self.take(step).await;
            self.look_at_cursors().await;
        }
        self.calm_down().await;
        let shards = self.shards().await;
        self.settle(&shards).await;
        tokio::time::sleep(AFTERMATH).await;
        self.look_at_cursors().await;
        self.note_counts();
        self.stop().await;
        let emitted = self.emitted().await;
        History { events: self.stage.take_events(), shards, emitted }
    }

    async fn calm_down(&mut self) {
        self.stage.is_calm.store(true, Ordering::Relaxed);
        for trigger in 0..self.wanted.len() {
            if !self.wanted[trigger].is_enabled {
                self.wanted[trigger].is_enabled = true;
                self.reorder(trigger, Change::Enabled);
            }
        }
        self.apply().await;
    }

    /// Begins anew, over the same store.
    fn start(&mut self) {
        self.starts += 1;
        self.board = Board::new();
        let (stage, versions) = (Arc::clone(&self.stage), self.versions.clone());
        let targets: Targets = Arc::new(move |name| {
            let invoke = Box::new(Scripted::new(&stage, name));
            Some(Target { invoke, versions: versions.subscribe(), threads: None })
        });
        let random = StdRng::seed_from_u64(self.stage.script.seed << 8 | self.starts);
        let store = self.stage.store.clone();
        let triggers = Triggers::start_with(store, Home::default(), targets, self.board.clone(), random);
        self.triggers = Some(Arc::new(triggers));
    }

    async fn stop(&mut self) {
        self.stage.note(What::Stopping { in_work: self.stage.in_work() });
        if let Some(triggers) = self.triggers.take() {
            triggers.stop().await;
        }
        self.stage.note(What::Stopped);
    }

    /// A trigger runs anew from now on.
    fn reorder(&mut self, trigger: usize, change: Change) {
        let wanted = &mut self.wanted[trigger];
        wanted.run = self.stage.order(trigger, &wanted.rules, change);
    }

    /// What fails is tried again by the node.
    async fn apply(&self) {
        let wanted = self.specs();
        let _ = self.triggers.as_ref().unwrap().apply(wanted).await;
    }

    fn specs(&self) -> Vec<TriggerSpec> {
        (0..self.wanted.len()).map(|trigger| self.spec(trigger)).collect()
    }

    fn spec(&self, trigger: usize) -> TriggerSpec {
        let (known, wanted) = (&self.stage.script.triggers[trigger], &self.wanted[trigger]);
        let Rules { batch_max, lanes, retries_max, age_max_ms, bisects, reports, keys, window_ms } =
            wanted.rules.clone();
        let pattern = |keys: Vec<String>| Filter::parse([format!(r#"{{"partitionKey": {keys:?}}}"#)]).unwrap();
        let rules = TriggerRules {
            semantics: if known.is_lambda { Semantics::Lambda } else { Semantics::Tidemill },
            batch_records_max: batch_max,
            window: Duration::from_millis(known.batching_ms),
            parallelization: lanes,
            retries_max,
            age_max: age_max_ms.map(Duration::from_millis),
            bisects,
            reports_failures: reports,
            filter: keys.map(pattern),
            on_failure: known.has_destination.then(|| DestinationSpec::Stream(name("letters"))),
            tumbling_window: window_ms.map(Duration::from_millis),
        };
        TriggerSpec {
            name: format!("t{trigger}"),
            stream: name("s"),
            function: name_of(trigger, wanted.run),
            start: Start::TrimHorizon,
            is_enabled: wanted.is_enabled,
            rules,
        }
    }
}
