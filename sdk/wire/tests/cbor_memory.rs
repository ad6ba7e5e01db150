//! What CBOR may cost in memory, whatever it claims.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidemill_wire::{Blob, CreateStreamRequest, PutRecordsEntry, PutRecordsRequest, cbor};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The bytes that reading takes, those that are grown or given back included.
fn bytes_taken(input: &[u8]) -> usize {
    let region = Region::new(ALLOCATOR);
    let put = cbor::from_slice::<PutRecordsRequest<'_>>(input).map(drop);
    let create = cbor::from_slice::<CreateStreamRequest>(input).map(drop);
    let change = region.change();
    assert!(put.is_err() || create.is_err() || input.len() > 1 << 20);
    change.bytes_allocated
}

fn claim(head: &[u8], fill: &[u8], fills: usize) -> Vec<u8> {
    let mut input = head.to_vec();
    input.extend(fill.repeat(fills));
    input
}

// One test, as the allocator counts what all threads do.
#[test]
fn memory_follows_what_was_sent_and_not_what_was_claimed() {
    const RECORDS: &[u8] = b"\xa1\x67Records";
    const TAGS: &[u8] = b"\xa1\x64Tags";
    let most = u64::MAX.to_be_bytes();
    for (name, head, kind) in [
        ("records", RECORDS, 0x9b),
        ("tags", TAGS, 0xbb),
        ("name", b"\xa1\x6aStreamName", 0x7b),
        ("blob", b"\xa1\x67Records\x81\xa1\x64Data", 0x5b),
    ] {
        let huge = [head, &[kind], &most].concat();
        let taken = bytes_taken(&huge);
        assert!(taken < 4096, "{name}: {taken} bytes for {}", huge.len());
    }
    let body_bytes = 4 << 20;
    for (name, input) in [
        ("records", claim(b"\xa1\x67Records\x9f", b"\xa0", body_bytes)),
        ("tags", claim(b"\xa1\x64Tags\xbf", b"\x61a\x60", body_bytes / 3)),
        ("pieces of a blob", claim(b"\xa1\x67Records\x81\xa1\x64Data\x5f", b"\x40", body_bytes)),
        ("pieces of a name", claim(b"\xa1\x6aStreamName\x7f", b"\x60", body_bytes)),
        ("unknown lists", claim(b"\xa1\x61x", b"\x81", body_bytes)),
        ("unknown values", claim(b"\xa1\x61x\x9f", b"\x80", body_bytes)),
    ] {
        let taken = bytes_taken(&input);
        assert!(taken < 4 << 20, "{name}: {taken} bytes");
    }
    let entry = PutRecordsEntry { data: Some(Blob(vec![7; 1024].into())), ..PutRecordsEntry::default() };
    let whole = PutRecordsRequest { records: Some(vec![entry; 500]), ..PutRecordsRequest::default() };
    let input = cbor::to_vec(&whole).unwrap_or_default();
    let region = Region::new(ALLOCATOR);
    let read = cbor::from_slice::<PutRecordsRequest<'_>>(&input);
    let taken = region.change().bytes_allocated;
    assert!(read.is_ok_and(|read| read == whole));
    assert!(taken < 700 << 10, "each payload is copied once: {taken} bytes for {}", input.len());
}
