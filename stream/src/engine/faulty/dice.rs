//! Which trouble comes next: chosen from a seed, and counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// A trouble that every caller of an engine must be able to handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The outcome of an append is unknown. It happened.
    AppendUnknownDone,
    /// The outcome of an append is unknown. It did not happen.
    AppendUnknownNotDone,
    /// An append is fenced although nothing changed.
    AppendFenced,
    /// The outcome of a change of documents is unknown. It happened.
    ChangeUnknownDone,
    /// The outcome of a change of documents is unknown. It did not happen.
    ChangeUnknownNotDone,
    /// The outcome of a seal is unknown. It happened.
    SealUnknownDone,
    /// The outcome of a seal is unknown. It did not happen.
    SealUnknownNotDone,
    /// A seal is fenced although nothing changed.
    SealFenced,
    /// A read sees its shard as it was earlier.
    StaleRead,
    /// `changed` sleeps through its wait.
    LostWake,
    /// A receiver of `watch` never moves.
    LostWatch,
    /// An operation lets others go first.
    Pause,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::AppendUnknownDone,
        Self::AppendUnknownNotDone,
        Self::AppendFenced,
        Self::ChangeUnknownDone,
        Self::ChangeUnknownNotDone,
        Self::SealUnknownDone,
        Self::SealUnknownNotDone,
        Self::SealFenced,
        Self::StaleRead,
        Self::LostWake,
        Self::LostWatch,
        Self::Pause,
    ];
}

/// How often each trouble was made. Outlives its engine.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; Fault::ALL.len()]);

impl Counts {
    /// How often this one was made.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(fault as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn add(&self, fault: Fault) {
        if let Some(count) = self.0.get(fault as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What troubles to make.
#[derive(Debug, Clone)]
pub struct FaultyOptions {
    /// The same seed makes the same choices in the same order.
    pub seed: u64,
    /// How many calls of a thousand meet each trouble; none of those that are not named.
    pub per_mille: BTreeMap<Fault, u64>,
    /// An operation that met this many troubles in a row meets none the next time. Pauses do not count.
    pub in_a_row_max: u32,
    /// Appends of unknown outcome that are remembered; the oldest is forgotten first.
    pub tickets_max: usize,
}

impl Default for FaultyOptions {
    fn default() -> Self {
        let rates = Fault::ALL.map(|fault| match fault {
            Fault::StaleRead | Fault::LostWake | Fault::LostWatch => (fault, 400),
            Fault::SealUnknownDone | Fault::SealUnknownNotDone | Fault::SealFenced => (fault, 250),
            Fault::Pause => (fault, 100),
            Fault::AppendUnknownDone
            | Fault::AppendUnknownNotDone
            | Fault::AppendFenced
            | Fault::ChangeUnknownDone
            | Fault::ChangeUnknownNotDone => (fault, 150),
        });
        Self { seed: 0, per_mille: BTreeMap::from(rates), in_a_row_max: 3, tickets_max: 1024 }
    }
}

/// What is counted on its own when troubles come in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Append,
    Change,
    Seal,
    Read,
    Changed,
    Watch,
}

/// Chooses the troubles.
#[derive(Debug)]
pub(super) struct Dice {
    options: FaultyOptions,
    luck: Mutex<Luck>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Luck {
    state: u64,
    in_a_row: BTreeMap<Operation, u32>,
}

impl Dice {
    pub(super) fn new(options: FaultyOptions) -> Self {
        let luck = Luck { state: options.seed, in_a_row: BTreeMap::new() };
        Self { options, luck: Mutex::new(luck), counts: Arc::default() }
    }

    pub(super) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    pub(super) fn count(&self, fault: Fault) {
        self.counts.add(fault);
    }

    /// At most one of these troubles, and none after too many in a row.
    pub(super) fn throw(&self, operation: Operation, faults: &[Fault]) -> Option<Fault> {
        let mut luck = self.luck.lock();
        let mut roll = luck.next() % 1000;
        let chosen = faults.iter().copied().find(|fault| {
            let rate = self.rate(*fault);
            let is_hit = roll < rate;
            roll = roll.saturating_sub(rate);
            is_hit
        });
        let in_a_row = luck.in_a_row.entry(operation).or_default();
        let chosen = chosen.filter(|_| *in_a_row < self.options.in_a_row_max);
        *in_a_row = if chosen.is_some() { *in_a_row + 1 } else { 0 };
        chosen
    }

    /// A number from 0 to `most`.
    pub(super) fn number(&self, most: usize) -> usize {
        (self.luck.lock().next() % (most as u64 + 1)) as usize
    }

    /// Lets others go first, now and then. Takes turns, not time.
    pub(super) async fn pause(&self) {
        let turns = {
            let mut luck = self.luck.lock();
            if luck.next() % 1000 < self.rate(Fault::Pause) { 1 + luck.next() % 5 } else { 0 }
        };
        if turns > 0 {
            self.count(Fault::Pause);
        }
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    fn rate(&self, fault: Fault) -> u64 {
        self.options.per_mille.get(&fault).copied().unwrap_or(0)
    }
}

impl Luck {
    /// The next number of `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
