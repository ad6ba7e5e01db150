//! Events for handlers of AWS Lambda's shape.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Emitted, during};
use crate::Result;
use crate::batch::{Record, Shard};
use crate::bindings::lambda::tidemill::function::invocation::Context;
use crate::lambda::{
    Base64Data, KinesisEvent, KinesisEventRecord, KinesisRecord, KinesisTimeWindowEvent, LambdaHandler, Window, handle,
};

const SHARD: Shard = Shard { index: 0, created_seconds: 0 };
const STREAM_ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/test";
const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:test";
const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/test";

/// An event to be delivered to a handler of AWS Lambda's shape, as a node would deliver it.
///
/// ```
/// use tidemill_function::Result;
/// use tidemill_function::lambda::{KinesisTimeWindowEvent, KinesisTimeWindowEventResponse};
/// use tidemill_function::testing::LambdaDelivery;
///
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// #[serde(default)]
/// struct Sum {
///     records: usize,
/// }
///
/// fn count(event: KinesisTimeWindowEvent<Sum>) -> Result<KinesisTimeWindowEventResponse<Sum>> {
///     let records = event.state.records + event.records.len();
///     Ok(KinesisTimeWindowEventResponse::new(Sum { records }))
/// }
///
/// let done = LambdaDelivery::new().in_window(&Sum { records: 41 }).record("bob", "a").to(&count);
/// assert_eq!(done.result.unwrap(), r#"{"state":{"records":42},"batchItemFailures":[]}"#);
/// ```
#[derive(Debug, Clone, Default)]
pub struct LambdaDelivery {
    records: Vec<KinesisEventRecord>,
    window: Option<InWindow>,
    config: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
struct InWindow {
    state: Result<Value, String>,
    is_final: bool,
}

/// How a delivery went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaDone {
    /// What the node would be told: the response, which is JSON, or an error, which fails the event.
    pub result: Result<String, String>,
    /// The lines that were logged through [`log`](crate::log), each with its level: `warn: a large order`.
    pub log: Vec<String>,
    /// What was emitted, in order. Of an event that fails a node puts none of it.
    pub emitted: Vec<Emitted>,
}

impl LambdaDelivery {
    /// An event of the stream `test`, without records yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more record, with a payload as a producer puts it.
    #[must_use]
    pub fn record(mut self, partition_key: &str, payload: impl AsRef<[u8]>) -> Self {
        let position = self.records.len() as u64;
        self.records.push(record(position, partition_key, payload.as_ref()));
        self
    }

    /// The records lie in a tumbling window whose state is this so far. A node begins with `{}`: `json!({})`.
    #[must_use]
    pub fn in_window(self, state: &impl Serialize) -> Self {
        self.window(state, false)
    }

    /// It is the final event of a tumbling window whose state is this.
    #[must_use]
    pub fn end_of_window(self, state: &impl Serialize) -> Self {
        self.window(state, true)
    }

    fn window(mut self, state: &impl Serialize, is_final: bool) -> Self {
        let state = serde_json::to_value(state).map_err(|error| format!("the state is no JSON: {error}"));
        self.window = Some(InWindow { state, is_final });
        self
    }

    /// A name of the function's configuration, and its value.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.config.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Delivers the event. A panic of the handler goes through, and fails the test.
    pub fn to<Shape, H: LambdaHandler<Shape>>(self, handler: &H) -> LambdaDone {
        let event = event(self.records, self.window);
        let call =
            || handle(handler, &event?, context()).map(|response| String::from_utf8_lossy(&response).into_owned());
        let (result, super::Call { log, emitted, .. }) = during(self.config, call);
        LambdaDone { result, log, emitted }
    }
}

fn event(records: Vec<KinesisEventRecord>, window: Option<InWindow>) -> Result<Vec<u8>, String> {
    let event = match window {
        None => serde_json::to_vec(&KinesisEvent { records }),
        Some(InWindow { state, is_final }) => serde_json::to_vec(&KinesisTimeWindowEvent {
            records,
            window: Window { start: "1970-01-01T00:00:00Z".to_owned(), end: "1970-01-01T00:01:00Z".to_owned() },
            state: state?,
            shard_id: SHARD.id(),
            event_source_arn: STREAM_ARN.to_owned(),
            is_final_invoke_for_window: is_final,
            is_window_terminated_early: false,
        }),
    };
    event.map_err(|error| error.to_string())
}

fn record(position: u64, partition_key: &str, payload: &[u8]) -> KinesisEventRecord {
    let sequence_number = Record { position, ..Record::new(partition_key, ()) }.sequence_number();
    KinesisEventRecord {
        event_source: "aws:kinesis".to_owned(),
        event_version: "1.0".to_owned(),
        event_id: format!("{}:{sequence_number}", SHARD.id()),
        event_name: "aws:kinesis:record".to_owned(),
        invoke_identity_arn: ROLE_ARN.to_owned(),
        aws_region: "us-east-1".to_owned(),
        event_source_arn: STREAM_ARN.to_owned(),
        kinesis: KinesisRecord {
            kinesis_schema_version: "1.0".to_owned(),
            partition_key: partition_key.to_owned(),
            sequence_number,
            data: Base64Data(payload.to_vec()),
            approximate_arrival_timestamp: 0.0,
        },
    }
}

/// A call with all the time there is.
fn context() -> Context {
    Context {
        aws_request_id: "test".to_owned(),
        function_name: "test".to_owned(),
        function_version: "0".repeat(64),
        invoked_function_arn: FUNCTION_ARN.to_owned(),
        memory_limit_mib: 64,
        deadline_ms: u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{config, emit, log};

    #[test]
    fn a_delivery_is_an_event_with_its_configuration_and_its_log() {
        let handler = |event: KinesisEvent| {
            log::info(&format!("{} {}", config::get("greeting").unwrap_or_default(), event.records.len()));
            emit("alerts", "a", &event.records[1].kinesis.data.json::<u32>()?)?;
            Ok(())
        };
        let delivery = LambdaDelivery::new().config("greeting", "hello").record("a", "1").record("b", "7");
        let emitted = vec![Emitted { stream: "alerts".into(), partition_key: "a".into(), data: b"7".into() }];
        let expected = LambdaDone { result: Ok("null".to_owned()), log: vec!["info: hello 2".to_owned()], emitted };
        assert_eq!(delivery.to(&handler), expected);
    }

    #[test]
    fn the_end_of_a_window_says_so() {
        let handler = |event: KinesisTimeWindowEvent<Value>| {
            Ok((event.state, event.is_final_invoke_for_window, event.records.len()))
        };
        let done = LambdaDelivery::new().end_of_window(&json!({"a": 1})).to(&handler);
        assert_eq!(done.result.unwrap(), r#"[{"a":1},true,0]"#);
    }
}
