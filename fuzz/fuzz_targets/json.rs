//! What each operation asks, in JSON.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidemill_wire::json::fuzzing::requests(bytes));
