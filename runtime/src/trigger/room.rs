//! The memory that all lanes of a node share.
//!
//! Promises that what is held is counted until it is given back, however that comes about. Nobody waits for memory: while it
//! is short, every lane still has a small share of its own, so no trigger can stop another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::LANES_BYTES_MAX;

/// What there is of memory for lanes. Cheap to clone: all clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    held: Arc<AtomicUsize>,
}

impl Room {
    /// Whether lanes hold as much as they may, so that each of them takes in no more than its share.
    pub(super) fn is_short(&self) -> bool {
        self.held.load(Ordering::Relaxed) >= LANES_BYTES_MAX
    }

    /// Bytes of it.
    pub(super) fn hold(&self, bytes: usize) -> Held {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held { room: self.clone(), bytes }
    }
}

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    room: Room,
    bytes: usize,
}

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds more.
    pub(super) fn add(&mut self, bytes: usize) {
        self.room.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Hands some of it on.
    pub(super) fn part(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { room: self.room.clone(), bytes }
    }

    pub(super) fn is_short(&self) -> bool {
        self.room.is_short()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_given_back() {
        let room = Room::default();
        let mut held = room.hold(0);
        held.add(LANES_BYTES_MAX - 1);
        assert!(!room.is_short());
        held.add(1);
        let part = held.part(LANES_BYTES_MAX / 2);
        assert!(room.is_short() && part.bytes() == LANES_BYTES_MAX / 2);
        drop(part);
        assert!(!room.is_short());
        let (held, other) = (held.part(usize::MAX), room.hold(LANES_BYTES_MAX));
        drop(held);
        assert!(room.is_short());
        drop(other);
        assert_eq!(room.held.load(Ordering::Relaxed), 0);
    }
}
