//! Waiting for facts: each wait ends when its fact is there, or fails with what there was instead.

use std::time::Duration;

use tidemill::functions::{FunctionLog, FunctionName, LogLine};
use tidemill_stream::name::StreamName;
use tokio::time::{interval, timeout};

use crate::TestNode;
use crate::error::{Situation, TestError};

/// How long a wait goes on unless the test says otherwise: far longer than a fact ever takes.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often the status is looked at, which tells nobody when it changes.
const LOOK_PERIOD: Duration = Duration::from_millis(10);
/// After so long cursors are looked at again in case the hint that they moved was lost.
const HINT_WAIT_MAX: Duration = Duration::from_millis(250);
/// Log lines that are looked at in one go.
const LINES_PER_LOOK: usize = 1000;
/// Log lines of each function that a failed wait shows.
const LINES_SHOWN: usize = 20;
/// The documents of cursors begin so.
const CURSORS: &str = "cursor/";

/// A batch that its function did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The shard; none while the trigger's stream or function is not there.
    pub shard: Option<String>,
    /// What was wrong.
    pub message: String,
    /// At which attempt of the same batch, from 1.
    pub attempt: u32,
}

impl TestNode {
    /// Waits until every trigger that reads this stream is done with all records that it has now. Those that are put
    /// meanwhile are not waited for.
    pub async fn wait_until_processed(&self, stream: &str) -> Result<(), TestError> {
        let triggers = self.triggers_of(stream)?;
        let name = StreamName::parse(stream).map_err(|error| TestError::Progress(error.into()))?;
        let node = self.running.node();
        let ends = node.ends(&name).await.map_err(TestError::Progress)?;
        let mut cursors = node.store().engine().watch(CURSORS);
        let all_are_there = async {
            for trigger in triggers {
                loop {
                    cursors.mark_unchanged();
                    if node.has_reached(trigger, &ends).await.map_err(TestError::Progress)? {
                        break;
                    }
                    let _ = timeout(HINT_WAIT_MAX, cursors.changed()).await;
                }
            }
            Ok(())
        };
        self.in_time(&format!("all records of the stream '{stream}' are processed"), all_are_there).await
    }

    /// Waits for a log line of a function, and returns the first that is as wanted; lines from before count too.
    pub async fn wait_for_log(
        &self,
        function: &str,
        wanted: impl Fn(&LogLine) -> bool + Send + Sync,
    ) -> Result<LogLine, TestError> {
        let log = self.log_of(function)?;
        let (mut newest, mut seen) = (log.newest(), 0);
        let found = async {
            loop {
                newest.mark_unchanged();
                let page = log.after(seen, LINES_PER_LOOK);
                seen = page.last;
                if let Some(line) = page.lines.iter().find(|line| wanted(line)) {
                    return Ok(line.clone());
                }
                if page.lines.is_empty() {
                    // The node has the other end as long as it is there.
                    let _ = newest.changed().await;
                }
            }
        };
        self.in_time(&format!("the function '{function}' logs the line that is wanted"), found).await
    }

    /// What a function has logged so far, as far as the node keeps it: the newest lines.
    pub fn log(&self, function: &str) -> Result<Vec<LogLine>, TestError> {
        Ok(self.log_of(function)?.last(usize::MAX).lines)
    }

    /// Waits until a call of the trigger's function has failed, now or before; returns the last such failure.
    pub async fn wait_for_failure(&self, trigger: &str) -> Result<Failure, TestError> {
        self.check_trigger(trigger)?;
        let failed = async {
            let mut looks = interval(LOOK_PERIOD);
            loop {
                looks.tick().await;
                if let Some(failure) = self.failure(trigger) {
                    return Ok(failure);
                }
            }
        };
        self.in_time(&format!("a call of the trigger '{trigger}' fails"), failed).await
    }

    fn failure(&self, trigger: &str) -> Option<Failure> {
        let rows = self.status().triggers;
        rows.into_iter().filter(|row| row.trigger == trigger).find_map(|row| {
            let error = row.last_error?;
            Some(Failure { shard: row.shard, message: error.message, attempt: error.attempt })
        })
    }

    async fn in_time<T>(&self, fact: &str, work: impl Future<Output = Result<T, TestError>>) -> Result<T, TestError> {
        timeout(self.patience, work).await.unwrap_or_else(|_| {
            let situation = Situation { triggers: self.status().triggers, lines: self.last_lines() };
            Err(TestError::InVain { fact: fact.to_owned(), patience: self.patience, situation })
        })
    }

    /// The triggers that read a stream: at least one.
    fn triggers_of(&self, stream: &str) -> Result<Vec<&str>, TestError> {
        let triggers = &self.running.manifest().triggers;
        let reading = triggers.iter().filter(|trigger| trigger.stream.as_str() == stream);
        let reading: Vec<&str> = reading.map(|trigger| trigger.name.as_str()).collect();
        if reading.is_empty() {
            let known = triggers.iter().map(|trigger| format!("'{}' of '{}'", trigger.name, trigger.stream)).collect();
            return Err(TestError::Unknown { what: format!("trigger that reads the stream '{stream}'"), known });
        }
        Ok(reading)
    }

    fn check_trigger(&self, name: &str) -> Result<(), TestError> {
        let known: Vec<&str> = self.running.manifest().triggers.iter().map(|trigger| trigger.name.as_str()).collect();
        check("trigger", name, &known)
    }

    fn log_of(&self, function: &str) -> Result<FunctionLog, TestError> {
        let known: Vec<&str> = self.functions().map(FunctionName::as_str).collect();
        let name = self.functions().find(|name| name.as_str() == function);
        let log = name.and_then(|name| self.running.node().function_log(name));
        log.ok_or_else(|| unknown("function", function, &known))
    }

    fn functions(&self) -> impl Iterator<Item = &FunctionName> {
        self.running.manifest().functions.iter().map(|function| &function.name)
    }

    /// Of each function, for the one who reads a failed test.
    fn last_lines(&self) -> Vec<String> {
        let of = |name: &FunctionName| {
            let lines =
                self.running.node().function_log(name).map(|log| log.last(LINES_SHOWN).lines).unwrap_or_default();
            let show = |line: LogLine| format!("{name}: {}: {}", line.level.as_str().to_lowercase(), line.text);
            lines.into_iter().map(show).collect::<Vec<_>>()
        };
        self.functions().flat_map(of).collect()
    }
}

fn unknown(kind: &str, name: &str, known: &[&str]) -> TestError {
    let known = known.iter().map(|known| (*known).to_owned()).collect();
    TestError::Unknown { what: format!("{kind} '{name}'"), known }
}

fn check(kind: &str, name: &str, known: &[&str]) -> Result<(), TestError> {
    if known.contains(&name) {
        return Ok(());
    }
    Err(unknown(kind, name, known))
}
