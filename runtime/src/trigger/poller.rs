//! A poller: one trigger in one shard.
//!
//! Reads behind its cursor, calls the function, puts what it emitted, and then moves the cursor. It ends when it
//! is asked to, when its shard is closed and read to its end, when its stream is gone, or when somebody else moved its
//! cursor.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tidemill_stream::cursor::{Cursor, MoveCursorError, TriggerId};
use tidemill_stream::engine::{Bound, ReadLimits};
use tidemill_stream::error::StoreError;
use tidemill_stream::read::{Read, ReadError, StartAt};
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::Shard;
use tidemill_stream::store::Store;
use tidemill_stream::stream::Stream;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, debug_span, error, info, warn};

use super::batch::{Batch, Batches, Found, Rules};
use super::lineage::Ends;
use super::policy::{Decision, Outcome, backoff, decide, rest};
use super::{Target, output};
use crate::functions::Invocation;
use crate::status::{Row, State};

/// What a poller works with.
pub(super) struct Poller {
    pub(super) store: Store,
    pub(super) stream: Arc<Stream>,
    pub(super) shard: Shard,
    pub(super) trigger: TriggerId,
    pub(super) rules: Rules,
    pub(super) target: Target,
    pub(super) row: Row,
    pub(super) ends: Ends,
    pub(super) random: StdRng,
    pub(super) stopping: CancellationToken,
}

/// Why a poller ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// It was asked to.
    Stopping,
    /// The stream is not there any more.
    NoStream,
    /// Somebody else moved the cursor, or took it away.
    Stale,
    /// The shard ends before the cursor.
    Missing,
    /// The shard is closed, and all of it is processed.
    ReadToTheEnd,
}

impl Poller {
    /// Delivers until it ends.
    pub(super) async fn run(mut self) {
        let ended = match self.find_cursor().await {
            Ok(cursor) => self.follow(cursor).await,
            Err(ended) => ended,
        };
        match ended {
            Ended::Stopping => debug!("poller stopped"),
            Ended::ReadToTheEnd => {
                info!("the shard was split or merged, and is read to its end");
                self.row.update(|status| status.state = State::Finished);
                self.ends.reached(self.shard.index);
            }
            Ended::NoStream => {
                info!("the stream is gone; its poller ends");
                self.row.update(|status| status.state = State::WaitingForStream);
            }
            Ended::Missing => {
                let what = "the shard ends before the cursor: records that were processed are missing from the log, \
                            restore its newest segment, or give the trigger another name to begin anew";
                error!("{what}");
                self.row.failed(what, 1, self.store.clock().now());
                self.row.update(|status| status.state = State::Stopped);
            }
            Ended::Stale => {
                warn!("somebody else moved the cursor; this poller ends without moving it");
                self.row.update(|status| status.state = State::Stopped);
            }
        }
    }

    async fn find_cursor(&mut self) -> Result<Cursor, Ended> {
        let mut attempt = 1;
        loop {
            match self.store.cursor(self.trigger, self.shard.index).await {
                Ok(None) => return Err(Ended::Stale),
                Ok(Some(cursor)) => return self.check_end(cursor).await,
                Err(error) => self.back_off_from_store("the cursor cannot be read", &error, &mut attempt).await?,
            }
        }
    }

    /// A cursor behind the end of its log means that acknowledged records are gone, and that new ones would be taken for
    /// processed. A closed shard takes no new ones.
    async fn check_end(&mut self, cursor: Cursor) -> Result<Cursor, Ended> {
        if !self.shard.is_open() {
            return Ok(cursor);
        }
        let end = self.store.position(&self.stream, self.shard.index, StartAt::Latest).await;
        if end.is_ok_and(|end| cursor.bound > end) { Err(Ended::Missing) } else { Ok(cursor) }
    }

    /// One batch after another, for ever.
    async fn follow(&mut self, mut cursor: Cursor) -> Ended {
        let (mut from, mut looks_in_vain) = (cursor.bound, 0);
        loop {
            let turn = async {
                let read = self.read(from).await?;
                if read.skipped {
                    self.tell_of_skipped(from);
                }
                let (next, is_at_end) = (read.next, read.is_at_end);
                if !read.records.is_empty() || read.skipped {
                    looks_in_vain = 0;
                    self.take(read, &mut cursor).await?;
                } else if !is_at_end {
                    looks_in_vain += 1;
                    self.rest_at(next, rest(looks_in_vain)).await?;
                }
                if is_at_end { Err(Ended::ReadToTheEnd) } else { Ok(next) }
            };
            match turn.await {
                Ok(next) => from = next,
                Err(ended) => return ended,
            }
        }
    }

    async fn read(&mut self, from: Bound) -> Result<Read, Ended> {
        let limits = ReadLimits { records_max: self.rules.records_max, bytes_max: self.rules.bytes_max };
        let mut attempt = 1;
        loop {
            if self.stopping.is_cancelled() {
                return Err(Ended::Stopping);
            }
            match self.store.read(&self.stream, self.shard.index, from, limits).await {
                Ok(read) => return Ok(read),
                Err(ReadError::NoStream(_) | ReadError::NoShard(_)) => return Err(Ended::NoStream),
                Err(ReadError::Store(error)) => {
                    self.back_off_from_store("the shard cannot be read", &error, &mut attempt).await?;
                }
            }
        }
    }

    /// Records were not read before they expired: they are lost to this trigger, which goes on behind them.
    fn tell_of_skipped(&self, from: Bound) {
        let behind = from.lowest().0;
        warn!(
            position = behind,
            "records expired before they were delivered; the trigger goes on at the oldest that is kept"
        );
        self.row.update(|status| status.skips += 1);
    }

    /// Nothing to do for now: waits for a hint, and looks again by the clock in case the hint was lost.
    async fn rest_at(&mut self, next: Bound, at_most: Duration) -> Result<(), Ended> {
        self.row.update(|status| {
            status.state = State::Running;
            status.pending_since = None;
        });
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Ended::Stopping),
            () = self.store.wait(&self.stream, self.shard.index, next, at_most) => Ok(()),
        }
    }

    /// All of a read, in as many batches as its user records need. The cursor follows.
    async fn take(&mut self, read: Read, cursor: &mut Cursor) -> Result<(), Ended> {
        let tip = read.is_at_tip.then_some(read.next);
        for Batch { records, cursor: behind, found, .. } in Batches::of(read, self.rules) {
            if self.stopping.is_cancelled() {
                return Err(Ended::Stopping);
            }
            self.tell_of(found);
            let records: Arc<[StoredRecord]> = records.into();
            if !records.is_empty() {
                self.deliver(&records).await?;
            }
            if let Some(behind) = behind {
                *cursor = self.commit(cursor, behind).await?;
            }
            self.note_progress(&records, behind, tip);
        }
        Ok(())
    }

    /// Aggregates that were not taken apart: one line a batch however many there were.
    fn tell_of(&self, found: Found) {
        if let Some((position, reason)) = found.last_malformed {
            let (count, last) = (found.malformed, position.0);
            warn!(count, last, %reason, "records begin as aggregated records and are none; they are delivered as they are");
        }
        if let Some(position) = found.last_misplaced {
            warn!(
                user_records = found.misplaced,
                last = position.0,
                "aggregated records have user records whose hash keys belong to another shard; they are left out whole, \
                 as their producer is to put them again"
            );
        }
        self.row.update(|status| {
            status.malformed += found.malformed;
            status.misplaced += found.misplaced;
        });
    }

    /// Calls the function with the same batch until it takes it.
    async fn deliver(&mut self, records: &Arc<[StoredRecord]>) -> Result<(), Ended> {
        self.row.update(|status| status.pending_since = records.first().map(|record| record.arrival));
        let mut invocation = self.invocation(Arc::clone(records));
        loop {
            // Seen before the call: a version that comes while it runs ends the backoff at once.
            self.target.versions.mark_unchanged();
            let outcome = self.call(&invocation).await;
            match decide(outcome, invocation.attempt, self.random.random()) {
                Decision::Commit => return Ok(()),
                Decision::RetryAfter(wait) => self.pause_for_retry(wait).await?,
            }
            let (attempt, request_id) = (invocation.attempt.saturating_add(1), self.request_id());
            invocation = Invocation { request_id, attempt, ..invocation };
        }
    }

    fn invocation(&mut self, records: Arc<[StoredRecord]>) -> Invocation {
        Invocation {
            request_id: self.request_id(),
            stream: self.stream.name.clone(),
            shard: self.shard.index,
            shard_created: self.shard.created,
            attempt: 1,
            records,
        }
    }

    /// 32 random hexadecimal digits.
    fn request_id(&mut self) -> String {
        format!("{:032x}", self.random.random::<u128>())
    }

    async fn call(&mut self, invocation: &Invocation) -> Outcome {
        let (request_id, attempt) = (&invocation.request_id, invocation.attempt);
        let span = debug_span!("batch", request_id, attempt, records = invocation.records.len());
        let result = self.target.invoke.invoke(invocation).instrument(span).await;
        self.row.update(|status| status.invocations += 1);
        let emitted = match result {
            Ok(emitted) => emitted,
            Err(failure) => {
                warn!(request_id, attempt, error = %failure, "the function failed; the batch will be delivered again");
                return self.failed(&failure, attempt);
            }
        };
        match output::put(&self.store, emitted).await {
            Ok(count) => {
                self.row.update(|status| status.emitted += count);
                Outcome::Succeeded
            }
            Err(error) => {
                warn!(request_id, attempt, %error, "the outputs were not put; the batch will be delivered again");
                self.failed(&error, attempt)
            }
        }
    }

    fn failed(&self, failure: &dyn std::error::Error, attempt: u32) -> Outcome {
        self.row.failed(&failure.to_string(), attempt, self.store.clock().now());
        self.row.update(|status| status.failures += 1);
        Outcome::Failed
    }

    async fn pause_for_retry(&mut self, wait: Duration) -> Result<(), Ended> {
        let versions = &mut self.target.versions;
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Ended::Stopping),
            Ok(()) = versions.changed() => {
                info!("the function has a new version; the batch is delivered at once");
                Ok(())
            }
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Moves the cursor behind the batch, durably enough: after a crash it may lag.
    async fn commit(&mut self, cursor: &Cursor, behind: Bound) -> Result<Cursor, Ended> {
        let mut attempt = 1;
        loop {
            match self.store.move_cursor(self.trigger, self.shard.index, cursor, behind).await {
                Ok(moved) => return Ok(moved),
                Err(MoveCursorError::Stale { .. }) => return Err(Ended::Stale),
                Err(MoveCursorError::Store(error)) => {
                    self.back_off_from_store("the cursor cannot be moved", &error, &mut attempt).await?;
                }
            }
        }
    }

    /// `behind` is where the cursor has moved, if it has; at `tip` nothing waits.
    fn note_progress(&self, records: &[StoredRecord], behind: Option<Bound>, tip: Option<Bound>) {
        let last = records.last();
        let whole = last.filter(|_| behind.is_some());
        let number = whole.map(|record| self.stream.sequence_number(&self.shard, record.position, record.arrival));
        self.row.update(|status| {
            status.state = State::Running;
            status.records += records.len() as u64;
            status.last_sequence_number = number.or(status.last_sequence_number);
            status.pending_since = last.map(|record| record.arrival).filter(|_| behind.is_none() || behind != tip);
        });
    }

    /// The store failed: that is nobody's fault here, and may pass.
    async fn back_off_from_store(&mut self, what: &str, cause: &StoreError, attempt: &mut u32) -> Result<(), Ended> {
        error!(error = %cause, attempt, "{what}");
        self.row.failed(&format!("{what}: {cause}"), *attempt, self.store.clock().now());
        let wait = backoff(*attempt, self.random.random());
        *attempt = attempt.saturating_add(1);
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Ended::Stopping),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}
