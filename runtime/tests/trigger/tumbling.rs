//! Tumbling windows: the function keeps a state, of one stretch of arrival time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that goes wrong shall stop")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tidemill::deploy::{Start, TriggerRules, TriggerSpec};
use tidemill::functions::{Answer, Invocation, InvokeError, Reply, WindowCall};
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::faulty::{Fault, FaultyOptions};
use tidemill_stream::name::StreamName;
use tidemill_stream::shard::{HashKey, ShardIndex};

use crate::rig::{Outcome, Rig, START_MS, spec};

fn windowed(batch_records_max: usize) -> TriggerSpec {
    let spec = spec("t", "orders", Start::TrimHorizon);
    let tumbling_window = Some(Duration::from_secs(10));
    TriggerSpec { rules: TriggerRules { tumbling_window, batch_records_max, ..spec.rules.clone() }, ..spec }
}

/// Calls as a person would note them: `start+length shard data state -> state`, with `final` and `early`.
type Notes = Arc<Mutex<Vec<String>>>;

fn note(notes: &Notes, call: &Invocation, window: &WindowCall, after: &str) {
    let data: Vec<_> = call.records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect();
    let start = (window.start.as_millis() - START_MS) / 1000;
    let length = window.end.since(window.start).as_secs();
    let kind = if window.is_terminated_early {
        "early"
    } else if window.is_final {
        "final"
    } else {
        "batch"
    };
    let state = String::from_utf8_lossy(&window.state);
    notes.lock().push(format!("{kind} {start}+{length} {} [{}] {state}{after}", call.shard.0, data.join(" ")));
}

fn responds(text: String) -> Outcome {
    Box::pin(async move { Ok(Answer { reply: Reply::Response(Bytes::from(text)), ..Answer::default() }) })
}

fn counts(call: &Invocation) -> u64 {
    let state = &call.window.as_ref().unwrap().state;
    let before =
        String::from_utf8_lossy(state).trim_matches(['{', '}']).rsplit(':').next().unwrap().parse().unwrap_or(0);
    before + call.records.len() as u64
}

/// A function that counts the records of a window.
fn counter(notes: &Notes) -> impl Fn(&Invocation) -> Outcome + Send + Sync + 'static {
    let notes = notes.clone();
    move |call| {
        note(&notes, call, call.window.as_ref().unwrap(), "");
        responds(format!(r#"{{"state":{{"n":{}}}}}"#, counts(call)))
    }
}

fn at(rig: &Rig, seconds: u64) {
    rig.clock.set(Timestamp::from_millis(START_MS + seconds * 1000));
}

async fn noted(notes: &Notes, count: usize) -> Vec<String> {
    for _ in 0..1_000_000 {
        if notes.lock().len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await; // of paused time
    }
    notes.lock().clone()
}

#[tokio::test(start_paused = true)]
async fn state_goes_from_call_to_call_and_a_later_record_ends_the_window() {
    let notes = Notes::default();
    let rig = Rig::new(counter(&notes)).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..3).await;
    at(&rig, 9);
    rig.put("orders", 3..4).await;
    at(&rig, 10);
    rig.put("orders", 4..5).await;
    at(&rig, 35);
    rig.put("orders", 5..6).await;
    rig.apply(&[windowed(2)]).await;
    let expected = [
        "batch 0+10 0 [0 1] {}",
        "batch 0+10 0 [2 3] {\"n\":2}",
        "final 0+10 0 [] {\"n\":4}",
        "batch 10+10 0 [4] {}",
        "final 10+10 0 [] {\"n\":1}",
        "batch 30+10 0 [5] {}",
    ];
    assert_eq!(noted(&notes, 6).await, expected);
    // Its time is not over.
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(notes.lock().len(), 6);
    at(&rig, 40);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(notes.lock().len(), 6, "what arrived in it may still come to light");
    at(&rig, 41);
    assert_eq!(noted(&notes, 7).await[6], "final 30+10 0 [] {\"n\":1}");
    assert_eq!(rig.status("t", 0, |status| status.counts.records == 6).await.counts.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn the_cursor_stays_before_an_open_window() {
    let notes = Notes::default();
    let rig = Rig::new(counter(&notes)).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..2).await;
    rig.apply(&[windowed(100)]).await;
    noted(&notes, 1).await;
    let rig = rig.stopped().await.restarted();
    rig.put("orders", 2..3).await;
    rig.apply(&[windowed(100)]).await;
    assert_eq!(noted(&notes, 2).await[1], "batch 0+10 0 [0 1 2] {}", "the window begins anew");
    at(&rig, 11);
    assert_eq!(noted(&notes, 3).await[2], "final 0+10 0 [] {\"n\":3}");
    let rig = rig.stopped().await.restarted();
    rig.put("orders", 3..4).await;
    rig.apply(&[windowed(100)]).await;
    assert_eq!(noted(&notes, 4).await[3], "batch 10+10 0 [3] {}", "what lies before it is done");
    drop(rig);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_too_large_ends_the_window_early() {
    let notes = Notes::default();
    let log = notes.clone();
    let rig = Rig::new(move |call| {
        let window = call.window.as_ref().unwrap();
        let shown = WindowCall { state: Bytes::from(format!("{} bytes", window.state.len())), ..window.clone() };
        note(&log, call, &shown, "");
        let large = call.records.first().is_some_and(|record| &record.data[..] == b"0");
        responds(format!(r#"{{"state":"{}"}}"#, "x".repeat(if large { 1 << 20 } else { 1 })))
    })
    .await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..3).await;
    rig.apply(&[windowed(1)]).await;
    let expected = [
        "batch 0+10 0 [0] 2 bytes",
        "early 0+10 0 [] 1048578 bytes",
        "batch 0+10 0 [1] 2 bytes",
        "batch 0+10 0 [2] 3 bytes",
    ];
    assert_eq!(noted(&notes, 4).await, expected);
    at(&rig, 11);
    assert_eq!(noted(&notes, 5).await[4], "final 0+10 0 [] 3 bytes");
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_state_has_failed() {
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let rig = Rig::new(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => responds("{}".to_owned()),
        _ => responds(r#"{"state":{}}"#.to_owned()),
    })
    .await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..3).await;
    rig.apply(&[windowed(100)]).await;
    let status = rig.status("t", 0, |status| status.counts.records == 3).await;
    assert_eq!((status.counts.failures, status.counts.invocations), (1, 2));
    let message = status.last_error.unwrap().message;
    assert_eq!(message, "the function's response has no 'state', which a tumbling window needs");
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_before_the_last_call_has_succeeded() {
    let notes = Notes::default();
    let (log, failures) = (notes.clone(), Arc::new(AtomicU32::new(0)));
    let rig = Rig::new(move |call| {
        let window = call.window.as_ref().unwrap();
        if window.is_final && failures.fetch_add(1, Ordering::SeqCst) < 3 {
            note(&log, call, window, " fails");
            return Box::pin(async { Err(InvokeError::Failed { message: "not yet".to_owned() }) });
        }
        note(&log, call, window, "");
        responds(format!(r#"{{"state":{{"n":{}}}}}"#, counts(call)))
    })
    .await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..1).await;
    at(&rig, 10);
    rig.put("orders", 1..2).await;
    let rules = TriggerRules { retries_max: Some(0), ..windowed(100).rules };
    rig.apply(&[TriggerSpec { rules, ..windowed(100) }]).await;
    let failing = "final 0+10 0 [] {\"n\":1} fails";
    let expected =
        ["batch 0+10 0 [0] {}", failing, failing, failing, "final 0+10 0 [] {\"n\":1}", "batch 10+10 0 [1] {}"];
    assert_eq!(noted(&notes, 6).await, expected);
}

/// A window does not go over to the children of a shard.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_shard_ends_its_window() {
    let notes = Notes::default();
    let rig = Rig::new(counter(&notes)).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..2).await;
    rig.apply(&[windowed(100)]).await;
    noted(&notes, 1).await;
    let name = StreamName::parse("orders").unwrap();
    rig.store.split_shard(&name, ShardIndex(0), HashKey(1 << 127)).await.unwrap();
    let expected = ["batch 0+10 0 [0 1] {}", "final 0+10 0 [] {\"n\":2}"];
    assert_eq!(noted(&notes, 2).await, expected);
    rig.put("orders", 2..3).await;
    let last = noted(&notes, 3).await[2].clone();
    assert!(last.ends_with("[2] {}"), "with no state: {last}");
}

/// A read may be of an earlier view: what is not there to see is not taken for the end of a window.
#[tokio::test(start_paused = true)]
async fn a_window_is_not_closed_before_records_that_a_read_did_not_see() {
    for seed in 0..20 {
        let notes = Notes::default();
        let per_mille = [(Fault::StaleRead, 500), (Fault::Pause, 500)].into();
        let troubles = FaultyOptions { seed, per_mille, ..FaultyOptions::default() };
        let rig = Rig::with_troubles(troubles, counter(&notes)).await;
        rig.create_stream("orders", 1).await;
        rig.put("orders", 0..5).await;
        at(&rig, 11);
        rig.apply(&[windowed(2)]).await;
        rig.status("t", 0, |status| status.counts.records == 5).await;
        let is_last = |note: &String| note.starts_with("final");
        while !notes.lock().iter().any(is_last) {
            tokio::time::sleep(Duration::from_millis(1)).await; // of paused time
        }
        let last: Vec<_> = notes.lock().iter().filter(|note| is_last(note)).cloned().collect();
        assert_eq!(last, ["final 0+10 0 [] {\"n\":5}"], "seed {seed}");
    }
}
