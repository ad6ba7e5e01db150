//! Group commit: one commit in flight a log; whoever comes meanwhile joins the next.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::frame::{MarkNote, Notes};
use super::log::Log;
use crate::engine::{Append, AppendError, Appended, Generation, LogError, MarkChange, Position, SealError, Sealed};
use crate::limits::{COMMIT_APPENDS_MAX, COMMIT_BYTES_MAX, COMMIT_THREADS, MARKS_PER_LOG_MAX};
use crate::record::Record;
use crate::shard::ShardIndex;

/// What waits for a log's next commits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Work>,
    /// A thread has the log in hand, or will.
    is_scheduled: bool,
    is_dropped: bool,
}

#[derive(Debug)]
pub(super) enum Work {
    Append(PendingAppend),
    Note(PendingNote),
}

#[derive(Debug)]
pub(super) struct PendingAppend {
    pub(super) generation: Generation,
    pub(super) append: Append,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Room among the pending bytes, given back when the append is answered.
    pub(super) _room: OwnedSemaphorePermit,
}

/// A change of the log besides records: it has a frame of its own.
#[derive(Debug)]
pub(super) struct PendingNote {
    /// The generation that it was made for, if it matters.
    pub(super) generation: Option<Generation>,
    pub(super) notes: Notes,
    pub(super) answer: oneshot::Sender<Result<Sealed, SealError>>,
}

/// The threads that write and sync.
#[derive(Debug)]
pub(super) struct Committers {
    jobs: Sender<Job>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Job {
    Commit(Arc<Log>),
    Stop,
}

impl Committers {
    pub(super) fn start() -> io::Result<Self> {
        // A log is in the channel at most once, so it holds no more than there are logs.
        let (jobs, taken) = crossbeam_channel::unbounded();
        let work = |index: usize| {
            let (jobs, taken) = (jobs.clone(), taken.clone());
            thread::Builder::new().name(format!("commit-{index}")).spawn(move || run(&taken, &jobs))
        };
        let threads = (0..COMMIT_THREADS).map(work).collect::<io::Result<_>>()?;
        Ok(Self { jobs, threads: Mutex::new(threads) })
    }

    /// Puts work in a log's queue. The work's answer comes through its channel; when that is dropped the log is gone.
    pub(super) fn submit(&self, log: &Arc<Log>, work: Work) {
        let mut queue = log.queue.lock();
        if queue.is_dropped {
            return;
        }
        queue.waiting.push_back(work);
        if !queue.is_scheduled {
            queue.is_scheduled = self.jobs.send(Job::Commit(Arc::clone(log))).is_ok();
        }
    }

    /// Ends the threads; what is in hand is finished first.
    pub(super) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for _ in &threads {
            let _ = self.jobs.send(Job::Stop);
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn run(jobs: &Receiver<Job>, again: &Sender<Job>) {
    while let Ok(Job::Commit(log)) = jobs.recv() {
        match log.take_work() {
            Some(Group::Appends(appends)) => log.commit_appends(appends),
            Some(Group::Note(note)) => log.commit_note(note),
            None => {}
        }
        // Others first: a busy log goes to the end of the line.
        if log.has_more_work() {
            let _ = again.send(Job::Commit(log));
        }
    }
}

/// What one frame will hold.
enum Group {
    Appends(Vec<PendingAppend>),
    Note(PendingNote),
}

impl Log {
    /// Lets everybody go who waits, and takes no more work: the log is gone, or the store closes.
    pub(super) fn refuse_work(&self) {
        let mut queue = self.queue.lock();
        queue.is_dropped = true;
        queue.waiting.clear();
    }

    fn has_more_work(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.is_scheduled = !queue.waiting.is_empty();
        queue.is_scheduled
    }

    fn take_work(&self) -> Option<Group> {
        let mut queue = self.queue.lock();
        let mut appends = Vec::new();
        let mut bytes = 0;
        while let Some(next) = queue.waiting.pop_front() {
            match next {
                Work::Note(note) if appends.is_empty() => return Some(Group::Note(note)),
                Work::Append(append)
                    if appends.is_empty()
                        || (bytes + append.bytes <= COMMIT_BYTES_MAX && appends.len() < COMMIT_APPENDS_MAX) =>
                {
                    bytes += append.bytes;
                    appends.push(append);
                }
                later @ (Work::Note(_) | Work::Append(_)) => {
                    queue.waiting.push_front(later);
                    break;
                }
            }
        }
        (!appends.is_empty()).then_some(Group::Appends(appends))
    }

    /// Commits appends in one frame. Those that are fenced or conflict are answered, and leave the others alone.
    fn commit_appends(&self, appends: Vec<PendingAppend>) {
        let (accepted, marks) = self.judge(appends);
        if accepted.is_empty() {
            return;
        }
        let sorted = sort_by_shard(&accepted);
        let records: Vec<(ShardIndex, &Record)> = sorted.iter().map(|entry| (entry.shard, entry.record)).collect();
        let span = records.len().max(accepted.len()) as u32;
        let notes = Notes { marks, ..Notes::default() };
        match self.commit(&records, &notes, span) {
            Ok((head, arrival)) => {
                let shards: Vec<ShardIndex> = head.blocks.iter().map(|block| block.shard).collect();
                let positions = positions(head.place.first, &accepted, &sorted);
                for (pending, positions) in accepted.into_iter().zip(positions) {
                    let _ = pending.answer.send(Ok(Appended { positions, arrival }));
                }
                self.wakes.wake(shards);
            }
            Err(error) => {
                for pending in accepted {
                    let _ = pending.answer.send(Err(self.append_error(&error)));
                }
            }
        }
    }

    /// Checks each append against the log and those before it in the same frame.
    fn judge(&self, appends: Vec<PendingAppend>) -> (Vec<PendingAppend>, Vec<MarkNote>) {
        let view = self.view.read();
        let (current, first) = (view.state.generation, view.state.next);
        let mut staged: HashMap<Bytes, Position> = HashMap::new();
        let mut accepted = Vec::with_capacity(appends.len());
        let mut notes = Vec::new();
        for pending in appends {
            let given = pending.generation;
            let marks = &pending.append.marks;
            let stands = |mark: &MarkChange| {
                let kept = || view.state.marks.get(&mark.key).map(|mark| mark.revision);
                staged.get(&mark.key).copied().or_else(kept) == mark.expect
            };
            if given != current {
                let _ = pending.answer.send(Err(AppendError::Fenced { given, current }));
            } else if !marks.iter().all(stands) {
                let _ = pending.answer.send(Err(AppendError::MarkConflict));
            } else if view.state.marks.len() + staged.len() + marks.len() > MARKS_PER_LOG_MAX {
                let (records, bytes) = (pending.append.records.len(), pending.bytes);
                let _ = pending.answer.send(Err(AppendError::TooLarge { records, bytes }));
            } else {
                let revision = Position(first.0 + accepted.len() as u64);
                for mark in marks {
                    staged.insert(mark.key.clone(), revision);
                    let (key, value) = (mark.key.to_vec(), mark.value.to_vec());
                    notes.push(MarkNote { key, revision: revision.0, value });
                }
                accepted.push(pending);
            }
        }
        (accepted, notes)
    }

    fn commit_note(&self, pending: PendingNote) {
        let PendingNote { generation, notes, answer } = pending;
        let current = self.view.read().state.generation;
        if let Some(given) = generation.filter(|given| *given != current) {
            let _ = answer.send(Err(SealError::Fenced { given, current }));
            return;
        }
        let next = generation.map(|given| given.0 + 1);
        let notes = Notes { generation: next, ..notes };
        let sealed = self
            .commit(&[], &notes, 1)
            .map(|(head, _)| Sealed { generation: next.map_or(current, Generation), position: head.place.first });
        let _ = answer.send(sealed.map_err(SealError::from));
        self.wakes.wake_all();
    }

    fn append_error(&self, error: &LogError) -> AppendError {
        match error {
            LogError::Io { cause, .. } if cause.kind() == io::ErrorKind::StorageFull => {
                AppendError::Full(io::Error::new(io::ErrorKind::StorageFull, error.to_string()))
            }
            LogError::Corrupt(corruption) => corruption.clone().into(),
            LogError::NoLog(_) | LogError::Io { .. } | LogError::Unavailable { .. } => {
                AppendError::Unavailable { log: self.id, reason: error.to_string() }
            }
        }
    }
}

/// A record of a frame, and where it came from.
struct Entry<'a> {
    shard: ShardIndex,
    record: &'a Record,
    append: usize,
    index: usize,
}

/// All records of a frame, by shard, in the order they came.
fn sort_by_shard(appends: &[PendingAppend]) -> Vec<Entry<'_>> {
    let entries = appends.iter().enumerate().flat_map(|(append, pending)| {
        let entry = move |(index, (shard, record))| Entry { shard, record, append, index };
        pending.append.records.iter().map(|(shard, record)| (*shard, record)).enumerate().map(entry)
    });
    let mut entries: Vec<Entry<'_>> = entries.collect();
    entries.sort_by_key(|entry| entry.shard);
    entries
}

/// The positions of each append's records, in the order they were given.
fn positions(first: Position, appends: &[PendingAppend], sorted: &[Entry<'_>]) -> Vec<Vec<Position>> {
    let mut positions: Vec<Vec<Position>> =
        appends.iter().map(|pending| vec![first; pending.append.records.len()]).collect();
    for (offset, entry) in (0..).zip(sorted) {
        let slot = positions.get_mut(entry.append).and_then(|positions| positions.get_mut(entry.index));
        if let Some(slot) = slot {
            *slot = Position(first.0 + offset);
        }
    }
    positions
}
