//! What a node does on purpose that no user wants, for tests of clients.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidemill_stream::clock::ClockOffset;
use tracing::warn;

use crate::deploy::print_duration;
use crate::http::{DelayTimes, Delays, InjectedError, InjectedErrors};

/// What is wrong with a node on purpose; nothing by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TestingAids {
    /// How wrong its clock is.
    pub clock: ClockOffset,
    /// What shows late.
    pub delays: DelayTimes,
    /// What fails.
    pub errors: Vec<InjectedError>,
    /// What decides which calls fail.
    pub seed: u64,
}

impl TestingAids {
    /// Each as it is written on the command line.
    pub(crate) fn told(&self) -> Vec<String> {
        let option = |name: &str, value: &dyn fmt::Display| format!("--{name} {value}");
        let DelayTimes { creating, updating, deleting } = self.delays;
        let delays = [("delay-creating", creating), ("delay-updating", updating), ("delay-deleting", deleting)];
        let delays = delays.into_iter().filter(|(_, delay)| !delay.is_zero());
        let mut told: Vec<String> = delays.map(|(name, delay)| option(name, &print_duration(delay))).collect();
        told.extend(match self.clock {
            ClockOffset::Ahead(Duration::ZERO) | ClockOffset::Behind(Duration::ZERO) => None,
            ClockOffset::Ahead(offset) => Some(option("clock-offset", &print_duration(offset))),
            ClockOffset::Behind(offset) => Some(option("clock-offset", &format!("-{}", print_duration(offset)))),
        });
        told.extend(self.errors.iter().map(|error| option("inject-errors", error)));
        if !self.errors.is_empty() {
            told.push(option("inject-seed", &self.seed));
        }
        told
    }

    pub(super) fn delays(&self) -> Option<Arc<Delays>> {
        Delays::of(self.delays).map(Arc::new)
    }

    pub(super) fn injected(&self) -> Option<Arc<InjectedErrors>> {
        let errors = (!self.errors.is_empty()).then(|| self.errors.clone())?;
        Some(Arc::new(InjectedErrors::new(errors, self.seed)))
    }

    /// Nobody shall wonder why the node is as it is.
    pub(super) fn warn(told: &[String]) {
        if !told.is_empty() {
            warn!(
                aids = told.join(" "),
                "this node has testing aids: it does wrong on purpose, and is not for real data"
            );
        }
    }
}
