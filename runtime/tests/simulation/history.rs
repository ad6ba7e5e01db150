//! What is written down of a world: what was put, which calls were made and how they ended, what was given up, where the
//! cursors stood, and what the stream holds in the end. Nothing here knows how it came to be.

use std::collections::BTreeMap;

use tidemill_stream::cursor::Progress;

/// When the clock of each world begins.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// Tells one record from all others of its world.
pub(crate) type Number = u32;

/// All of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
    /// What the shards hold in the end, by position, and what they came from.
    pub(crate) shards: BTreeMap<u32, Shard>,
    /// The records that functions emitted, as their stream holds them: by trigger and the record that they were made of.
    pub(crate) emitted: Vec<(usize, Number)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Shard {
    pub(crate) parents: Vec<u32>,
    pub(crate) records: Vec<Kept>,
}

#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) number: Number,
    pub(crate) position: u64,
    pub(crate) key: String,
    /// Milliseconds since the world began.
    pub(crate) arrival_ms: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Milliseconds since the world began.
    pub(crate) at_ms: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A put was acknowledged.
    Put {
        number: Number,
        shard: u32,
        position: u64,
    },
    /// A trigger shall run by these rules from now on; its calls and shards name the run.
    Ordered {
        trigger: usize,
        run: u32,
        rules: Rules,
        change: Change,
    },
    Begin(Call),
    End {
        call: u32,
        outcome: Outcome,
        how: How,
        state: Option<String>,
        emits: Vec<Number>,
    },
    /// The call was dropped before it ended.
    Cut {
        call: u32,
    },
    /// The call ended well, but the node says that its batch was not processed.
    NotPut {
        call: u32,
    },
    /// The node says that it has given up so many records of the shard, of one lane, from this position on.
    GivenUp {
        trigger: usize,
        run: u32,
        shard: u32,
        first: u64,
        count: usize,
        why: Why,
    },
    /// Where a cursor was seen to stand.
    Cursor {
        trigger: usize,
        shard: u32,
        progress: Progress,
    },
    /// What the board counted in a run up to now.
    Counted {
        trigger: usize,
        run: u32,
        shard: u32,
        taken: usize,
        given_up: usize,
    },
    Split,
    Merge,
    Version,
    /// All triggers are stopped, with so many calls in work; then they are.
    Stopping {
        in_work: usize,
    },
    Stopped,
    /// It was waited in vain for the triggers to come to the end of all shards.
    Endless,
}

/// Why a trigger runs anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Start,
    Lanes,
    BatchSize,
    Enabled,
    Disabled,
}

/// The rules of a trigger in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) batch_max: usize,
    pub(crate) lanes: usize,
    pub(crate) retries_max: Option<u32>,
    pub(crate) age_max_ms: Option<u64>,
    pub(crate) bisects: bool,
    pub(crate) reports: bool,
    /// The keys that the filter lets pass, if there is one.
    pub(crate) keys: Option<Vec<String>>,
    /// The length of tumbling windows.
    pub(crate) window_ms: Option<u64>,
}

impl Rules {
    pub(crate) fn passes(&self, key: &str) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.iter().any(|known| known == key))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) call: u32,
    pub(crate) trigger: usize,
    pub(crate) run: u32,
    pub(crate) shard: u32,
    /// Which lane the node says that it is of.
    pub(crate) lane: usize,
    pub(crate) attempt: u32,
    pub(crate) records: Vec<Number>,
    pub(crate) window: Option<Window>,
}

/// A tumbling window, as a call has it; milliseconds since the world began, which is a multiple of all lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start_ms: u64,
    pub(crate) end_ms: u64,
    pub(crate) state: String,
    pub(crate) is_final: bool,
    pub(crate) is_early: bool,
}

/// What follows from the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    /// All before the first record that was reported.
    TookSome(usize),
    Failed,
    /// The batch did not reach the function.
    Unreached,
}

/// How a function ended, more closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    Succeeded,
    Stalled,
    Failed,
    Trapped,
    TimedOut,
    Nonsense,
    UnknownRecord,
    Reported,
    Unavailable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Retries,
    Age,
}

/// What states of windows larger than this are noted as, and when they end their window.
pub(crate) const LARGE: &str = "large";
