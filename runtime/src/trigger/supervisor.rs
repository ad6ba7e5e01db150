//! The supervisor: keeps the running pollers what the wanted triggers and the existing streams ask for.
//!
//! It looks again whenever triggers are applied, a stream is created, changed or deleted, or a shard is read to its end,
//! and after a while when something failed. One task owns all of its state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::engine::StreamId;
use tidemill_stream::shard::{Shard, ShardIndex};
use tidemill_stream::store::Store;
use tidemill_stream::stream::Stream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span};

use super::Targets;
use super::dead_letter::Destination;
use super::document::{self, TriggerError};
use super::lineage::Ends;
use super::poller::Poller;
use super::room::Room;
use super::work::Work;
use crate::deploy::{TriggerRules, TriggerSpec};
use crate::functions::FunctionName;
use crate::home::Home;
use crate::limits::{POLLER_STOP_DEADLINE, RECONCILE_RETRY_WAIT};
use crate::status::{Board, Phase, RowKey, State};
use crate::tasks::Tasks;

/// Asks for these triggers and no others.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) wanted: Vec<TriggerSpec>,
    pub(super) reply: oneshot::Sender<Result<(), Vec<TriggerError>>>,
}

pub(super) struct Supervisor {
    store: Store,
    home: Home,
    targets: Targets,
    board: Board,
    commands: mpsc::Receiver<Command>,
    changes: watch::Receiver<u64>,
    /// Moves when a shard is read to its end.
    ends: watch::Sender<u64>,
    random: StdRng,
    room: Room,
    wanted: Vec<TriggerSpec>,
    running: BTreeMap<String, Running>,
}

/// The pollers of one trigger, and what they were started for.
struct Running {
    purpose: Purpose,
    /// Who is told of records that are given up.
    destination: Option<Destination>,
    pollers: Tasks,
    /// The shards that have had a poller.
    begun: BTreeSet<ShardIndex>,
    ends: Ends,
}

/// Pollers go on as long as this stays the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Purpose {
    trigger: TriggerId,
    stream: StreamId,
    function: FunctionName,
    rules: Arc<TriggerRules>,
}

/// What there is to do for a trigger.
enum Plan {
    /// Its pollers run for this, and begin in the shards whose turn has come.
    Run { purpose: Purpose, stream: Arc<Stream>, ready: Vec<Shard> },
    /// It cannot run for now.
    Wait(State),
}

impl Supervisor {
    pub(super) fn new(
        store: Store,
        home: Home,
        targets: Targets,
        board: Board,
        commands: mpsc::Receiver<Command>,
        random: StdRng,
    ) -> Self {
        let changes = store.changes();
        let (wanted, running, ends) = (Vec::new(), BTreeMap::new(), watch::Sender::new(0));
        let room = Room::default();
        Self { store, home, targets, board, commands, changes, ends, random, room, wanted, running }
    }

    /// Looks after the triggers until it is asked to stop, then stops them.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let mut try_again = false;
        let mut ends = self.ends.subscribe();
        loop {
            let commanded = tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                Some(command) = self.commands.recv() => Some(command),
                Ok(()) = self.changes.changed() => None,
                Ok(()) = ends.changed() => None,
                () = tokio::time::sleep(RECONCILE_RETRY_WAIT), if try_again => None,
            };
            let reply = commanded.map(|command| {
                self.wanted = command.wanted;
                command.reply
            });
            let errors = self.reconcile().await;
            try_again = !errors.is_empty();
            for error in &errors {
                error!(error = %error, "a trigger could not be set up; it will be tried again");
            }
            if let Some(reply) = reply {
                let outcome = if errors.is_empty() { Ok(()) } else { Err(errors) };
                let _ = reply.send(outcome); // the one who asked may have given up
            }
        }
        self.stop_all_but(&[]).await;
    }

    async fn reconcile(&mut self) -> Vec<TriggerError> {
        let wanted = self.wanted.clone();
        self.note_phases();
        self.stop_all_but(&wanted).await;
        let mut errors = Vec::new();
        match document::remove_others(&self.store, &wanted).await {
            Ok(removed) => removed.iter().for_each(|trigger| {
                info!(trigger, "trigger removed");
                self.board.forget_wholly(trigger);
            }),
            Err(error) => errors.push(error),
        }
        for spec in &wanted {
            match self.plan(spec).await {
                Ok(plan) => self.carry_out(spec, plan).await,
                Err(error) => errors.push(error),
            }
        }
        errors
    }

    /// What begins with this look.
    fn note_phases(&self) {
        for spec in &self.wanted {
            match self.board.phase_of(&spec.name) {
                None => self.board.phase(&spec.name, Phase::Creating),
                Some(Phase::Disabled) if spec.is_enabled => self.board.phase(&spec.name, Phase::Enabling),
                Some(_) => {}
            }
        }
        for name in self.running.keys().filter(|name| !self.wanted.iter().any(|spec| spec.name == **name)) {
            self.board.phase(name, Phase::Deleting);
        }
    }

    async fn plan(&mut self, spec: &TriggerSpec) -> Result<Plan, TriggerError> {
        let Ok(stream) = self.store.stream(&spec.stream) else { return Ok(Plan::Wait(State::WaitingForStream)) };
        let trigger = match document::ensure(&self.store, spec, &stream, &mut self.random).await {
            Ok(trigger) => trigger,
            Err(error) if error.is_stream_gone() => return Ok(Plan::Wait(State::WaitingForStream)),
            Err(error) => return Err(error),
        };
        if !spec.is_enabled {
            return Ok(Plan::Wait(State::Disabled));
        }
        let purpose = Purpose {
            trigger,
            stream: stream.id,
            function: spec.function.clone(),
            rules: Arc::new(spec.rules.clone()),
        };
        let ready = match self.running.get(&spec.name).filter(|running| running.purpose == purpose) {
            Some(running) => running.ends.ready(&stream, &running.begun),
            None => Ends::new(&self.ends).ready(&stream, &BTreeSet::new()),
        };
        let ready = ready.into_iter().cloned().collect();
        let is_there = (self.targets)(&spec.function).is_some();
        Ok(if is_there { Plan::Run { purpose, stream, ready } } else { Plan::Wait(State::WaitingForFunction) })
    }

    async fn carry_out(&mut self, spec: &TriggerSpec, plan: Plan) {
        match plan {
            Plan::Wait(state) => {
                if state == State::Disabled && self.running.contains_key(&spec.name) {
                    self.board.phase(&spec.name, Phase::Disabling);
                }
                self.stop(&spec.name).await;
                self.board.forget(&spec.name);
                let key = RowKey { trigger: spec.name.clone(), shard: None };
                self.board.row(key, spec.stream.as_str(), spec.function.as_str(), state);
                let phase = if state == State::Disabled { Phase::Disabled } else { Phase::Enabled };
                self.board.phase(&spec.name, phase);
            }
            Plan::Run { purpose, stream, ready } => {
                let mut running = self.running_for(spec, purpose).await;
                self.begin(spec, &mut running, &stream, ready);
                self.running.insert(spec.name.clone(), running);
                self.board.phase(&spec.name, Phase::Enabled);
            }
        }
    }

    /// The pollers that run for this already, or none yet.
    async fn running_for(&mut self, spec: &TriggerSpec, purpose: Purpose) -> Running {
        match self.running.remove(&spec.name) {
            Some(running) if running.purpose == purpose => return running,
            Some(other) => {
                self.board.phase(&spec.name, Phase::Updating);
                stop_pollers(&other).await;
            }
            None => {}
        }
        self.board.forget(&spec.name);
        let Purpose { trigger, rules, .. } = &purpose;
        let destination = rules.on_failure.as_ref().map(|spec| Destination::new(spec, *trigger, &self.store));
        let (pollers, begun, ends) = (Tasks::new(), BTreeSet::new(), Ends::new(&self.ends));
        Running { purpose, destination, pollers, begun, ends }
    }

    /// Starts a poller in each of these shards. Those that never had one show that they wait.
    fn begin(&mut self, spec: &TriggerSpec, running: &mut Running, stream: &Arc<Stream>, ready: Vec<Shard>) {
        for shard in ready {
            running.begun.insert(shard.index);
            let span = info_span!(parent: None, "poller", trigger = spec.name, shard = %shard.index);
            let poller = self.poller(spec, running, stream, shard);
            span.in_scope(|| running.pollers.spawn("poller", poller.run().instrument(span.clone())));
        }
        for shard in stream.shards.iter().filter(|shard| !running.begun.contains(&shard.index)) {
            let key = RowKey { trigger: spec.name.clone(), shard: Some(shard.index) };
            self.board.row(key, spec.stream.as_str(), spec.function.as_str(), State::WaitingForParents);
        }
    }

    fn poller(&mut self, spec: &TriggerSpec, running: &Running, stream: &Arc<Stream>, shard: Shard) -> Poller {
        let key = RowKey { trigger: spec.name.clone(), shard: Some(shard.index) };
        let Purpose { trigger, rules, .. } = &running.purpose;
        let work = Work {
            store: self.store.clone(),
            stream: Arc::clone(stream),
            shard,
            function: spec.function.clone(),
            rules: Arc::clone(rules),
            arns: Arc::new(self.home.arns(&spec.stream, &spec.function)),
            targets: Arc::clone(&self.targets),
            destination: running.destination.clone(),
            room: self.room.clone(),
            row: self.board.row(key, spec.stream.as_str(), spec.function.as_str(), State::Running),
            stopping: running.pollers.stopping().child_token(),
        };
        let (tasks, random) = (running.pollers.clone(), StdRng::from_rng(&mut self.random));
        Poller { work, trigger: *trigger, ends: running.ends.clone(), random, tasks }
    }

    async fn stop(&mut self, trigger: &str) {
        if let Some(running) = self.running.remove(trigger) {
            stop_pollers(&running).await;
        }
    }

    /// Stops what is not wanted: asks all first, then waits for each.
    async fn stop_all_but(&mut self, wanted: &[TriggerSpec]) {
        let unwanted = |name: &str| !wanted.iter().any(|spec| spec.name == name);
        let stopped: Vec<_> = self.running.extract_if(.., |name, _| unwanted(name)).collect();
        for (_, running) in &stopped {
            running.pollers.stopping().cancel();
        }
        let deadline = tokio::time::Instant::now() + POLLER_STOP_DEADLINE;
        for (name, running) in &stopped {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            running.pollers.stop(left.max(Duration::from_millis(1))).await;
            self.board.forget(name);
        }
    }
}

async fn stop_pollers(running: &Running) {
    running.pollers.stop(POLLER_STOP_DEADLINE).await;
}
