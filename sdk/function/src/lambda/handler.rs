//! From an event on the wire to a handler, and from its response or error back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::{LambdaContext, LambdaEvent};
use super::ready;
use crate::Result;
use crate::bindings::lambda::tidemill::function::invocation::Context;
use crate::handler::describe;

/// A function that can handle events, where serde can deserialize `E` and serialize `R`:
///
/// | | |
/// |---|---|
/// | `fn(E) -> Result<R>` | |
/// | `fn(E, LambdaContext) -> Result<R>` | |
/// | `async fn(LambdaEvent<E>) -> Result<R>` | as with the crate `lambda_runtime`. It may wait for nothing from outside, as there is nothing |
///
/// `Shape` tells these apart. There is no need to implement this trait.
pub trait LambdaHandler<Shape> {
    /// What it takes.
    type Event: DeserializeOwned;
    /// What it returns.
    type Response: Serialize;

    /// Runs the function.
    fn call(&self, event: Self::Event, context: LambdaContext) -> Result<Self::Response>;
}

impl<F, E, R> LambdaHandler<fn(E) -> R> for F
where
    F: Fn(E) -> Result<R>,
    E: DeserializeOwned,
    R: Serialize,
{
    type Event = E;
    type Response = R;

    fn call(&self, event: E, _: LambdaContext) -> Result<R> {
        self(event)
    }
}

impl<F, E, R> LambdaHandler<fn(E, LambdaContext) -> R> for F
where
    F: Fn(E, LambdaContext) -> Result<R>,
    E: DeserializeOwned,
    R: Serialize,
{
    type Event = E;
    type Response = R;

    fn call(&self, event: E, context: LambdaContext) -> Result<R> {
        self(event, context)
    }
}

impl<F, Outcome, E, R> LambdaHandler<fn(LambdaEvent<E>) -> R> for F
where
    F: Fn(LambdaEvent<E>) -> Outcome,
    Outcome: Future<Output = Result<R>>,
    E: DeserializeOwned,
    R: Serialize,
{
    type Event = E;
    type Response = R;

    fn call(&self, payload: E, context: LambdaContext) -> Result<R> {
        ready::run(self(LambdaEvent { payload, context }))
    }
}

/// Decodes an event, hands it to the handler and encodes its response; what [`lambda_handler!`](crate::lambda_handler!)
/// exports.
pub fn handle<Shape, H: LambdaHandler<Shape>>(handler: &H, event: &[u8], context: Context) -> Result<Vec<u8>, String> {
    respond(handler, event, context).map_err(|error| describe(&error))
}

fn respond<Shape, H: LambdaHandler<Shape>>(handler: &H, event: &[u8], context: Context) -> Result<Vec<u8>> {
    let event =
        serde_json::from_slice(event).map_err(|error| format!("the event is not what the handler takes: {error}"))?;
    let response = handler.call(event, context.into())?;
    Ok(serde_json::to_vec(&response).map_err(|error| format!("the response is no JSON: {error}"))?)
}

#[cfg(test)]
#[path = "handler/tests.rs"]
mod tests;
