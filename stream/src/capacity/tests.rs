use super::*;
use crate::clock::Clock;
use crate::engine::memory::Memory;
use crate::limits::ALLOWANCES_SWEEP_MIN;
use crate::put::{OnceKey, PutFailure, PutOutcome};
use crate::record::{PartitionKey, Record};
use crate::shard::HashKey;
use crate::stream::StreamMode;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

struct World {
    clock: Clock,
    store: Store,
    name: StreamName,
}

impl World {
    async fn with(shards: u32, default: Capacity) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let store = Store::open_with(Arc::new(Memory::new(clock.clone())), clock.clone(), default).await.unwrap();
        let name = StreamName::parse("s").unwrap();
        store.create_stream(&name, shards, StreamMode::Provisioned, Duration::from_hours(24)).await.unwrap();
        Self { clock, store, name }
    }

    async fn limited(shards: u32) -> Self {
        Self::with(shards, Capacity::Provisioned).await
    }

    fn pass(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    fn stream(&self) -> Arc<Stream> {
        self.store.stream(&self.name).unwrap()
    }

    async fn put(&self, records: Vec<Record>) -> Vec<PutOutcome> {
        self.store.put(&self.name, records).await.unwrap()
    }

    /// Puts records of so many bytes to one shard, each in a put of its own; returns how many were taken.
    async fn taken(&self, records: usize, bytes: usize) -> usize {
        let mut taken = 0;
        for _ in 0..records {
            taken += placed(&self.put(vec![record(0, bytes)]).await);
        }
        taken
    }

    /// Begins reads that give so many bytes; returns how many may.
    fn read(&self, reads: usize, bytes: usize) -> usize {
        let (stream, shard) = (self.stream(), ShardIndex(0));
        let begin = |_: &usize| self.store.begin_read(&stream, shard).is_ok();
        (0..reads).filter(begin).inspect(|_| self.store.count_read(&stream, shard, bytes)).count()
    }
}

/// A record of so many bytes for one of two shards.
fn record(shard: u8, bytes: usize) -> Record {
    let data = vec![b'x'; bytes - 1].into();
    let hash = HashKey(u128::from(shard) << 127);
    Record { partition_key: PartitionKey::parse("k").unwrap(), explicit_hash: Some(hash), data }
}

fn placed(outcomes: &[PutOutcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.is_ok()).count()
}

fn wait(outcome: &PutOutcome) -> Duration {
    match outcome {
        Err(PutFailure::OverCapacity(over)) => over.wait,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_shard_takes_1000_records_a_second_and_not_one_more() {
    let world = World::limited(1).await;
    for _ in 0..3 {
        assert_eq!(placed(&world.put(vec![record(0, 2); 500]).await), 500);
        let outcomes = world.put(vec![record(0, 2); 500]).await;
        assert_eq!(placed(&outcomes), 500);
        let outcomes = world.put(vec![record(0, 2)]).await;
        assert_eq!(wait(&outcomes[0]), MILLI);
        world.pass(SECOND);
    }
    world.pass(SECOND * 10);
    assert_eq!(world.taken(1001, 2).await, 1000, "what was not used is not saved up");
    world.pass(Duration::from_millis(7));
    assert_eq!(world.taken(10, 2).await, 7);
}

#[tokio::test]
async fn a_shard_takes_a_mebibyte_a_second_and_not_a_byte_more() {
    let world = World::limited(1).await;
    for _ in 0..3 {
        assert_eq!(world.taken(5, 1 << 18).await, 4);
        assert_eq!(world.taken(1, 2).await, 0);
        world.pass(SECOND);
    }
    assert_eq!(world.taken(1, 1 << 20).await, 1);
    world.pass(SECOND.saturating_sub(MILLI));
    assert_eq!(wait(&world.put(vec![record(0, 1 << 20)]).await[0]), MILLI);
}

#[tokio::test]
async fn a_record_that_is_larger_than_a_second_is_taken_and_paid_for_afterwards() {
    let world = World::limited(1).await;
    world.store.change_settings(&world.name, |settings| settings.record_kib_max = 10 << 10).await.unwrap();
    assert_eq!(world.taken(1, 10 << 20).await, 1);
    assert_eq!(wait(&world.put(vec![record(0, 1 << 20)]).await[0]), SECOND * 10);
    world.pass(SECOND * 9);
    assert_eq!(world.taken(1, 2).await, 0);
    world.pass(SECOND);
    assert_eq!(world.taken(1, 1 << 20).await, 1);
}

#[tokio::test]
async fn a_put_for_two_shards_loses_only_what_the_full_one_cannot_take_and_a_later_try_places_it() {
    let world = World::limited(2).await;
    assert_eq!(world.taken(2, 1 << 19).await, 2);
    let mixed: Vec<Record> = (0..10).map(|number| record(number % 2, 1 << 10)).collect();
    let outcomes = world.put(mixed.clone()).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(placed) => assert_eq!((index % 2, placed.shard), (1, ShardIndex(1))),
            Err(PutFailure::OverCapacity(over)) => assert_eq!((index % 2, over.shard), (0, ShardIndex(0))),
            Err(other) => panic!("{other:?}"),
        }
    }
    let mut failed: Vec<Record> =
        mixed.into_iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_err()).map(|(record, _)| record).collect();
    let mut tries = 0;
    while !failed.is_empty() {
        world.pass(Duration::from_millis(2));
        let outcomes = world.put(failed.clone()).await;
        let again = failed.into_iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_err());
        failed = again.map(|(record, _)| record).collect();
        tries += 1;
    }
    assert_eq!(tries, 3, "5 KiB take 5 ms");
    let taken = world.store.taken(&world.stream());
    assert_eq!((taken.records, taken.bytes), (12, (1 << 20) + (10 << 10)), "each is there once");
}

#[tokio::test]
async fn behind_a_record_that_finds_no_room_none_of_its_shard_does() {
    let world = World::limited(1).await;
    let outcomes = world.put(vec![record(0, 1 << 19), record(0, 1 << 20), record(0, 2), record(0, 2)]).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, false]);
}

#[tokio::test]
async fn a_shard_is_read_5_times_a_second_and_not_once_more() {
    let world = World::limited(1).await;
    for _ in 0..3 {
        assert_eq!(world.read(6, 0), 5);
        world.pass(SECOND);
    }
    world.pass(Duration::from_millis(200));
    assert_eq!(world.read(6, 0), 5);
    world.pass(Duration::from_millis(200));
    assert_eq!(world.read(2, 0), 1);
}

#[tokio::test]
async fn a_read_of_10_mebibytes_is_paid_for_with_5_seconds() {
    let world = World::limited(1).await;
    assert_eq!(world.read(2, 10 << 20), 1);
    world.pass((SECOND * 5).saturating_sub(MILLI));
    let over = world.store.begin_read(&world.stream(), ShardIndex(0)).unwrap_err();
    assert_eq!(over.wait, MILLI);
    world.pass(MILLI);
    assert_eq!(world.read(5, 1 << 20), 2, "2 MiB a second, in as many calls as they come in");
    world.pass(SECOND);
    assert_eq!(world.read(6, 100), 5);
}

#[tokio::test]
async fn a_put_that_goes_whole_is_taken_or_refused_as_a_whole() {
    let world = World::limited(2).await;
    let many = |records| vec![record(0, 2); records];
    assert_eq!(placed(&world.store.put_whole(&world.name, many(999)).await.unwrap()), 999);
    let mixed = vec![record(1, 2), record(0, 2), record(0, 2)];
    let refused = world.store.put_whole(&world.name, mixed.clone()).await.unwrap();
    assert!(refused.iter().all(|outcome| wait(outcome) == MILLI), "{refused:?}");
    let once = OnceKey { key: [1; 32], content: [1; 32] };
    let keyed = world.store.put_keyed(&world.name, once, mixed.clone()).await.unwrap();
    assert_eq!(placed(&keyed.outcomes), 0);
    world.pass(MILLI);
    let keyed = world.store.put_keyed(&world.name, once, mixed.clone()).await.unwrap();
    assert_eq!((placed(&keyed.outcomes), keyed.is_repeat), (3, false));
    let again = world.store.put_keyed(&world.name, once, mixed).await.unwrap();
    assert_eq!((placed(&again.outcomes), again.is_repeat), (3, true), "a repeat needs no room");
    world.pass(SECOND);
    assert_eq!(placed(&world.store.put_whole(&world.name, many(10_000)).await.unwrap()), 10_000);
    world.pass(SECOND * 9);
    assert_eq!(world.taken(1, 2).await, 0, "it is paid for");
}

#[tokio::test]
async fn what_the_house_puts_is_neither_refused_nor_counted() {
    let world = World::limited(1).await;
    assert_eq!(placed(&world.store.put_many(&world.name, vec![record(0, 2); 5000]).await.unwrap()), 5000);
    assert_eq!(world.taken(1001, 2).await, 1000);
}

#[tokio::test]
async fn a_stream_has_the_capacity_that_it_says_or_that_of_the_node() {
    let world = World::with(1, Capacity::Unlimited).await;
    assert_eq!((world.taken(1500, 2).await, world.read(50, 10 << 20)), (1500, 50));
    world.store.set_capacity(&world.name, Some(Capacity::Provisioned)).await.unwrap();
    assert_eq!((world.taken(1500, 2).await, world.read(50, 0)), (1000, 5));
    world.store.set_capacity(&world.name, None).await.unwrap();
    assert_eq!((world.taken(1500, 2).await, world.read(50, 0)), (1500, 50));
    let world = World::limited(1).await;
    world.store.set_capacity(&world.name, Some(Capacity::Unlimited)).await.unwrap();
    assert_eq!((world.taken(1500, 2).await, world.read(50, 0)), (1500, 50));
    let again = Store::open_with(Arc::clone(world.store.engine()), world.clock.clone(), Capacity::Provisioned).await;
    let again = again.unwrap();
    assert_eq!(again.capacity(&again.stream(&world.name).unwrap()), Capacity::Unlimited, "it is kept");
}

#[tokio::test]
async fn the_shards_of_a_split_have_limits_of_their_own() {
    let world = World::limited(1).await;
    assert_eq!(world.taken(1001, 2).await, 1000);
    world.store.split_shard(&world.name, ShardIndex(0), HashKey(1 << 127)).await.unwrap();
    let outcomes = world.put((0..200).map(|number| record(number % 2, 2)).collect()).await;
    assert_eq!(placed(&outcomes), 200);
}

#[tokio::test]
async fn what_is_known_of_shards_that_rest_is_dropped() {
    let world = World::limited(1).await;
    let now = || world.clock.now();
    let shards = Shards::default();
    let id = world.stream().id;
    let take = |shard, now| shards.take_all(id, &[(ShardIndex(shard), Load { records: 1000, bytes: 1 })], now);
    for shard in 0..10_000 {
        take(shard, now()).unwrap();
        assert_eq!(take(shard, now()), Err((ShardIndex(shard), SECOND)), "a shard that is in use is known");
        world.pass(Duration::from_millis(20));
    }
    assert!(shards.count(id) <= 2 * ALLOWANCES_SWEEP_MIN, "{}", shards.count(id));
    shards.forget(id);
    assert_eq!(shards.count(id), 0);
}

#[tokio::test]
async fn a_clock_that_steps_back_brings_nothing_and_stops_nothing() {
    let world = World::limited(1).await;
    assert_eq!(world.taken(1000, 2).await, 1000);
    world.clock.set(world.clock.now().minus(SECOND * 3600));
    assert_eq!(world.taken(1, 2).await, 0);
    world.pass(SECOND);
    assert_eq!(world.taken(1001, 2).await, 1000);
}
