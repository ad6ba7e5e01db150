//! Triggers: feed each shard's records, in order and in batches, to a function.
//!
//! Delivery is at least once: a cursor moves only behind records that the function took, and only for the trigger that
//! owns it. A batch that fails is delivered again until it succeeds, and holds its own shard and its children only. This
//! room must not know of HTTP, of wasm, or of the manifest's syntax.

mod dead_letter;
mod desk;
mod document;
mod intake;
mod lane;
mod lineage;
mod output;
mod policy;
mod poller;
mod response;
mod room;
mod runner;
mod size;
mod supervisor;
mod window;
mod work;

use std::sync::Arc;

use rand::rngs::StdRng;
use tidemill_stream::store::Store;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use self::document::TriggerError;
pub(crate) use self::document::{PREFIX, kept as kept_triggers, of_document as read_document};
use self::supervisor::{Command, Supervisor};
use crate::deploy::TriggerSpec;
use crate::functions::{Deployment, FunctionName, Invoke};
use crate::home::Home;
use crate::limits::POLLER_STOP_DEADLINE;
use crate::status::Board;
use crate::tasks::Tasks;

/// Applies that may wait for the supervisor.
const COMMANDS_WAITING_MAX: usize = 4;

/// A function as one lane of a shard calls it.
pub struct Target {
    /// The function.
    pub invoke: Box<dyn Invoke>,
    /// Moves when the function has a new version or new settings.
    pub versions: watch::Receiver<Option<Arc<Deployment>>>,
    /// The threads on which its calls run, if it has any of its own: lanes run there too, so that nothing is handed over
    /// between two batches.
    pub threads: Option<Handle>,
}

/// Finds a function by its name; called once for each lane.
pub type Targets = Arc<dyn Fn(&FunctionName) -> Option<Target> + Send + Sync>;

/// All triggers of a node.
#[derive(Debug)]
pub struct Triggers {
    commands: mpsc::Sender<Command>,
    tasks: Tasks,
}

/// Why triggers were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Some could not be set up; the others were. It is tried again until it succeeds.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Failed(Vec<TriggerError>),
    /// The triggers have been stopped.
    #[error("the triggers have been stopped")]
    Stopped,
}

impl Triggers {
    /// Starts without any trigger; [`Triggers::apply`] says which there shall be.
    pub fn start(store: Store, home: Home, targets: Targets, board: Board) -> Self {
        Self::start_with(store, home, targets, board, rand::make_rng())
    }

    /// The same with randomness of the caller's: two runs that meet the same world do the same.
    pub fn start_with(store: Store, home: Home, targets: Targets, board: Board, random: StdRng) -> Self {
        let tasks = Tasks::new();
        let (commands, receiver) = mpsc::channel(COMMANDS_WAITING_MAX);
        let supervisor = Supervisor::new(store, home, targets, board, receiver, random);
        tasks.spawn("triggers", supervisor.run(tasks.stopping()));
        Self { commands, tasks }
    }

    /// Makes the triggers these: starts what is new, stops what is gone, leaves alone what is as it was.
    pub async fn apply(&self, wanted: Vec<TriggerSpec>) -> Result<(), ApplyError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command { wanted, reply }).await.map_err(|_| ApplyError::Stopped)?;
        answer.await.map_err(|_| ApplyError::Stopped)?.map_err(ApplyError::Failed)
    }

    /// Cancelled when the triggers are being stopped.
    pub fn stopping(&self) -> CancellationToken {
        self.tasks.stopping()
    }

    /// Stops all pollers between two batches; a batch in flight gets a few seconds, then it is dropped and will be
    /// delivered again.
    pub async fn stop(&self) {
        // Twice, as the supervisor waits for its pollers in turn.
        self.tasks.stop(POLLER_STOP_DEADLINE * 2).await;
    }
}
