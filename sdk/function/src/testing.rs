//! Testing a handler natively, with payloads as they come from producers: `cargo test` needs no node and no wasm.
//!
//! ```
//! use tidemill_function::testing::Delivery;
//! use tidemill_function::{Batch, Result, config, log};
//!
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     amount: u32,
//! }
//!
//! fn on_orders(batch: Batch<Order>) -> Result<()> {
//!     let limit = config::parse("limit")?.unwrap_or(100);
//!     for record in batch.iter().filter(|record| record.value.amount > limit) {
//!         log::warn(&format!("{}: a large order", record.partition_key));
//!     }
//!     Ok(())
//! }
//!
//! let done = Delivery::new()
//!     .config("limit", "10")
//!     .record("alice", r#"{"amount": 7}"#)
//!     .record("bob", r#"{"amount": 12}"#)
//!     .to(&on_orders);
//! assert_eq!(done.result, Ok(()));
//! assert_eq!(done.log, ["warn: bob: a large order"]);
//!
//! let done = Delivery::new().record("eve", "no order").to(&on_orders);
//! assert!(done.result.unwrap_err().contains("is not valid JSON"));
//! ```

mod lambda;

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::Result;
use crate::bindings::tidemill::function::types as wire;
use crate::handler::{Handler, handle};

pub use lambda::{LambdaDelivery, LambdaDone};

thread_local! {
    /// What a delivery on this thread has set and collected.
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

#[derive(Debug, Default)]
struct Call {
    config: BTreeMap<String, String>,
    log: Vec<String>,
    emitted: Vec<Emitted>,
}

/// A batch to be delivered to a handler, decoded as a node's is.
#[derive(Debug, Clone)]
pub struct Delivery {
    batch: wire::Batch,
    config: BTreeMap<String, String>,
}

/// How a delivery went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What the node would be told: an error fails the batch.
    pub result: Result<(), String>,
    /// The lines that were logged through [`log`](crate::log), each with its level: `warn: a large order`.
    pub log: Vec<String>,
    /// What was emitted, in order. Of a batch that fails a node puts none of it.
    pub emitted: Vec<Emitted>,
}

/// A record that a handler has emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Where it would go. Any stream is allowed here.
    pub stream: String,
    /// Its key.
    pub partition_key: String,
    /// Its payload.
    pub data: Vec<u8>,
}

impl Emitted {
    /// The payload as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self::new()
    }
}

impl Delivery {
    /// A first attempt at a batch of the stream `test`, without records yet.
    pub fn new() -> Self {
        let shard = wire::Shard { index: 0, created_seconds: 0 };
        let (stream, request_id) = ("test".to_owned(), "test".to_owned());
        Self {
            batch: wire::Batch { stream, shard, request_id, attempt: 1, records: Vec::new() },
            config: BTreeMap::new(),
        }
    }

    /// The stream's name.
    #[must_use]
    pub fn stream(mut self, name: &str) -> Self {
        name.clone_into(&mut self.batch.stream);
        self
    }

    /// 1 is the first attempt.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.batch.attempt = attempt;
        self
    }

    /// One more record, with a payload as a producer puts it.
    #[must_use]
    pub fn record(mut self, partition_key: &str, payload: impl AsRef<[u8]>) -> Self {
        let position = self.batch.records.len() as u64;
        let (partition_key, data) = (partition_key.to_owned(), payload.as_ref().to_vec());
        self.batch.records.push(wire::Record { position, arrival_ms: 0, partition_key, data });
        self
    }

    /// A name of the function's configuration, and its value.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.config.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Delivers the batch. A panic of the handler goes through, and fails the test.
    pub fn to<P, H: Handler<P>>(self, handler: &H) -> Done {
        let (result, Call { log, emitted, .. }) = during(self.config, || handle(handler, self.batch));
        Done { result, log, emitted }
    }
}

/// Runs a handler with this configuration; what it returns, and what it said and emitted meanwhile.
fn during<T>(config: BTreeMap<String, String>, handler: impl FnOnce() -> T) -> (T, Call) {
    let before = CALL.replace(Some(Call { config, ..Call::default() }));
    let result = handler();
    (result, CALL.replace(before).unwrap_or_default())
}

/// What the delivery in work has configured.
pub(crate) fn config(name: &str) -> Option<String> {
    CALL.with_borrow(|call| call.as_ref()?.config.get(name).cloned())
}

/// Keeps a line for the delivery in work. Without one it is given back.
pub(crate) fn log(line: String) -> Option<String> {
    CALL.with_borrow_mut(|call| match call {
        Some(call) => {
            call.log.push(line);
            None
        }
        None => Some(line),
    })
}

/// Keeps a record for the delivery in work.
pub(crate) fn emit(stream: &str, partition_key: &str, data: &[u8]) -> Result<()> {
    CALL.with_borrow_mut(|call| {
        let call = call.as_mut().ok_or("records can be emitted in a node and in a test's Delivery only")?;
        let (stream, partition_key) = (stream.to_owned(), partition_key.to_owned());
        call.emitted.push(Emitted { stream, partition_key, data: data.to_vec() });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Raw, config, emit, log};

    #[test]
    fn a_delivery_is_decoded_configured_and_its_log_kept() {
        let handler = |batch: Batch<Raw>| {
            assert_eq!((batch.stream.as_str(), batch.attempt, batch.len()), ("orders", 3, 2));
            assert_eq!(batch.records[1].position, 1);
            log::info(&config::get("greeting").unwrap_or_default());
            emit("alerts", "a", &7)?;
            Err("no".into())
        };
        let delivery = Delivery::new().stream("orders").attempt(3).config("greeting", "hello");
        let done = delivery.record("a", "1").record("b", [0xff]).to(&handler);
        let emitted = vec![Emitted { stream: "alerts".into(), partition_key: "a".into(), data: b"7".into() }];
        assert_eq!(done, Done { result: Err("no".to_owned()), log: vec!["info: hello".to_owned()], emitted });
        assert!(crate::emit("alerts", "a", &7).is_err(), "nobody would put it");
        assert_eq!(config::get("greeting"), None, "the next delivery has a configuration of its own");
    }
}
