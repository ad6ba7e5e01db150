//! Calls, and what guests may do to them.

use std::sync::Arc;
use std::time::Duration;

use tidemill::functions::{Answer, Emitted, FunctionSettings, Invocation, Invoke, InvokeError, limits};
use tidemill_stream::name::StreamName;
use tokio::task::JoinSet;
use tracing::Level;

use crate::setting::{Setting, batch, batches_seen, mode, name, poison};
use crate::{guests, lines};

/// The number of `shardId-000000000007`, created and written as in `batch`, by the layout.
fn sequence_number(position: u64) -> String {
    let hexadecimal = format!("2{:09x}7{position:016x}00{:09x}000000072", 1_795_000_000, 1_795_000_123);
    let mut decimal = vec![0_u8];
    for digit in hexadecimal.chars() {
        let mut carry = digit.to_digit(16).unwrap();
        for place in &mut decimal {
            let value = u32::from(*place) * 16 + carry;
            *place = (value % 10) as u8;
            carry = value / 10;
        }
        while carry > 0 {
            decimal.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    decimal.iter().rev().map(|&place| char::from(b'0' + place)).collect()
}

#[tokio::test]
async fn a_batch_arrives_whole_and_in_order() {
    let setting = Setting::new();
    setting.deploy("whole", guests::recorder(), FunctionSettings::default()).await;
    let payloads: Vec<_> = (0..500).map(|index| format!("payload {index} with an é")).collect();
    let payloads: Vec<_> = payloads.iter().map(String::as_str).collect();
    setting.lane("whole").invoke(&batch(&payloads)).await.unwrap();
    let expected: Vec<_> = payloads
        .iter()
        .enumerate()
        .map(|(index, data)| format!("record key=key-{index} seq={} data={data}", sequence_number(100 + index as u64)))
        .collect();
    assert_eq!(lines::infos("whole"), expected);
}

#[tokio::test]
async fn lines_tell_where_they_belong() {
    let setting = Setting::new();
    setting.deploy("fields", guests::recorder(), FunctionSettings::default()).await;
    setting.lane("fields").invoke(&batch(&["a"])).await.unwrap();
    let line = lines::of("fields").remove(0);
    let field = |name| line.fields[name].as_str();
    let expected = (Level::INFO, "orders", "shardId-000000000007", "request-1");
    assert_eq!((line.level, field("stream"), field("shard"), field("request")), expected);
}

#[tokio::test]
async fn an_error_fails_the_batch_and_leaves_the_instance() {
    let setting = Setting::new();
    setting.deploy("error", guests::misbehave(), mode("error")).await;
    let mut lane = setting.lane("error");
    assert_eq!(batches_seen(&mut lane).await, 1);
    let message = "the poison failed the batch".to_owned();
    assert_eq!(poison(&mut lane).await, Err(InvokeError::Failed { message }));
    assert_eq!(batches_seen(&mut lane).await, 3);
}

#[tokio::test]
async fn a_panic_is_told_with_its_text_and_the_instance_is_replaced() {
    let setting = Setting::new();
    setting.deploy("panic", guests::misbehave(), mode("panic")).await;
    let mut lane = setting.lane("panic");
    assert_eq!(batches_seen(&mut lane).await, 1);
    let Err(InvokeError::Trapped { message }) = poison(&mut lane).await else { panic!("a trap") };
    assert!(message.starts_with("panicked at misbehave/src/lib.rs:"), "{message}");
    assert!(message.ends_with(": the poison worked"), "{message}");
    assert_eq!(batches_seen(&mut lane).await, 1);
}

#[tokio::test]
async fn a_trap_without_a_panic_says_what_the_engine_says() {
    let setting = Setting::new();
    setting.deploy("trap", guests::misbehave(), mode("trap")).await;
    let mut lane = setting.lane("trap");
    let message = "wasm trap: wasm `unreachable` instruction executed".to_owned();
    assert_eq!(poison(&mut lane).await, Err(InvokeError::Trapped { message }));
    assert!(lines::of("trap").iter().any(|line| line.level == Level::DEBUG && line.message().contains("misbehave")));
    assert_eq!(batches_seen(&mut lane).await, 1);
}

#[tokio::test]
async fn a_function_that_ends_itself_is_replaced() {
    let setting = Setting::new();
    setting.deploy("exit", guests::misbehave(), mode("exit")).await;
    let mut lane = setting.lane("exit");
    let Err(InvokeError::Trapped { message }) = poison(&mut lane).await else { panic!("a trap") };
    assert!(message.contains("ended itself"), "{message}");
    assert_eq!(batches_seen(&mut lane).await, 1);
}

#[tokio::test]
async fn loops_are_stopped_and_starve_nobody() {
    let setting = Setting::new();
    let limit = Duration::from_millis(300);
    setting.deploy("loop", guests::misbehave(), FunctionSettings { timeout: limit, ..mode("loop") }).await;
    setting.deploy("neighbour", guests::misbehave(), mode("ok")).await;
    let mut loops = JoinSet::new();
    for _ in 0..8 {
        let mut lane = setting.lane("loop");
        loops.spawn(async move { (poison(&mut lane).await, lane) });
    }
    let mut neighbour = setting.lane("neighbour");
    for expected in 1..=20 {
        assert_eq!(batches_seen(&mut neighbour).await, expected);
    }
    for (outcome, mut lane) in loops.join_all().await {
        assert_eq!(outcome, Err(InvokeError::TimedOut { limit }));
        assert_eq!(batches_seen(&mut lane).await, 1);
    }
}

#[tokio::test]
async fn a_function_that_sleeps_in_a_host_call_is_stopped() {
    let setting = Setting::new();
    let limit = Duration::from_millis(50);
    setting.deploy("sleep", guests::misbehave(), FunctionSettings { timeout: limit, ..mode("sleep") }).await;
    assert_eq!(poison(&mut setting.lane("sleep")).await, Err(InvokeError::TimedOut { limit }));
}

#[tokio::test]
async fn memory_is_limited_and_the_instance_is_replaced() {
    let setting = Setting::new();
    let limit_bytes = 8 << 20;
    let settings = FunctionSettings { memory_bytes: limit_bytes, ..mode("memory") };
    setting.deploy("memory", guests::misbehave(), settings).await;
    let mut lane = setting.lane("memory");
    assert_eq!(batches_seen(&mut lane).await, 1);
    assert_eq!(poison(&mut lane).await, Err(InvokeError::OutOfMemory { limit_bytes }));
    let held: usize = lines::infos("memory").last().unwrap().strip_suffix(" MiB").unwrap().parse().unwrap();
    assert!((3..8).contains(&held), "{held} MiB of 8");
    assert_eq!(batches_seen(&mut lane).await, 1);
}

#[tokio::test]
async fn nothing_is_granted() {
    let setting = Setting::new();
    setting.deploy("reach", guests::misbehave(), mode("reach")).await;
    poison(&mut setting.lane("reach")).await.unwrap();
    let expected = ["files false", "environment 0", "arguments 0", "network false", "listener false"];
    assert_eq!(lines::infos("reach")[..5], expected);
}

#[tokio::test]
async fn terminal_escapes_are_filtered() {
    let setting = Setting::new();
    setting.deploy("escapes", guests::misbehave(), mode("escapes")).await;
    let message = "\u{fffd}[31man error of two lines".to_owned();
    assert_eq!(poison(&mut setting.lane("escapes")).await, Err(InvokeError::Failed { message }));
    let is_shown = |line: &&lines::Line| line.level != Level::DEBUG;
    let lines: Vec<_> =
        lines::of("escapes").iter().filter(is_shown).map(|line| (line.level, line.message().to_owned())).collect();
    let expected = [
        (Level::INFO, "\u{fffd}[2Jon stdout"),
        (Level::WARN, "\u{fffd}]0;title\u{fffd}on stderr"),
        (Level::ERROR, "\u{fffd}31mby log\u{fffd}\u{fffd}"),
        (Level::WARN, "without a line end"),
    ];
    assert_eq!(lines, expected.map(|(level, text)| (level, text.to_owned())));
}

#[tokio::test]
async fn a_flood_is_cut_and_the_next_call_may_log_again() {
    let setting = Setting::new();
    setting.deploy("flood", guests::misbehave(), mode("flood")).await;
    let mut lane = setting.lane("flood");
    poison(&mut lane).await.unwrap();
    let lines = lines::of("flood");
    let bytes: usize = lines.iter().map(|line| line.message().len() + limits::LOG_LINE_COST_BYTES).sum();
    assert!(
        lines.len() > 1000 && bytes < limits::LOG_BYTES_PER_CALL_MAX + 1000,
        "{} lines, {bytes} bytes",
        lines.len()
    );
    let last = lines.last().unwrap();
    assert_eq!((last.level, last.message()), (Level::WARN, "output cut: a call may log 262144 bytes"));
    assert_eq!(lines.iter().filter(|line| line.message().starts_with("output cut")).count(), 1);
    assert_eq!(batches_seen(&mut lane).await, 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_is_stopped_and_the_lane_works_on() {
    let setting = Setting::new();
    setting.deploy("dropped", guests::misbehave(), mode("loop")).await;
    let mut lane = setting.lane("dropped");
    assert_eq!(batches_seen(&mut lane).await, 1);
    assert!(tokio::time::timeout(Duration::from_millis(20), poison(&mut lane)).await.is_err());
    assert_eq!(batches_seen(&mut lane).await, 1);
}

#[tokio::test]
async fn a_loop_that_nobody_waits_for_ends() {
    let setting = Setting::new();
    setting.deploy("abandoned", guests::misbehave(), mode("loop")).await;
    let deployment = Arc::downgrade(setting.functions.watch(&name("abandoned")).borrow().as_ref().unwrap());
    let mut lane = setting.lane("abandoned");
    assert!(tokio::time::timeout(Duration::from_millis(20), poison(&mut lane)).await.is_err());
    drop((lane, setting));
    // The instance holds the deployment for as long as its guest runs.
    let ended = async {
        while deployment.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), ended).await.unwrap();
}

#[tokio::test]
async fn a_closure_invokes_too() {
    let mut calls = 0;
    let mut closure = |invocation: Invocation| {
        calls += 1;
        async move {
            match invocation.attempt {
                1 => Err(InvokeError::Failed { message: "once".to_owned() }),
                _ => Ok(()),
            }
        }
    };
    let invoke: &mut dyn Invoke = &mut closure;
    assert!(invoke.invoke(&batch(&["a"])).await.is_err());
    assert_eq!(invoke.invoke(&Invocation { attempt: 2, ..batch(&["a"]) }).await, Ok(Answer::default()));
    assert_eq!(calls, 2);
}

#[tokio::test]
async fn what_a_call_emits_comes_with_its_success() {
    let setting = Setting::new();
    let allowed = StreamName::parse("allowed").unwrap();
    let settings = FunctionSettings { emit: [allowed.clone()].into(), ..mode("emit") };
    setting.deploy("emit", guests::misbehave(), settings).await;
    let mut lane = setting.lane("emit");
    let Answer { emitted: Emitted(emitted), .. } =
        lane.invoke(&batch(&["poison 1", "harmless", "poison 2"])).await.unwrap();
    let seen: Vec<_> = emitted.iter().map(|one| (&one.stream, one.record.size_bytes().min(10))).collect();
    assert_eq!(seen, [(&allowed, 10); 4]);
    assert_eq!((&emitted[0].record.data[..], &emitted[2].record.data[..]), (&b"poison 1"[..], &b"poison 2"[..]));
    assert_eq!(emitted[1].record.size_bytes(), 1 << 20, "the largest record passes");
    let refused = "this function may not emit to 'forbidden': its deployment allows allowed";
    assert!(lines::of("emit").iter().any(|line| line.message() == refused), "{:?}", lines::of("emit"));
    assert!(lane.invoke(&batch(&["poison, then fail"])).await.is_err());
    assert_eq!(
        lane.invoke(&batch(&["harmless"])).await,
        Ok(Answer::default()),
        "a failed call has left nothing behind"
    );
}

#[tokio::test]
async fn the_example_alerts_on_real_earthquakes() {
    let setting = Setting::new();
    let settings =
        FunctionSettings { config: [("threshold".to_owned(), "6".to_owned())].into(), ..FunctionSettings::default() };
    setting.deploy("alert", guests::alert(), settings).await;
    let data = include_str!("../../../functions/data/earthquakes.jsonl");
    let payloads: Vec<_> = data.lines().collect();
    let mut lane = setting.lane("alert");
    for some in payloads.chunks(500) {
        lane.invoke(&batch(some)).await.unwrap();
    }
    let alerts: Vec<_> = lines::of("alert").into_iter().filter(|line| line.level == Level::WARN).collect();
    let strong = data.lines().filter(|line| is_strong(line)).count();
    assert_eq!((alerts.len(), strong), (5, 5));
    assert!(alerts.iter().all(|line| line.message().starts_with("earthquake of magnitude 6.")), "{alerts:?}");
}

fn is_strong(line: &str) -> bool {
    let quake: serde_json::Value = serde_json::from_str(line).unwrap();
    quake["magnitude"].as_f64().is_some_and(|magnitude| magnitude >= 6.0)
}
