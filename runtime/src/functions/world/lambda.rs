//! Calls of the world `lambda`: an event in, a response out.

use tidemill_stream::clock::Timestamp;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

use super::bindings::lambda::Lambda;
use super::bindings::lambda::tidemill::function::invocation::Context;
use super::{Called, failed};
use crate::functions::event::event_json;
use crate::functions::invoke::{Invocation, InvokeError, Reply};
use crate::functions::limits::RESPONSE_BYTES_MAX;
use crate::functions::sandbox::Guest;

pub(super) async fn call(
    started: &Lambda,
    store: &mut Store<Guest>,
    invocation: &Invocation,
    deadline: Timestamp,
) -> wasmtime::Result<Called> {
    let deployment = store.data().deployment();
    let version = deployment.version.to_string();
    let context = Context {
        aws_request_id: &invocation.request_id,
        function_name: deployment.name.as_str(),
        function_version: &version,
        invoked_function_arn: &invocation.arns.function,
        memory_limit_mib: u32::try_from(deployment.settings.memory_bytes >> 20).unwrap_or(u32::MAX),
        deadline_ms: deadline.as_millis(),
    };
    let event = event_json(invocation);
    let handled = started.call_handle_event(store, &event, context).await.map_err(explain)?;
    Ok(handled.map_err(|message| failed(&message)).and_then(accept))
}

fn accept(response: Vec<u8>) -> Called {
    let (bytes, max) = (response.len(), RESPONSE_BYTES_MAX);
    if bytes > max {
        let message = format!("its response has {bytes} bytes; a response may have {max}");
        return Err(InvokeError::Failed { message });
    }
    Ok(Reply::Response(response.into()))
}

/// Where the guest's own code is not to blame, it may be that its response was so large that nobody counted it.
fn explain(error: wasmtime::Error) -> wasmtime::Error {
    if error.is::<Trap>() || error.is::<I32Exit>() {
        return error;
    }
    error.context(format!("no response could be taken, which may have {RESPONSE_BYTES_MAX} bytes"))
}
