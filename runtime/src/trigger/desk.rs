//! The desk: what the poller of a shard and the runners of its lanes share.
//!
//! The poller lays records down and picks up how far the lanes are; a runner takes batches and says what is done. Promises
//! that what waits is bounded, that no record is given to two runners, and that progress is never ahead of what runners have
//! settled. Everything here is short and sync: nobody waits with the lock held.

use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::cursor::Progress;
use tidemill_stream::engine::Bound;
use tidemill_stream::read::Read;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::intake::{Found, Intake, Offer, Offered};
use super::lane::{Batch, BatchLimits, Lane};
use super::room::Room;
use super::runner::Runner;
use crate::deploy::TriggerRules;

pub(super) struct Desk {
    state: Mutex<State>,
    limits: BatchLimits,
    intake: Intake,
    window: std::time::Duration,
    /// A lane has settled something, has room again, has come to rest, or asks for a look.
    changed: Notify,
}

struct State {
    seats: Vec<Seat>,
    progress: Progress,
    /// The progress is ahead of the cursor.
    is_dirty: bool,
    /// Where the shard ends, once it is known.
    end: Option<Bound>,
    /// Nothing was seen behind this bound, and when it was looked, if there was nothing indeed.
    tip: Option<(Bound, Option<Timestamp>)>,
    /// A runner ended without coming back.
    is_broken: bool,
    /// The poller is gone: no runner stays.
    is_closed: bool,
}

/// A lane and who works on it.
struct Seat {
    lane: Lane,
    /// There while nobody works.
    runner: Option<Box<Runner>>,
    /// There is more for the lane, or it was looked whether there is.
    news: Arc<Notify>,
    /// When the lane's next batching window began, and when it ends if records wait in it.
    window_began: Instant,
    window_ends: Option<Instant>,
    /// A tumbling window is open: what is settled counts when it closes.
    held: Option<Held>,
}

/// What is settled within a tumbling window.
#[derive(Debug, Clone, Copy)]
struct Held {
    settled: Option<Bound>,
}

/// What became of what was read.
#[derive(Debug, Default)]
pub(super) struct Laid {
    /// Records that lanes took or that were filtered out, user records counted one by one.
    pub(super) polled: u64,
    /// Those that the filter did not let pass, and how many of them are no JSON though it asks for some.
    pub(super) filtered: u64,
    pub(super) not_json: u64,
    pub(super) found: Found,
}

/// What a runner does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Deliver this.
    Batch(Batch),
    /// Wait until then, or for news.
    Wait(Instant),
    /// Nothing waits.
    Nothing,
}

impl Desk {
    /// For the lanes of one shard; a runner for each of them.
    pub(super) fn new(
        progress: Progress,
        rules: &TriggerRules,
        limits: BatchLimits,
        intake: Intake,
        room: &Room,
    ) -> Self {
        let progress = progress.divided(rules.parallelization);
        let seat = |bound: &Bound| Seat {
            lane: Lane::new(*bound, room),
            runner: None,
            news: Arc::default(),
            window_began: Instant::now(),
            window_ends: None,
            held: None,
        };
        let seats = progress.lanes().iter().map(seat).collect();
        let state =
            State { seats, progress, is_dirty: false, end: None, tip: None, is_broken: false, is_closed: false };
        Self { state: Mutex::new(state), limits, intake, window: rules.window, changed: Notify::new() }
    }
}

/// For the poller.
impl Desk {
    /// The runners, at the start.
    #[expect(clippy::vec_box, reason = "a runner is large, and handed on in its box")]
    pub(super) fn seat(&self, runners: Vec<Box<Runner>>) {
        let mut state = self.state.lock();
        state.seats.iter_mut().zip(runners).for_each(|(seat, runner)| seat.runner = Some(runner));
    }

    /// Where to read next: where the lane stands that has the least to do and is low on records; `None` while no lane is, or
    /// all of those are at the tip.
    pub(super) fn wants(&self) -> Option<Bound> {
        let state = self.state.lock();
        let tip = state.tip.map(|(bound, _)| bound);
        let wanting = |seat: &&Seat| {
            let taken = seat.lane.taken();
            seat.lane.is_low(&self.limits) && Some(taken) != tip && state.end.is_none_or(|end| taken < end)
        };
        let least = state.seats.iter().filter(wanting).min_by_key(|seat| (seat.lane.len(), seat.lane.taken()));
        least.map(|seat| seat.lane.taken())
    }

    /// Lays down what was read from a bound on; of when it is, if it is not of an earlier view.
    pub(super) fn lay_down(&self, from: Bound, read: Read, looked: Option<Timestamp>) -> Laid {
        let Read { records, next, is_at_end, skipped, .. } = read;
        let is_empty = records.is_empty();
        // Only who reads moves these on: they stay as they are without the lock, which is not held for long work.
        let taken: Vec<Bound> = self.state.lock().seats.iter().map(|seat| seat.lane.taken()).collect();
        let wants =
            |lane: usize, position| taken.get(lane).is_some_and(|taken| *taken >= from && taken.admits(position));
        let (offers, found) = self.intake.sort(records, wants);
        let mut laid = Laid { found, ..Laid::default() };

        let mut state = self.state.lock();
        state.seats.iter_mut().for_each(|seat| seat.lane.opens_for(from));
        for offer in offers {
            state.take(offer, &self.limits, &mut laid);
        }
        state.seats.iter_mut().for_each(|seat| seat.lane.closes_at(next));
        state.tip = (is_empty && !is_at_end && !skipped).then_some((next, looked));
        if is_at_end {
            state.end = Some(next);
        }
        // Where nothing came nothing is noted: ten thousand idle shards write no cursors.
        if !is_empty || is_at_end || skipped {
            state.rest_lanes();
        }
        state.tell_runners();
        laid
    }

    /// Memory is short: runners that wait for more look again.
    pub(super) fn hurry(&self) {
        self.state.lock().tell_runners();
    }

    /// The tip may have moved on.
    pub(super) fn forget_tip(&self) {
        self.state.lock().tip = None;
    }

    /// Whether every lane that has room is at the tip.
    pub(super) fn tip(&self) -> Option<Bound> {
        self.state.lock().tip.map(|(bound, _)| bound)
    }

    /// The runners that have something to do and do nothing.
    #[expect(clippy::vec_box, reason = "a runner is large, and handed on in its box")]
    pub(super) fn call(&self) -> Vec<Box<Runner>> {
        let mut state = self.state.lock();
        let State { seats, end, .. } = &mut *state;
        let idle = seats.iter_mut().filter(|seat| !seat.lane.is_empty() || (seat.held.is_some() && end.is_some()));
        idle.filter_map(|seat| seat.runner.take()).collect()
    }

    /// Whether the progress is ahead of the cursor.
    pub(super) fn is_dirty(&self) -> bool {
        self.state.lock().is_dirty
    }

    /// The progress, if it is ahead of the cursor.
    pub(super) fn pick_up(&self) -> Option<Progress> {
        let mut state = self.state.lock();
        std::mem::take(&mut state.is_dirty).then(|| state.progress.clone())
    }

    /// What was picked up did not get into the cursor.
    pub(super) fn put_back(&self) {
        self.state.lock().is_dirty = true;
    }

    /// Whether the shard has ended and all of it is settled.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.state.lock();
        state.end.is_some_and(|end| state.progress.low() >= end && state.seats.iter().all(|seat| seat.runner.is_some()))
    }

    /// Whether no runner works.
    pub(super) fn is_at_rest(&self) -> bool {
        self.state.lock().seats.iter().all(|seat| seat.runner.is_some())
    }

    /// The poller is gone. Runners hold on to the place that has the desk: none stays at it, so that both can go.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let runners: Vec<_> = state.seats.iter_mut().map(|seat| seat.runner.take()).collect();
        drop(state);
        drop(runners);
    }

    /// Whether a runner has ended without coming back.
    pub(super) fn is_broken(&self) -> bool {
        self.state.lock().is_broken
    }

    /// When the oldest record arrived that waits or is in work.
    pub(super) fn waits_since(&self) -> Option<Timestamp> {
        self.state.lock().seats.iter().filter_map(|seat| seat.lane.waits_since()).min()
    }

    /// Waits until a lane has changed something.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// For runners.
impl Desk {
    /// What the runner of a lane does next.
    pub(super) fn next(&self, lane: usize) -> Next {
        let mut state = self.state.lock();
        let is_ended = state.end.is_some();
        let Some(seat) = state.seats.get_mut(lane) else { return Next::Nothing };
        if seat.lane.is_empty() {
            return Next::Nothing;
        }
        let now = Instant::now();
        let ends = *seat.window_ends.get_or_insert_with(|| end_of_window(seat.window_began, self.window, now));
        if now < ends && !seat.lane.is_full(&self.limits) && !is_ended {
            return Next::Wait(ends);
        }
        seat.window_ends = None;
        let batch = seat.lane.form(&self.limits);
        let is_low = seat.lane.is_low(&self.limits);
        drop(state);
        if is_low {
            self.changed.notify_one();
        }
        batch.map_or(Next::Nothing, Next::Batch)
    }

    /// Told when there is more for a lane, or it was looked whether there is.
    pub(super) fn news(&self, lane: usize) -> Arc<Notify> {
        self.state.lock().seats.get(lane).map(|seat| Arc::clone(&seat.news)).unwrap_or_default()
    }

    /// A lane is done with all before this.
    pub(super) fn settle(&self, lane: usize, bound: Bound) {
        self.progress_by(|state| {
            let held = state.seats.get_mut(lane).and_then(|seat| seat.held.as_mut());
            match held {
                Some(held) => held.settled = Some(bound),
                None => state.advance(lane, bound),
            }
        });
    }

    /// A batch is processed; the lane's next batching window begins.
    pub(super) fn is_done(&self, lane: usize) {
        self.progress_by(|state| {
            if let Some(seat) = state.seats.get_mut(lane) {
                seat.lane.is_back();
                seat.window_began = Instant::now();
            }
            state.rest_lanes();
        });
    }

    /// The poller is told once that the cursor is behind: it moves that in its own time.
    fn progress_by(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let was_dirty = state.is_dirty;
        change(&mut state);
        let is_news = state.is_dirty && !was_dirty;
        drop(state);
        if is_news {
            self.changed.notify_one();
        }
    }

    /// A tumbling window is open from here on: what is settled counts when it is closed.
    pub(super) fn hold(&self, lane: usize) {
        if let Some(seat) = self.state.lock().seats.get_mut(lane) {
            seat.held.get_or_insert(Held { settled: None });
        }
    }

    /// The window is closed.
    pub(super) fn release(&self, lane: usize) {
        self.progress_by(|state| {
            let held = state.seats.get_mut(lane).and_then(|seat| seat.held.take());
            if let Some(bound) = held.and_then(|held| held.settled) {
                state.advance(lane, bound);
            }
            state.rest_lanes();
        });
    }

    /// Whether nothing more can come for the lane that arrived before this: all was read, and looked for since.
    pub(super) fn has_all_before(&self, lane: usize, time: Timestamp) -> bool {
        let state = self.state.lock();
        let Some(seat) = state.seats.get(lane) else { return true };
        let is_read = |(tip, looked): (Bound, Option<Timestamp>)| {
            seat.lane.taken() >= tip && looked.is_some_and(|looked| looked >= time)
        };
        seat.lane.is_empty() && (state.is_ended_for(seat) || state.tip.is_some_and(is_read))
    }

    /// Asks the poller to look whether there is more.
    pub(super) fn ask_for_a_look(&self) {
        self.forget_tip();
        self.changed.notify_one();
    }

    /// The runner has nothing to do: it rests at the desk, or comes back if there is something after all.
    pub(super) fn rest(&self, runner: Box<Runner>) -> Option<Box<Runner>> {
        let mut state = self.state.lock();
        if state.is_closed {
            return None;
        }
        let seat = state.seats.get_mut(runner.lane())?;
        if !seat.lane.is_empty() {
            return Some(runner);
        }
        seat.runner = Some(runner);
        drop(state);
        self.changed.notify_one();
        None
    }

    /// The runner was stopped: what it did not settle will be delivered again by another.
    pub(super) fn stopped(&self, runner: Box<Runner>) {
        let mut state = self.state.lock();
        let is_closed = state.is_closed;
        if let Some(seat) = state.seats.get_mut(runner.lane()).filter(|_| !is_closed) {
            seat.runner = Some(runner);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A runner ended without coming back.
    pub(super) fn broke(&self) {
        self.state.lock().is_broken = true;
        self.changed.notify_one();
    }
}

impl State {
    /// A lane takes a record, if it still takes part.
    fn take(&mut self, offer: Offer, limits: &BatchLimits, laid: &mut Laid) {
        let Offer { lane, position, what } = offer;
        let Some(seat) = self.seats.get_mut(lane) else { return };
        match what {
            Offered::Item(item) => {
                let is_done =
                    self.progress.has_former() && self.progress.includes(&item.record.partition_key, position);
                if is_done || !seat.lane.admits(position, limits) {
                    return;
                }
                seat.lane.push(item, limits);
            }
            Offered::Filtered | Offered::NotJson if !seat.lane.is_open_at(position) => return,
            Offered::Filtered => laid.filtered += 1,
            Offered::NotJson => {
                laid.filtered += 1;
                laid.not_json += 1;
            }
        }
        laid.polled += 1;
    }

    fn advance(&mut self, lane: usize, bound: Bound) {
        self.progress.advance(lane, bound);
        self.is_dirty = true;
    }

    /// Who is at work looks again before it waits on.
    fn tell_runners(&self) {
        self.seats.iter().filter(|seat| seat.runner.is_none()).for_each(|seat| seat.news.notify_one());
    }

    fn is_ended_for(&self, seat: &Seat) -> bool {
        self.end.is_some_and(|end| seat.lane.taken() >= end)
    }

    /// Lanes without records are done with all that was read.
    fn rest_lanes(&mut self) {
        let State { seats, progress, is_dirty, .. } = self;
        let idle = |seat: &Seat| seat.lane.is_empty() && seat.lane.waits_since().is_none() && seat.held.is_none();
        for (number, seat) in seats.iter().enumerate().filter(|(_, seat)| idle(seat)) {
            if progress.lanes().get(number).is_some_and(|bound| *bound < seat.lane.taken()) {
                progress.advance(number, seat.lane.taken());
                *is_dirty = true;
            }
        }
    }
}

/// Batching windows follow one another from the end of the last call on; this is where that one ends in which `now` lies.
fn end_of_window(began: Instant, length: std::time::Duration, now: Instant) -> Instant {
    if length.is_zero() {
        return now;
    }
    let passed = now.saturating_duration_since(began).as_nanos() / length.as_nanos();
    let windows = u32::try_from(passed + 1).unwrap_or(u32::MAX);
    began + length.saturating_mul(windows)
}
