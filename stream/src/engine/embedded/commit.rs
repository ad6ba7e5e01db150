//! Group commit: one commit in flight a log; whoever comes meanwhile joins the next.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::frame::{Body, MarkNote, Notes};
use super::log::Log;
use super::tail::Tail;
use crate::engine::{AppendError, Appended, Generation, LogError, MarkChange, Position, SealError, Sealed};
use crate::limits::{COMMIT_APPENDS_MAX, COMMIT_BYTES_MAX, COMMIT_JOIN_WAIT_MAX, COMMIT_THREADS, MARKS_PER_LOG_MAX};
use crate::record::Record;
use crate::shard::ShardIndex;

/// What waits for a log's next commits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Work>,
    /// A thread has the log in hand, or will.
    is_scheduled: bool,
    /// Large appends in the newest frame: their callers may be about to come again.
    large_answered: usize,
    is_dropped: bool,
}

#[derive(Debug)]
pub(super) enum Work {
    Append(PendingAppend),
    Note(PendingNote),
    Expire(PendingExpiry),
}

#[derive(Debug)]
pub(super) struct PendingAppend {
    pub(super) generation: Generation,
    pub(super) payload: Payload,
    pub(super) marks: Vec<MarkChange>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Room among the pending bytes, given back when the append is answered.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Queue {
    /// Large appends that wait.
    fn large(&self) -> usize {
        self.waiting.iter().filter(|work| work.is_large()).count()
    }
}

impl Work {
    fn is_large(&self) -> bool {
        matches!(self, Self::Append(append) if append.is_large())
    }
}

impl PendingAppend {
    fn is_large(&self) -> bool {
        matches!(self.payload, Payload::Body { .. })
    }
}

/// The records of an append.
#[derive(Debug)]
pub(super) enum Payload {
    /// To be encoded together with those of others, so that a frame has few blocks.
    Records(Vec<(ShardIndex, Record)>),
    /// Many, encoded by the caller, while the disk has the frame before. `offsets` says where in the body's order each
    /// record stands, in the order they were given.
    Body { body: Body, offsets: Vec<u32> },
}

impl Payload {
    pub(super) fn encode(records: &[(ShardIndex, Record)], tail: &Tail) -> Self {
        let mut order: Vec<u32> = (0..records.len() as u32).collect();
        let shard_of = |index: &u32| records.get(*index as usize).map(|(shard, _)| *shard);
        order.sort_by_key(shard_of);
        let sorted = order.iter().filter_map(|index| records.get(*index as usize));
        let sorted: Vec<(ShardIndex, &Record)> = sorted.map(|(shard, record)| (*shard, record)).collect();
        let mut offsets = vec![0; records.len()];
        for (offset, index) in (0..).zip(&order) {
            if let Some(slot) = offsets.get_mut(*index as usize) {
                *slot = offset;
            }
        }
        let buffer = tail.buffer(Body::measure(sorted.iter().map(|(_, record)| *record)));
        Self::Body { body: Body::encode(&sorted, buffer), offsets }
    }

    fn count(&self) -> usize {
        match self {
            Self::Records(records) => records.len(),
            Self::Body { offsets, .. } => offsets.len(),
        }
    }
}

/// A change of the log besides records: it has a frame of its own.
#[derive(Debug)]
pub(super) struct PendingNote {
    /// The generation that it was made for, if it matters.
    pub(super) generation: Option<Generation>,
    pub(super) notes: Notes,
    pub(super) answer: oneshot::Sender<Result<Sealed, SealError>>,
}

/// What has expired is to go: the log says what that is when it comes to its turn.
#[derive(Debug)]
pub(super) struct PendingExpiry {
    pub(super) answer: oneshot::Sender<Result<(), LogError>>,
}

/// The threads that write and sync.
///
/// A caller that finds its log idle commits itself, on its own thread: for a lone append the two hand-overs would cost
/// almost as much as the disk does. One caller at a time may; the others, and whoever comes meanwhile, are for the
/// threads.
#[derive(Debug)]
pub(super) struct Committers {
    jobs: Sender<Job>,
    /// A caller commits on its own thread.
    is_inline: AtomicBool,
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
        Ok(Self { jobs, is_inline: AtomicBool::new(false), threads: Mutex::new(threads) })
    }

    /// As [`Committers::submit`], and if nobody else has the log or commits so, the work is done when this returns.
    pub(super) fn commit_here(&self, log: &Arc<Log>, work: Work) {
        if !may_block() || self.is_inline.swap(true, Ordering::Acquire) {
            self.submit(log, work);
            return;
        }
        match log.take_if_idle(work) {
            None => {
                log.commit_or_fail(|| tokio::task::block_in_place(|| log.commit_next()));
                if log.has_more_work() {
                    let _ = self.jobs.send(Job::Commit(Arc::clone(log)));
                }
            }
            Some(work) => self.submit(log, work),
        }
        self.is_inline.store(false, Ordering::Release);
    }

    /// Encodes a large append and puts it in its log's queue.
    pub(super) fn encode_and_submit(&self, log: &Arc<Log>, encode: impl FnOnce() -> PendingAppend) {
        self.submit(log, Work::Append(encode()));
        log.encoded.notify_all();
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
            if !queue.is_scheduled {
                // The threads are gone: nobody is to wait for them.
                queue.waiting.clear();
            }
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
        log.commit_or_fail(|| log.commit_next());
        while log.has_more_work() {
            // Others first: a busy log goes to the end of the line, if there is one.
            if !jobs.is_empty() {
                let _ = again.send(Job::Commit(log));
                break;
            }
            log.commit_or_fail(|| log.commit_next());
        }
    }
}

/// Whether this thread may be blocked: the runtime has others that go on meanwhile.
fn may_block() -> bool {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.is_ok_and(|runtime| runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread)
}

/// What one frame will hold.
enum Group {
    Appends(Vec<PendingAppend>),
    Note(Box<PendingNote>),
    Expire(PendingExpiry),
}

impl Log {
    /// Lets everybody go who waits, and takes no more work: the log is gone, or the store closes.
    pub(super) fn refuse_work(&self) {
        let mut queue = self.queue.lock();
        queue.is_dropped = true;
        queue.waiting.clear();
    }

    pub(super) fn refuses_work(&self) -> bool {
        self.queue.lock().is_dropped
    }

    /// A commit that breaks down (which would be a mistake in this program) fails its log: nobody waits for it, and the
    /// other logs go on.
    fn commit_or_fail(&self, commit: impl FnOnce()) {
        if std::panic::catch_unwind(AssertUnwindSafe(commit)).is_err() {
            self.fail("a commit broke down; restart the node, and report what its log says");
        }
    }

    /// Takes work for a log that nobody has in hand: the caller has it then. Gives the work back where somebody has.
    fn take_if_idle(&self, work: Work) -> Option<Work> {
        let mut queue = self.queue.lock();
        if queue.is_scheduled || queue.is_dropped {
            return Some(work);
        }
        queue.waiting.push_back(work);
        queue.is_scheduled = true;
        None
    }

    fn commit_next(&self) {
        match self.take_work() {
            Some(Group::Appends(appends)) => self.commit_appends(appends),
            Some(Group::Note(note)) => self.commit_note(*note),
            Some(Group::Expire(expiry)) => drop(expiry.answer.send(self.commit_expiry())),
            None => {}
        }
    }

    fn has_more_work(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.is_scheduled = !queue.waiting.is_empty();
        queue.is_scheduled
    }

    fn take_work(&self) -> Option<Group> {
        let mut queue = self.queue.lock();
        if queue.waiting.front().is_some_and(Work::is_large) {
            // Half of those who append are worth waiting for: the others encode while the disk has these.
            let half = usize::midpoint(queue.large_answered, queue.large());
            self.encoded.wait_while_for(&mut queue, |queue| queue.large() < half, COMMIT_JOIN_WAIT_MAX);
        }
        let mut appends = Vec::new();
        let mut bytes = 0;
        while let Some(next) = queue.waiting.pop_front() {
            match next {
                Work::Note(note) if appends.is_empty() => return Some(Group::Note(Box::new(note))),
                Work::Expire(expiry) if appends.is_empty() => return Some(Group::Expire(expiry)),
                Work::Append(append)
                    if appends.is_empty()
                        || (bytes + append.bytes <= COMMIT_BYTES_MAX && appends.len() < COMMIT_APPENDS_MAX) =>
                {
                    bytes += append.bytes;
                    appends.push(append);
                }
                later @ (Work::Note(_) | Work::Expire(_) | Work::Append(_)) => {
                    queue.waiting.push_front(later);
                    break;
                }
            }
        }
        queue.large_answered = appends.iter().filter(|append| append.is_large()).count();
        (!appends.is_empty()).then_some(Group::Appends(appends))
    }

    /// Commits appends in one frame. Those that are fenced or conflict are answered, and leave the others alone.
    fn commit_appends(&self, appends: Vec<PendingAppend>) {
        let (accepted, marks) = self.judge(appends);
        if accepted.is_empty() {
            return;
        }
        let count: usize = accepted.iter().map(|pending| pending.payload.count()).sum();
        let span = count.max(accepted.len()) as u32;
        let notes = Notes { marks, ..Notes::default() };
        let (waiting, bodies) = self.bodies_of(accepted);
        match self.commit(bodies, &notes, span) {
            Ok((head, arrival)) => {
                let first = head.place.first.0;
                for Waiting { answer, offsets, .. } in waiting {
                    let positions = offsets.into_iter().map(|offset| Position(first + u64::from(offset))).collect();
                    let _ = answer.send(Ok(Appended { positions, arrival }));
                }
                self.wakes.wake(head.blocks.iter().map(|block| block.shard));
            }
            Err(error) => {
                for pending in waiting {
                    let _ = pending.answer.send(Err(self.append_error(&error)));
                }
            }
        }
    }

    /// The bodies of a frame: one for all small appends together, and one for each large one.
    fn bodies_of(&self, accepted: Vec<PendingAppend>) -> (Vec<Waiting>, Vec<Body>) {
        let (mut waiting, mut small) = (Vec::with_capacity(accepted.len()), Vec::new());
        let mut large = Vec::new();
        for (append, PendingAppend { payload, answer, _room: room, .. }) in accepted.into_iter().enumerate() {
            let offsets = match payload {
                Payload::Records(records) => {
                    let offsets = vec![0; records.len()];
                    let entry = |(index, (shard, record))| Entry { shard, record, append, index };
                    small.extend(records.into_iter().enumerate().map(entry));
                    offsets
                }
                Payload::Body { body, offsets } => {
                    large.push((append, body));
                    offsets
                }
            };
            waiting.push(Waiting { answer, offsets, _room: room });
        }
        let mut bodies = Vec::with_capacity(large.len() + 1);
        let mut start = small.len() as u32;
        if !small.is_empty() {
            bodies.push(self.join(small, &mut waiting));
        }
        for (append, body) in large {
            for offset in waiting.get_mut(append).into_iter().flat_map(|waiting| &mut waiting.offsets) {
                *offset += start;
            }
            start += body.records;
            bodies.push(body);
        }
        (waiting, bodies)
    }

    /// One body of the records of all small appends, by shard, in the order they came.
    fn join(&self, mut small: Vec<Entry>, waiting: &mut [Waiting]) -> Body {
        small.sort_by_key(|entry| entry.shard);
        for (offset, entry) in (0..).zip(&small) {
            let offsets = waiting.get_mut(entry.append).map(|waiting| &mut waiting.offsets);
            if let Some(slot) = offsets.and_then(|offsets| offsets.get_mut(entry.index)) {
                *slot = offset;
            }
        }
        let sorted: Vec<(ShardIndex, &Record)> = small.iter().map(|entry| (entry.shard, &entry.record)).collect();
        let buffer = self.shared.tail.buffer(Body::measure(small.iter().map(|entry| &entry.record)));
        Body::encode(&sorted, buffer)
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
            let marks = &pending.marks;
            let stands = |mark: &MarkChange| {
                let kept = || view.state.marks.get(&mark.key).map(|mark| mark.revision);
                staged.get(&mark.key).copied().or_else(kept) == mark.expect
            };
            if given != current {
                let _ = pending.answer.send(Err(AppendError::Fenced { given, current }));
            } else if !marks.iter().all(stands) {
                let _ = pending.answer.send(Err(AppendError::MarkConflict));
            } else if view.state.marks.len() + staged.len() + marks.len() > MARKS_PER_LOG_MAX {
                let (records, bytes) = (pending.payload.count(), pending.bytes);
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
            .commit(Vec::new(), &notes, 1)
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
            LogError::NoKey { log, key } => AppendError::NoKey { log: *log, key: *key },
            LogError::NoLog(_) | LogError::Io { .. } | LogError::Unavailable { .. } => {
                AppendError::Unavailable { log: self.id, reason: error.to_string() }
            }
        }
    }
}

/// Who waits for a frame.
struct Waiting {
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Where in the frame each record stands, in the order they were given.
    offsets: Vec<u32>,
    _room: OwnedSemaphorePermit,
}

/// A record of a small append, and where it came from.
struct Entry {
    shard: ShardIndex,
    record: Record,
    append: usize,
    index: usize,
}
