//! Batching windows: a batch waits for more records.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

use std::time::Duration;

use tidemill::deploy::{Start, TriggerRules, TriggerSpec};
use tokio::time::Instant;

use crate::rig::{Rig, spec, succeeds};

fn waiting(window: Duration, batch_records_max: usize) -> TriggerSpec {
    let spec = spec("t", "orders", Start::TrimHorizon);
    TriggerSpec { rules: TriggerRules { window, batch_records_max, ..spec.rules.clone() }, ..spec }
}

const WINDOW: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_its_window() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.apply(&[waiting(WINDOW, 100)]).await;
    let began = Instant::now();
    for number in 0..5 {
        rig.put("orders", number..number + 1).await;
        tokio::time::sleep(Duration::from_secs(7)).await;
    }
    let calls = rig.calls(1).await;
    assert_eq!(calls[0].data.len(), 5);
    let waited = began.elapsed();
    assert!(waited >= WINDOW && waited < WINDOW + Duration::from_secs(1), "{waited:?}");
}

/// The windows follow one another from the end of the last call on, also while nothing comes.
#[tokio::test(start_paused = true)]
async fn windows_follow_one_another() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.apply(&[waiting(WINDOW, 100)]).await;
    rig.put("orders", 0..1).await;
    rig.calls(1).await;
    let first = Instant::now();
    tokio::time::sleep(Duration::from_secs(150)).await;
    rig.put("orders", 1..2).await;
    rig.calls(2).await;
    let waited = first.elapsed();
    assert!(waited >= WINDOW * 3 && waited < WINDOW * 3 + Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.apply(&[waiting(WINDOW, 10)]).await;
    let began = Instant::now();
    rig.put("orders", 0..25).await;
    let sizes: Vec<usize> = rig.calls(2).await.iter().map(|call| call.data.len()).collect();
    assert_eq!((sizes, began.elapsed() < Duration::from_secs(1)), (vec![10, 10], true));
    assert_eq!(rig.calls(3).await[2].data.len(), 5);
    assert!(began.elapsed() >= WINDOW);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_window() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..3).await;
    rig.apply(&[waiting(Duration::from_mins(5), 100)]).await;
    rig.status("t", 0, |status| status.pending_since.is_some()).await;
    let began = Instant::now();
    let rig = rig.stopped().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    let rig = rig.restarted();
    rig.apply(&[waiting(Duration::ZERO, 100)]).await;
    assert_eq!(rig.delivered(3).await.len(), 1);
}
