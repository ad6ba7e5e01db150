//! The disk space that all logs of a node may take together.
//!
//! Promises that records never make the files grow beyond it: a file has its room before it has its blocks. Documents and
//! the notes of a log are never refused: what gives space back begins with one. Must not know files.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What may be taken, and what is.
#[derive(Debug)]
pub(super) struct Quota {
    bytes_max: u64,
    used: AtomicU64,
}

/// The room of one file; it is free again when nobody holds the file any more.
#[derive(Debug)]
pub(super) struct Room {
    quota: Arc<Quota>,
    bytes: AtomicU64,
}

/// The room that a file shall have, bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) wanted: u64,
    /// Less is of no use.
    pub(super) needed: u64,
    pub(super) claim: Claim,
}

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Records,
    Documents,
    /// What a log says of itself.
    Notes,
}

impl Quota {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, used: AtomicU64::new(0) }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The room of a file that is there.
    pub(super) fn room_of(self: &Arc<Self>, bytes: u64) -> Arc<Room> {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Arc::new(Room { quota: Arc::clone(self), bytes: AtomicU64::new(bytes) })
    }

    /// What a file that has so many bytes may have.
    fn grant(&self, has: u64, ask: Ask) -> io::Result<u64> {
        let (wanted, needed) = (ask.wanted.max(has), ask.needed.max(has));
        let mut granted = None;
        let granting = |used: u64| {
            let most = has.saturating_add(self.bytes_max.saturating_sub(used));
            granted = match ask.claim {
                _ if most >= needed => Some(wanted.min(most)),
                Claim::Notes => Some(needed),
                Claim::Documents => Some(wanted),
                Claim::Records => None,
            };
            granted.map(|bytes| used - has + bytes)
        };
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, granting);
        granted.ok_or_else(|| {
            let (used, most) = (self.used_bytes(), self.bytes_max);
            let message = format!(
                "the disk quota is used up: the streams have {used} of {most} bytes; delete some, let them keep records \
                 for less time, or raise the quota"
            );
            io::Error::new(io::ErrorKind::StorageFull, message)
        })
    }
}

impl Room {
    /// Grows to what is wanted, or to what there is if that is all that is needed. Returns the bytes it has now.
    pub(super) fn grow(&self, ask: Ask) -> io::Result<u64> {
        let granted = self.quota.grant(self.bytes(), ask)?;
        self.bytes.store(granted, Ordering::Relaxed);
        Ok(granted)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The file has so many bytes now.
    pub(super) fn set(&self, bytes: u64) {
        let had = self.bytes.swap(bytes, Ordering::Relaxed);
        self.quota.used.fetch_add(bytes.wrapping_sub(had), Ordering::Relaxed);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.quota.used.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(needed: u64, wanted: u64, claim: Claim) -> Ask {
        Ask { wanted, needed, claim }
    }

    #[test]
    fn a_room_grows_as_far_as_there_is_space() {
        let quota = Arc::new(Quota::new(100));
        let (first, second) = (quota.room_of(10), quota.room_of(0));
        assert_eq!(first.grow(ask(20, 80, Claim::Records)).unwrap(), 80);
        assert_eq!(second.grow(ask(5, 64, Claim::Records)).unwrap(), 20);
        assert_eq!(first.grow(ask(81, 200, Claim::Records)).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!((quota.used_bytes(), first.bytes()), (100, 80));
        assert_eq!(first.grow(ask(81, 200, Claim::Notes)).unwrap(), 81);
        drop(first);
        assert_eq!(quota.used_bytes(), 20);
        second.set(7);
        assert_eq!(quota.used_bytes(), 7);
    }

    #[test]
    fn what_was_there_before_is_counted_and_never_refused() {
        let quota = Arc::new(Quota::new(100));
        let old = quota.room_of(400);
        assert!(quota.room_of(0).grow(ask(1, 1, Claim::Records)).is_err());
        assert_eq!(old.grow(ask(50, 64, Claim::Records)).unwrap(), 400);
    }
}
