//! A frame: head, blocks, records.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidemill_stream::fuzzing::frame(bytes));
