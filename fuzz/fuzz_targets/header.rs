//! A segment's header, with the state in it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidemill_stream::fuzzing::header(bytes));
