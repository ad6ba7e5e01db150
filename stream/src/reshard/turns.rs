//! Turns: one at a time changes a stream's shard map, or deletes the stream.
//!
//! The document alone keeps rivals right. A turn spares them the work that is another's, and lets no log be made for a
//! stream whose logs are being dropped.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::StreamId;

/// The turns of all streams that ever needed one; a stream that is deleted takes its own with it.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<StreamId, Arc<Semaphore>>>);

impl Turns {
    /// Waits for the turn. It ends when it is dropped.
    pub(crate) async fn wait(&self, stream: StreamId) -> Option<OwnedSemaphorePermit> {
        self.of(stream).acquire_owned().await.ok()
    }

    /// The turn, unless somebody has it.
    pub(crate) fn try_now(&self, stream: StreamId) -> Option<OwnedSemaphorePermit> {
        self.of(stream).try_acquire_owned().ok()
    }

    pub(crate) fn forget(&self, stream: StreamId) {
        self.0.lock().remove(&stream);
    }

    fn of(&self, stream: StreamId) -> Arc<Semaphore> {
        Arc::clone(self.0.lock().entry(stream).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}
