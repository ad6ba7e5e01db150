//! The status board: what each trigger is doing, shard by shard, as of now.
//!
//! Pollers write it, the command line and the metrics read it. It lives in memory and decides nothing. This module must
//! not know of triggers' workings, HTTP or JSON.

mod counts;
mod log;
mod phase;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::ShardIndex;

pub use self::counts::Counts;
pub use self::log::{LogLineReport, LogReport};
pub use self::phase::Phase;
pub use self::report::{BlockedReport, FunctionReport, LastErrorReport, Report, StreamReport, TriggerReport};
use crate::limits::STATUS_ERROR_CHARS_MAX;

/// What a trigger is doing in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It delivers batches, or is ready to.
    Running,
    /// The last batch failed and will be delivered again.
    Retrying,
    /// Its stream does not exist.
    WaitingForStream,
    /// Its function does not exist.
    WaitingForFunction,
    /// The shards that this one came from are not read to their end.
    WaitingForParents,
    /// The shard was split or merged, and is read to its end.
    Finished,
    /// Somebody else moved its cursor; it delivers nothing until it is started anew.
    Stopped,
    /// The manifest says that it shall not deliver; its place is kept.
    Disabled,
}

impl State {
    /// Whether all is well: records are delivered, or it is not the shard's turn.
    pub const fn is_well(self) -> bool {
        match self {
            Self::Running | Self::WaitingForParents | Self::Finished | Self::Disabled => true,
            Self::Retrying | Self::WaitingForStream | Self::WaitingForFunction | Self::Stopped => false,
        }
    }

    /// The state in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::WaitingForStream => "waiting for stream",
            Self::WaitingForFunction => "waiting for function",
            Self::WaitingForParents => "waiting for parents",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Disabled => "disabled",
        }
    }
}

/// The last thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// What.
    pub message: String,
    /// At which attempt of the same batch, from 1.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
}

/// A batch that a lane cannot get past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Its first record.
    pub first: SequenceNumber,
    /// Its last record.
    pub last: SequenceNumber,
    /// How many it has.
    pub records: usize,
    /// When the first of them arrived.
    pub since: Timestamp,
    /// How often it was delivered.
    pub attempt: u32,
    /// When it is delivered again.
    pub next_at: Timestamp,
}

/// A trigger in one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// What it is doing.
    pub state: State,
    /// When the oldest record arrived that is known to wait; `None` when none is.
    pub pending_since: Option<Timestamp>,
    /// The last thing that went wrong; it stays after a success.
    pub last_error: Option<LastError>,
    /// The last record that was processed.
    pub last_sequence_number: Option<SequenceNumber>,
    /// How old the last record of the last call was when it was made.
    pub iterator_age: Duration,
    /// What its lanes cannot get past, by lane.
    pub blocked: BTreeMap<usize, Blocked>,
    /// What has happened since the node started.
    pub counts: Counts,
}

impl ShardStatus {
    fn new(state: State) -> Self {
        Self {
            state,
            pending_since: None,
            last_error: None,
            last_sequence_number: None,
            iterator_age: Duration::ZERO,
            blocked: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// Whether something failed that is tried again.
    pub fn is_failing(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// How long the oldest record that is known to wait has waited.
    pub fn behind(&self, now: Timestamp) -> Duration {
        self.pending_since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

/// Names a row: the trigger and, while its stream exists, the shard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The trigger.
    pub trigger: String,
    /// The shard; `None` for a trigger whose stream or function is not there.
    pub shard: Option<ShardIndex>,
}

/// A row as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerStatus {
    /// Which trigger and shard.
    pub key: RowKey,
    /// The trigger's stream.
    pub stream: String,
    /// The trigger's function.
    pub function: String,
    /// In which phase of its life the trigger is.
    pub phase: Phase,
    /// What it is doing.
    pub status: ShardStatus,
}

/// All rows. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    entries: BTreeMap<RowKey, Entry>,
    phases: BTreeMap<String, Phase>,
}

#[derive(Debug)]
struct Entry {
    stream: String,
    function: String,
    row: Row,
}

/// One row, for the one who writes it.
#[derive(Debug, Clone)]
pub struct Row(Arc<Mutex<ShardStatus>>);

impl Row {
    /// Changes the row.
    pub fn update(&self, change: impl FnOnce(&mut ShardStatus)) {
        change(&mut self.0.lock());
    }

    /// Notes an error, cut to the length that the board keeps.
    pub fn failed(&self, message: &str, attempt: u32, at: Timestamp) {
        let message = message.chars().take(STATUS_ERROR_CHARS_MAX).collect();
        self.update(|status| {
            status.state = State::Retrying;
            status.last_error = Some(LastError { message, attempt, at });
        });
    }
}

impl Board {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new row, in place of an old one of that key.
    pub fn row(&self, key: RowKey, stream: &str, function: &str, state: State) -> Row {
        let row = Row(Arc::new(Mutex::new(ShardStatus::new(state))));
        let entry = Entry { stream: stream.to_owned(), function: function.to_owned(), row: row.clone() };
        self.0.lock().entries.insert(key, entry);
        row
    }

    /// In which phase of its life a trigger is from now on.
    pub fn phase(&self, trigger: &str, phase: Phase) {
        self.0.lock().phases.insert(trigger.to_owned(), phase);
    }

    /// In which phase of its life a trigger is, if it is known.
    pub fn phase_of(&self, trigger: &str) -> Option<Phase> {
        self.0.lock().phases.get(trigger).copied()
    }

    /// Takes away all rows of a trigger.
    pub fn forget(&self, trigger: &str) {
        self.0.lock().entries.retain(|key, _| key.trigger != trigger);
    }

    /// The trigger is gone.
    pub fn forget_wholly(&self, trigger: &str) {
        self.forget(trigger);
        self.0.lock().phases.remove(trigger);
    }

    /// All rows, by trigger and shard.
    pub fn snapshot(&self) -> Vec<TriggerStatus> {
        let rows = self.0.lock();
        let read = |(key, entry): (&RowKey, &Entry)| TriggerStatus {
            key: key.clone(),
            stream: entry.stream.clone(),
            function: entry.function.clone(),
            phase: rows.phases.get(&key.trigger).copied().unwrap_or_default(),
            status: entry.row.0.lock().clone(),
        };
        rows.entries.iter().map(read).collect()
    }
}
