//! The last lines of each function, in memory, for whoever asks what it said.
//!
//! Promises that lines are numbered without gaps in the order in which they were said, and that a function's lines take at
//! most [`LOG_KEPT_BYTES_MAX`] bytes: the oldest go first. It must not know how lines come to be.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_stream::clock::{Clock, Timestamp};
use tokio::sync::watch;
use tracing::Level;

use super::limits::{LOG_KEPT_BYTES_MAX, LOG_LINE_COST_BYTES};
use super::name::FunctionName;

/// The call that lines belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallName {
    /// The stream that its records came from; empty while an instance is started.
    pub stream: String,
    /// Their shard.
    pub shard: String,
    /// What names the call.
    pub request_id: String,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Counts the function's lines from 1 since the node started.
    pub number: u64,
    /// When it was said.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// Whose it is.
    pub call: Arc<CallName>,
    /// One line, free of control characters.
    pub text: String,
}

/// Some lines of a function, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// The number to ask on from.
    pub last: u64,
    /// Lines between the number that was asked from and the first one here that are not kept any more.
    pub missed: u64,
}

/// The last lines of one function. Clones share them; they outlive its versions.
#[derive(Clone)]
pub struct FunctionLog(Arc<Inner>);

struct Inner {
    clock: Clock,
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    bytes: usize,
    newest: u64,
}

impl fmt::Debug for FunctionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionLog").field("newest", &*self.0.newest.borrow()).finish_non_exhaustive()
    }
}

impl FunctionLog {
    pub(super) fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, kept: Mutex::default(), newest: watch::Sender::new(0) }))
    }

    pub(super) fn push(&self, level: Level, call: &Arc<CallName>, text: &str) {
        let at = self.0.clock.now();
        let mut kept = self.0.kept.lock();
        kept.newest += 1;
        kept.bytes += cost(text);
        let line = LogLine { number: kept.newest, at, level, call: Arc::clone(call), text: text.to_owned() };
        kept.lines.push_back(line);
        while kept.bytes > LOG_KEPT_BYTES_MAX {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= cost(&oldest.text);
        }
        self.0.newest.send_replace(kept.newest);
    }

    /// The last lines, at most so many.
    pub fn last(&self, lines_max: usize) -> LogPage {
        let kept = self.0.kept.lock();
        let lines = kept.lines.range(kept.lines.len().saturating_sub(lines_max)..).cloned().collect();
        LogPage { lines, last: kept.newest, missed: 0 }
    }

    /// The last lines of at least this level, at most so many, in order.
    pub fn last_of(&self, least: Level, lines_max: usize) -> Vec<LogLine> {
        let kept = self.0.kept.lock();
        let wanted = kept.lines.iter().rev().filter(|line| line.level <= least); // tracing: what matters more is less
        let mut lines: Vec<LogLine> = wanted.take(lines_max).cloned().collect();
        lines.reverse();
        lines
    }

    /// The first lines behind a number, at most so many. A number that is not reached yet is of a node before this one:
    /// then from the oldest on.
    pub fn after(&self, number: u64, lines_max: usize) -> LogPage {
        let kept = self.0.kept.lock();
        let number = if number > kept.newest { 0 } else { number };
        let begin = kept.lines.partition_point(|line| line.number <= number);
        let lines: Vec<LogLine> = kept.lines.range(begin..).take(lines_max).cloned().collect();
        let last = lines.last().map_or(kept.newest, |line| line.number);
        let missed = lines.first().map_or(0, |first| first.number - number - 1);
        LogPage { lines, last, missed }
    }

    /// Moves with each line: the number of the newest one.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }
}

/// What a line takes.
fn cost(text: &str) -> usize {
    text.len() + LOG_LINE_COST_BYTES
}

/// The logs of all functions that are deployed.
#[derive(Debug, Default)]
pub(super) struct Logs(Mutex<BTreeMap<FunctionName, FunctionLog>>);

impl Logs {
    pub(super) fn set(&self, function: FunctionName, log: FunctionLog) {
        self.0.lock().insert(function, log);
    }

    pub(super) fn get(&self, function: &FunctionName) -> Option<FunctionLog> {
        self.0.lock().get(function).cloned()
    }

    pub(super) fn forget(&self, function: &FunctionName) {
        self.0.lock().remove(function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> FunctionLog {
        FunctionLog::new(Clock::manual(Timestamp::from_millis(7)))
    }

    fn say(log: &FunctionLog, text: &str) {
        log.push(Level::INFO, &Arc::default(), text);
    }

    fn numbers(page: &LogPage) -> Vec<u64> {
        page.lines.iter().map(|line| line.number).collect()
    }

    #[test]
    fn lines_are_read_on_from_a_number() {
        let log = log();
        assert_eq!(log.last(10), LogPage { lines: vec![], last: 0, missed: 0 });
        (0..5).for_each(|line| say(&log, &line.to_string()));
        let page = log.last(2);
        assert_eq!((numbers(&page), page.last, page.lines[1].text.as_str()), (vec![4, 5], 5, "4"));
        assert_eq!((log.last_of(Level::INFO, 2), log.last_of(Level::WARN, 2)), (page.lines, vec![]));
        let page = log.after(1, 2);
        assert_eq!((numbers(&page), page.last, page.missed), (vec![2, 3], 3, 0));
        assert_eq!((numbers(&log.after(5, 2)), log.after(5, 2).last), (Vec::new(), 5));
        assert_eq!(numbers(&log.after(99, 9)), [1, 2, 3, 4, 5], "the number of a node before this one");
        assert_eq!(*log.newest().borrow(), 5);
    }

    #[test]
    fn the_oldest_lines_go_and_are_missed() {
        let log = log();
        let long = "x".repeat(LOG_KEPT_BYTES_MAX / 4);
        (0..9).for_each(|_| say(&log, &long));
        let page = log.after(2, 100);
        assert_eq!((numbers(&page), page.missed), (vec![7, 8, 9], 4));
        say(&log, &"x".repeat(2 * LOG_KEPT_BYTES_MAX));
        assert!(log.after(0, 100).lines.is_empty(), "one that is too long takes no room either");
    }
}
