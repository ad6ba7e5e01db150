//! Sequence numbers, as text and made of fields.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidemill_stream::fuzzing::sequence_number(bytes));
