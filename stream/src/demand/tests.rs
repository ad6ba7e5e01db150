use bytes::Bytes;

use super::*;
use crate::clock::Clock;
use crate::engine::memory::Memory;
use crate::limits::{ON_DEMAND_SHARDS_MIN, RETENTION_DEFAULT};
use crate::name::StreamName;
use crate::record::{PartitionKey, Record};
use crate::shard::{HashKey, HashRange, ShardIndex};

struct Place {
    store: Store,
    clock: Clock,
    demand: Demand,
    name: StreamName,
}

impl Place {
    async fn new(mode: StreamMode) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let store = Store::open(Arc::new(Memory::new(clock.clone())), clock.clone()).await.unwrap();
        let name = StreamName::parse("orders").unwrap();
        store.create_stream(&name, ON_DEMAND_SHARDS_MIN, mode, RETENTION_DEFAULT).await.unwrap();
        let demand = Demand::new(store.clone(), DemandRules::default());
        Self { store, clock, demand, name }
    }

    fn stream(&self) -> Arc<Stream> {
        self.store.stream(&self.name).unwrap()
    }

    fn open(&self) -> usize {
        self.stream().open_shards().count()
    }

    /// So many seconds pass in which the shard of the first hash key takes so many records a second.
    async fn pass(&mut self, seconds: u64, records: usize) {
        for _ in 0..seconds {
            if records > 0 {
                let record = Record {
                    partition_key: PartitionKey::parse("k").unwrap(),
                    explicit_hash: Some(HashKey(0)),
                    data: Bytes::from_static(b"data"),
                };
                let outcomes = self.store.put_many(&self.name, vec![record; records]).await.unwrap();
                assert!(outcomes.iter().all(Result::is_ok));
            }
            self.clock.set(self.clock.now().plus(Duration::from_secs(1)));
        }
        self.demand.look().await;
    }
}

#[tokio::test]
async fn a_shard_that_is_hot_for_a_minute_is_split_in_the_middle() {
    let mut place = Place::new(StreamMode::OnDemand).await;
    for _ in 0..5 {
        place.pass(10, 501).await;
    }
    assert_eq!(place.open(), 4, "for fifty seconds");
    place.pass(10, 501).await;
    assert_eq!(place.open(), 5);
    let stream = place.stream();
    let parent = stream.shard(ShardIndex(0)).unwrap();
    assert!(!parent.is_open());
    let children: Vec<HashRange> = stream.shards.iter().skip(4).map(|shard| shard.range).collect();
    assert_eq!((children[0].start, children[1].end), (parent.range.start, parent.range.end));
    let width = |range: &HashRange| range.end.0 - range.start.0;
    assert!(width(&children[0]).abs_diff(width(&children[1])) <= 1);
    // The child that takes it all is hot from its birth on, and no longer.
    place.pass(50, 501).await;
    assert_eq!(place.open(), 5);
    place.pass(10, 501).await;
    assert_eq!(place.open(), 6);
}

#[tokio::test]
async fn one_look_that_is_not_hot_begins_the_minute_anew() {
    let mut place = Place::new(StreamMode::OnDemand).await;
    place.pass(50, 501).await;
    place.pass(10, 500).await;
    place.pass(50, 501).await;
    assert_eq!(place.open(), 4);
    place.pass(10, 501).await;
    assert_eq!(place.open(), 5);
}

#[tokio::test]
async fn idle_neighbours_become_one_and_the_last_four_stay() {
    let mut place = Place::new(StreamMode::OnDemand).await;
    for _ in 0..3 {
        place.pass(60, 501).await;
    }
    assert_eq!(place.open(), 7);
    place.pass(3400, 0).await;
    assert_eq!(place.open(), 7, "none was idle for an hour");
    place.pass(300, 0).await;
    assert_eq!(place.open(), 4, "three pairs of neighbours");
    place.pass(10 * 3600, 0).await;
    assert_eq!(place.open(), 4);
    let mut ranges: Vec<HashRange> = place.stream().open_shards().map(|shard| shard.range).collect();
    ranges.sort_by_key(|range| range.start);
    assert_eq!((ranges[0].start, ranges[3].end), (HashKey(0), HashKey(u128::MAX)));
    assert!(ranges.windows(2).all(|pair| pair[0].end.0 + 1 == pair[1].start.0));
}

#[tokio::test]
async fn the_mode_is_changed_and_the_shards_stay() {
    let mut place = Place::new(StreamMode::Provisioned).await;
    place.store.set_mode(&place.name, StreamMode::OnDemand).await.unwrap();
    assert_eq!(place.open(), 4);
    place.pass(60, 501).await;
    assert_eq!(place.open(), 5);
    place.store.split_shard(&place.name, ShardIndex(1), HashKey(u128::MAX / 3)).await.unwrap_err();
    place.store.set_mode(&place.name, StreamMode::Provisioned).await.unwrap();
    place.store.split_shard(&place.name, ShardIndex(1), HashKey(u128::MAX / 3)).await.unwrap();
    place.pass(60, 501).await;
    assert_eq!(place.open(), 6, "the user sets their number again");
}

#[tokio::test]
async fn a_provisioned_stream_is_left_as_it_is() {
    let mut place = Place::new(StreamMode::Provisioned).await;
    place.pass(120, 900).await;
    assert_eq!(place.open(), 4);
}
