//! Every course of changes keeps the map whole, on engines with and without troubles, and wherever it is cut short.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::engine::faulty::{Fault, Faulty, FaultyOptions};
use crate::engine::memory::Memory;
use crate::engine::{Bound, Engine, ReadLimits};
use crate::limits::SHARDS_PER_STREAM_MAX;
use crate::put::PutOutcome;
use crate::record::{PartitionKey, Record};
use crate::shard::Shard;

const DAY: Duration = Duration::from_hours(24);
const ALL: ReadLimits = ReadLimits { records_max: 1000, bytes_max: 1 << 20 };

fn name() -> StreamName {
    StreamName::parse("s").unwrap()
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_700_000_000_000))
}

/// The open ranges cover the space exactly once, and all that is said of a child fits its parents.
fn check_map(stream: &Stream) {
    let mut open: Vec<&Shard> = stream.open_shards().collect();
    open.sort_by_key(|shard| shard.range.start);
    assert_eq!(open.first().unwrap().range.start, HashKey(0));
    assert_eq!(open.last().unwrap().range.end, HashKey(u128::MAX));
    for pair in open.windows(2) {
        assert_eq!(pair[0].range.end.0 + 1, pair[1].range.start.0);
    }
    for (at, child) in stream.shards.iter().enumerate() {
        assert_eq!(child.index, ShardIndex(at as u32));
        check_child(stream, child);
    }
    let logs = stream.shards.len().div_ceil(stream.shards_per_log as usize);
    assert_eq!(stream.generations.len(), logs);
}

fn check_child(stream: &Stream, child: &Shard) {
    let parents: Vec<&Shard> = child.parents.iter().map(|parent| stream.shard(*parent).unwrap()).collect();
    for parent in &parents {
        assert!(parent.index < child.index && !parent.is_open());
        assert!(parent.created.as_secs() < child.created.as_secs(), "its numbers sort behind its parent's");
    }
    assert_eq!(child.is_open(), stream.children(child.index).count() == 0);
    match parents[..] {
        [] => {}
        [parent] => assert!(parent.range.contains(child.range.start) && parent.range.contains(child.range.end)),
        [one, other] => {
            assert_eq!(child.range.start, one.range.start.min(other.range.start));
            assert_eq!(child.range.end, one.range.end.max(other.range.end));
        }
        _ => panic!("{child:?} has more than two parents"),
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// The open shard of this number, from 0, is split so far into its range, in 256ths.
    Split(usize, u8),
    /// The open shard at this place of the hash space is merged with the next one.
    Merge(usize),
    Update(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(shard, at)| Step::Split(shard, at)),
        any::<usize>().prop_map(Step::Merge),
        (1u32..24).prop_map(Step::Update),
    ]
}

async fn take(store: &Store, step: &Step) -> Result<Arc<Stream>, ReshardError> {
    let stream = store.stream(&name()).unwrap();
    let mut open: Vec<&Shard> = stream.open_shards().collect();
    open.sort_by_key(|shard| shard.range.start);
    match *step {
        Step::Split(shard, at) => {
            let shard = open[shard % open.len()];
            let HashRange { start, end } = shard.range;
            store.split_shard(&name(), shard.index, HashKey(start.0 + (end.0 - start.0) / 256 * u128::from(at))).await
        }
        Step::Merge(at) => {
            let (one, other) = (open[at % open.len()], open[(at + 1) % open.len()]);
            store.merge_shards(&name(), one.index, other.index).await
        }
        Step::Update(target) => store.update_shard_count(&name(), target, Scale::Any).await,
    }
}

async fn go(engine: Arc<dyn Engine>, shards: u32, steps: &[Step]) {
    let store = Store::open(Arc::clone(&engine), clock()).await.unwrap();
    store.create_stream(&name(), shards, StreamMode::Provisioned, DAY).await.unwrap();
    for step in steps {
        let before = store.stream(&name()).unwrap();
        let done = take(&store, step).await;
        let stream = store.stream(&name()).unwrap();
        check_map(&stream);
        assert_eq!(stream.status, StreamStatus::Active);
        match (done, step) {
            (Ok(_), Step::Update(target)) => {
                let mut ranges: Vec<HashRange> = stream.open_shards().map(|shard| shard.range).collect();
                ranges.sort_by_key(|range| range.start);
                assert_eq!(ranges, HashRange::uniform(*target));
            }
            (Ok(_), Step::Split(..)) => assert_eq!(stream.open_shards().count(), before.open_shards().count() + 1),
            (Ok(_), Step::Merge(_)) => assert_eq!(stream.open_shards().count(), before.open_shards().count() - 1),
            (Err(ReshardError::SplitPoint { .. }), Step::Split(..))
            | (Err(ReshardError::NotAdjacent { .. }), Step::Merge(_)) => assert_eq!(stream, before),
            (Err(error), _) => panic!("{error}"),
        }
        let reopened = Store::open(Arc::clone(&engine), clock()).await.unwrap();
        assert_eq!(reopened.stream(&name()).unwrap(), stream, "the document says the same");
    }
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_course_of_changes_keeps_the_map_whole(
        shards in 1u32..9,
        per_log in prop_oneof![Just(1), Just(4), Just(u32::MAX)],
        steps in prop::collection::vec(step(), 1..8),
        seed: u64,
    ) {
        paused().block_on(async {
            let memory = || Memory::with_shards_per_log(clock(), per_log);
            go(Arc::new(memory()), shards, &steps).await;
            go(Arc::new(Faulty::new(memory(), FaultyOptions { seed, ..FaultyOptions::default() })), shards, &steps).await;
        });
    }
}

fn record(number: usize) -> Record {
    let key = PartitionKey::parse(format!("{}", number % 10)).unwrap();
    Record { partition_key: key, explicit_hash: None, data: format!("{number:03}").into() }
}

fn records(from: usize) -> Vec<Record> {
    (from..from + 50).map(record).collect()
}

/// What holds wherever a change was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Nothing,
    Intent,
    SomeSealed,
    AllSealed,
    /// A step of several is done.
    Between,
}

async fn cut_of(store: &Store, before: &Stream) -> Cut {
    let now = store.reload(before).await.unwrap().unwrap();
    let Some(reshard) = &now.reshard else { return Cut::Nothing };
    let parts: BTreeSet<u32> = reshard.parents().into_iter().map(|shard| now.log_of(shard).part).collect();
    let mut sealed = 0;
    for part in &parts {
        let log = crate::engine::LogId { stream: now.id, part: *part };
        sealed += usize::from(store.engine().stats(log).await.unwrap().generation != now.generations[*part as usize]);
    }
    match sealed {
        0 if now.shards.len() > before.shards.len() => Cut::Between,
        0 => Cut::Intent,
        all if all == parts.len() => Cut::AllSealed,
        _ => Cut::SomeSealed,
    }
}

/// Who comes after a change that was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Start,
    Put,
    Change,
    Deletion,
}

/// The change is dropped when it was polled so often. Returns where that was; `None` when it came to its end.
async fn cut_short(polls: usize, next: Next) -> Option<Cut> {
    let options = FaultyOptions { per_mille: [(Fault::Pause, 1000)].into(), ..FaultyOptions::default() };
    let engine = Arc::new(Faulty::new(Memory::with_shards_per_log(clock(), 2), options));
    let store = Store::open(engine.clone(), clock()).await.unwrap();
    let before = store.create_stream(&name(), 5, StreamMode::Provisioned, DAY).await.unwrap();
    placed(&store.put(&name(), records(0)).await.unwrap());
    if polled(
        polls,
        store.reshard_in_turn(&name(), StreamMode::Provisioned, |stream| plan::update(stream, 3, Scale::Any)),
    )
    .await
    {
        return None;
    }
    let cut = cut_of(&store, &before).await;
    let store = match next {
        Next::Start => {
            drop(store);
            Store::open(engine.clone(), clock()).await.unwrap()
        }
        Next::Put => store,
        Next::Change => {
            store.update_shard_count(&name(), 3, Scale::Any).await.unwrap();
            store
        }
        Next::Deletion => {
            let logs: Vec<_> = store.reload(&before).await.unwrap().unwrap().logs().collect();
            store.delete_stream(&name()).await.unwrap();
            for log in logs {
                assert!(store.engine().stats(log).await.is_err(), "{log} is left behind a cut at {cut:?}");
            }
            return Some(cut);
        }
    };
    placed(&store.put(&name(), records(50)).await.unwrap());
    let stream = store.stream(&name()).unwrap();
    check_map(&stream);
    let is_done = stream.open_shards().count() == 3 && stream.status == StreamStatus::Active;
    match next {
        Next::Start => assert_eq!(is_done, cut != Cut::Nothing, "{cut:?}"),
        Next::Change => assert!(is_done, "{cut:?}"),
        Next::Put => assert!(is_done || !matches!(cut, Cut::SomeSealed | Cut::AllSealed), "{cut:?}"),
        Next::Deletion => {}
    }
    check_records(&store, &stream).await;
    Some(cut)
}

fn placed(outcomes: &[PutOutcome]) {
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// Whether the work ends when it is polled so often; then it is dropped.
async fn polled<T>(polls: usize, work: impl Future<Output = Result<T, ReshardError>>) -> bool {
    let mut work = pin!(work);
    for _ in 0..polls {
        let ended = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await;
        if ended {
            return true;
        }
    }
    false
}

/// Each record is there once, and those of a key are in order along its shards.
async fn check_records(store: &Store, stream: &Stream) {
    let mut seen: Vec<(String, String)> = Vec::new();
    for shard in &stream.shards {
        let batch = store.engine().read(stream.log_of(shard.index), shard.index, Bound::START, ALL).await.unwrap();
        let pair = |record: &crate::record::StoredRecord| {
            (record.partition_key.as_str().to_owned(), String::from_utf8(record.data.to_vec()).unwrap())
        };
        seen.extend(batch.records.iter().map(pair));
    }
    let mut in_order = seen.clone();
    in_order.sort();
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(seen, in_order, "a key's records are in order");
    assert_eq!(seen.len(), 100);
}

async fn cut_everywhere(next: Next) {
    let mut cuts = BTreeSet::new();
    let mut polls = 0;
    while let Some(cut) = cut_short(polls, next).await {
        cuts.insert(cut);
        polls += 1;
    }
    let all = [Cut::Nothing, Cut::Intent, Cut::SomeSealed, Cut::AllSealed, Cut::Between];
    assert_eq!(cuts, BTreeSet::from(all), "of {polls} cuts");
}

#[tokio::test]
async fn a_change_that_is_cut_short_is_finished_at_the_next_start() {
    cut_everywhere(Next::Start).await;
}

#[tokio::test]
async fn a_change_that_is_cut_short_is_finished_by_the_put_that_it_stands_in_the_way_of() {
    cut_everywhere(Next::Put).await;
}

#[tokio::test]
async fn a_change_that_is_cut_short_is_finished_by_the_next_one() {
    cut_everywhere(Next::Change).await;
}

#[tokio::test]
async fn a_stream_that_is_deleted_in_the_middle_of_a_change_leaves_no_log() {
    cut_everywhere(Next::Deletion).await;
}

async fn two_shards(mode: StreamMode) -> Store {
    let store = Store::open(Arc::new(Memory::new(clock())), clock()).await.unwrap();
    store.create_stream(&name(), 2, mode, DAY).await.unwrap();
    store
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_with_the_reason() {
    let store = two_shards(StreamMode::Provisioned).await;
    let half = HashKey(1 << 127);
    let split =
        async |shard, at| store.split_shard(&name(), ShardIndex(shard), HashKey(at)).await.unwrap_err().to_string();
    assert_eq!(split(7, 9).await, "the stream 's' has no shard shardId-000000000007");
    for at in [0, 1, half.0 - 1, half.0] {
        let wanted = format!(
            "shardId-000000000000 cannot be split at {at}: the new start must be greater than 1 and less than {}",
            half.0 - 1
        );
        assert_eq!(split(0, at).await, wanted);
    }
    let merge = async |one, other| store.merge_shards(&name(), ShardIndex(one), ShardIndex(other)).await;
    for (one, other) in [(0, 0), (1, 0)] {
        assert!(matches!(merge(one, other).await, Err(ReshardError::NotAdjacent { .. })));
    }
    let update = async |target, scale| store.update_shard_count(&name(), target, scale).await;
    assert!(matches!(update(5, Scale::Twofold).await, Err(ReshardError::Scale { current: 2, target: 5 })));
    for count in [0, SHARDS_PER_STREAM_MAX + 1] {
        assert!(matches!(update(count, Scale::Any).await, Err(ReshardError::ShardCount { .. })));
    }
    update(5, Scale::Any).await.unwrap();
    assert!(matches!(update(2, Scale::Twofold).await, Err(ReshardError::Scale { current: 5, target: 2 })));
    update(3, Scale::Twofold).await.unwrap();
    assert!(matches!(merge(0, 1).await, Err(ReshardError::Closed { .. })));
}

#[tokio::test]
async fn nothing_is_changed_where_all_is_as_it_should_be() {
    let store = two_shards(StreamMode::Provisioned).await;
    let before = store.stream(&name()).unwrap();
    assert_eq!(store.update_shard_count(&name(), 2, Scale::Twofold).await.unwrap(), before);
}

#[tokio::test]
async fn the_shards_of_an_on_demand_stream_are_its_own() {
    let store = two_shards(StreamMode::OnDemand).await;
    let refused = store.update_shard_count(&name(), 4, Scale::Any).await;
    assert!(matches!(refused, Err(ReshardError::OnDemand { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_change_in_work_refuses_another() {
    let store = two_shards(StreamMode::Provisioned).await;
    let stream = store.stream(&name()).unwrap();
    let turn = store.turns().wait(stream.id).await;
    let four = plan::update(&stream, 4, Scale::Any).unwrap().unwrap();
    store.begin_reshard(&stream, four).await.unwrap();
    let refused = store.update_shard_count(&name(), 4, Scale::Any).await;
    assert!(matches!(refused, Err(ReshardError::NotActive { .. })), "{refused:?}");
    drop(turn);
    let changed = store.update_shard_count(&name(), 4, Scale::Any).await.unwrap();
    assert_eq!((changed.status, changed.open_shards().count()), (StreamStatus::Active, 4));
}
