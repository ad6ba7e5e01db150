//! Functions of the world `lambda`: an event in, a response out.

#![allow(clippy::panic, reason = "a test may fail")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tidemill::functions::{
    Answer, DeployError, Emitted, FunctionLane, FunctionSettings, Invocation, Invoke as _, InvokeError, Reply, Version,
    WasmError, WindowCall, World, event_json, limits,
};
use tidemill::home::Home;
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::engine::Position;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::ShardIndex;

use crate::setting::{Setting, batch, batches_seen, mode, name};
use crate::{guests, lines};

/// As AWS documents them; see the tests of `functions/event.rs`.
const EVENT: &str = include_str!("../golden/lambda_event.json");
const WINDOW_EVENT: &str = include_str!("../golden/lambda_window_event.json");

async fn lane(setting: &Setting, function: &str, settings: FunctionSettings) -> FunctionLane {
    setting.deploy(function, guests::lambda_recorder(), settings).await;
    setting.lane(function)
}

/// Calls; the response as text. A call that does not end fails the test.
async fn respond(lane: &mut FunctionLane, invocation: &Invocation) -> Result<String, InvokeError> {
    let answer = tokio::time::timeout(Duration::from_mins(1), lane.invoke(invocation)).await.unwrap()?;
    match answer.reply {
        Reply::Response(response) => Ok(String::from_utf8(response.to_vec()).unwrap()),
        Reply::Taken => panic!("no response"),
    }
}

/// The call that AWS's sample event is of.
fn sample() -> Invocation {
    let [first, second] = &*batch(&["Hello, this is a test.", "This is only a test."]).records else { panic!("two") };
    let record = |record: &StoredRecord, position, arrival| StoredRecord {
        position: Position(position),
        arrival: Timestamp::from_millis(arrival),
        partition_key: tidemill_stream::record::PartitionKey::parse("1").unwrap(),
        ..record.clone()
    };
    let stream = StreamName::parse("lambda-stream").unwrap();
    let home = Home { account: "123456789012".to_owned(), region: "us-east-2".to_owned() };
    Invocation {
        shard: ShardIndex(6),
        shard_created: Timestamp::from_millis(1_542_776_258_000),
        records: Arc::new([
            record(first, 1_734_642_199, 1_545_084_650_987),
            record(second, 1_734_644_320, 1_545_084_709_166),
        ]),
        arns: Arc::new(home.arns(&stream, "lambda-role")),
        stream,
        ..batch(&[])
    }
}

fn window(state: &str) -> WindowCall {
    let at = |seconds: u64| Timestamp::from_millis((1_545_084_600 + seconds) * 1000);
    let state = Bytes::copy_from_slice(state.as_bytes());
    WindowCall { start: at(0), end: at(120), state, is_final: false, is_terminated_early: false }
}

#[tokio::test]
async fn an_event_arrives_byte_for_byte_and_the_response_comes_back() {
    let setting = Setting::new();
    let response = ("response".to_owned(), r#"{"batchItemFailures":[],"more":1.5}"#.to_owned());
    let mut settings = mode("echo");
    settings.config.extend([response.clone()]);
    let mut lane = lane(&setting, "echo", settings).await;
    assert_eq!(respond(&mut lane, &sample()).await, Ok(response.1));
    assert_eq!(lines::infos("echo"), [EVENT.trim_end()]);
    assert_eq!(event_json(&sample()), EVENT.trim_end().as_bytes());
}

#[tokio::test]
async fn an_event_of_a_window_arrives_byte_for_byte() {
    let setting = Setting::new();
    let mut lane = lane(&setting, "echo-window", mode("echo")).await;
    let sample = sample();
    let records = sample.records[..1].into();
    let invocation = Invocation { records, window: Some(window(r#"{"1":282,"2":715}"#)), ..sample };
    assert_eq!(respond(&mut lane, &invocation).await, Ok("null".to_owned()));
    assert_eq!(lines::infos("echo-window"), [WINDOW_EVENT.trim_end()]);
}

#[tokio::test]
async fn types_of_other_crates_read_the_event() {
    let setting = Setting::new();
    let mut lane = lane(&setting, "events", mode("events")).await;
    let response: Value = serde_json::from_str(&respond(&mut lane, &sample()).await.unwrap()).unwrap();
    let numbers = [
        "49590338271490256608559692538361571095921575989136588898",
        "49590338271490256608559692540925702759324208523137515618",
    ];
    let arn = "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream";
    let record =
        |text, time, number: &str| json!([text, "1", number, time, format!("shardId-000000000006:{number}"), arn]);
    let records = json!([
        record("Hello, this is a test.", "2018-12-17T22:10:50.987+00:00", numbers[0]),
        record("This is only a test.", "2018-12-17T22:11:49.166+00:00", numbers[1]),
    ]);
    assert_eq!(response, records);
    let windowed = Invocation { window: Some(window(r#"{"sum":"7"}"#)), ..sample() };
    let response: Value = serde_json::from_str(&respond(&mut lane, &windowed).await.unwrap()).unwrap();
    let expected = json!([records, "2018-12-17T22:10:00+00:00", "2018-12-17T22:12:00+00:00", {"sum": "7"},
        "shardId-000000000006", arn, false, false]);
    assert_eq!(response, expected);
}

#[tokio::test]
async fn failures_are_reported_by_sequence_number() {
    let setting = Setting::new();
    let mut lane = lane(&setting, "failures", mode("failures")).await;
    let invocation = batch(&["good", "poison", "good"]);
    let event: Value = serde_json::from_slice(&event_json(&invocation)).unwrap();
    let number = event["Records"][1]["kinesis"]["sequenceNumber"].as_str().unwrap();
    let expected = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{number}"}}]}}"#);
    assert_eq!(respond(&mut lane, &invocation).await, Ok(expected));
    assert_eq!(respond(&mut lane, &batch(&["good"])).await, Ok(r#"{"batchItemFailures":[]}"#.to_owned()));
}

#[tokio::test]
async fn a_window_keeps_its_state_and_ends_without_records() {
    let setting = Setting::new();
    let mut lane = lane(&setting, "window", mode("window")).await;
    let mut state = "{}".to_owned();
    for (payloads, expected) in [(["a", "b"].as_slice(), 2), (&["c"], 3)] {
        let call = Invocation { window: Some(window(&state)), ..batch(payloads) };
        let response = respond(&mut lane, &call).await.unwrap();
        state = format!(r#"{{"records":{expected}}}"#);
        assert_eq!(response, format!(r#"{{"batchItemFailures":[],"state":{state}}}"#));
    }
    let last = WindowCall { is_final: true, ..window(&state) };
    respond(&mut lane, &Invocation { window: Some(last), ..batch(&[]) }).await.unwrap();
    let line = |more, is_final| format!("2018-12-17T22:10:00Z to 2018-12-17T22:12:00Z: {more} more, final {is_final}");
    assert_eq!(lines::infos("window"), [line(2, false), line(1, false), line(0, true)]);
}

#[tokio::test]
async fn a_function_of_the_typed_world_gets_no_window() {
    let setting = Setting::new();
    setting.deploy("typed", guests::misbehave(), mode("ok")).await;
    let mut lane = setting.lane("typed");
    assert_eq!(batches_seen(&mut lane).await, 1);
    let message = "a tumbling window needs a function of the world tidemill:function/lambda, which gets the window's state and returns it; this one is of the world tidemill:function/consumer".to_owned();
    let windowed = Invocation { window: Some(window("{}")), ..batch(&["a"]) };
    assert_eq!(lane.invoke(&windowed).await, Err(InvokeError::Unavailable { message }));
    assert_eq!(batches_seen(&mut lane).await, 2, "it was not called, and not harmed");
}

#[tokio::test]
async fn a_context_says_who_is_called_and_until_when() {
    let setting = Setting::new();
    let timeout = Duration::from_secs(40);
    let settings = FunctionSettings { timeout, memory_bytes: (9 << 20) + 1000, ..mode("context") };
    let mut lane = lane(&setting, "context", settings).await;
    let before = now_ms();
    let response =
        respond(&mut lane, &Invocation { request_id: "request-9".to_owned(), ..batch(&["a"]) }).await.unwrap();
    let told: Value = serde_json::from_str(&response).unwrap();
    let version = Version::of(&guests::lambda_recorder()).to_string();
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    assert_eq!(
        told.as_array().unwrap()[..5],
        [json!("request-9"), json!("context"), json!(version), json!(arn), json!(9)]
    );
    let (deadline, left) = (told[5].as_u64().unwrap(), told[6].as_u64().unwrap());
    assert!((before + 40_000..=now_ms() + 40_000).contains(&deadline), "{deadline}");
    assert!(left <= 40_000 && left + 60_000 > 40_000 && left > 0, "{left}");
}

fn now_ms() -> u64 {
    Clock::system().now().as_millis()
}

#[tokio::test]
async fn an_error_fails_the_event_and_a_trap_replaces_the_instance() {
    let setting = Setting::new();
    let mut error = lane(&setting, "lambda-error", mode("error")).await;
    let message = "the event is not wanted".to_owned();
    assert_eq!(respond(&mut error, &batch(&["a"])).await, Err(InvokeError::Failed { message }));
    assert_eq!(setting.functions.instances().alive, 1);
    let mut panic = lane(&setting, "lambda-panic", mode("panic")).await;
    let Err(InvokeError::Trapped { message }) = respond(&mut panic, &batch(&["a"])).await else { panic!("a trap") };
    assert!(message.starts_with("panicked at lambda_recorder/src/lib.rs:"), "{message}");
    assert!(message.ends_with(": the event is poison"), "{message}");
    let mut trap = lane(&setting, "lambda-trap", mode("trap")).await;
    let message = "wasm trap: wasm `unreachable` instruction executed".to_owned();
    assert_eq!(respond(&mut trap, &batch(&["a"])).await, Err(InvokeError::Trapped { message }));
    assert_eq!(setting.functions.instances().alive, 1, "those that trapped are gone");
}

#[tokio::test]
async fn a_handler_that_loops_is_stopped() {
    let setting = Setting::new();
    let limit = Duration::from_millis(100);
    let mut lane = lane(&setting, "lambda-loop", FunctionSettings { timeout: limit, ..mode("loop") }).await;
    assert_eq!(respond(&mut lane, &batch(&["a"])).await, Err(InvokeError::TimedOut { limit }));
}

#[tokio::test]
async fn a_response_has_a_limit() {
    let setting = Setting::new();
    let settings = FunctionSettings { memory_bytes: 256 << 20, ..mode("large") };
    let mut lane = lane(&setting, "large", settings).await;
    let max = limits::RESPONSE_BYTES_MAX;
    let response = respond(&mut lane, &batch(&[&max.to_string()])).await.unwrap();
    assert_eq!(response.len(), max);
    let message = format!("its response has {} bytes; a response may have {max}", max + 1);
    let over = respond(&mut lane, &batch(&[&(max + 1).to_string()])).await;
    assert_eq!(over, Err(InvokeError::Failed { message }));
    assert_eq!(setting.functions.instances().alive, 1, "it did nothing that harms an instance");
    let Err(InvokeError::Trapped { message }) = respond(&mut lane, &batch(&["20000000"])).await else {
        panic!("a trap")
    };
    assert!(message.starts_with(&format!("no response could be taken, which may have {max} bytes: ")), "{message}");
    assert_eq!(respond(&mut lane, &batch(&["1000"])).await.map(|response| response.len()), Ok(1000));
}

#[tokio::test]
async fn a_handler_emits_as_any_function() {
    let setting = Setting::new();
    let allowed = StreamName::parse("allowed").unwrap();
    let settings = FunctionSettings { emit: [allowed.clone()].into(), ..mode("emit") };
    let mut lane = lane(&setting, "lambda-emit", settings).await;
    let Answer { emitted: Emitted(emitted), reply } = lane.invoke(&batch(&["a", "b"])).await.unwrap();
    let seen: Vec<_> = emitted.iter().map(|one| (&one.stream, &one.record.data[..])).collect();
    assert_eq!(seen, [(&allowed, &b"a"[..]), (&allowed, &b"b"[..])]);
    assert_eq!(reply, Reply::Response(Bytes::from_static(b"null")));
}

#[tokio::test]
async fn both_worlds_live_side_by_side_and_a_lane_goes_from_one_to_the_other() {
    let setting = Setting::new();
    let mut lambda = lane(&setting, "beside", mode("failures")).await;
    setting.deploy("typed-beside", guests::recorder(), FunctionSettings::default()).await;
    let world = |function| setting.functions.watch(&name(function)).borrow().as_ref().unwrap().world();
    assert_eq!((world("beside"), world("typed-beside")), (World::Lambda, World::Consumer));
    assert!(respond(&mut lambda, &batch(&["a"])).await.is_ok());
    assert_eq!(setting.lane("typed-beside").invoke(&batch(&["a"])).await, Ok(Answer::default()));
    setting.deploy("beside", guests::recorder(), FunctionSettings::default()).await;
    assert_eq!(lambda.invoke(&batch(&["a"])).await, Ok(Answer::default()));
    let setting = setting.restart();
    let deployed = setting.deploy("beside", guests::lambda_recorder(), mode("failures")).await;
    assert!(deployed.from_cache());
    assert!(respond(&mut setting.lane("beside"), &batch(&["a"])).await.is_ok());
}

#[tokio::test]
async fn a_component_of_both_worlds_is_refused() {
    let setting = Setting::new();
    let outcome = setting.functions.deploy(&name("both"), guests::chimera(), FunctionSettings::default()).await;
    assert_eq!(outcome, Err(DeployError::Wasm(WasmError::TwoWorlds)));
    let expected = "the component is of two worlds: it exports both 'handle' (tidemill:function/consumer) and 'handle-event' (tidemill:function/lambda), and nobody could tell which of them is to be called";
    assert_eq!(outcome.unwrap_err().to_string(), expected);
}
