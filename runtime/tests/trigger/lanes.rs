//! Lanes: batches of one shard that are in work at once, those of a key one after another.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tidemill::deploy::{Start, TriggerRules, TriggerSpec};
use tidemill::limits::LANE_AHEAD_RECORDS;
use tidemill::status::State;
use tidemill_stream::cursor::{TriggerId, lane_of};
use tidemill_stream::record::PartitionKey;
use tidemill_stream::shard::ShardIndex;

use crate::rig::{self, Call, Rig, fails, spec, succeeds};

fn in_lanes(parallelization: usize, batch_records_max: usize) -> TriggerSpec {
    let spec = spec("t", "orders", Start::TrimHorizon);
    TriggerSpec { rules: TriggerRules { parallelization, batch_records_max, ..spec.rules.clone() }, ..spec }
}

/// Of records whose key is the last digit of their number.
fn lane(number: &str, lanes: usize) -> usize {
    lane_of(&PartitionKey::parse(&number[number.len() - 1..]).unwrap(), lanes)
}

fn by_key(calls: &[Call]) -> BTreeMap<String, Vec<u32>> {
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for number in rig::data_of(calls) {
        found.entry(number[number.len() - 1..].to_owned()).or_default().push(number.parse().unwrap());
    }
    found
}

async fn low(rig: &Rig) -> u64 {
    let id = TriggerId(rig.trigger_ids().await[0]);
    rig.store.cursor(id, ShardIndex(0)).await.unwrap().unwrap().progress.low().lowest().0
}

#[tokio::test(start_paused = true)]
async fn batches_of_several_lanes_are_in_work_at_once_and_each_key_stays_in_order() {
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (busy.clone(), most.clone());
    let rig = Rig::new(move |_| {
        let (now, peak) = (now.clone(), peak.clone());
        Box::pin(async move {
            peak.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(().into())
        })
    })
    .await;
    rig.create_stream("orders", 1).await;
    rig.put_of_ten_keys("orders", 0..500).await;
    rig.apply(&[in_lanes(4, 7)]).await;
    let calls = rig.delivered(500).await;
    let lanes: BTreeSet<usize> = (0..10).map(|key| lane(&key.to_string(), 4)).collect();
    assert_eq!(most.load(Ordering::SeqCst), lanes.len(), "every lane that has keys");
    for (key, numbers) in by_key(&calls) {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
        assert_eq!(numbers.len(), 50);
    }
    for call in &calls {
        let lanes: BTreeSet<usize> = call.data.iter().map(|number| lane(number, 4)).collect();
        assert!(lanes.len() == 1 && call.data.len() <= 7, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_fails_holds_no_other_and_the_cursor_stays_exact() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let flag = is_broken.clone();
    let is_poison =
        |call: &tidemill::functions::Invocation| call.records.iter().any(|record| &record.data[..] == b"13");
    let rig =
        Rig::new(move |call| if is_poison(call) && flag.load(Ordering::SeqCst) { fails("poison") } else { succeeds() })
            .await;
    rig.create_stream("orders", 1).await;
    rig.put_of_ten_keys("orders", 0..2000).await;
    rig.apply(&[in_lanes(10, 10)]).await;
    let blocked_lane = lane("13", 10);
    let others: Vec<String> = (0..2000).map(|n: u32| n.to_string()).filter(|n| lane(n, 10) != blocked_lane).collect();
    let wanted = others.len() as u64;
    let status = rig.status("t", 0, |status| status.counts.records >= wanted && status.is_failing()).await;
    assert_eq!(status.state, State::Retrying);
    let (number, blocked) = status.blocked.iter().next().unwrap();
    assert_eq!((*number, status.blocked.len()), (blocked_lane, 1));
    assert!(blocked.attempt >= 1 && blocked.records <= 10 && blocked.first <= blocked.last);
    // What the lane has processed before its poison record counts, and nothing of the others is delivered again.
    let done = status.counts.records;
    let rig = rig.stopped().await;
    let before = low(&rig).await;
    is_broken.store(false, Ordering::SeqCst);
    let rig = rig.restarted();
    rig.apply(&[in_lanes(10, 10)]).await;
    let status = rig.status("t", 0, |status| status.counts.records == 2000 - done).await;
    assert!(status.blocked.is_empty() && low(&rig).await > before);
    let calls = rig.delivered(2000).await;
    for numbers in by_key(&calls).values() {
        assert!(numbers.is_sorted() && numbers.len() == 200, "{numbers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_number_of_lanes_goes_on_exactly() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let flag = is_broken.clone();
    let is_poison =
        |call: &tidemill::functions::Invocation| call.records.iter().any(|record| &record.data[..] == b"55");
    let rig =
        Rig::new(move |call| if is_poison(call) && flag.load(Ordering::SeqCst) { fails("poison") } else { succeeds() })
            .await;
    rig.create_stream("orders", 1).await;
    rig.put_of_ten_keys("orders", 0..1000).await;
    for lanes in [5, 3, 8] {
        rig.apply(&[in_lanes(lanes, 10)]).await;
        rig.status("t", 0, |status| status.is_failing() && status.counts.failures > 3).await;
    }
    is_broken.store(false, Ordering::SeqCst);
    rig.apply(&[in_lanes(1, 10)]).await;
    let calls = rig.delivered(1000).await;
    for numbers in by_key(&calls).values() {
        assert!(numbers.is_sorted() && numbers.len() == 100, "{numbers:?}");
    }
}

/// A lane that is blocked keeps no more than its share, however many of its records come.
#[tokio::test(start_paused = true)]
async fn a_blocked_lane_does_not_grow() {
    let rig = Rig::new(|_| fails("always")).await;
    rig.create_stream("orders", 1).await;
    rig.put_of_ten_keys("orders", 0..20_000).await;
    rig.apply(&[in_lanes(3, 10)]).await;
    let lanes: BTreeSet<usize> = (0..10).map(|key| lane(&key.to_string(), 3)).collect();
    let status = rig.status("t", 0, |status| status.counts.failures > 50).await;
    // The batch in work, and a little to go on with.
    let most = (10 + LANE_AHEAD_RECORDS) as u64 * lanes.len() as u64;
    assert!(status.counts.polled <= most, "{} records were taken in", status.counts.polled);
    assert_eq!(status.blocked.keys().copied().collect::<BTreeSet<_>>(), lanes);
}

/// A call that hangs is cut off when its time is up; what the other lanes have settled counts.
#[tokio::test(start_paused = true)]
async fn a_stop_keeps_what_was_settled_beside_a_call_that_hangs() {
    let is_hanging = Arc::new(AtomicBool::new(true));
    let flag = is_hanging.clone();
    let rig = Rig::new(move |call| {
        let hangs = flag.load(Ordering::SeqCst) && call.records.iter().any(|record| &record.data[..] == b"3");
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(().into())
        })
    })
    .await;
    rig.create_stream("orders", 1).await;
    rig.put_of_ten_keys("orders", 0..500).await;
    rig.apply(&[in_lanes(10, 10)]).await;
    let others = (0..500).filter(|n: &u32| lane(&n.to_string(), 10) != lane("3", 10)).count();
    rig.status("t", 0, |status| status.counts.records >= others as u64).await;
    let rig = rig.stopped().await;
    is_hanging.store(false, Ordering::SeqCst);
    let rig = rig.restarted();
    rig.apply(&[in_lanes(10, 10)]).await;
    let calls = rig.delivered(500).await;
    assert!(by_key(&calls).values().all(|numbers| numbers.is_sorted() && numbers.len() == 50));
}
