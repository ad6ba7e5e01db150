//! Handlers of AWS Lambda, as they are: the event of a Kinesis stream in, a response out.
//!
//! ```
//! use tidemill_function::lambda::{KinesisEvent, KinesisEventResponse, LambdaContext};
//! use tidemill_function::{Result, lambda_handler, log};
//!
//! lambda_handler!(on_orders);
//!
//! fn on_orders(event: KinesisEvent, context: LambdaContext) -> Result<KinesisEventResponse> {
//!     let mut response = KinesisEventResponse::default();
//!     for record in &event.records {
//!         match record.kinesis.data.json::<u32>() {
//!             Ok(amount) => log::info(&format!("{}: {amount}", record.kinesis.partition_key)),
//!             Err(_) => response.add_failure(&record.kinesis.sequence_number),
//!         }
//!     }
//!     log::info(&format!("{:?} left", context.remaining()));
//!     Ok(response)
//! }
//! # use tidemill_function::testing::LambdaDelivery;
//! # let done = LambdaDelivery::new().record("bob", "12").record("eve", "no amount").to(&on_orders);
//! # assert_eq!(done.log[0], "info: bob: 12");
//! # assert!(done.result.unwrap().starts_with(r#"{"batchItemFailures":[{"itemIdentifier":"4903985"#));
//! ```
//!
//! * The event is any type that serde can deserialize: [`KinesisEvent`], [`KinesisTimeWindowEvent`], `serde_json::Value`, or
//!   `aws_lambda_events::event::kinesis::KinesisEvent`, as `aws_lambda_events` has it. An event that does not fit fails.
//! * The response is any type that serde can serialize; `()` is `null`. What it means, the trigger's rules say: with
//!   `report_failures`, [`KinesisEventResponse`] names records that were not taken.
//! * [`config`](crate::config), [`log`](crate::log) and [`emit`](crate::emit) are there as in every function.
//! * [`testing::LambdaDelivery`](crate::testing::LambdaDelivery) hands an event to a handler natively.
//!
//! A function that is of the world `lambda` is no function of the world `consumer`: a component has one handler.

mod base64;
mod context;
mod event;
mod handler;
mod ready;
mod response;

pub use self::base64::Base64Data;
pub use context::{LambdaContext, LambdaEvent};
pub use event::{KinesisEvent, KinesisEventRecord, KinesisRecord, KinesisTimeWindowEvent, Window};
pub use handler::LambdaHandler;
#[doc(hidden)]
pub use handler::handle;
pub use response::{KinesisBatchItemFailure, KinesisEventResponse, KinesisTimeWindowEventResponse};
