//! Calls of the world `consumer`: typed records in, nothing out.

use tidemill_stream::record::StoredRecord;
use wasmtime::Store;

use super::bindings::Consumer;
use super::bindings::tidemill::function::types;
use super::{Called, World, failed};
use crate::functions::invoke::{Invocation, InvokeError, Reply};
use crate::functions::sandbox::Guest;

pub(super) async fn call(
    started: &Consumer,
    store: &mut Store<Guest>,
    invocation: &Invocation,
) -> wasmtime::Result<Called> {
    if invocation.window.is_some() {
        return Ok(Err(no_window()));
    }
    let records: Vec<_> = invocation.records.iter().map(record).collect();
    let shard = types::Shard { index: invocation.shard.0, created_seconds: invocation.shard_created.as_secs() };
    let batch = types::Batch {
        stream: invocation.stream.as_str(),
        shard,
        request_id: &invocation.request_id,
        attempt: invocation.attempt,
        records: &records,
    };
    let handled = started.call_handle(store, batch).await?;
    Ok(handled.map(|()| Reply::Taken).map_err(|message| failed(&message)))
}

fn record(record: &StoredRecord) -> types::Record<'_> {
    types::Record {
        position: record.position.0,
        arrival_ms: record.arrival.as_millis(),
        partition_key: record.partition_key.as_str(),
        data: &record.data,
    }
}

fn no_window() -> InvokeError {
    let (lambda, consumer) = (World::Lambda, World::Consumer);
    let message = format!(
        "a tumbling window needs a function of the world {lambda}, which gets the window's state and returns it; this one is of the world {consumer}"
    );
    InvokeError::Unavailable { message }
}
