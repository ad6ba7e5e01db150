//! One log: its segments follow each other without a gap, and the newest that sled remembers is there.

use std::path::Path;

use super::Check;
use super::segment::{Ends, Place};
use crate::engine::embedded::state::LogState;
use crate::engine::embedded::{META, parse_log_id, segment};
use crate::engine::{Generation, LogId, Position};
use crate::record::StoredRecord;
use crate::shard::ShardIndex;

/// How a log ends, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogEnd {
    pub(crate) generation: Generation,
    /// The next record's position.
    pub(crate) next: Position,
    pub(crate) shards: Vec<ShardIndex>,
}

/// What was found of a log.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The first position that its oldest segment can hold.
    pub(super) first: Option<Position>,
    /// The number of its newest segment.
    pub(super) newest: Option<u32>,
    pub(super) end: Option<LogState>,
    /// Whether nothing in it is wrong.
    pub(super) is_sound: bool,
}

/// Files that wait for their use as a segment, and go at the next start.
const WAITING: [&str; 2] = ["spare.tmp", "new.tmp"];

impl Check<'_> {
    /// Checks all logs of streams. Each is given to `found`, with how it ends where that can be told, if it has a
    /// segment at all.
    pub(crate) fn logs(&mut self, newest: &[(LogId, u32)], found: &mut dyn FnMut(LogId, Option<LogEnd>)) {
        let folder = self.folder.join("logs");
        for name in self.names(&folder, None) {
            let path = folder.join(&name);
            let Some(id) = parse_log_id(&name).filter(|id| path.is_dir() && id.to_string() == name) else {
                self.findings.note(None, &path, None, "a strange name: no log's folder is called so");
                continue;
            };
            let log = self.log(id, &path, &mut |_| {});
            let remembered = newest.iter().find(|(log, _)| *log == id).map(|(_, number)| *number);
            self.check_newest(id, &path, log.newest, remembered);
            if log.newest.is_some() {
                found(id, log.end.as_ref().map(LogEnd::of));
            }
        }
    }

    /// Checks one log, and shows its records to `visit`.
    pub(super) fn log(&mut self, id: LogId, folder: &Path, visit: &mut dyn FnMut(StoredRecord)) -> Found {
        let errors = self.findings.errors;
        let numbers = self.segment_numbers(id, folder);
        let mut found = Found { newest: numbers.last().copied(), ..Found::default() };
        self.counts.logs += u64::from(!numbers.is_empty());
        let mut before: Option<(u32, Ends)> = None;
        for (at, number) in numbers.iter().enumerate() {
            let place = match numbers.len() - at {
                1 => Place::Last,
                2 => Place::BeforeLast,
                _ => Place::Older,
            };
            let ends = self.segment(id, &segment::path(folder, *number), place, visit);
            if found.first.is_none() && before.is_none() {
                found.first = ends.begin.as_ref().map(|state| state.next);
            }
            if let Some((number_before, ends_before)) = &before {
                self.check_follows(id, folder, (*number_before, ends_before), (*number, &ends));
            }
            before = Some((*number, ends));
        }
        found.end = before.and_then(|(_, ends)| ends.end);
        self.check_oldest(id, folder, numbers.first().copied(), found.end.as_ref());
        found.is_sound = self.findings.errors == errors;
        found
    }

    fn segment_numbers(&mut self, id: LogId, folder: &Path) -> Vec<u32> {
        let mut numbers = Vec::new();
        for name in self.names(folder, Some(id)) {
            match segment::number_of(&name) {
                Some(number) => numbers.push(number),
                None if WAITING.contains(&name.as_str()) => {}
                None => {
                    let what = "a strange name: this is no segment, and the next start removes it";
                    self.findings.note(Some(id), &folder.join(name), None, what);
                }
            }
        }
        numbers
    }

    fn check_follows(
        &mut self,
        id: LogId,
        folder: &Path,
        (number_before, before): (u32, &Ends),
        (number, ends): (u32, &Ends),
    ) {
        if number != number_before + 1 {
            let what = format!("the file is missing: the log has the segments {number_before} and {number}");
            self.findings.error(Some(id), &segment::path(folder, number_before + 1), None, what);
            return;
        }
        let (Some(end), Some(begin)) = (&before.end, &ends.begin) else { return };
        let path = segment::path(folder, number);
        if (end.next, end.previous) != (begin.next, begin.previous) {
            let what =
                format!("the segment begins at position {}, and the one before ends at {}", begin.next.0, end.next.0);
            self.findings.error(Some(id), &path, Some(0), what);
        } else if end != begin {
            let what = "the state in the header is not that at the end of the segment before";
            self.findings.error(Some(id), &path, Some(segment::HEADER_FIELDS_BYTES as u64), what);
        }
    }

    /// The oldest segment that the log says it is kept from. Those before it are what the next start removes.
    fn check_oldest(&mut self, id: LogId, folder: &Path, first: Option<u32>, end: Option<&LogState>) {
        let Some((first, end)) = first.zip(end).filter(|_| id != META) else { return };
        if first > end.kept_from {
            let what =
                format!("the file is missing, and its records are not old enough to go: the oldest has number {first}");
            self.findings.error(Some(id), &segment::path(folder, end.kept_from), None, what);
        }
    }

    /// What sled remembers of a log's newest segment.
    pub(super) fn check_newest(&mut self, id: LogId, folder: &Path, found: Option<u32>, remembered: Option<u32>) {
        if let Some(remembered) = remembered
            && found.is_some_and(|found| found < remembered)
        {
            let found = found.unwrap_or(0);
            let what =
                format!("the file is missing, and it was the log's newest: the last one there has number {found}");
            self.findings.error(Some(id), &segment::path(folder, remembered), None, what);
        }
    }

    /// The names in a folder; one that cannot be read is a finding, one that is not there is empty.
    pub(super) fn names(&mut self, folder: &Path, log: Option<LogId>) -> Vec<String> {
        if !folder.exists() {
            return Vec::new();
        }
        self.files.names(folder).unwrap_or_else(|error| {
            self.findings.failed(log, folder, error);
            Vec::new()
        })
    }
}

impl LogEnd {
    fn of(state: &LogState) -> Self {
        Self { generation: state.generation, next: state.next, shards: state.shards.keys().copied().collect() }
    }
}
