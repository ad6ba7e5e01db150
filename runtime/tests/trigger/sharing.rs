//! Many triggers on one node: each has its turn, and together they hold no more memory than one node has for them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that goes wrong shall stop")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tidemill::deploy::{Start, TriggerRules, TriggerSpec};
use tidemill::functions::{FunctionName, Invocation};
use tidemill::home::Home;
use tidemill::limits::{BATCH_BYTES_MAX, LANE_BYTES_SHORT, LANE_TURN_BATCHES, LANES_BYTES_MAX};
use tidemill::status::Board;
use tidemill::trigger::{Target, Targets, Triggers};
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::engine::memory::Memory;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::store::Store;
use tidemill_stream::stream::StreamMode;
use tokio::sync::watch;

use crate::rig::{Outcome, START_MS, fails, succeeds};

/// A stream with one shard, and triggers on it, each with a function of its own.
struct Node {
    store: Store,
    stream: StreamName,
    board: Board,
    triggers: Triggers,
}

impl Node {
    /// The function of a trigger is told which one it is.
    async fn new(function: impl Fn(usize) -> Outcome + Send + Sync + 'static) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(START_MS));
        let store = Store::open(Arc::new(Memory::new(clock.clone())), clock).await.unwrap();
        let stream = StreamName::parse("orders").unwrap();
        store.create_stream(&stream, 1, StreamMode::Provisioned, Duration::from_hours(24)).await.unwrap();
        let (board, versions, function) = (Board::new(), watch::Sender::new(None), Arc::new(function));
        let targets: Targets = Arc::new(move |name| {
            let (number, function) = (name.as_str()[1..].parse().unwrap(), Arc::clone(&function));
            let invoke = move |_: Invocation| function(number);
            Some(Target { invoke: Box::new(invoke), versions: versions.subscribe(), threads: None })
        });
        let triggers = Triggers::start(store.clone(), Home::default(), targets, board.clone());
        Self { store, stream, board, triggers }
    }

    async fn apply(&self, count: usize, batch_records_max: usize) {
        let spec = |number: usize| TriggerSpec {
            name: format!("t{number}"),
            stream: self.stream.clone(),
            function: FunctionName::parse(&format!("f{number}")).unwrap(),
            start: Start::TrimHorizon,
            is_enabled: true,
            rules: TriggerRules { batch_records_max, ..TriggerRules::default() },
        };
        self.triggers.apply((0..count).map(spec).collect()).await.unwrap();
    }

    async fn put(&self, records: usize, bytes: usize) {
        let record = || Record {
            partition_key: PartitionKey::parse("k").unwrap(),
            explicit_hash: None,
            data: Bytes::from(vec![b'r'; bytes]),
        };
        for _ in 0..records.div_ceil(50) {
            let placed = self.store.put(&self.stream, (0..50).map(|_| record()).collect()).await.unwrap();
            assert!(placed.iter().all(Result::is_ok));
        }
    }

    /// Waits, in paused time, until the board is as wanted.
    async fn until(&self, wanted: impl Fn(&Board) -> bool) {
        for _ in 0..100_000 {
            if wanted(&self.board) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain");
    }
}

/// A hundred batches wait for each of a thousand triggers. A tenth of the functions always fail, which costs the others
/// nothing; nobody is ever far ahead of another.
#[tokio::test(start_paused = true)]
async fn a_thousand_triggers_have_their_turns() {
    const TRIGGERS: usize = 1000;
    const BATCHES: usize = 100;
    const AHEAD_MAX: usize = 2 * LANE_TURN_BATCHES as usize;
    let is_well = |number: usize| !number.is_multiple_of(10);
    let calls: Arc<Vec<AtomicUsize>> = Arc::new((0..TRIGGERS).map(|_| AtomicUsize::new(0)).collect());
    let spread = Arc::new(AtomicUsize::new(0));
    let (counts, most) = (Arc::clone(&calls), Arc::clone(&spread));
    let node = Node::new(move |number| {
        if !is_well(number) {
            return fails("always");
        }
        let count = 1 + counts[number].fetch_add(1, Ordering::Relaxed);
        if count.is_multiple_of(10) {
            let of_others = (0..TRIGGERS).filter(|number| is_well(*number));
            let least = of_others.map(|number| counts[number].load(Ordering::Relaxed)).min().unwrap();
            most.fetch_max(count - least, Ordering::Relaxed);
        }
        succeeds()
    })
    .await;
    node.apply(TRIGGERS, 10).await;
    node.put(10 * BATCHES, 10).await;
    let wanted = (10 * BATCHES * TRIGGERS / 10 * 9) as u64;
    node.until(|board| board.snapshot().iter().map(|row| row.status.counts.records).sum::<u64>() == wanted).await;
    let spread = spread.load(Ordering::Relaxed);
    assert!(spread <= AHEAD_MAX, "one was {spread} batches ahead of another");
    node.triggers.stop().await;
}

/// The functions of a hundred triggers fail, and much waits for each.
#[tokio::test(start_paused = true)]
async fn triggers_that_are_stuck_hold_bounded_memory_together() {
    const TRIGGERS: usize = 100;
    const BYTES: usize = 100_000;
    let node = Node::new(|_| fails("always")).await;
    node.put(2 * BATCH_BYTES_MAX / BYTES, BYTES).await;
    node.apply(TRIGGERS, 10_000).await;
    node.until(|board| {
        let rows = board.snapshot();
        rows.len() == TRIGGERS && rows.iter().all(|row| row.status.counts.failures > 3)
    })
    .await;
    let held: Vec<usize> =
        node.board.snapshot().iter().map(|row| row.status.counts.polled as usize * (BYTES + 1)).collect();
    // Who comes last may find a byte of room, and fill a batch and what waits behind it.
    let shares = TRIGGERS * 2 * (LANE_BYTES_SHORT + BYTES + 1);
    let most = LANES_BYTES_MAX + 2 * (BATCH_BYTES_MAX + BYTES) + shares;
    let all: usize = held.iter().sum();
    assert!(all <= most, "{all} bytes are held, {most} may be");
    assert!(all >= LANES_BYTES_MAX / 10 * 9, "memory was short, or this shows nothing: {all}");
    assert!(held.iter().all(|held| *held > 0), "everybody has a share: {held:?}");
    node.triggers.stop().await;
}
