//! What can go wrong in a test with a node. Tests unwrap: so an error looks the same however it is shown.

use std::fmt;
use std::time::Duration;

use tidemill::deploy::{InvalidManifest, LoadError};
use tidemill::status::{Counts, TriggerReport};
use tidemill_client::{ClientError, PutRecordsError};

/// Why a node did not start, or a test did not find what it waited for.
#[derive(thiserror::Error)]
pub enum TestError {
    /// The manifest's file cannot be read, or is wrong.
    #[error(transparent)]
    Manifest(#[from] LoadError),
    /// The manifest's text is wrong.
    #[error(transparent)]
    ManifestText(#[from] InvalidManifest),
    /// A function does not build, or the node does not start with it.
    #[error("the node does not start: {0:#}")]
    Start(anyhow::Error),
    /// The node refused a request.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node did not take the records.
    #[error(transparent)]
    Put(#[from] PutRecordsError),
    /// The manifest does not have what a wait names.
    #[error("the manifest has no {what}; it has {}", listed(.known))]
    Unknown {
        /// What is not there, such as `trigger 'score'`.
        what: String,
        /// What there is of that kind.
        known: Vec<String>,
    },
    /// The store failed while it was asked how far a trigger has come.
    #[error("how far the triggers have come cannot be read: {0:#}")]
    Progress(anyhow::Error),
    /// A fact did not come.
    #[error("waited {} s in vain until {fact}\n{situation}", .patience.as_secs_f64())]
    InVain {
        /// What was waited for.
        fact: String,
        /// For how long.
        patience: Duration,
        /// What there was instead.
        situation: Situation,
    },
}

impl fmt::Debug for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "none at all".to_owned() } else { known.join(", ") }
}

/// What a node was doing when a wait ended: for the one who reads the failed test.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Each trigger in each shard.
    pub triggers: Vec<TriggerReport>,
    /// What each function logged last.
    pub lines: Vec<String>,
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "triggers:{}", if self.triggers.is_empty() { " none" } else { "" })?;
        for row in &self.triggers {
            let TriggerReport { trigger, state, counts, .. } = row;
            let Counts { invocations, records, failures, .. } = counts;
            let shard = row.shard.as_deref().unwrap_or("(no shard)");
            writeln!(
                f,
                "  {trigger} {shard}: {state}; {invocations} calls, {failures} failed; {records} records processed"
            )?;
            if let Some(error) = &row.last_error {
                writeln!(f, "    last error, at attempt {}: {}", error.attempt, error.message)?;
            }
        }
        write!(f, "the functions' last log lines:{}", if self.lines.is_empty() { " none" } else { "" })?;
        for line in &self.lines {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}
