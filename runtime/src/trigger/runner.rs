//! A runner: works on one lane of a shard.
//!
//! Takes one batch after another from the desk, calls the function, puts what it emitted, and settles what is processed or
//! set aside. A failed batch is delivered again as the trigger's rules say; the lane waits for it, the others do not. It ends
//! when nothing waits, and is called again.

mod given_up;
mod tumbling;

use std::cell::LazyCell;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::record::StoredRecord;
use tokio::time::Instant;
use tracing::{Instrument as _, debug_span, info, warn};

use self::tumbling::Open;
use super::desk::{Desk, Next};
use super::lane::Batch;
use super::policy::{Condition, Decision, Outcome, Standing, backoff, decide};
use super::response::{self, Expected};
use super::work::Work;
use super::{Target, output};
use crate::functions::{Answer, Invocation, InvokeError, WindowCall};
use crate::limits::LANE_TURN_BATCHES;
use crate::status::Blocked;

/// What the runners of a shard work with.
pub(super) struct Workplace {
    pub(super) work: Work,
    pub(super) desk: Desk,
}

impl Deref for Workplace {
    type Target = Work;

    fn deref(&self) -> &Work {
        &self.work
    }
}

/// It was asked to stop.
#[derive(Debug)]
pub(super) struct Stopped;

pub(super) struct Runner {
    lane: usize,
    place: Arc<Workplace>,
    random: StdRng,
    /// There from the first call on.
    target: Option<Target>,
    /// Calls that failed one after another.
    in_row: u32,
    /// The tumbling window that is open.
    window: Option<Open>,
}

/// A part of a batch that is not processed.
#[derive(Debug, Clone)]
struct Part {
    range: Range<usize>,
    /// Calls that had it.
    calls: u32,
    /// Those that failed it.
    failures: u32,
    /// The last call that had it.
    last: Option<Last>,
}

/// A call, as the destination is told of it.
#[derive(Debug, Clone)]
struct Last {
    request_id: String,
    /// The function was called and failed, rather than reporting failures.
    has_failed: bool,
}

impl Runner {
    pub(super) fn new(lane: usize, place: Arc<Workplace>, random: StdRng) -> Self {
        Self { lane, place, random, target: None, in_row: 0, window: None }
    }

    pub(super) fn lane(&self) -> usize {
        self.lane
    }

    /// The threads that its calls run on, if not those of triggers.
    pub(super) fn threads(&mut self) -> Option<tokio::runtime::Handle> {
        self.find_target();
        self.target.as_ref().and_then(|target| target.threads.clone())
    }

    fn find_target(&mut self) {
        if self.target.is_none() {
            self.target = (self.place.targets)(&self.place.function);
        }
    }

    /// Works until nothing waits.
    pub(super) async fn run(mut self: Box<Self>) {
        let place = Arc::clone(&self.place);
        let mut watch = Watch { place: &place, is_back: false };
        for turn in 1_u64.. {
            // Others have their turn, however long the queue is.
            if turn.is_multiple_of(u64::from(LANE_TURN_BATCHES)) {
                tokio::task::yield_now().await;
            }
            match self.turn().await {
                Ok(true) => {}
                Ok(false) => match place.desk.rest(self) {
                    None => return watch.is_back = true,
                    Some(again) => self = again,
                },
                Err(Stopped) => {
                    place.desk.stopped(self);
                    return watch.is_back = true;
                }
            }
        }
    }

    /// One batch, or a wait for one; whether there may be more.
    async fn turn(&mut self) -> Result<bool, Stopped> {
        let place = Arc::clone(&self.place);
        if place.stopping.is_cancelled() {
            return Err(Stopped);
        }
        match place.desk.next(self.lane) {
            Next::Batch(batch) => {
                self.begin_window(&batch).await?;
                self.deliver(&batch).await?;
                place.desk.is_done(self.lane);
                Ok(true)
            }
            Next::Wait(until) => self.wait_until(until).await.map(|()| true),
            Next::Nothing => self.end_window_in_time().await,
        }
    }

    /// Until then, or news.
    async fn wait_until(&mut self, until: Instant) -> Result<(), Stopped> {
        let news = self.place.desk.news(self.lane);
        tokio::select! {
            biased;
            () = self.place.stopping.cancelled() => Err(Stopped),
            () = news.notified() => Ok(()),
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }

    /// All of a batch, in as many calls as it needs.
    async fn deliver(&mut self, batch: &Batch) -> Result<(), Stopped> {
        let mut parts = vec![Part { range: 0..batch.records.len(), calls: 0, failures: 0, last: None }];
        while let Some(part) = parts.pop() {
            let Some(part) = self.without_the_old(batch, part).await? else { continue };
            self.one_call(batch, part, &mut parts).await?;
        }
        self.place.row.update(|status| {
            status.blocked.remove(&self.lane);
        });
        Ok(())
    }

    /// What is left of a part when records that are too old are set aside. Arrival times never step back: those are its first.
    async fn without_the_old(&mut self, batch: &Batch, part: Part) -> Result<Option<Part>, Stopped> {
        let oldest = self.oldest_delivered(&part);
        let records = batch.records.get(part.range.clone()).unwrap_or_default();
        let old = records.iter().take_while(|record| record.arrival < oldest).count();
        if old == 0 {
            return Ok(Some(part));
        }
        let end = part.range.start + old;
        let gone = Part { range: part.range.start..end, ..part.clone() };
        self.set_aside(batch, &gone, Condition::RecordAgeExceeded).await?;
        let rest = Part { range: end..part.range.end, ..part };
        Ok((!rest.range.is_empty()).then_some(rest))
    }

    /// Records that arrived before this are too old: by the trigger's rule or, once they have failed, by their stream's.
    fn oldest_delivered(&self, part: &Part) -> Timestamp {
        let Work { store, stream, rules, .. } = &self.place.work;
        let retention = || store.stream(&stream.name).map_or(stream.retention, |stream| stream.retention);
        let kept = (part.calls > 0).then(retention);
        let age_max = [rules.age_max, kept].into_iter().flatten().min();
        super::policy::oldest_delivered(store.clock().now(), age_max)
    }

    async fn one_call(&mut self, batch: &Batch, mut part: Part, parts: &mut Vec<Part>) -> Result<(), Stopped> {
        let standing = Standing { records: part.range.len(), failures: part.failures, in_row: self.in_row };
        part.calls = part.calls.saturating_add(1);
        let outcome = self.call(batch, &mut part).await?;
        let decision = decide(&self.place.rules, standing, outcome, self.random.random());
        self.in_row = if decision == Decision::Commit { 0 } else { self.in_row.saturating_add(1) };
        let Range { start, end } = part.range;
        match decision {
            Decision::Commit => {
                self.settle(batch, end);
                self.place.row.update(|status| status.counts.records += part.range.len() as u64);
            }
            Decision::Again { after, counts } => {
                part.failures += u32::from(counts);
                self.pause(batch, &part, after).await?;
                parts.push(part);
            }
            Decision::Rest { taken, after } => {
                self.settle(batch, start + taken);
                self.place.row.update(|status| status.counts.records += taken as u64);
                let rest = Part { range: start + taken..end, calls: 0, failures: 0, last: part.last };
                self.pause(batch, &rest, after).await?;
                parts.push(rest);
            }
            Decision::Split { at, after } => {
                let half = |range| Part { range, ..part.clone() };
                self.pause(batch, &part, after).await?;
                parts.extend([half(start + at..end), half(start..start + at)]);
            }
            Decision::GiveUp => {
                part.failures = part.failures.saturating_add(1);
                self.set_aside(batch, &part, Condition::RetryAttemptsExhausted).await?;
            }
        }
        Ok(())
    }

    /// All before this record of the batch is processed.
    fn settle(&self, batch: &Batch, count: usize) {
        if let Some(bound) = batch.bound_behind(count) {
            self.place.desk.settle(self.lane, bound);
        }
        let newest = count.checked_sub(1).and_then(|last| batch.records.get(last));
        let number = newest.map(|record| self.place.number_of(record));
        self.place.row.update(|status| status.last_sequence_number = number.or(status.last_sequence_number));
    }

    fn invocation(&mut self, records: Arc<[StoredRecord]>, attempt: u32, window: Option<WindowCall>) -> Invocation {
        let Work { stream, shard, arns, .. } = &self.place.work;
        Invocation {
            // 32 random hexadecimal digits.
            request_id: format!("{:032x}", self.random.random::<u128>()),
            stream: stream.name.clone(),
            shard: shard.index,
            shard_created: shard.created,
            attempt,
            records,
            arns: Arc::clone(arns),
            window,
        }
    }

    async fn call(&mut self, batch: &Batch, part: &mut Part) -> Result<Outcome, Stopped> {
        let window = self.window.as_ref().map(Open::call);
        let invocation = self.invocation(records_of(batch, &part.range), part.calls, window);
        let newest = invocation.records.last().map(|record| record.arrival);
        let now = self.place.store.clock().now();
        let count = invocation.records.len() as u64;
        self.place.row.update(|status| {
            status.iterator_age = newest.map_or(Duration::ZERO, |newest| now.since(newest));
            status.counts.invoked_records += count;
        });
        let answered = self.invoke(&invocation).await;
        let last = Last { request_id: invocation.request_id.clone(), has_failed: answered.is_err() };
        part.last = Some(last);
        let outcome = match answered {
            Ok(answer) => self.read_answer(&invocation, answer).await?,
            Err(InvokeError::Unavailable { message }) => {
                self.not_reached(&invocation, &message);
                Outcome::NotReached
            }
            Err(failure) => self.failed(&invocation, &failure),
        };
        Ok(outcome)
    }

    async fn invoke(&mut self, invocation: &Invocation) -> Result<Answer, InvokeError> {
        self.find_target();
        let Some(target) = &mut self.target else {
            let message = format!("no function named '{}' is deployed", self.place.function);
            return Err(InvokeError::Unavailable { message });
        };
        // Seen before the call: a version that comes while it runs ends the wait behind it at once.
        target.versions.mark_unchanged();
        let Invocation { request_id, attempt, records, .. } = invocation;
        let span = debug_span!("batch", request_id, attempt, lane = self.lane, records = records.len());
        let result = target.invoke.invoke(invocation).instrument(span).await;
        self.place.row.update(|status| status.counts.invocations += 1);
        result
    }

    /// What a call that ended well says of its records; what it emitted is put.
    async fn read_answer(&mut self, invocation: &Invocation, answer: Answer) -> Result<Outcome, Stopped> {
        let expected = Expected { failures: self.place.rules.reports_failures, state: self.window.is_some() };
        let place = Arc::clone(&self.place);
        let places = LazyCell::new(|| place.places_of(&invocation.records));
        let verdict = match response::read(&answer.reply, expected, |number| places.get(number).copied()) {
            Ok(verdict) => verdict,
            Err(error) => return Ok(self.failed(invocation, &error)),
        };
        match output::put(&self.place.store, answer.emitted).await {
            Ok(count) => self.place.row.update(|status| status.counts.emitted += count),
            Err(error) => {
                self.not_reached(invocation, &error.to_string());
                return Ok(Outcome::NotReached);
            }
        }
        if let Outcome::TookSome { taken } = verdict.outcome {
            let (reported, request_id) = (verdict.reported, &invocation.request_id);
            warn!(request_id, taken, reported, "the function reports records that it did not take");
            self.note_failure(invocation, &format!("the function did not take {reported} of the batch's records"));
            self.place.row.update(|status| status.counts.failed_records += reported as u64);
        }
        // A batch that comes again as a whole finds the state that it found.
        let is_kept = verdict.outcome != Outcome::TookSome { taken: 0 };
        if let Some(state) = verdict.state.filter(|_| is_kept) {
            self.keep_state(state).await?;
        }
        Ok(verdict.outcome)
    }

    fn failed(&self, invocation: &Invocation, failure: &dyn std::error::Error) -> Outcome {
        let Invocation { request_id, attempt, records, .. } = invocation;
        warn!(request_id, attempt, error = %failure, "the function failed");
        self.note_failure(invocation, &failure.to_string());
        self.place.row.update(|status| status.counts.failed_records += records.len() as u64);
        Outcome::Failed
    }

    fn not_reached(&self, invocation: &Invocation, message: &str) {
        let Invocation { request_id, attempt, .. } = invocation;
        warn!(request_id, attempt, error = message, "the batch was not processed, which is not its own fault");
        self.note_failure(invocation, message);
    }

    fn note_failure(&self, invocation: &Invocation, message: &str) {
        self.place.row.failed(message, invocation.attempt, self.place.store.clock().now());
        self.place.row.update(|status| status.counts.failures += 1);
    }

    /// Waits before the next call of a part, not beyond its records' time.
    async fn pause(&mut self, batch: &Batch, part: &Part, wait: Duration) -> Result<(), Stopped> {
        let wait = wait.min(self.time_left(batch, part));
        self.show_blocked(batch, part, wait);
        self.sleep(wait).await
    }

    async fn back_off(&mut self, attempt: u32) -> Result<(), Stopped> {
        let wait = backoff(attempt, self.random.random());
        self.sleep(wait).await
    }

    /// Waits; a new version of the function ends the wait.
    async fn sleep(&mut self, wait: Duration) -> Result<(), Stopped> {
        let versions = self.target.as_mut().map(|target| &mut target.versions);
        let changed = async {
            let is_new = match versions {
                Some(versions) => versions.changed().await.is_ok(),
                None => false,
            };
            if !is_new {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.place.stopping.cancelled() => Err(Stopped),
            () = changed => {
                info!("the function has a new version; what failed is tried at once");
                Ok(())
            }
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Until the first record of a part is too old, and a little longer.
    fn time_left(&self, batch: &Batch, part: &Part) -> Duration {
        let first = batch.records.get(part.range.start);
        let oldest = self.oldest_delivered(&Part { calls: 1, ..part.clone() });
        first.map_or(Duration::MAX, |record| record.arrival.since(oldest) + Duration::from_millis(1))
    }

    fn show_blocked(&self, batch: &Batch, part: &Part, wait: Duration) {
        let records = batch.records.get(part.range.clone()).unwrap_or_default();
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        let blocked = Blocked {
            first: self.place.number_of(first),
            last: self.place.number_of(last),
            records: records.len(),
            since: first.arrival,
            attempt: part.calls,
            next_at: self.place.store.clock().now().plus(wait),
        };
        self.place.row.update(|status| {
            status.blocked.insert(self.lane, blocked);
        });
    }
}

fn records_of(batch: &Batch, range: &Range<usize>) -> Arc<[StoredRecord]> {
    if *range == (0..batch.records.len()) {
        return Arc::clone(&batch.records);
    }
    batch.records.get(range.clone()).unwrap_or_default().into()
}

/// Tells the desk of a runner that does not come back.
struct Watch<'a> {
    place: &'a Workplace,
    is_back: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.is_back {
            self.place.desk.broke();
        }
    }
}
