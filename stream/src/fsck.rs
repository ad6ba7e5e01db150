//! A check of a data folder that no node uses: what is wrong, and where. Nothing is changed.
//!
//! The engine checks its files below ([`crate::engine::embedded`]); here it is checked that streams, cursors and logs
//! agree, and findings get the names of their streams. Must not know of triggers but whose cursors are whose.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::attached::{self, Attached};
use crate::cursor::{self, TriggerId};
use crate::engine::embedded::fsck::{Check, DocumentsFound, LogEnd};
pub use crate::engine::embedded::fsck::{Counts, FsckError, Progress, Severity};
use crate::engine::{LogId, Revision, StreamId};
use crate::name::StreamName;
use crate::shard::ShardIndex;
use crate::stream::{self, Stream, StreamStatus};

/// Something that is not as it should be, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The stream whose log it is, where it is known.
    pub stream: Option<StreamName>,
    /// The log.
    pub log: Option<LogId>,
    /// The file or the folder.
    pub file: PathBuf,
    /// Where in the file, bytes.
    pub offset: Option<u64>,
    /// What is wrong there.
    pub what: String,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The findings, at most [`crate::limits::FSCK_FINDINGS_MAX`] of them.
    pub findings: Vec<Finding>,
    /// How many errors there are in all.
    pub errors: u64,
    /// How many notes there are in all.
    pub notes: u64,
    /// How much was looked at.
    pub counts: Counts,
}

/// What the rooms above the store know of a data folder.
#[derive(Clone, Copy)]
pub struct Above<'a> {
    /// The names in the folder that are theirs.
    pub names: &'a [&'a str],
    /// The trigger that a document (its name and its content) keeps, and the stream that it reads; an error says why such a
    /// document cannot be read.
    pub trigger: &'a TriggerOf,
}

/// Reads a document of a trigger.
pub type TriggerOf = dyn Fn(&str, &[u8]) -> Result<Option<(TriggerId, StreamId)>, String>;

/// Checks the data folder. `scratch` is an empty folder for a copy of sled; nothing else is written. Blocks.
pub fn check(
    folder: &Path,
    scratch: &Path,
    above: Above<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, FsckError> {
    let mut check = Check::begin(folder, above.names, progress)?;
    let found = check.documents(scratch)?;
    let mut known = Known::default();
    check.each_document(&found, &mut |findings, key, revision, value| {
        if let Err(reason) = known.take(above, key, revision, value) {
            findings.error(None, &folder.join("sled"), None, format!("the document '{key}' cannot be read: {reason}"));
        }
    });
    let mut ends = BTreeMap::new();
    check.logs(&found.newest, &mut |log, end| drop(ends.insert(log, end)));
    let mut agreement = Agreement { check: &mut check, folder, known: &known, ends: &ends };
    agreement.streams();
    if found.are_complete {
        agreement.unknown_logs(&found);
    }
    agreement.cursors();
    check.counts.streams = known.streams.len() as u64;
    Ok(report(&check, &known))
}

fn report(check: &Check<'_>, known: &Known) -> Report {
    let named = |log: LogId| known.streams.get(&log.stream).map(|stream| stream.name.clone());
    let finding = |found: &crate::engine::embedded::fsck::Finding| Finding {
        severity: found.severity,
        stream: found.log.and_then(named),
        log: found.log,
        file: found.file.clone(),
        offset: found.offset,
        what: found.what.clone(),
    };
    Report {
        findings: check.findings.kept.iter().map(finding).collect(),
        errors: check.findings.errors,
        notes: check.findings.notes,
        counts: check.counts,
    }
}

/// What the documents say.
#[derive(Debug, Default)]
struct Known {
    streams: BTreeMap<StreamId, Stream>,
    triggers: BTreeMap<TriggerId, StreamId>,
    cursors: Vec<(TriggerId, ShardIndex, cursor::Progress)>,
}

impl Known {
    fn take(&mut self, above: Above<'_>, key: &str, revision: Revision, value: &[u8]) -> Result<(), String> {
        if let Some(name) = key.strip_prefix(stream::PREFIX) {
            let name = StreamName::parse_qualified(name).map_err(|error| error.to_string())?;
            let stream = Stream::decode(name, revision, value).map_err(|error| error.to_string())?;
            self.streams.insert(stream.id, stream);
        } else if key.starts_with(cursor::PREFIX) {
            self.cursors.push(cursor::decode(key, value)?);
        } else if key.starts_with(attached::PREFIX) {
            Attached::decode(value).map_err(|error| error.to_string())?;
        } else if let Some((trigger, stream)) = (above.trigger)(key, value)? {
            self.triggers.insert(trigger, stream);
        }
        Ok(())
    }
}

/// Whether documents and logs say the same.
struct Agreement<'a, 'b> {
    check: &'a mut Check<'b>,
    folder: &'a Path,
    known: &'a Known,
    /// How the logs end that are there, where that can be told.
    ends: &'a BTreeMap<LogId, Option<LogEnd>>,
}

impl Agreement<'_, '_> {
    fn error(&mut self, log: LogId, what: &str) {
        let path = self.log_folder(log);
        self.check.findings.error(Some(log), &path, None, what);
    }

    fn note(&mut self, log: LogId, what: &str) {
        let path = self.log_folder(log);
        self.check.findings.note(Some(log), &path, None, what);
    }

    fn log_folder(&self, log: LogId) -> PathBuf {
        self.folder.join("logs").join(log.to_string())
    }

    fn streams(&mut self) {
        let known = self.known;
        for stream in known.streams.values() {
            match stream.status {
                StreamStatus::Active | StreamStatus::Updating => {
                    for log in stream.logs() {
                        self.stream_log(stream, log);
                    }
                }
                StreamStatus::Creating | StreamStatus::Deleting => {
                    let what =
                        format!("the stream is {:?}: the next start finishes that", stream.status).to_lowercase();
                    for log in stream.logs() {
                        self.note(log, &what);
                    }
                }
            }
        }
    }

    fn stream_log(&mut self, stream: &Stream, log: LogId) {
        let ends = self.ends;
        let is_planned = log.part as usize >= stream.generations.len();
        let Some(end) = ends.get(&log) else {
            if is_planned {
                return;
            }
            return self.error(log, "the log is missing: its folder holds no segment");
        };
        let Some(end) = end else { return };
        let generation = stream.generations.get(log.part as usize);
        if stream.status == StreamStatus::Active && generation != Some(&end.generation) {
            let said = generation.map_or(0, |generation| generation.0);
            let what = format!("the log has generation {}, and the stream's document says {said}", end.generation.0);
            self.error(log, &what);
        }
        for shard in &end.shards {
            let is_known = stream.shard(*shard).is_some() || stream.planned().any(|planned| planned == *shard);
            if !is_known || stream.log_of(*shard) != log {
                self.error(log, &format!("the log holds {shard}, which the stream does not have there"));
            }
        }
    }

    /// Logs that no stream has: a crash came while one was made or dropped.
    fn unknown_logs(&mut self, found: &DocumentsFound) {
        let (known, ends) = (self.known, self.ends);
        let is_unknown = |log: &LogId| {
            let stream = known.streams.get(&log.stream);
            stream.is_none_or(|stream| stream.logs().all(|known| known != *log)) && log.stream != StreamId(0)
        };
        for log in ends.keys().filter(|log| is_unknown(log)) {
            self.note(*log, "no stream has this log: a crash came while it was made or dropped");
        }
        let remembered = found.newest.iter().map(|(log, _)| log);
        for log in remembered.filter(|log| is_unknown(log) && !ends.contains_key(log)) {
            self.note(*log, "sled remembers this log, and neither its folder nor a stream that has it is there");
        }
    }

    fn cursors(&mut self) {
        let known = self.known;
        for (trigger, shard, progress) in &known.cursors {
            let stream = known.triggers.get(trigger).and_then(|stream| known.streams.get(stream));
            let Some(stream) = stream else { continue };
            let log = stream.log_of(*shard);
            let end = self.ends.get(&log).and_then(Option::as_ref).map(|end| end.next);
            if let Some(end) = end.filter(|end| progress.high().lowest() > *end) {
                let what = format!(
                    "the cursor of trigger {:016x} in {shard} stands at position {}, and the log ends at {}",
                    trigger.0,
                    progress.high().lowest().0,
                    end.0.saturating_sub(1)
                );
                self.error(log, &what);
            }
        }
    }
}
