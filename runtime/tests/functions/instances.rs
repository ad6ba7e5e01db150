//! How many instances there are at once.

use std::time::Duration;

use tidemill::functions::{FunctionSettings, InstanceCount, Invoke as _, InvokeError};
use tokio::task::JoinSet;

use crate::guests;
use crate::setting::{Setting, batch, batches_seen, mode, poison};

/// Waits until this many instances are alive.
async fn alive(setting: &Setting, expected: usize) {
    let reached = async {
        while setting.functions.instances().alive != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reached).await.unwrap();
}

#[tokio::test]
async fn a_warm_lane_stays_warm_and_the_others_start_afresh() {
    let setting = Setting::with_instances(1, 1);
    setting.deploy("afresh", guests::misbehave(), mode("ok")).await;
    let mut lanes = [(); 3].map(|()| setting.lane("afresh"));
    for round in 1..=5 {
        let mut seen = Vec::new();
        for lane in &mut lanes {
            seen.push(batches_seen(lane).await);
        }
        assert_eq!(seen, [round, 1, 1]);
    }
    assert_eq!(setting.functions.instances(), InstanceCount { alive: 1, peak: 2 });
}

#[tokio::test]
async fn lanes_beyond_the_bounds_all_progress() {
    let setting = Setting::with_instances(1, 1);
    setting.deploy("progress", guests::misbehave(), mode("ok")).await;
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let mut lane = setting.lane("progress");
        calls.spawn(async move {
            for _ in 0..50 {
                lane.invoke(&batch(&["harmless"])).await.unwrap();
                tokio::task::yield_now().await;
            }
            lane
        });
    }
    let lanes = tokio::time::timeout(Duration::from_mins(1), calls.join_all()).await.unwrap();
    let InstanceCount { alive, peak } = setting.functions.instances();
    assert!(alive <= 1 && peak <= 2, "{alive} alive, {peak} at most");
    drop(lanes);
    assert_eq!(setting.functions.instances().alive, 0);
}

#[tokio::test]
async fn waiting_for_a_place_is_not_the_functions_time() {
    let setting = Setting::with_instances(1, 1);
    let (long, short) = (Duration::from_secs(2), Duration::from_secs(1));
    setting.deploy("long", guests::misbehave(), FunctionSettings { timeout: long, ..mode("sleep") }).await;
    setting.deploy("short", guests::misbehave(), FunctionSettings { timeout: short, ..mode("ok") }).await;
    let mut sleepers = JoinSet::new();
    for _ in 0..2 {
        let mut lane = setting.lane("long");
        sleepers.spawn(async move { poison(&mut lane).await });
    }
    alive(&setting, 2).await;
    // Both places are taken for longer than this call may last.
    assert_eq!(batches_seen(&mut setting.lane("short")).await, 1);
    assert_eq!(sleepers.join_all().await, vec![Err(InvokeError::TimedOut { limit: long }); 2]);
    assert_eq!(setting.functions.instances().peak, 2);
}

#[tokio::test]
async fn a_deployment_is_tried_while_every_place_is_taken() {
    let setting = Setting::with_instances(1, 1);
    let limit = Duration::from_mins(1);
    setting.deploy("taken", guests::misbehave(), FunctionSettings { timeout: limit, ..mode("sleep") }).await;
    let mut sleepers = JoinSet::new();
    for _ in 0..2 {
        let mut lane = setting.lane("taken");
        sleepers.spawn(async move { poison(&mut lane).await });
    }
    alive(&setting, 2).await;
    setting.deploy("taken", guests::misbehave(), mode("ok")).await;
    assert_eq!(setting.functions.instances().peak, 3);
    sleepers.shutdown().await;
    alive(&setting, 0).await;
}

#[tokio::test]
async fn a_place_comes_back_from_a_spoilt_instance_and_from_a_dropped_lane() {
    let setting = Setting::with_instances(1, 1);
    setting.deploy("spoilt", guests::misbehave(), mode("trap")).await;
    let (mut first, mut second) = (setting.lane("spoilt"), setting.lane("spoilt"));
    assert_eq!(batches_seen(&mut first).await, 1);
    assert!(matches!(poison(&mut first).await, Err(InvokeError::Trapped { .. })));
    assert_eq!(setting.functions.instances().alive, 0);
    assert_eq!((batches_seen(&mut second).await, batches_seen(&mut second).await), (1, 2));
    drop(second);
    assert_eq!((batches_seen(&mut first).await, batches_seen(&mut first).await), (1, 2));
}
