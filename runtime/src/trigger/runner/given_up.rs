//! Records that are not delivered any more: who is told of them.
//!
//! Promises that the destination was told before the lane goes on, or that they are counted as dropped. Who stops or crashes
//! in between leaves them to be delivered, and told, again.

use std::sync::Arc;

use rand::RngExt as _;
use tracing::warn;

use super::tumbling::Open;
use super::{Part, Runner, Stopped, records_of};
use crate::deploy::Semantics;
use crate::limits::DESTINATION_ATTEMPTS_LAMBDA;
use crate::trigger::dead_letter::Letter;
use crate::trigger::lane::Batch;
use crate::trigger::policy::{Condition, backoff};

impl Runner {
    /// Gives records up: tells the destination of them, if there is one, and lets the lane go on.
    pub(super) async fn set_aside(&mut self, batch: &Batch, part: &Part, condition: Condition) -> Result<(), Stopped> {
        let records = records_of(batch, &part.range);
        let count = records.len() as u64;
        let mut invocation = self.invocation(records, part.calls.max(1), self.window.as_ref().map(Open::call));
        if let Some(last) = &part.last {
            invocation.request_id.clone_from(&last.request_id);
        }
        let letter = Letter {
            invocation: &invocation,
            condition,
            invoke_count: part.failures.max(1),
            has_failed: part.last.as_ref().is_some_and(|last| last.has_failed),
            at: self.place.store.clock().now(),
        };
        let is_told = self.tell(&letter, batch, part).await?;
        let (what, first) =
            (condition.as_str(), invocation.records.first().map(|first| self.place.number_of(first).to_string()));
        warn!(
            condition = what,
            records = count,
            first,
            is_told,
            "records are given up; the trigger goes on behind them"
        );
        self.place.row.update(|status| {
            let counted = if is_told { &mut status.counts.set_aside } else { &mut status.counts.dropped };
            *counted += count;
        });
        self.settle(batch, part.range.end);
        Ok(())
    }

    /// Whether the destination has the letter. With Lambda's semantics it is tried a few times; with ours until it has.
    async fn tell(&mut self, letter: &Letter<'_>, batch: &Batch, part: &Part) -> Result<bool, Stopped> {
        let place = Arc::clone(&self.place);
        let Some(destination) = &place.destination else { return Ok(false) };
        let attempts_max = match place.rules.semantics {
            Semantics::Lambda => DESTINATION_ATTEMPTS_LAMBDA,
            Semantics::Tidemill => u32::MAX,
        };
        for attempt in 1..=attempts_max {
            let delivered = tokio::select! {
                biased;
                () = place.stopping.cancelled() => return Err(Stopped),
                delivered = destination.deliver(letter) => delivered,
            };
            let Err(error) = delivered else { return Ok(true) };
            warn!(%error, attempt, "the destination was not told of records that are given up");
            place.row.failed(&format!("the destination of failures: {error}"), attempt, place.store.clock().now());
            place.row.update(|status| status.counts.destination_failures += 1);
            if attempt < attempts_max {
                let wait = backoff(attempt, self.random.random());
                self.show_blocked(batch, part, wait);
                self.sleep(wait).await?;
            }
        }
        Ok(false)
    }
}
