//! How the bytes of a segment come to its file.

use std::io;

use super::file::File;
use super::frame::Body;
use super::quota::{Ask, Room};
use crate::engine::LogError;

/// Up to this size a body is copied behind its head, to be written at once.
const SMALL_BODY_BYTES: usize = 16 << 10;

/// So many bytes are worth to begin a sync with.
const EARLY_SYNC_BYTES: u64 = 256 << 10;

/// Writes a frame: its head, and the bodies behind it.
pub(super) fn write_frame(file: &File, offset: u64, head: &[u8], bodies: &[Body]) -> Result<(), LogError> {
    if let [body] = bodies
        && body.bytes.len() < SMALL_BODY_BYTES
    {
        return file.write_at(&[head, &body.bytes].concat(), offset);
    }
    file.write_at(head, offset)?;
    let (mut from, mut at) = (offset, offset + head.len() as u64);
    for body in bodies {
        if at - from >= EARLY_SYNC_BYTES {
            // The disk has these while the next are written.
            file.begin_sync(from, at - from);
            from = at;
        }
        file.write_at(&body.bytes, at)?;
        at += body.bytes.len() as u64;
    }
    Ok(())
}

/// Gives a file its room and its blocks: as many as it should have, or where there is not so much as many as it must.
pub(super) fn allocate(file: &File, room: &Room, ask: Ask) -> Result<u64, LogError> {
    let had = room.bytes();
    let failed = |cause| LogError::Io { action: "allocate", path: file.path().display().to_string(), cause };
    let granted = room.grow(ask).map_err(failed)?;
    let allocated = allocate_what_there_is(file, granted, ask.needed);
    room.set(*allocated.as_ref().unwrap_or(&had));
    allocated
}

fn allocate_what_there_is(file: &File, wanted: u64, needed: u64) -> Result<u64, LogError> {
    match file.allocate(wanted) {
        Err(LogError::Io { cause, .. }) if cause.kind() == io::ErrorKind::StorageFull && needed < wanted => {
            // Some file systems keep what they had found of the space that was wanted.
            file.allocate(needed).and_then(|()| file.truncate(needed)).map(|()| needed)
        }
        allocated => allocated.map(|()| wanted),
    }
}
