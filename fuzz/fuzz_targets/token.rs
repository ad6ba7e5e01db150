//! A shard iterator or a paging token.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidemill::http::fuzzing::token(bytes));
