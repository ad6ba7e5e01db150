//! The newest frames of all logs, in memory, so that readers at the tip touch no file.
//!
//! Bounded by the buffers that are alive, not by those that are listed here: a reader that keeps a slice keeps the whole
//! buffer alive, and counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::engine::LogId;
use crate::limits::{SPARE_BUFFER_BYTES_MIN, SPARE_BYTES_MAX};

#[derive(Debug)]
pub(super) struct Tail {
    bytes_max: usize,
    alive_bytes: Arc<AtomicUsize>,
    spare: Arc<Spare>,
    frames: Mutex<Frames>,
}

/// Buffers that nobody holds any more, for frames to come: a large buffer that is allocated anew costs a page fault for
/// each of its pages, together more than filling it.
#[derive(Debug, Default)]
struct Spare(Mutex<VecDeque<Vec<u8>>>);

#[derive(Debug, Default)]
struct Frames {
    /// By log, segment and the frame's offset in it.
    by_place: BTreeMap<(LogId, u32, u32), Bytes>,
    by_age: VecDeque<(LogId, u32, u32)>,
}

/// A buffer that is counted as long as anyone holds a part of it.
struct Counted {
    bytes: Vec<u8>,
    alive_bytes: Arc<AtomicUsize>,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive_bytes.fetch_sub(self.bytes.capacity(), Ordering::Relaxed);
        self.spare.keep(std::mem::take(&mut self.bytes));
    }
}

impl Spare {
    fn keep(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() < SPARE_BUFFER_BYTES_MIN {
            return;
        }
        buffer.clear();
        let mut buffers = self.0.lock();
        buffers.push_back(buffer);
        // Sizes that are not asked for any more go first.
        let mut bytes: usize = buffers.iter().map(Vec::capacity).sum();
        while bytes > SPARE_BYTES_MAX {
            bytes -= buffers.pop_front().map_or(bytes, |oldest| oldest.capacity());
        }
    }

    /// One that is large enough, and not so large that the tail would be full of air.
    fn take(&self, bytes: usize) -> Option<Vec<u8>> {
        let mut buffers = self.0.lock();
        let fits = |buffer: &Vec<u8>| (bytes..=bytes.saturating_mul(2)).contains(&buffer.capacity());
        let index = buffers.iter().position(fits)?;
        buffers.remove(index)
    }
}

impl Tail {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, alive_bytes: Arc::default(), spare: Arc::default(), frames: Mutex::default() }
    }

    /// An empty buffer for a frame of so many bytes.
    pub(super) fn buffer(&self, bytes: usize) -> Vec<u8> {
        self.spare.take(bytes).unwrap_or_else(|| Vec::with_capacity(bytes))
    }

    /// Keeps a frame, at the cost of the oldest ones.
    pub(super) fn keep(&self, log: LogId, segment: u32, offset: u32, frame: Vec<u8>) {
        self.alive_bytes.fetch_add(frame.capacity(), Ordering::Relaxed);
        let (alive_bytes, spare) = (Arc::clone(&self.alive_bytes), Arc::clone(&self.spare));
        let frame = Bytes::from_owner(Counted { bytes: frame, alive_bytes, spare });
        let place = (log, segment, offset);
        let mut frames = self.frames.lock();
        frames.by_place.insert(place, frame);
        frames.by_age.push_back(place);
        while self.alive_bytes.load(Ordering::Relaxed) > self.bytes_max {
            let Some(oldest) = frames.by_age.pop_front() else { break };
            frames.by_place.remove(&oldest);
        }
    }

    /// Forgets the frames of a log that is gone.
    pub(super) fn forget(&self, log: LogId) {
        let mut frames = self.frames.lock();
        frames.by_place.retain(|(of, _, _), _| *of != log);
        frames.by_age.retain(|(of, _, _)| *of != log);
    }

    /// The bytes at an offset of a segment, if their frame is here.
    pub(super) fn get(&self, log: LogId, segment: u32, offset: u32, len: u32) -> Option<Bytes> {
        let frames = self.frames.lock();
        let (place, frame) = frames.by_place.range(..=(log, segment, offset)).next_back()?;
        let start = (place.0 == log && place.1 == segment).then(|| (offset - place.2) as usize)?;
        let end = start.checked_add(len as usize)?;
        (end <= frame.len()).then(|| frame.slice(start..end))
    }

    /// Bytes of all buffers that are alive.
    pub(super) fn alive_bytes(&self) -> usize {
        self.alive_bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StreamId;

    const LOG: LogId = LogId { stream: StreamId(1), part: 0 };

    #[test]
    fn the_oldest_frames_go_and_held_buffers_count() {
        let tail = Tail::new(250);
        tail.keep(LOG, 1, 0, vec![1; 100]);
        tail.keep(LOG, 1, 100, vec![2; 100]);
        let held = tail.get(LOG, 1, 110, 5).unwrap();
        assert_eq!(&held[..], &[2; 5]);
        tail.keep(LOG, 1, 200, vec![3; 100]);
        assert!(tail.get(LOG, 1, 0, 10).is_none());
        tail.keep(LOG, 1, 300, vec![4; 100]);
        tail.keep(LOG, 1, 400, vec![5; 100]);
        assert!(tail.get(LOG, 1, 110, 5).is_none());
        assert!(tail.get(LOG, 1, 400, 100).is_some());
        assert_eq!(tail.alive_bytes(), 200);
        drop(held);
        assert_eq!(tail.alive_bytes(), 100);
    }

    #[test]
    fn spare_buffers_are_used_again_and_bounded() {
        let spare = Spare::default();
        spare.keep(vec![0; SPARE_BUFFER_BYTES_MIN - 1]);
        assert_eq!(spare.take(10), None, "a small buffer is not worth keeping");
        for _ in 0..3 {
            spare.keep(vec![1; SPARE_BYTES_MAX / 2]);
        }
        assert_eq!(spare.take(SPARE_BYTES_MAX), None, "too small");
        assert_eq!(spare.take(SPARE_BYTES_MAX / 8), None, "too large");
        assert!(spare.take(SPARE_BYTES_MAX / 3).unwrap().is_empty());
        assert!(spare.take(SPARE_BYTES_MAX / 2).is_some());
        assert_eq!(spare.take(SPARE_BYTES_MAX / 2), None, "the third was over the limit");
    }

    #[test]
    fn only_what_lies_inside_a_frame_of_the_segment_is_found() {
        let tail = Tail::new(1000);
        tail.keep(LOG, 2, 50, vec![1; 100]);
        for (segment, offset, len) in [(2, 40, 5), (2, 140, 20), (1, 60, 5), (3, 60, 5)] {
            assert!(tail.get(LOG, segment, offset, len).is_none(), "{segment} {offset} {len}");
        }
        let other = LogId { part: 1, ..LOG };
        assert!(tail.get(other, 2, 60, 5).is_none());
    }
}
