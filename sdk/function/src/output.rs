//! Records for other streams.
//!
//! What a call emits is put on its streams when the call has succeeded; of a call that fails, nothing is. Delivery is at
//! least once: a batch that is handled again, after a crash for example, emits again. The function's deployment says which
//! streams it may emit to: `allow: { emit: [alerts] }`.
//!
//! Outside a node a test's [`Delivery`](crate::testing::Delivery) keeps them.

use serde::Serialize;

use crate::Result;

/// Emits a record whose payload is JSON of `value`.
///
/// An error says what is wrong: the stream is not allowed, the key has not 1 to 256 characters, the record is over 1 MiB, or
/// the call has emitted 10,000 records or 10 MiB.
pub fn emit<T: Serialize + ?Sized>(stream: &str, partition_key: &str, value: &T) -> Result<()> {
    emit_raw(stream, partition_key, &serde_json::to_vec(value)?)
}

/// Emits a record with this payload; see [`emit`].
#[cfg(target_family = "wasm")]
pub fn emit_raw(stream: &str, partition_key: &str, data: &[u8]) -> Result<()> {
    Ok(crate::bindings::tidemill::function::output::emit(stream, partition_key, data)?)
}

/// Emits a record with this payload; see [`emit`].
#[cfg(not(target_family = "wasm"))]
pub fn emit_raw(stream: &str, partition_key: &str, data: &[u8]) -> Result<()> {
    crate::testing::emit(stream, partition_key, data)
}
