//! How many instances are alive on the node at once.
//!
//! An instance takes several memory maps and 4 GiB of addresses, warm or not, and a process that runs out of either ends.
//! This file promises that there are never more instances than places, that whoever waits for a place gets one once a
//! call ends, and that neither running calls nor kept instances keep a deployment from being tried. It must not know what
//! is done in a place.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The places of a node, of three kinds.
pub(super) struct Places {
    /// For instances that their lanes keep. They may stay taken for ever.
    warm: Arc<Semaphore>,
    /// For instances of one call. They come back when it ends, so that every lane makes progress.
    transient: Arc<Semaphore>,
    /// For the start with which a deployment is tried.
    trial: Arc<Semaphore>,
    count: Arc<Mutex<InstanceCount>>,
}

/// How many instances there are, and have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InstanceCount {
    /// Alive now, warm ones among them.
    pub alive: usize,
    /// The most that were alive at once.
    pub peak: usize,
}

/// Room for one instance, given back on drop.
pub(super) struct Place {
    stay: Stay,
    count: Arc<Mutex<InstanceCount>>,
    _permit: OwnedSemaphorePermit,
}

/// How long an instance may have its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// For as long as its lane likes.
    Kept,
    /// For one call.
    OneCall,
}

impl Places {
    pub(super) fn new(warm_max: usize, transient_max: usize) -> Self {
        let places = |max: usize| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        // Without a transient place a lane could wait for ever.
        Self {
            warm: places(warm_max),
            transient: places(transient_max.max(1)),
            trial: places(1),
            count: Arc::default(),
        }
    }

    /// A place for a lane: a warm one if there is one, else the one that is free first, of either kind. The wait ends
    /// with the running calls, each of which has its time limit; waiters are served in turn.
    pub(super) async fn take(&self) -> Result<Place, AcquireError> {
        let (warm, transient) = (Arc::clone(&self.warm), Arc::clone(&self.transient));
        tokio::select! {
            biased;
            permit = warm.acquire_owned() => Ok(self.place(Stay::Kept, permit?)),
            permit = transient.acquire_owned() => Ok(self.place(Stay::OneCall, permit?)),
        }
    }

    /// The place for trying a deployment.
    pub(super) async fn take_for_trial(&self) -> Result<Place, AcquireError> {
        Ok(self.place(Stay::OneCall, Arc::clone(&self.trial).acquire_owned().await?))
    }

    pub(super) fn count(&self) -> InstanceCount {
        *self.count.lock()
    }

    fn place(&self, stay: Stay, permit: OwnedSemaphorePermit) -> Place {
        let mut count = self.count.lock();
        count.alive += 1;
        count.peak = count.peak.max(count.alive);
        Place { stay, count: Arc::clone(&self.count), _permit: permit }
    }
}

impl Place {
    pub(super) fn stay(&self) -> Stay {
        self.stay
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The permit goes after this, so whoever gets it next is not counted beside this one.
        self.count.lock().alive -= 1;
    }
}
