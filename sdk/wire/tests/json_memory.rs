//! What JSON may cost in memory, whatever it is.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidemill_wire::{AddTagsToStreamRequest, Blob, PutRecordsEntry, PutRecordsRequest, UntagResourceRequest, json};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The bytes that reading takes, those that are grown or given back included.
fn bytes_taken(input: &[u8]) -> usize {
    let region = Region::new(ALLOCATOR);
    let _ = json::from_slice::<PutRecordsRequest<'_>>(input).map(drop);
    let _ = json::from_slice::<AddTagsToStreamRequest>(input).map(drop);
    let _ = json::from_slice::<UntagResourceRequest>(input).map(drop);
    region.change().bytes_allocated
}

fn body(head: &str, fill: &str, bytes: usize, tail: &str) -> Vec<u8> {
    format!("{head}{}{tail}", fill.repeat(bytes / fill.len())).into_bytes()
}

// One test, as the allocator counts what all threads do.
#[test]
fn memory_follows_what_is_kept_and_not_what_was_sent() {
    const BODY: usize = 14 << 20;
    const LIST_MAX: usize = 4 << 20;
    /// By each of the three shapes.
    const TWICE: usize = 3 * 2 * BODY;
    for (name, input, bytes_max) in [
        ("records", body(r#"{"Records":["#, "{},", BODY, "{}]}"), LIST_MAX),
        ("records that are no records", body(r#"{"Records":["#, "[],", BODY, "[]]}"), LIST_MAX),
        ("one tag again and again", body(r#"{"Tags":{"#, r#""a":"","#, BODY, r#""a":""}}"#), LIST_MAX),
        ("names of tags", body(r#"{"TagKeys":["#, r#""a","#, BODY, r#""a"]}"#), LIST_MAX),
        ("members", body("{", r#""x":1,"#, BODY, r#""x":1}"#), 4096),
        ("an unknown list", body(r#"{"x":["#, "{},", BODY, "{}]}"), 4096),
        ("an unknown text", body(r#"{"x":""#, r"\n", BODY, r#""}"#), 4096),
        ("an unknown number", body(r#"{"x":"#, "1", BODY, "}"), 4096),
        // A byte a level, in a row that doubles.
        ("unknown lists in one another", body(r#"{"x":"#, "[", BODY, ""), TWICE),
        ("records in one another", body(r#"{"Records":"#, r#"[{"Records":"#, BODY, ""), TWICE),
        // Once as it is read, and once more as what it is.
        ("a name with escapes", body(r#"{"StreamName":""#, r"\n", BODY, r#""}"#), TWICE),
    ] {
        let taken = bytes_taken(&input);
        assert!(taken <= bytes_max, "{name}: {taken} bytes for {}, not {bytes_max}", input.len());
    }
    let entry = PutRecordsEntry { data: Some(Blob(vec![7; 1024].into())), ..PutRecordsEntry::default() };
    let whole = PutRecordsRequest { records: Some(vec![entry; 500]), ..PutRecordsRequest::default() };
    let input = serde_json::to_vec(&whole).unwrap_or_default();
    let region = Region::new(ALLOCATOR);
    let read = json::from_slice::<PutRecordsRequest<'_>>(&input);
    let taken = region.change().bytes_allocated;
    assert!(read.is_ok_and(|read| read == whole));
    assert!(taken < 700 << 10, "each payload is copied once: {taken} bytes for {}", input.len());
}
