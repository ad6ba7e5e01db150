//! Lines for the node's log, where they stand with the function's name, the stream, the shard and the request id.
//!
//! Outside a node a test's [`Delivery`](crate::testing::Delivery) keeps them; without one they go to standard error.

use crate::bindings::tidemill::function::log::Level;

/// Logs at level `trace`.
pub fn trace(message: &str) {
    log(Level::Trace, message);
}

/// Logs at level `debug`.
pub fn debug(message: &str) {
    log(Level::Debug, message);
}

/// Logs at level `info`.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// Logs at level `warn`.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// Logs at level `error`.
pub fn error(message: &str) {
    log(Level::Error, message);
}

#[cfg(target_family = "wasm")]
fn log(level: Level, message: &str) {
    crate::bindings::tidemill::function::log::log(level, message);
}

#[cfg(not(target_family = "wasm"))]
#[expect(clippy::print_stderr, reason = "outside a node there is no other log")]
fn log(level: Level, message: &str) {
    let line = format!("{}: {message}", name(level));
    if let Some(line) = crate::testing::log(line) {
        eprintln!("{line}");
    }
}

#[cfg(not(target_family = "wasm"))]
fn name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
