//! A handler of AWS Lambda's shape that does what its configuration's `mode` says: `echo` logs the event and responds with
//! the configured `response`; `failures` names the records whose data is "poison"; `window` counts the records of a
//! tumbling window; `context` responds with what it was told; `large` responds with as many bytes as the first record's
//! data says; `events` reads the event with the types of `aws_lambda_events`; `emit` puts each record on "allowed". `error`, `panic`, `trap` and `loop` fail.

use std::collections::BTreeMap;

use aws_lambda_events::event::kinesis::{KinesisEvent as AwsEvent, KinesisTimeWindowEvent as AwsWindowEvent};
use serde_json::{Value, json};
use tidemill_function::lambda::{
    KinesisEvent, KinesisEventResponse, KinesisTimeWindowEvent, KinesisTimeWindowEventResponse, LambdaContext,
};
use tidemill_function::{Result, config, emit_raw, lambda_handler, log};

lambda_handler!(record);

fn record(event: Box<serde_json::value::RawValue>, context: LambdaContext) -> Result<Value> {
    let event = event.get();
    match config::get("mode").unwrap_or_default().as_str() {
        "echo" => echo(event),
        "failures" => failures(serde_json::from_str(event)?),
        "window" => window(serde_json::from_str(event)?),
        "context" => Ok(told(&context)),
        "large" => large(serde_json::from_str(event)?),
        "events" => events(event),
        "emit" => emit_all(serde_json::from_str(event)?),
        "error" => Err("the event is not wanted".into()),
        "panic" => panic!("the event is poison"),
        "trap" => trap(),
        "loop" => loop {
            std::hint::spin_loop();
        },
        other => Err(format!("no such mode: '{other}'").into()),
    }
}

/// The line is cut where a log line ends.
fn echo(event: &str) -> Result<Value> {
    log::info(event);
    Ok(serde_json::from_str(&config::get("response").unwrap_or_else(|| "null".to_owned()))?)
}

fn failures(event: KinesisEvent) -> Result<Value> {
    let mut response = KinesisEventResponse::default();
    let poison = event.records.iter().filter(|record| &*record.kinesis.data == b"poison");
    poison.for_each(|record| response.add_failure(&record.kinesis.sequence_number));
    Ok(serde_json::to_value(response)?)
}

fn window(event: KinesisTimeWindowEvent<BTreeMap<String, usize>>) -> Result<Value> {
    let KinesisTimeWindowEvent { records, window, mut state, .. } = event;
    log::info(&format!("{} to {}: {} more, final {}", window.start, window.end, records.len(), event.is_final_invoke_for_window));
    *state.entry("records".to_owned()).or_default() += records.len();
    Ok(serde_json::to_value(KinesisTimeWindowEventResponse::new(state))?)
}

fn told(context: &LambdaContext) -> Value {
    let LambdaContext { request_id, function_name, function_version, invoked_function_arn, memory_limit_mib, deadline_ms } =
        context;
    json!([request_id, function_name, function_version, invoked_function_arn, memory_limit_mib, deadline_ms,
        context.remaining().as_millis() as u64])
}

/// A text is two bytes longer in JSON.
fn large(event: KinesisEvent) -> Result<Value> {
    let bytes: usize = event.records[0].kinesis.data.json()?;
    Ok("x".repeat(bytes - 2).into())
}

fn events(event: &str) -> Result<Value> {
    if let Ok(AwsWindowEvent { kinesis_event, time_window_properties: window, .. }) = serde_json::from_str(event) {
        return Ok(json!([seen(&kinesis_event), window.window.start.to_rfc3339(), window.window.end.to_rfc3339(),
            window.state, window.shard_id, window.event_source_arn, window.is_final_invoke_for_window,
            window.is_window_terminated_early]));
    }
    Ok(seen(&serde_json::from_str(event)?))
}

fn seen(event: &AwsEvent) -> Value {
    let seen = event.records.iter().map(|record| {
        let kinesis = &record.kinesis;
        json!([String::from_utf8_lossy(&kinesis.data), kinesis.partition_key, kinesis.sequence_number,
            kinesis.approximate_arrival_timestamp.to_rfc3339(), record.event_id, record.event_source_arn])
    });
    seen.collect()
}

fn emit_all(event: KinesisEvent) -> Result<Value> {
    for record in &event.records {
        emit_raw("allowed", &record.kinesis.partition_key, &record.kinesis.data)?;
    }
    Ok(Value::Null)
}

/// Traps without a panic.
#[cfg(target_family = "wasm")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
fn trap() -> ! {
    std::process::abort()
}
