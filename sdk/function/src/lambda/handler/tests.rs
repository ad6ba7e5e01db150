use super::*;
use crate::lambda::{KinesisEvent, KinesisEventResponse, KinesisTimeWindowEvent, KinesisTimeWindowEventResponse};

/// The sample event of Lambda's guide with its white space taken out, as a node makes it.
const EVENT: &str = include_str!("../../../../../runtime/tests/golden/lambda_event.json");
const WINDOW_EVENT: &str = include_str!("../../../../../runtime/tests/golden/lambda_window_event.json");

fn context() -> Context {
    Context {
        aws_request_id: "request".to_owned(),
        function_name: "f".to_owned(),
        function_version: "v".to_owned(),
        invoked_function_arn: "arn:aws:lambda:us-east-2:123456789012:function:f".to_owned(),
        memory_limit_mib: 64,
        deadline_ms: u64::MAX,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a handler is written where it is checked")]
fn check<Shape>(handler: impl LambdaHandler<Shape>, expected: Result<&str, &str>) {
    let response = handle(&handler, EVENT.trim_end().as_bytes(), context());
    let response = response.map(|response| String::from_utf8(response).unwrap());
    assert_eq!(response, expected.map(str::to_owned).map_err(str::to_owned));
}

#[test]
fn an_event_comes_typed() {
    let handler = |event: KinesisEvent| {
        let [first, second] = event.records.as_slice() else { return Err("two records".into()) };
        assert_eq!(first.kinesis.data.text()?, "Hello, this is a test.");
        assert_eq!(second.kinesis.data.text()?, "This is only a test.");
        assert!((first.kinesis.approximate_arrival_timestamp - 1_545_084_650.987).abs() < 1e-6);
        assert_eq!(first.event_id, format!("shardId-000000000006:{}", first.kinesis.sequence_number));
        Ok(())
    };
    check(handler, Ok("null"));
}

#[test]
fn our_types_say_what_came() {
    let event: KinesisEvent = serde_json::from_str(EVENT).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), EVENT.trim_end());
    let event: KinesisTimeWindowEvent<serde_json::Value> = serde_json::from_str(WINDOW_EVENT).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), WINDOW_EVENT.trim_end());
}

#[test]
fn a_context_comes_along() {
    let handler = |_: serde_json::Value, context: LambdaContext| Ok((context.request_id, context.memory_limit_mib));
    check(handler, Ok(r#"["request",64]"#));
}

async fn counted(event: LambdaEvent<KinesisEvent>) -> Result<String> {
    let mut turns = 0;
    std::future::poll_fn(|task| {
        turns += 1;
        task.waker().wake_by_ref();
        if turns == 3 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    Ok(format!("{} of {}", event.payload.records.len(), event.context.function_name))
}

#[test]
fn an_async_handler_runs_to_its_end() {
    check(counted, Ok(r#""2 of f""#));
}

async fn waiting(_: LambdaEvent<KinesisEvent>) -> Result<()> {
    std::future::pending().await
}

#[test]
fn an_async_handler_that_would_wait_for_ever_fails() {
    check(waiting, Err("the handler waits for something that a function does not have"));
}

#[test]
fn failures_and_state_are_spelt_as_lambda_reads_them() {
    let mut response = KinesisEventResponse::default();
    assert_eq!(serde_json::to_string(&response).unwrap(), r#"{"batchItemFailures":[]}"#);
    response.add_failure("49590");
    check(move |_: KinesisEvent| Ok(response.clone()), Ok(r#"{"batchItemFailures":[{"itemIdentifier":"49590"}]}"#));
    let windowed = KinesisTimeWindowEventResponse::new([1, 2]);
    check(move |_: KinesisEvent| Ok(windowed.clone()), Ok(r#"{"state":[1,2],"batchItemFailures":[]}"#));
}

#[test]
fn an_event_of_another_type_and_an_error_fail() {
    #[derive(serde::Deserialize)]
    struct Other {
        #[expect(dead_code, reason = "it is not there")]
        detail: u32,
    }
    let expected = format!(
        "the event is not what the handler takes: missing field `detail` at line 1 column {}",
        EVENT.trim_end().len()
    );
    check(|_: Other| Ok(()), Err(&expected));
    check(|_: KinesisEvent| Err::<(), _>("no".into()), Err("no"));
}
