//! A request, as it is and signed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidemill::http::fuzzing::signature(bytes));
