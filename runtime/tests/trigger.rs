//! Triggers over the memory engine, with closures as functions and paused time.

#[path = "trigger/aggregated.rs"]
mod aggregated;
#[path = "trigger/given_up.rs"]
mod given_up;
#[path = "trigger/lanes.rs"]
mod lanes;
#[path = "trigger/lineage.rs"]
mod lineage;
#[path = "trigger/phases.rs"]
mod phases;
mod rig;
#[path = "trigger/sharing.rs"]
mod sharing;
#[path = "trigger/tumbling.rs"]
mod tumbling;
#[path = "trigger/windows.rs"]
mod windows;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rig::{Rig, emits, fails, spec, succeeds};
use tidemill::deploy::Start;
use tidemill::functions::FunctionName;
use tidemill::status::State;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::engine::Bound;
use tidemill_stream::shard::ShardIndex;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn records_are_delivered_in_order_and_in_batches() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    let put = rig.put("orders", 0..250).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let delivered = rig.delivered(250).await;
    assert_eq!(rig::data_of(&delivered), put);
    assert!(delivered.iter().all(|delivery| delivery.data.len() <= 100), "{delivered:?}");
    let more = rig.put("orders", 250..260).await;
    assert_eq!(rig::data_of(&rig.delivered(260).await)[250..], more);
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_is_delivered_again_until_it_succeeds() {
    let calls = AtomicU32::new(0);
    let rig =
        Rig::new(move |_| if calls.fetch_add(1, Ordering::SeqCst) < 3 { fails("not yet") } else { succeeds() }).await;
    rig.create_stream("orders", 1).await;
    let put = rig.put("orders", 0..150).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let calls = rig.calls(5).await;
    let attempts: Vec<_> = calls.iter().map(|call| (call.attempt, call.data.clone())).collect();
    let (first, second) = (put[..100].to_vec(), put[100..].to_vec());
    let expected = [(1, first.clone()), (2, first.clone()), (3, first.clone()), (4, first), (1, second)];
    assert_eq!(attempts, expected);
    let status = rig.status("t", 0, |status| status.counts.records == 150).await;
    assert_eq!((status.state, status.counts.invocations, status.counts.failures), (State::Running, 5, 3));
    let last_error = status.last_error.unwrap();
    assert_eq!((last_error.message.as_str(), last_error.attempt), ("the function failed: not yet", 3));
    assert!(status.last_sequence_number.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_fails_holds_no_other() {
    let rig = Rig::new(|call| if call.shard == ShardIndex(0) { fails("bad shard") } else { succeeds() }).await;
    rig.create_stream("orders", 2).await;
    rig.put("orders", 0..100).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let good = rig.count_in_shard("orders", 1).await;
    assert!((1..100).contains(&good), "both shards have records");
    rig.status("t", 1, |status| status.counts.records == good).await;
    let bad = rig.status("t", 0, |status| status.counts.failures >= 5).await;
    assert_eq!((bad.state, bad.counts.records), (State::Retrying, 0));
    rig.clock.set(Timestamp::from_millis(rig::START_MS + 7000));
    assert_eq!(bad.behind(rig.clock.now()).as_secs(), 7, "the lag of a shard that is held grows with the time");
}

#[tokio::test(start_paused = true)]
async fn what_a_function_emits_is_there_before_its_batch_is_done() {
    let rig = Rig::new(|call| {
        let first = String::from_utf8(call.records[0].data.to_vec()).unwrap();
        emits(&[("alerts", &first), ("audit", "seen"), ("alerts", "more")])
    })
    .await;
    for stream in ["orders", "alerts", "audit"] {
        rig.create_stream(stream, 1).await;
    }
    rig.put("orders", 7..8).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let status = rig.status("t", 0, |status| status.counts.records == 1).await;
    assert_eq!(
        (rig.data("alerts").await, rig.data("audit").await),
        (vec!["7".into(), "more".into()], vec!["seen".into()])
    );
    assert_eq!((status.counts.emitted, status.counts.failures), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_outputs_cannot_be_put_is_delivered_again() {
    let rig = Rig::new(|_| emits(&[("alerts", "a"), ("missing", "b")])).await;
    rig.create_stream("orders", 1).await;
    rig.create_stream("alerts", 1).await;
    rig.put("orders", 0..1).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let status = rig.status("t", 0, |status| status.counts.failures >= 3).await;
    assert_eq!((status.state, status.counts.records, status.counts.emitted), (State::Retrying, 0, 0));
    let message = status.last_error.unwrap().message;
    assert!(message.starts_with("what the function emitted cannot be put on 'missing': "), "{message}");
    assert_eq!(rig.data("alerts").await, Vec::<String>::new(), "nothing is put while a stream is missing");
    rig.create_stream("missing", 1).await;
    let status = rig.status("t", 0, |status| status.counts.records == 1).await;
    assert_eq!(status.counts.emitted, 2);
    assert_eq!((rig.data("alerts").await, rig.data("missing").await), (vec!["a".into()], vec!["b".into()]));
}

#[tokio::test(start_paused = true)]
async fn commit_by_a_stale_owner_is_refused() {
    let (entered, go_on) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let (inside, gate) = (entered.clone(), go_on.clone());
    let rig = Rig::new(move |_| {
        let (inside, gate) = (inside.clone(), gate.clone());
        Box::pin(async move {
            inside.add_permits(1);
            gate.acquire().await.unwrap().forget();
            Ok(().into())
        })
    })
    .await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..3).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    entered.acquire().await.unwrap().forget();
    let id = rig.trigger_ids().await[0];
    let before = rig.store.cursor(TriggerId(id), ShardIndex(0)).await.unwrap().unwrap();
    let other = rig.store.move_cursor(TriggerId(id), ShardIndex(0), &before, Bound::START.into()).await.unwrap();
    go_on.add_permits(1);
    rig.status("t", 0, |status| status.state == State::Stopped).await;
    assert_eq!(
        rig.store.cursor(TriggerId(id), ShardIndex(0)).await.unwrap(),
        Some(other),
        "it stayed where the other put it"
    );
}

#[tokio::test(start_paused = true)]
async fn latest_is_fixed_when_the_trigger_is_created() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 2).await;
    rig.put("orders", 0..20).await;
    rig.apply(&[spec("t", "orders", Start::Latest)]).await;
    let rig = rig.stopped().await;
    let later = rig.put("orders", 20..40).await;
    let rig = rig.restarted();
    rig.apply(&[spec("t", "orders", Start::Latest)]).await;
    let delivered: BTreeSet<_> = rig::data_of(&rig.delivered(20).await).into_iter().collect();
    assert_eq!(delivered, later.into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn a_start_time_begins_at_the_first_record_from_then_on() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    let mut puts = Vec::new();
    for step in 0..3 {
        rig.clock.set(Timestamp::from_millis(rig::START_MS + 1000 * step));
        puts.extend(rig.put("orders", step as u32..step as u32 + 1).await);
    }
    rig.apply(&[spec("t", "orders", Start::At(Timestamp::from_millis(rig::START_MS + 1000)))]).await;
    assert_eq!(rig::data_of(&rig.delivered(2).await), puts[1..]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_at_the_cursor() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..130).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.status("t", 0, |status| status.counts.records == 130).await;
    let rig = rig.stopped().await;
    let later = rig.put("orders", 130..140).await;
    let rig = rig.restarted();
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    assert_eq!(rig::data_of(&rig.delivered(140).await)[130..], later);
}

#[tokio::test(start_paused = true)]
async fn a_batch_in_flight_at_the_stop_is_delivered_again() {
    let hangs = Arc::new(AtomicBool::new(true));
    let flag = hangs.clone();
    let rig =
        Rig::new(move |_| if flag.load(Ordering::SeqCst) { Box::pin(std::future::pending()) } else { succeeds() })
            .await;
    rig.create_stream("orders", 1).await;
    let put = rig.put("orders", 0..5).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.calls(1).await;
    let rig = rig.stopped().await;
    hangs.store(false, Ordering::SeqCst);
    let rig = rig.restarted();
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.status("t", 0, |status| status.counts.records == 5).await;
    assert_eq!(rig.calls(2).await[1].data, put);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_ends_the_backoff_at_once() {
    let mended = Arc::new(AtomicBool::new(false));
    let flag = mended.clone();
    let rig = Rig::new(move |_| if flag.load(Ordering::SeqCst) { succeeds() } else { fails("broken") }).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..1).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.calls(12).await; // by now it waits for seconds
    tokio::task::yield_now().await;
    mended.store(true, Ordering::SeqCst);
    let before = Instant::now();
    rig.versions.send_modify(|_| {});
    rig.calls(13).await;
    assert_eq!(Instant::now(), before, "time stands still unless everybody sleeps");
}

#[tokio::test(start_paused = true)]
async fn applying_the_same_again_changes_nothing() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..10).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.status("t", 0, |status| status.counts.records == 10).await;
    let ids = rig.trigger_ids().await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    assert_eq!(rig.trigger_ids().await, ids);
    let status = rig.status("t", 0, |_| true).await;
    assert_eq!(status.counts.records, 10, "the poller was not even started anew");
    let later = rig.put("orders", 10..11).await;
    assert_eq!(rig::data_of(&rig.delivered(11).await)[10..], later);
}

#[tokio::test(start_paused = true)]
async fn another_start_makes_the_trigger_start_afresh() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    let put = rig.put("orders", 0..10).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.delivered(10).await;
    let old = rig.trigger_ids().await;
    rig.apply(&[spec("t", "orders", Start::At(Timestamp::from_millis(0)))]).await;
    assert_eq!(rig::data_of(&rig.delivered(20).await)[10..], put);
    let new = rig.trigger_ids().await;
    assert_eq!(new.len(), 1, "the old cursors are gone");
    assert_ne!(new, old);
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_is_wanted_no_more_leaves_nothing_behind() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 2).await;
    rig.apply(&[spec("gone", "orders", Start::TrimHorizon), spec("stays", "orders", Start::TrimHorizon)]).await;
    assert_eq!(rig.trigger_ids().await.len(), 2);
    rig.apply(&[spec("stays", "orders", Start::TrimHorizon)]).await;
    assert_eq!(rig.trigger_ids().await.len(), 1);
    assert_eq!(rig.keys("trigger/").await, ["trigger/stays"]);
    assert!(rig.board.snapshot().iter().all(|row| row.key.trigger == "stays"));
    rig.put("orders", 0..10).await;
    assert!(rig.delivered(10).await.iter().all(|delivery| delivery.trigger_calls == 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_made_anew_is_read_from_its_beginning() {
    for start in [Start::TrimHorizon, Start::Latest] {
        let rig = Rig::new(|_| succeeds()).await;
        rig.create_stream("orders", 1).await;
        rig.apply(&[spec("t", "orders", start)]).await;
        rig.put("orders", 0..10).await;
        rig.delivered(10).await;
        let old = rig.trigger_ids().await;
        rig.delete_stream("orders").await;
        rig.row(|row| row.key.shard.is_none() && row.status.state == State::WaitingForStream).await;
        rig.create_stream("orders", 2).await;
        let later = rig.put("orders", 10..40).await;
        let delivered = rig::data_of(&rig.delivered(40).await);
        assert_eq!(delivered[10..].iter().collect::<BTreeSet<_>>(), later.iter().collect(), "{start:?}");
        assert_ne!(rig.trigger_ids().await, old);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trigger_waits_for_its_function() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    let nobody = tidemill::deploy::TriggerSpec {
        function: FunctionName::parse("nobody").unwrap(),
        ..spec("t", "orders", Start::Latest)
    };
    rig.apply(&[nobody]).await;
    rig.row(|row| row.status.state == State::WaitingForFunction).await;
}

#[tokio::test(start_paused = true)]
async fn records_that_expire_before_they_are_delivered_are_told_of_once() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.put("orders", 0..10).await;
    rig.delivered(10).await;
    let rig = rig.stopped().await;
    rig.put("orders", 10..20).await;
    rig.clock.set(rig.clock.now().plus(std::time::Duration::from_hours(25)));
    let kept = rig.put("orders", 20..30).await;
    let rig = rig.restarted();
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let status = rig.status("t", 0, |status| status.counts.records == 10 && status.pending_since.is_none()).await;
    assert_eq!((status.counts.skips, status.counts.failures), (1, 0));
    assert_eq!(rig::data_of(&rig.delivered(20).await)[10..], kept);
    // Nobody is told again by a trigger that starts behind them.
    let rig = rig.stopped().await.restarted();
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.put("orders", 30..40).await;
    assert_eq!(rig.status("t", 0, |status| status.counts.records == 10).await.counts.skips, 0);
}

#[tokio::test(start_paused = true)]
async fn a_trigger_whose_records_have_all_expired_moves_its_cursor_behind_them() {
    let rig = Rig::new(|_| fails("never")).await;
    rig.create_stream("orders", 1).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let rig = rig.stopped().await;
    rig.put("orders", 0..10).await;
    rig.clock.set(rig.clock.now().plus(std::time::Duration::from_hours(25)));
    let rig = rig.restarted();
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.status("t", 0, |status| status.counts.skips == 1).await;
    let id = TriggerId(rig.trigger_ids().await[0]);
    let stream = rig.store.streams().remove(0);
    let end = rig.store.position(&stream, ShardIndex(0), tidemill_stream::read::StartAt::Latest).await.unwrap();
    let rig = rig.stopped().await;
    assert_eq!(rig.store.cursor(id, ShardIndex(0)).await.unwrap().unwrap().progress.low(), end);
}
