//! The life of a trigger: enabled, disabled, changed, taken away.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong shall stop")]

use std::sync::Arc;

use tidemill::deploy::{Start, TriggerRules, TriggerSpec};
use tidemill::pattern::Filter;
use tidemill::status::{Phase, State};
use tokio::sync::Semaphore;

use crate::rig::{self, Rig, spec, succeeds};

fn disabled() -> TriggerSpec {
    TriggerSpec { is_enabled: false, ..spec("t", "orders", Start::Latest) }
}

#[tokio::test(start_paused = true)]
async fn a_disabled_trigger_keeps_its_place() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..5).await;
    rig.apply(&[disabled()]).await;
    let row = rig.row(|row| row.status.state == State::Disabled).await;
    assert_eq!((row.phase, row.key.shard), (Phase::Disabled, None));
    let first = rig.put("orders", 5..8).await;
    let enabled = TriggerSpec { is_enabled: true, ..disabled() };
    rig.apply(std::slice::from_ref(&enabled)).await;
    assert_eq!(rig::data_of(&rig.delivered(3).await), first, "what came since it was made");
    assert_eq!(rig.row(|_| true).await.phase, Phase::Enabled);
    rig.apply(&[disabled()]).await;
    let second = rig.put("orders", 8..12).await;
    let rig = rig.stopped().await.restarted();
    rig.apply(&[enabled]).await;
    assert_eq!(rig::data_of(&rig.delivered(7).await)[3..], second);
}

/// Phases are seen while a call holds them up.
#[tokio::test(start_paused = true)]
async fn each_change_has_its_phase() {
    let gate = Arc::new(Semaphore::new(0));
    let closed = gate.clone();
    let rig = Rig::new(move |_| {
        let gate = closed.clone();
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(().into())
        })
    })
    .await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..1).await;
    let enabled = spec("t", "orders", Start::TrimHorizon);
    let changed =
        TriggerSpec { rules: TriggerRules { batch_records_max: 7, ..enabled.rules.clone() }, ..enabled.clone() };
    let off = TriggerSpec { is_enabled: false, ..changed.clone() };
    rig.apply(&[enabled]).await;
    let mut calls = 1;
    for (wanted, during) in [(vec![changed.clone()], Phase::Updating), (vec![off], Phase::Disabling)] {
        rig.calls(calls).await;
        let apply = rig.apply(&wanted);
        let look = async {
            rig.row(|row| row.phase == during).await;
            gate.add_permits(1);
        };
        tokio::join!(apply, look);
        rig.put("orders", 1..2).await;
        calls += 1;
    }
    rig.apply(&[changed]).await;
    rig.calls(calls - 1).await;
    let apply = rig.apply(&[]);
    let look = async {
        rig.row(|row| row.phase == Phase::Deleting).await;
        gate.add_permits(1);
    };
    tokio::join!(apply, look);
    assert!(rig.board.snapshot().is_empty() && rig.board.phase_of("t").is_none());
}

#[tokio::test(start_paused = true)]
async fn what_a_filter_does_not_let_pass_is_counted_and_passed_over() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..50).await;
    let filter = Some(Filter::parse([r#"{"partitionKey": [{"prefix": "1"}]}"#]).unwrap());
    let spec = spec("t", "orders", Start::TrimHorizon);
    let filtering = TriggerSpec { rules: TriggerRules { filter, ..spec.rules.clone() }, ..spec };
    rig.apply(std::slice::from_ref(&filtering)).await;
    let expected: Vec<String> = std::iter::once(1).chain(10..20).map(|number: u32| number.to_string()).collect();
    assert_eq!(rig::data_of(&rig.delivered(11).await), expected);
    let counts = rig.status("t", 0, |status| status.pending_since.is_none()).await.counts;
    assert_eq!((counts.polled, counts.filtered, counts.records, counts.invoked_records), (50, 39, 11, 11));
    // A restart reads nothing again, though the last records were not delivered.
    let rig = rig.stopped().await.restarted();
    rig.apply(&[filtering]).await;
    rig.put("orders", 100..101).await;
    rig.delivered(12).await;
    assert_eq!(rig.status("t", 0, |status| status.counts.records == 1).await.counts.polled, 1);
}
