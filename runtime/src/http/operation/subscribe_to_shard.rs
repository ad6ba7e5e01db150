//! `SubscribeToShard`: the records of a shard, pushed as they come.
//!
//! The answer is an event stream. Nothing is read before the connection asks for the next event, so a client that does
//! not read costs one event's memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tidemill_stream::attached::{AttachError, ConsumerRef};
use tidemill_stream::engine::{Bound, Position, ReadLimits};
use tidemill_stream::read::{Read, ReadError};
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::Shard;
use tidemill_stream::stream::Stream;
use tidemill_wire::{StartingPosition, SubscribeToShardEvent, SubscribeToShardRequest};
use tokio::time::{Instant, sleep, sleep_until};

use super::get_records::{RECORD_FRAME_BYTES, record};
use super::get_shard_iterator::{TYPES, start};
use super::shape;
use crate::http::codec::Codec;
use crate::http::constraint::{At, SEQUENCE_NUMBER, SHARD_ID, StreamRef};
use crate::http::context::{Context, stop_dry_run, timestamp};
use crate::http::dispatch::Door;
use crate::http::error::{ApiError, ErrorKind};
use crate::http::event_stream::frame;
use crate::http::limits::{CONSUMER_CHECK_INTERVAL, EVENT_BYTES_MAX, EVENT_RECORDS_MAX, SUBSCRIPTION_LENGTH};
use crate::http::subscriptions::{Seat, Subscribed};

/// What an event with or without records is called.
const EVENT: &str = "SubscribeToShardEvent";
/// How soon it is looked again for what will be there in a moment.
const MOMENT: Duration = Duration::from_millis(50);

pub(super) async fn run(
    context: &Context<'_>,
    door: &Arc<Door>,
    request: SubscribeToShardRequest,
) -> Result<Body, ApiError> {
    let mut check = context.check();
    let arn = check.required(At::Member("consumerARN"), request.consumer_arn.as_deref());
    let in_stream = StreamRef { name: None, arn: None, id: request.stream_id.as_deref() };
    let meant = arn.and_then(|arn| check.consumer(in_stream, None, Some(arn)));
    let shard_id = check.required_text(At::Member("shardId"), request.shard_id.as_deref(), &SHARD_ID);
    let position = check.required(At::Member("startingPosition"), request.starting_position);
    let StartingPosition { kind, sequence_number, timestamp: time } = position.clone().unwrap_or_default();
    let at_kind = At::Member("startingPosition.type");
    let kind = position.and_then(|_| check.required(at_kind, kind.as_deref()));
    let kind = check.word(at_kind, kind, &TYPES);
    let number =
        check.text(At::Member("startingPosition.sequenceNumber"), sequence_number.as_deref(), &SEQUENCE_NUMBER);
    let (((name, meant), shard_id), kind) = check.finish(meant.zip(shard_id).zip(kind))?;
    let stream = context.stream(&name)?;
    let found = context.store().attached(&stream).await?.consumer(&meant);
    let consumer = found.map_err(|error| ApiError::of_attach(error, &name, context.account()))?;
    let unknown = || ApiError::no_shard(&shard_id, &name, context.account());
    let index = context.shard(&name, shard_id)?;
    let shard = stream.shard(index).ok_or_else(unknown)?.clone();
    let start = start(kind, number, time.map(timestamp), context.now())?;
    let from = context.store().position(&stream, index, start).await;
    let from = from.map_err(|error| ApiError::of_position(error, context.account()))?;
    stop_dry_run(request.dry_run)?;
    let taken = door.subscriptions().take(Seat::of(stream.id, index, &consumer));
    let subscribed = taken.map_err(|_| {
        let message = format!(
            "Another active subscription exists for this consumer: {}:{shard_id}:{}. It can be taken over 5 seconds after it began.",
            context.account(), consumer.name,
        );
        ApiError::new(ErrorKind::ResourceInUse, message)
    })?;
    let before = Position(from.lowest().0.saturating_sub(1));
    let continuation = SequenceNumber::new(&shard, before, context.now());
    let subscription = Subscription {
        door: Arc::clone(door),
        codec: context.codec,
        account: context.account().to_owned(),
        consumer: meant,
        stream,
        shard,
        subscribed,
        ends: Instant::now() + SUBSCRIPTION_LENGTH,
        check_due: Instant::now(),
        progress: Progress {
            from,
            continuation,
            event_due: Instant::now(),
            behind: Duration::ZERO,
            records: 0,
            phase: Phase::Begins,
        },
        idle: None,
    };
    Ok(Body::from_stream(stream::unfold(subscription, Subscription::step)))
}

/// What is sent to one subscriber.
struct Subscription {
    door: Arc<Door>,
    codec: Codec,
    account: String,
    consumer: ConsumerRef,
    stream: Arc<Stream>,
    shard: Shard,
    subscribed: Subscribed,
    ends: Instant,
    /// When it is looked whether the consumer is still registered.
    check_due: Instant,
    progress: Progress,
    /// The last event without records, and what it says.
    idle: Option<((SequenceNumber, Duration), Bytes)>,
}

/// How far a subscription has come.
#[derive(Debug, Clone, Copy)]
struct Progress {
    from: Bound,
    /// Of the last record before `from`.
    continuation: SequenceNumber,
    /// When there is an event even without records.
    event_due: Instant,
    /// How far the last read was behind the newest record.
    behind: Duration,
    /// Records in the frames so far.
    records: u64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begins,
    Goes,
    Over,
}

/// The end of a subscription, with the frame that tells of it if there is one.
struct Ended(Option<Bytes>);

impl Subscription {
    /// The next frame; none ends the answer.
    async fn step(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            let before = self.progress;
            let frame = self.next_frame().await?;
            let (size, behind) = (frame.len(), self.progress.behind);
            if let Ok(kept) = self.door.keep(frame) {
                self.door.state().metrics.records_out.inc_by(self.progress.records - before.records);
                return Some((Ok(kept), self));
            }
            // Who waits for room holds none: it is read again when there is some.
            self.progress = before;
            self.wait_for_room(size).await;
            if let Some(frame) = self.meanwhile(behind) {
                return Some((Ok(frame), self));
            }
        }
    }

    /// The event that is due although there is no room for the next records; it needs none itself.
    fn meanwhile(&mut self, behind: Duration) -> Option<Bytes> {
        let is_due = self.progress.phase == Phase::Goes && Instant::now() >= self.progress.event_due;
        if !is_due || self.is_over() || self.subscribed.is_lost() {
            return None;
        }
        self.progress.event_due = self.door.subscriptions().next_event();
        self.nothing(behind).ok()
    }

    /// What comes next; none is the end.
    async fn next_frame(&mut self) -> Option<Bytes> {
        let frame = match self.progress.phase {
            Phase::Over => return None,
            Phase::Begins => {
                self.progress.phase = Phase::Goes;
                // Clients wait for it before they say that they are subscribed.
                self.event("initial-response", &serde_json::Map::new(), 0)
            }
            Phase::Goes => self.next().await,
        };
        frame
            .or_else(|Ended(last)| {
                self.progress.phase = Phase::Over;
                last.ok_or(())
            })
            .ok()
    }

    /// Until so many bytes more may be answered, an event is due, or the subscription ends.
    async fn wait_for_room(&self, bytes: usize) {
        let room = async {
            loop {
                // Not all who wait come back at once.
                sleep(MOMENT.mul_f64(rand::random_range(1.0..3.0))).await;
                if self.door.has_room(bytes) {
                    return;
                }
            }
        };
        tokio::select! {
            () = room => {}
            () = sleep_until(self.progress.event_due.min(self.ends)) => {}
            () = self.subscribed.lost() => {}
        }
    }

    fn is_over(&self) -> bool {
        self.door.stopping().is_cancelled() || Instant::now() >= self.ends
    }

    async fn next(&mut self) -> Result<Bytes, Ended> {
        let store = self.door.state().store.clone();
        loop {
            if self.is_over() {
                return Err(Ended(None));
            }
            // What it is now: its children come with a split.
            let stream = store.stream(&self.stream.name).ok().filter(|stream| stream.id == self.stream.id);
            let gone = || self.failed(&ApiError::no_stream(&self.stream.name, &self.account));
            let stream = stream.ok_or_else(gone)?;
            if Instant::now() >= self.check_due || self.subscribed.is_lost() {
                self.check_due = Instant::now() + CONSUMER_CHECK_INTERVAL;
                self.check_consumer(&stream).await?;
            }
            if self.subscribed.is_lost() {
                if self.is_over() {
                    return Err(Ended(None));
                }
                let message = "Another subscription of this consumer has taken over the shard.";
                return Err(self.failed(&ApiError::new(ErrorKind::ResourceInUse, message)));
            }
            let limits = ReadLimits { records_max: EVENT_RECORDS_MAX, bytes_max: EVENT_BYTES_MAX };
            let read = store.read(&stream, self.shard.index, self.progress.from, limits).await;
            let read = read.map_err(|error| self.unreadable(error))?;
            let children = if read.is_at_end { shape::children(&stream, self.shard.index) } else { Vec::new() };
            self.progress.from = read.next;
            self.progress.behind = read.behind;
            let is_due = Instant::now() >= self.progress.event_due;
            let has_news = !read.records.is_empty() || !children.is_empty();
            if is_due || has_news {
                self.progress.event_due = self.door.subscriptions().next_event();
                return if has_news { self.records(&stream, &read, children) } else { self.nothing(read.behind) };
            }
            self.wait(&stream, &read).await;
        }
    }

    /// Until there may be more, or an event is due.
    async fn wait(&self, stream: &Stream, read: &Read) {
        let until = self.progress.event_due.min(self.ends);
        let news = async {
            if read.is_at_end {
                // The shard is closed, and its children are about to be known.
                sleep(MOMENT).await;
            } else {
                let wait = until.saturating_duration_since(Instant::now());
                self.door.state().store.wait(stream, self.shard.index, self.progress.from, wait).await;
            }
        };
        tokio::select! {
            () = news => {}
            () = self.subscribed.lost() => {}
        }
    }

    async fn check_consumer(&self, stream: &Stream) -> Result<(), Ended> {
        let attached = self.door.state().store.attached(stream).await;
        let found = attached.map_err(AttachError::from).and_then(|attached| attached.consumer(&self.consumer));
        found.map(drop).map_err(|error| self.failed(&ApiError::of_attach(error, &stream.name, &self.account)))
    }

    /// An event without records. While nothing comes it is always the same one.
    fn nothing(&mut self, behind: Duration) -> Result<Bytes, Ended> {
        let says = (self.progress.continuation, behind);
        if let Some((said, frame)) = &self.idle
            && *said == says
        {
            return Ok(frame.clone());
        }
        let event = SubscribeToShardEvent {
            records: Vec::new(),
            continuation_sequence_number: Some(self.progress.continuation.to_string()),
            millis_behind_latest: millis(behind),
            child_shards: None,
        };
        let frame = self.event(EVENT, &event, RECORD_FRAME_BYTES)?;
        self.idle = Some((says, frame.clone()));
        Ok(frame)
    }

    /// An event with what was read; the last one of a closed shard ends the subscription.
    fn records(
        &mut self,
        stream: &Stream,
        read: &Read,
        children: Vec<tidemill_wire::ChildShard>,
    ) -> Result<Bytes, Ended> {
        if let Some(last) = read.records.last() {
            self.progress.continuation = stream.sequence_number(&self.shard, last.position, last.arrival);
        }
        let is_last = !children.is_empty();
        let event = SubscribeToShardEvent {
            records: read.records.iter().map(|stored| record(stream, &self.shard, stored)).collect(),
            continuation_sequence_number: (!is_last).then(|| self.progress.continuation.to_string()),
            millis_behind_latest: millis(read.behind),
            child_shards: is_last.then_some(children),
        };
        let bytes = |size: usize| self.codec.blob_bytes(size) + RECORD_FRAME_BYTES;
        let bytes_expected: usize = read.records.iter().map(|stored| bytes(stored.size_bytes())).sum();
        self.progress.records += read.records.len() as u64;
        let frame = self.event(EVENT, &event, bytes_expected + RECORD_FRAME_BYTES * 4)?;
        if is_last { Err(Ended(Some(frame))) } else { Ok(frame) }
    }

    fn event<T: serde::Serialize>(&self, kind: &str, event: &T, bytes_expected: usize) -> Result<Bytes, Ended> {
        let frame = self.frame("event", ":event-type", kind, event, bytes_expected);
        frame.map_err(|error| self.failed(&error))
    }

    fn unreadable(&self, error: ReadError) -> Ended {
        self.failed(&ApiError::of_read(error, &self.account))
    }

    /// The frame of an error: it is the last.
    fn failed(&self, error: &ApiError) -> Ended {
        let name = error.kind.name();
        error.log(|| tracing::info_span!("subscription", stream = %self.stream.name, shard = %self.shard.index));
        Ended(self.frame("exception", ":exception-type", name, &error.body(), error.message.len() + 64).ok())
    }

    fn frame<T: serde::Serialize>(
        &self,
        message: &str,
        kind: &str,
        name: &str,
        payload: &T,
        bytes_expected: usize,
    ) -> Result<Bytes, ApiError> {
        let content = self.codec.content_type();
        let headers =
            [(":message-type", message), (kind, name), (":content-type", content.to_str().unwrap_or_default())];
        frame(&headers, bytes_expected, |buffer| self.codec.append(buffer, payload))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
