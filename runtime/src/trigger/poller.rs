//! A poller: one trigger in one shard.
//!
//! Reads what the lanes of the shard have room for, lays it on the desk, calls runners to work on it, and moves the cursor
//! behind what they have settled. It ends when it is asked to, when its shard is closed and processed to its end, when its
//! stream is gone, or when somebody else moved its cursor.

use std::sync::Arc;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tidemill_stream::cursor::{Cursor, MoveCursorError, Progress, TriggerId};
use tidemill_stream::engine::{Bound, ReadLimits};
use tidemill_stream::error::StoreError;
use tidemill_stream::limits::READ_RECORDS_MAX;
use tidemill_stream::read::{Read, ReadError, StartAt};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::desk::{Desk, Laid};
use super::intake::Intake;
use super::lane::BatchLimits;
use super::lineage::Ends;
use super::policy::{backoff, rest};
use super::runner::{Runner, Workplace};
use super::size::Sizes;
use super::work::Work;
use crate::limits::{
    BATCH_BYTES_MAX, CURSOR_PACE, LANE_AHEAD_BYTES, LANE_AHEAD_RECORDS, LANE_BYTES_SHORT, TIP_WAIT_FIRST,
};
use crate::status::State;
use crate::tasks::Tasks;

/// What a poller works with.
pub(super) struct Poller {
    pub(super) work: Work,
    pub(super) trigger: TriggerId,
    pub(super) ends: Ends,
    pub(super) random: StdRng,
    /// Runners are tasks of their own.
    pub(super) tasks: Tasks,
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
    /// A runner broke down.
    Broken,
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
        let row = &self.work.row;
        match ended {
            Ended::Stopping => debug!("poller stopped"),
            Ended::ReadToTheEnd => {
                info!("the shard was split or merged, and is read to its end");
                row.update(|status| status.state = State::Finished);
                self.ends.reached(self.work.shard.index);
            }
            Ended::NoStream => {
                info!("the stream is gone; its poller ends");
                row.update(|status| status.state = State::WaitingForStream);
            }
            Ended::Missing => self.give_up(
                "the shard ends before the cursor: records that were processed are missing from the log, restore its newest \
                 segment, or give the trigger another name to begin anew",
            ),
            Ended::Broken => self.give_up(
                "a lane of the shard broke down, which is a fault of the node; the log has the panic. Start the node anew",
            ),
            Ended::Stale => {
                warn!("somebody else moved the cursor; this poller ends without moving it");
                row.update(|status| status.state = State::Stopped);
            }
        }
    }

    fn give_up(&self, what: &str) {
        error!("{what}");
        self.work.row.failed(what, 1, self.work.store.clock().now());
        self.work.row.update(|status| status.state = State::Stopped);
    }

    async fn find_cursor(&mut self) -> Result<Cursor, Ended> {
        let mut attempt = 1;
        loop {
            match self.work.store.cursor(self.trigger, self.work.shard.index).await {
                Ok(None) => return Err(Ended::Stale),
                Ok(Some(cursor)) => return self.check_end(cursor).await,
                Err(error) => self.back_off_from_store("the cursor cannot be read", &error, &mut attempt).await?,
            }
        }
    }

    /// A cursor behind the end of its log means that acknowledged records are gone, and that new ones would be taken for
    /// processed. A closed shard takes no new ones.
    async fn check_end(&mut self, cursor: Cursor) -> Result<Cursor, Ended> {
        let Work { store, stream, shard, .. } = &self.work;
        if !shard.is_open() {
            return Ok(cursor);
        }
        let end = store.position(stream, shard.index, StartAt::Latest).await;
        if end.is_ok_and(|end| cursor.progress.high() > end) { Err(Ended::Missing) } else { Ok(cursor) }
    }

    /// Reads, calls runners and moves the cursor, until the end.
    async fn follow(&mut self, mut cursor: Cursor) -> Ended {
        let place = Opened(self.workplace(cursor.progress.clone()));
        let place = &*place.0;
        let (mut looks_in_vain, mut moves_at) = (0, Instant::now());
        loop {
            let turn = async {
                let read = match place.desk.wants() {
                    Some(from) => Some(self.look(place, from, &mut looks_in_vain).await?),
                    None => None,
                };
                self.call_runners(&place.desk);
                if self.work.room.is_short() {
                    place.desk.hurry();
                }
                // Asked before the cursor moves: what is settled while it does is for the next move.
                let is_finished = place.desk.is_finished();
                let is_time = is_finished || place.desk.is_broken() || Instant::now() >= moves_at;
                if is_time && self.commit(&place.desk, &mut cursor).await? {
                    moves_at = Instant::now() + CURSOR_PACE;
                }
                self.show(&place.desk);
                if place.desk.is_broken() {
                    return Err(Ended::Broken);
                }
                if is_finished {
                    return Err(Ended::ReadToTheEnd);
                }
                if read.is_none() {
                    self.wait(&place.desk, looks_in_vain, moves_at).await?;
                }
                Ok(())
            };
            if let Err(ended) = turn.await {
                return self.wind_down(&place.desk, &mut cursor, ended).await;
            }
        }
    }

    fn workplace(&mut self, progress: Progress) -> Arc<Workplace> {
        let Work { stream, rules, shard, arns, room, .. } = &self.work;
        let is_alone = stream.open_shards().count() == 1;
        let limits = BatchLimits::of(rules, Sizes::new(rules.semantics, arns));
        let desk = Desk::new(progress, rules, limits, Intake::new(rules, shard.range, is_alone), room);
        let lanes = rules.parallelization;
        let place = Arc::new(Workplace { work: self.work.clone(), desk });
        let random = &mut self.random;
        let runner = |lane| Box::new(Runner::new(lane, Arc::clone(&place), StdRng::from_rng(random)));
        place.desk.seat((0..lanes).map(runner).collect());
        place
    }

    /// One read, laid on the desk.
    async fn look(&mut self, place: &Workplace, from: Bound, looks_in_vain: &mut u32) -> Result<(), Ended> {
        let at = self.work.store.clock().now();
        let read = self.read(from).await?;
        if read.skipped {
            self.tell_of_skipped(from);
        }
        let is_in_vain = read.records.is_empty() && !read.skipped && !read.is_at_end;
        *looks_in_vain = if is_in_vain { looks_in_vain.saturating_add(1) } else { 0 };
        let looked = if is_in_vain && self.is_behind(read.next).await { None } else { Some(at) };
        let laid = place.desk.lay_down(from, read, looked);
        self.tell_of(laid);
        Ok(())
    }

    /// Whether there is more behind this bound, or may be: a read may be of an earlier view, a position is of now. Only
    /// who closes windows by the clock must know.
    async fn is_behind(&self, next: Bound) -> bool {
        let Work { store, stream, shard, rules, .. } = &self.work;
        if rules.tumbling_window.is_none() {
            return false;
        }
        let end = store.position(stream, shard.index, StartAt::Latest).await;
        !end.is_ok_and(|end| end <= next)
    }

    async fn read(&mut self, from: Bound) -> Result<Read, Ended> {
        let Work { rules, room, .. } = &self.work;
        let records_of_lane = rules.batch_records_max.max(LANE_AHEAD_RECORDS);
        let bytes_of_lane = if room.is_short() {
            LANE_BYTES_SHORT
        } else if rules.batch_records_max < LANE_AHEAD_RECORDS {
            LANE_AHEAD_BYTES
        } else {
            BATCH_BYTES_MAX
        };
        let limits = ReadLimits {
            records_max: records_of_lane.saturating_mul(rules.parallelization).min(READ_RECORDS_MAX),
            bytes_max: bytes_of_lane.saturating_mul(rules.parallelization).min(BATCH_BYTES_MAX),
        };
        let mut attempt = 1;
        loop {
            let Work { store, stream, shard, stopping, .. } = &self.work;
            if stopping.is_cancelled() {
                return Err(Ended::Stopping);
            }
            match store.read(stream, shard.index, from, limits).await {
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
        self.work.row.update(|status| status.counts.skips += 1);
    }

    /// What became of the records of a read: one line however many there were.
    fn tell_of(&self, laid: Laid) {
        let Laid { polled, filtered, not_json, found } = laid;
        if let Some((position, reason)) = &found.last_malformed {
            let (count, last) = (found.malformed, position.0);
            warn!(count, last, %reason, "records begin as aggregated records and are none; they are delivered as they are");
        }
        self.work.row.update(|status| {
            status.counts.polled += polled;
            status.counts.filtered += filtered;
            status.counts.not_json += not_json;
            status.counts.malformed += found.malformed;
            status.counts.misplaced += found.misplaced;
        });
    }

    fn call_runners(&self, desk: &Desk) {
        for mut runner in desk.call() {
            match runner.threads() {
                Some(threads) => self.tasks.spawn_on("lane", &threads, runner.run()),
                None => self.tasks.spawn("lane", runner.run()),
            }
        }
    }

    /// Moves the cursor behind what is settled, durably enough: after a crash it may lag. Whether there was anything to move.
    async fn commit(&mut self, desk: &Desk, cursor: &mut Cursor) -> Result<bool, Ended> {
        let Some(to) = desk.pick_up() else { return Ok(false) };
        let mut attempt = 1;
        loop {
            let Work { store, shard, .. } = &self.work;
            match store.move_cursor(self.trigger, shard.index, cursor, to.clone()).await {
                Ok(moved) => {
                    *cursor = moved;
                    return Ok(true);
                }
                Err(MoveCursorError::Stale { .. }) => return Err(Ended::Stale),
                Err(MoveCursorError::Store(error)) => {
                    let waited = self.back_off_from_store("the cursor cannot be moved", &error, &mut attempt).await;
                    // Who is asked to stop meanwhile tries once more at the end.
                    waited.inspect_err(|_| desk.put_back())?;
                }
            }
        }
    }

    fn show(&self, desk: &Desk) {
        let waits_since = desk.waits_since();
        self.work.row.update(|status| {
            status.pending_since = waits_since;
            if !status.is_failing() {
                status.state = State::Running;
            }
        });
    }

    /// Nothing can be read for now: waits for a lane, or until a cursor that is behind moves again, or at the tip for a hint,
    /// and looks again by the clock in case the hint was lost.
    async fn wait(&mut self, desk: &Desk, looks_in_vain: u32, moves_at: Instant) -> Result<(), Ended> {
        let Work { store, stream, shard, stopping, .. } = &self.work;
        let (tip, is_dirty) = (desk.tip(), desk.is_dirty());
        let news = async {
            match tip {
                Some(tip) => store.wait(stream, shard.index, tip, rest(looks_in_vain)).await,
                // Lanes have no room. That of the node's memory comes back without a word.
                None => tokio::time::sleep(TIP_WAIT_FIRST).await,
            }
        };
        tokio::select! {
            biased;
            () = stopping.cancelled() => Err(Ended::Stopping),
            () = desk.changed() => Ok(()),
            () = tokio::time::sleep_until(moves_at), if is_dirty => Ok(()),
            () = news => {
                desk.forget_tip();
                Ok(())
            }
        }
    }

    /// Waits for the runners, which heed the stop, and moves the cursor a last time.
    async fn wind_down(&mut self, desk: &Desk, cursor: &mut Cursor, ended: Ended) -> Ended {
        // Whatever the reason, runners do not go on without a poller.
        self.work.stopping.cancel();
        if matches!(ended, Ended::Stopping) {
            // What the others settle counts, however long the call of one lane takes.
            while !desk.is_at_rest() && !desk.is_broken() {
                if let Err(Ended::Stale) = self.commit(desk, cursor).await {
                    return Ended::Stale;
                }
                desk.changed().await;
            }
            if let Err(Ended::Stale) = self.commit(desk, cursor).await {
                return Ended::Stale;
            }
        }
        ended
    }

    /// The store failed: that is nobody's fault here, and may pass.
    async fn back_off_from_store(&mut self, what: &str, cause: &StoreError, attempt: &mut u32) -> Result<(), Ended> {
        error!(error = %cause, attempt, "{what}");
        let Work { store, row, stopping, .. } = &self.work;
        row.failed(&format!("{what}: {cause}"), *attempt, store.clock().now());
        let wait = backoff(*attempt, self.random.random());
        *attempt = attempt.saturating_add(1);
        tokio::select! {
            biased;
            () = stopping.cancelled() => Err(Ended::Stopping),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}

/// A place with a poller: its desk closes when that is gone, however it goes.
struct Opened(Arc<Workplace>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.desk.close();
    }
}
