//! How a log comes to its next segment: when it begins one, of which size, and in which file.

use std::path::Path;
use std::sync::Arc;

use super::{Active, Log, Target, Writer};
use crate::engine::LogError;
use crate::engine::embedded::disk::Access;
use crate::engine::embedded::file::File;
use crate::engine::embedded::index::SegmentIndex;
use crate::engine::embedded::quota::{Ask, Claim, Room};
use crate::engine::embedded::sealing::DataKey;
use crate::engine::embedded::segment::{self, Header};
use crate::engine::embedded::writing::allocate;
use crate::keys::KeyPrint;

const PAGE_BYTES: u64 = 4096;

/// The beginning of a segment.
struct Begun {
    header: Header,
    encoded: Vec<u8>,
    key: Option<Arc<DataKey>>,
}

impl Target {
    fn print(&self) -> Option<KeyPrint> {
        self.key.as_ref().map(|key| key.print)
    }
}

impl Log {
    /// Sees to it that the active segment has prepared room for a frame, and is not too old for it.
    pub(super) fn make_room(&self, writer: &mut Writer, frame_bytes: u64, claim: Claim) -> Result<(), LogError> {
        let key = self.wanted_key(claim)?;
        let target = writer.target.as_ref();
        let full = target.is_none_or(|target| target.frames_end + frame_bytes > target.capacity);
        let other_key = target.is_some_and(|target| target.print() != key);
        if full {
            let larger = (writer.step + 1).min(self.shared.segment_bytes.len() - 1);
            self.roll(writer, frame_bytes, larger, claim)?;
        } else if self.is_aged() {
            // It was not filled in its time.
            let smaller = writer.step.saturating_sub(1);
            self.roll(writer, frame_bytes, smaller, claim)?;
        } else if claim == Claim::Records && other_key {
            let same = writer.step;
            self.roll(writer, frame_bytes, same, claim)?;
        }
        let Some(target) = writer.target.as_mut() else { return Ok(()) };
        if target.frames_end + frame_bytes > target.prepared {
            // The first frame of a small segment: until now its file was its header alone, and without records it
            // stays small.
            let needed = target.frames_end + frame_bytes;
            let file = self.shared.files.shared(&target.path, Access::ReadWrite)?;
            let is_note = claim == Claim::Notes;
            let wanted = if is_note { needed.next_multiple_of(PAGE_BYTES) } else { target.capacity };
            target.prepared = allocate(&file, &target.room, Ask { wanted, needed, claim })?;
            if !is_note {
                target.capacity = target.prepared;
            }
        }
        Ok(())
    }

    /// The next segment, of the size of this step if it is not the first since the log was opened.
    pub(in crate::engine::embedded) fn roll(
        &self,
        writer: &mut Writer,
        frame_bytes: u64,
        step: usize,
        claim: Claim,
    ) -> Result<(), LogError> {
        if let Some(target) = writer.target.take() {
            self.retire(&target);
            writer.step = step;
        }
        self.begin(writer, frame_bytes, claim)
    }

    /// Begins a segment: its header is synced under its final name when this returns.
    pub(super) fn begin(&self, writer: &mut Writer, frame_bytes: u64, claim: Claim) -> Result<(), LogError> {
        let state = self.view.read().state.clone();
        let salt = getrandom::u64().map_err(|error| self.unavailable(&format!("no random numbers: {error}")))?;
        let print = self.wanted_key(claim)?;
        let (header, mut encoded) = Header::encode(self.id, writer.next_number, salt, &state, print.is_some());
        let random = |print| DataKey::random(self.id, print, &self.shared.keys, header.encode_fields());
        let key = print.map(random).transpose()?;
        if let Some(key) = &key {
            Header::put_key(&mut encoded, key);
        }
        let needed = encoded.len() as u64 + frame_bytes;
        let capacity = self.segment_bytes(writer.step, &state.settings).max(needed);
        let (file, room) = self.fresh_file(capacity)?;
        let unfinished = Arc::clone(file.path());
        // On a full disk what it has got already is better given back.
        let begun = Begun { header, encoded, key };
        self.begin_in(file, room, writer, begun, Ask { wanted: capacity, needed, claim })
            .inspect_err(|_| drop(self.shared.files.remove(&unfinished)))
    }

    fn begin_in(
        &self,
        file: File,
        room: Arc<Room>,
        writer: &mut Writer,
        Begun { header, encoded, key }: Begun,
        ask: Ask,
    ) -> Result<(), LogError> {
        file.write_at(&encoded, 0)?;
        // The first segment of a log gets its blocks with its first frame: an idle log costs a header.
        let (mut prepared, mut capacity) = (encoded.len() as u64, ask.wanted);
        if writer.step > 0 {
            capacity = allocate(&file, &room, ask)?;
            prepared = capacity;
        } else {
            room.set(prepared);
        }
        file.sync_all()?;
        let number = header.number;
        let path: Arc<Path> = segment::path(&self.folder, number).into();
        self.shared.files.publish(file, &path)?;
        if !self.refuses_work() {
            self.shared.newest.begun(self.id, number);
        }
        writer.next_number += 1;
        self.view.write().active = Some(Active {
            number,
            path: Arc::clone(&path),
            key: key.clone(),
            index: SegmentIndex::default(),
            since: None,
            bytes: 0,
        });
        let frames_end = u64::from(header.bytes);
        writer.target = Some(Target { path, number, salt: header.salt, key, frames_end, prepared, capacity, room });
        Ok(())
    }

    /// The key of the next segment. Records are refused without it; what the log notes beside them is no secret, and
    /// waits for no key.
    fn wanted_key(&self, claim: Claim) -> Result<Option<KeyPrint>, LogError> {
        match self.view.read().state.settings.key {
            Some(key) if !self.shared.keys.holds(key) && claim == Claim::Records => {
                Err(LogError::NoKey { log: self.id, key })
            }
            key => Ok(key.filter(|key| self.shared.keys.holds(*key))),
        }
    }

    /// A file for a segment: that of a trimmed one if there is one of this size, whose blocks are written already, else
    /// a new one. What it held is told from new frames by the salt.
    fn fresh_file(&self, bytes: u64) -> Result<(File, Arc<Room>), LogError> {
        match self.spares.take(bytes) {
            Some(spare) => {
                self.shared.counters.segments_reused.inc();
                Ok((self.shared.files.open(&spare.path)?, spare.room))
            }
            None => Ok((self.shared.files.create(&self.folder.join("new.tmp"))?, self.shared.quota.room_of(0))),
        }
    }
}
