//! A segment's footer: index, state and trailer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidemill_stream::fuzzing::footer(bytes));
