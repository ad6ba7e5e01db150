//! The keys of puts: a ring of marks for each log, and the same in memory.
//!
//! The marks are the truth; what is in memory is read from them and may be forgotten, but for a slot that is claimed. This
//! module must not know records.

use std::collections::{HashMap, VecDeque};

use bytes::{BufMut as _, Bytes, BytesMut};
use parking_lot::Mutex;

use super::{Mark, OnceKey, PutOnceError};
use crate::clock::Timestamp;
use crate::engine::{LogId, Position};
use crate::limits::{ONCE_LIFETIME, ONCE_LOGS_MAX};

/// The first byte of a mark. Another number means another layout.
const FORMAT: u8 = 1;
const KEPT_BYTES: usize = 1 + 32 + 32 + 8;

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) key: [u8; 32],
    pub(super) content: [u8; 32],
    /// A time before its records arrived.
    pub(super) at: Timestamp,
    /// The lowest position of its records; not known after a restart.
    pub(super) first: Option<Position>,
}

/// A slot that a put may fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) slot: u32,
    /// The revision of its mark.
    pub(super) expect: Option<Position>,
    key: [u8; 32],
}

/// What a claim has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The key is new: put, then settle.
    Taken(Claimed),
    /// The records are there.
    Repeat(Kept),
}

/// The keys of all logs.
#[derive(Debug, Default)]
pub(crate) struct Rings(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rings: HashMap<LogId, Ring>,
    /// Counts those that were forgotten: what was read before may be older than what they knew.
    evictions: u64,
}

#[derive(Debug)]
struct Ring {
    slots: Vec<Slot>,
    by_key: HashMap<[u8; 32], u32>,
    /// Slots that nobody has claimed: free ones first, then the oldest.
    queue: VecDeque<u32>,
}

#[derive(Debug)]
struct Slot {
    kept: Option<Kept>,
    revision: Option<Position>,
    is_claimed: bool,
}

/// The mark of a slot.
pub(super) fn mark_of(slot: u32) -> Bytes {
    Bytes::from(format!("once/{slot}"))
}

pub(super) fn encode(kept: &Kept) -> Bytes {
    let mut value = BytesMut::with_capacity(KEPT_BYTES);
    value.put_u8(FORMAT);
    value.put_slice(&kept.key);
    value.put_slice(&kept.content);
    value.put_u64(kept.at.as_millis());
    value.freeze()
}

fn decode(value: &[u8]) -> Option<Kept> {
    let (format, rest) = value.split_first()?;
    let (key, rest) = rest.split_first_chunk::<32>()?;
    let (content, rest) = rest.split_first_chunk::<32>()?;
    let at = u64::from_be_bytes(rest.try_into().ok()?);
    (*format == FORMAT).then_some(Kept { key: *key, content: *content, at: Timestamp::from_millis(at), first: None })
}

impl Rings {
    /// Claims a key; `None` when the log's marks must be read first.
    pub(super) fn claim(&self, log: LogId, once: &OnceKey, now: Timestamp) -> Result<Option<Claim>, PutOnceError> {
        let mut inner = self.0.lock();
        inner.rings.get_mut(&log).map(|ring| ring.claim(once, now)).transpose()
    }

    pub(super) fn evictions(&self) -> u64 {
        self.0.lock().evictions
    }

    /// Takes what was read, unless a log has been forgotten meanwhile.
    pub(super) fn load(&self, log: LogId, marks: &[Option<Mark>], evictions: u64) {
        let mut inner = self.0.lock();
        if inner.evictions != evictions || inner.rings.contains_key(&log) {
            return;
        }
        if inner.rings.len() >= ONCE_LOGS_MAX {
            let idle = inner.rings.iter().find(|(_, ring)| ring.is_idle()).map(|(log, _)| *log);
            if let Some(idle) = idle {
                inner.rings.remove(&idle);
                inner.evictions += 1;
            }
        }
        inner.rings.insert(log, Ring::load(marks));
    }

    /// Ends a claim with what its mark says now.
    pub(super) fn settle(&self, log: LogId, claimed: &Claimed, mark: Option<&Mark>, first: Option<Position>) {
        if let Some(ring) = self.0.lock().rings.get_mut(&log) {
            ring.settle(claimed, mark, first);
        }
    }

    pub(super) fn forget(&self, log: LogId) {
        let mut inner = self.0.lock();
        inner.rings.remove(&log);
        inner.evictions += 1;
    }
}

impl Ring {
    fn load(marks: &[Option<Mark>]) -> Self {
        let slot = |mark: &Option<Mark>| Slot {
            kept: mark.as_ref().and_then(|mark| decode(&mark.value)),
            revision: mark.as_ref().map(|mark| mark.revision),
            is_claimed: false,
        };
        let slots: Vec<Slot> = marks.iter().map(slot).collect();
        let mut by_age: Vec<(Option<Timestamp>, u32)> =
            (0..).zip(&slots).map(|(index, slot)| (slot.kept.as_ref().map(|kept| kept.at), index)).collect();
        by_age.sort_unstable();
        let mut by_key = HashMap::new();
        for (_, index) in &by_age {
            let kept = slots.get(*index as usize).and_then(|slot| slot.kept.as_ref());
            by_key.extend(kept.map(|kept| (kept.key, *index)));
        }
        Self { slots, by_key, queue: by_age.into_iter().map(|(_, index)| index).collect() }
    }

    fn is_idle(&self) -> bool {
        self.queue.len() == self.slots.len()
    }

    fn claim(&mut self, once: &OnceKey, now: Timestamp) -> Result<Claim, PutOnceError> {
        let known = self.by_key.get(&once.key).and_then(|index| self.slots.get(*index as usize));
        if let Some(known) = known {
            if known.is_claimed {
                return Err(PutOnceError::InWork);
            }
            if let Some(kept) = known.kept.as_ref().filter(|kept| kept.at.plus(ONCE_LIFETIME) > now) {
                let is_same = kept.content == once.content;
                return if is_same { Ok(Claim::Repeat(kept.clone())) } else { Err(PutOnceError::OtherContent) };
            }
        }
        self.take(once, now).map(Claim::Taken)
    }

    /// The slot that is free or oldest, if it may be forgotten.
    fn take(&mut self, once: &OnceKey, now: Timestamp) -> Result<Claimed, PutOnceError> {
        let none = PutOnceError::TooManyKeys { free_in: ONCE_LIFETIME };
        let Some((index, slot)) =
            self.queue.front().and_then(|index| Some((*index, self.slots.get_mut(*index as usize)?)))
        else {
            return Err(none);
        };
        let free_at = slot.kept.as_ref().map(|kept| kept.at.plus(ONCE_LIFETIME)).filter(|free_at| *free_at > now);
        if let Some(free_at) = free_at {
            return Err(PutOnceError::TooManyKeys { free_in: free_at.since(now) });
        }
        slot.is_claimed = true;
        let (expect, old) = (slot.revision, slot.kept.take());
        self.queue.pop_front();
        if let Some(old) = old.filter(|old| self.by_key.get(&old.key) == Some(&index)) {
            self.by_key.remove(&old.key);
        }
        self.by_key.insert(once.key, index);
        Ok(Claimed { slot: index, expect, key: once.key })
    }

    fn settle(&mut self, claimed: &Claimed, mark: Option<&Mark>, first: Option<Position>) {
        let Some(slot) = self.slots.get_mut(claimed.slot as usize).filter(|slot| slot.is_claimed) else { return };
        self.by_key.remove(&claimed.key);
        let kept = mark.filter(|mark| Some(mark.revision) != claimed.expect).and_then(|mark| decode(&mark.value));
        *slot = Slot {
            kept: kept.map(|kept| Kept { first, ..kept }),
            revision: mark.map(|mark| mark.revision),
            is_claimed: false,
        };
        match &slot.kept {
            Some(kept) => {
                self.by_key.insert(kept.key, claimed.slot);
                self.queue.push_back(claimed.slot);
            }
            None => self.queue.push_front(claimed.slot),
        }
    }
}
