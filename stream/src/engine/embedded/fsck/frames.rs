//! The frames of one segment, each in full: checksums, chain, positions and records.
//!
//! Behind damage the walk goes on at the next whole frame. From then on state and index are not those of all frames any
//! more, and nothing is compared with them.

use std::path::Path;

use bytes::Bytes;

use super::report::{Counts, Findings};
use crate::engine::Position;
use crate::engine::embedded::META;
use crate::engine::embedded::frame::{self, Block, Found, Head};
use crate::engine::embedded::index::SegmentIndex;
use crate::engine::embedded::records::Records;
use crate::engine::embedded::segment::{Header, fits};
use crate::engine::embedded::state::LogState;
use crate::record::StoredRecord;

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With a footer: the frames go up to it.
    Closed,
    /// Without one, in the log's last segment: a crash may have torn the last frame.
    Open,
    /// Without one, and another segment follows: all frames in it were whole when that one was begun.
    Followed,
}

pub(super) struct Walk<'a> {
    pub(super) findings: &'a mut Findings,
    pub(super) counts: &'a mut Counts,
    pub(super) header: &'a Header,
    pub(super) path: &'a Path,
    /// The file up to the end of its frames, as far as that is known.
    pub(super) bytes: Bytes,
    pub(super) end: End,
    pub(super) state: LogState,
    pub(super) index: SegmentIndex,
    /// Whether state and index are those of all frames.
    pub(super) exact: bool,
    /// Where the next frame begins.
    pub(super) offset: usize,
}

impl Walk<'_> {
    /// Looks at all frames, and shows their records to `visit`.
    pub(super) fn run(&mut self, visit: &mut dyn FnMut(StoredRecord)) {
        while self.offset < self.bytes.len() {
            match frame::decode(self.here(), self.header.salt) {
                Found::Frame(head) => self.frame(&head, visit),
                Found::Unreadable { flags } => {
                    let what = format!("the frame has flags {flags:#06x}, which this version cannot read");
                    self.error(self.offset, &what);
                    self.go_on_at(self.later());
                }
                Found::Nothing => self.nothing(visit),
            }
        }
    }

    fn here(&self) -> &[u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    fn error(&mut self, offset: usize, what: &str) {
        self.findings.error(Some(self.header.log), self.path, Some(offset as u64), what);
    }

    /// A whole frame, or one of which some blocks are damaged.
    fn frame(&mut self, head: &Head, visit: &mut dyn FnMut(StoredRecord)) {
        if !fits(head, self.header, &self.state) {
            self.error(self.offset, "a frame that does not follow the one before it");
            self.resume(head);
        }
        self.check_blocks(head);
        for block in &head.blocks {
            self.check_records(block, visit);
        }
        self.state.apply(head);
        self.index.add(self.offset as u32, head);
        self.counts.frames += 1;
        self.offset += head.frame_bytes as usize;
    }

    /// What a frame's head says of its blocks: positions inside the frame and in order, times that do not step back. A
    /// frame that joins large appends has blocks of each, so a shard may have several.
    fn check_blocks(&mut self, head: &Head) {
        let mut next = head.place.first;
        for block in &head.blocks {
            let end = Position(block.first.0.saturating_add(u64::from(block.count)));
            if block.first < next || end > head.next() || block.count == 0 {
                let what = format!("the positions of {} do not fit into the frame", said(block));
                self.error(self.offset, &what);
            }
            if block.arrival < self.state.last_arrival {
                self.error(self.offset, &format!("{} arrived before those of the frame before", said(block)));
            }
            next = end;
        }
    }

    fn check_records(&mut self, block: &Block, visit: &mut dyn FnMut(StoredRecord)) {
        let offset = self.offset + block.offset as usize;
        let body = self.bytes.slice(offset..offset + block.len as usize);
        if crc32c::crc32c(&body) != block.crc {
            self.error(
                offset,
                &format!("{} are damaged: their checksum is not the one in the frame's head", said(block)),
            );
            return;
        }
        if self.header.is_sealed() {
            // Only a node with the key can read them; the checksum is over what is here.
            self.counts.records += u64::from(block.count);
            return;
        }
        let mut records = Records::new(body, block.first, block.arrival);
        let mut count = 0;
        for record in records.by_ref() {
            count += 1;
            visit(record);
        }
        if self.header.log != META {
            self.counts.records += count;
        }
        if count != u64::from(block.count) || records.left_bytes() != 0 {
            let what =
                format!("{} cannot be read: {count} were found, {} bytes are left", said(block), records.left_bytes());
            self.error(offset, &what);
        }
    }

    /// No whole frame begins here: the end, a torn frame, or a damaged one.
    fn nothing(&mut self, visit: &mut dyn FnMut(StoredRecord)) {
        let later = self.later();
        let head = frame::decode_head_alone(self.here(), self.header.salt);
        let head = head.filter(|head| fits(head, self.header, &self.state));
        let is_torn = frame::is_torn(self.here(), self.header.number, self.state.next);
        match (later, self.end) {
            (None, End::Open) => {
                if is_torn {
                    let what = "the last frame is torn: the next start cuts it off";
                    self.findings.note(Some(self.header.log), self.path, Some(self.offset as u64), what);
                }
                self.go_on_at(None);
            }
            (None, End::Followed) if !is_torn => self.go_on_at(None),
            (Some(_), _) | (None, End::Closed | End::Followed) => match head {
                Some(head) => self.frame(&head, visit),
                None => self.damaged_head(later),
            },
        }
    }

    fn damaged_head(&mut self, later: Option<usize>) {
        let what = match later {
            Some(later) => format!(
                "a damaged frame: the records from position {} on are lost, up to the whole frame at byte {later}",
                self.state.next.0
            ),
            None => format!("a damaged frame: the records from position {} on are lost", self.state.next.0),
        };
        self.error(self.offset, &what);
        self.exact = false;
        self.go_on_at(later);
    }

    /// Where the next whole frame begins.
    fn later(&self) -> Option<usize> {
        let offsets = (self.offset + frame::ALIGN..self.bytes.len()).step_by(frame::ALIGN);
        offsets.into_iter().find(|offset| self.follows(*offset))
    }

    fn follows(&self, offset: usize) -> bool {
        match frame::decode(self.bytes.get(offset..).unwrap_or_default(), self.header.salt) {
            Found::Frame(head) => head.place.segment == self.header.number && head.place.first >= self.state.next,
            Found::Nothing | Found::Unreadable { .. } => false,
        }
    }

    /// Goes on at a frame, or ends. Frames that were passed over are missing from state and index.
    fn go_on_at(&mut self, offset: Option<usize>) {
        let Some(offset) = offset else {
            self.offset = self.bytes.len();
            return;
        };
        self.offset = offset;
        if let Found::Frame(head) = frame::decode(self.here(), self.header.salt) {
            self.resume(&head);
        }
    }

    /// Takes this frame for the one that follows.
    fn resume(&mut self, head: &Head) {
        self.exact = false;
        self.state.next = head.place.first;
        self.state.previous = head.place.previous;
        self.state.generation = head.place.generation;
    }
}

fn said(block: &Block) -> String {
    let last = block.first.0.saturating_add(u64::from(block.count.saturating_sub(1)));
    format!("the {} records of {} at positions {} to {last}", block.count, block.shard, block.first.0)
}
