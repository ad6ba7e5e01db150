//! Requests and answers in CBOR.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidemill_wire::cbor::fuzzing::shapes(bytes));
