//! Each trouble alone, and the laws under all of them.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::engine::laws;
use crate::engine::memory::Memory;
use crate::engine::{Expect, StreamId};
use crate::record::{PartitionKey, Record};

const LOG: LogId = LogId { stream: StreamId(1), part: 0 };
const A: ShardIndex = ShardIndex(0);
const ALL: ReadLimits = ReadLimits { records_max: 100, bytes_max: 1 << 20 };

/// Every call that can meet this trouble does, `in_a_row_max` times in a row.
async fn always(fault: Fault, in_a_row_max: u32) -> Faulty<Memory> {
    let per_mille = BTreeMap::from([(fault, 1000)]);
    let options = FaultyOptions { per_mille, in_a_row_max, tickets_max: 2, ..FaultyOptions::default() };
    let engine = Faulty::new(Memory::new(Clock::manual(Timestamp::from_millis(1_000_000))), options);
    engine.log_put(LOG, LogSettings::kept_for(Duration::from_hours(24))).await.unwrap();
    engine
}

async fn append(engine: &impl Engine, data: &'static str) -> Result<Appended, AppendError> {
    let partition_key = PartitionKey::parse("k").unwrap();
    let record = Record { partition_key, explicit_hash: None, data: Bytes::from_static(data.as_bytes()) };
    engine.append(LOG, Generation::FIRST, Append { records: vec![(A, record)], marks: vec![] }).await
}

async fn texts(engine: &impl Engine) -> Vec<Bytes> {
    let batch = engine.read(LOG, A, Bound::START, ALL).await.unwrap();
    batch.records.into_iter().map(|record| record.data).collect()
}

fn ticket(answer: Result<Appended, AppendError>) -> Ticket {
    match answer {
        Err(AppendError::Unknown(ticket)) => ticket,
        other => panic!("the outcome should be unknown, not {other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_append_that_happened_is_there_and_resolves_to_its_place() {
    let engine = always(Fault::AppendUnknownDone, u32::MAX).await;
    let ticket = ticket(append(&engine, "1").await);
    let there = engine.read(LOG, A, Bound::START, ALL).await.unwrap().records[0].clone();
    let appended = Appended { positions: vec![there.position], arrival: there.arrival };
    assert_eq!(engine.resolve(&ticket).await, Ok(Resolved::Appended(appended)));
    let of_another_log = Ticket { log: LogId { part: 1, ..LOG }, ..ticket };
    assert_eq!(engine.resolve(&of_another_log).await, Err(UnknownTicket));
}

#[tokio::test]
async fn an_unknown_append_that_did_not_happen_is_not_there() {
    let engine = always(Fault::AppendUnknownNotDone, u32::MAX).await;
    let ticket = ticket(append(&engine, "1").await);
    assert_eq!(engine.resolve(&ticket).await, Ok(Resolved::NotAppended));
    assert!(texts(&engine).await.is_empty());
}

#[tokio::test]
async fn of_too_many_tickets_the_oldest_is_forgotten() {
    let engine = always(Fault::AppendUnknownDone, u32::MAX).await;
    let tickets =
        [ticket(append(&engine, "1").await), ticket(append(&engine, "2").await), ticket(append(&engine, "3").await)];
    assert_eq!(engine.resolve(&tickets[0]).await, Err(UnknownTicket));
    assert!(engine.resolve(&tickets[1]).await.is_ok() && engine.resolve(&tickets[2]).await.is_ok());
}

#[tokio::test]
async fn a_fenced_append_and_a_fenced_seal_change_nothing() {
    let engine = always(Fault::AppendFenced, u32::MAX).await;
    let fenced = append(&engine, "1").await;
    let (given, current) = (Generation::FIRST, Generation::FIRST);
    assert!(matches!(fenced, Err(AppendError::Fenced { given: g, current: c }) if (g, c) == (given, current)));
    assert!(texts(&engine).await.is_empty());
    let engine = always(Fault::SealFenced, u32::MAX).await;
    let fenced = engine.seal(LOG, Generation::FIRST, &[A], &[]).await;
    assert!(matches!(fenced, Err(SealError::Fenced { given: g, current: c }) if (g, c) == (given, current)));
    assert_eq!(engine.stats(LOG).await.unwrap().generation, Generation::FIRST);
}

#[tokio::test]
async fn an_unknown_seal_or_change_shows_what_became_of_it() {
    let change = || vec![Change { key: Key::new("d"), expect: Expect::Absent, value: Some(Bytes::from_static(b"x")) }];
    for (fault, generation) in [(Fault::SealUnknownDone, Generation(2)), (Fault::SealUnknownNotDone, Generation(1))] {
        let engine = always(fault, u32::MAX).await;
        assert!(matches!(engine.seal(LOG, Generation::FIRST, &[A], &[]).await, Err(SealError::Unknown)));
        assert_eq!(engine.stats(LOG).await.unwrap().generation, generation);
    }
    for (fault, is_there) in [(Fault::ChangeUnknownDone, true), (Fault::ChangeUnknownNotDone, false)] {
        let engine = always(fault, u32::MAX).await;
        let unknown = engine.compare_and_set(change(), Durability::Synced).await;
        assert!(matches!(unknown, Err(DocumentError::Unknown)));
        assert_eq!(engine.get(&Key::new("d")).await.unwrap().is_some(), is_there);
    }
}

#[tokio::test]
async fn a_stale_read_is_a_whole_earlier_view() {
    let engine = always(Fault::StaleRead, u32::MAX).await;
    let mut positions = Vec::new();
    for data in ["1", "2", "3"] {
        positions.extend(append(&engine, data).await.unwrap().positions);
    }
    engine.seal(LOG, Generation::FIRST, &[A], &[]).await.unwrap();
    let mut lengths = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let batch = engine.read(LOG, A, Bound::START, ALL).await.unwrap();
        let seen: Vec<_> = batch.records.iter().map(|record| record.position).collect();
        assert!(positions.starts_with(&seen), "{seen:?}");
        assert!(batch.is_at_tip() && !batch.is_at_end() && batch.tip.map(|tip| tip.position) == seen.last().copied());
        lengths.insert(seen.len());
    }
    assert_eq!(lengths, [0, 1, 2, 3].into());
    assert_eq!(engine.counts().of(Fault::StaleRead), 100);
}

#[tokio::test(start_paused = true)]
async fn lost_hints_are_never_seen_and_the_wait_ends_all_the_same() {
    let engine = always(Fault::LostWake, 1).await;
    append(&engine, "1").await.unwrap();
    let started = tokio::time::Instant::now();
    engine.changed(LOG, A, Bound::START, Duration::from_hours(1)).await;
    assert_eq!(started.elapsed(), Duration::from_hours(1), "slept through");
    engine.changed(LOG, A, Bound::START, Duration::from_hours(1)).await;
    assert_eq!(started.elapsed(), Duration::from_hours(1), "woken");
    let engine = always(Fault::LostWatch, 1).await;
    let (mut deaf, mut awake) = (engine.watch(""), engine.watch(""));
    let change = Change { key: Key::new("d"), expect: Expect::Any, value: Some(Bytes::new()) };
    engine.compare_and_set(vec![change], Durability::Synced).await.unwrap();
    awake.changed().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_hours(1), deaf.changed()).await.is_err());
}

#[tokio::test]
async fn troubles_in_a_row_are_bounded() {
    let engine = always(Fault::AppendFenced, 2).await;
    for _ in 0..10 {
        assert!(append(&engine, "x").await.is_err() && append(&engine, "x").await.is_err());
        append(&engine, "x").await.unwrap();
    }
    assert_eq!((texts(&engine).await.len(), engine.counts().of(Fault::AppendFenced)), (10, 20));
}

/// What happens to a hundred appends.
async fn course(seed: u64) -> Vec<String> {
    let engine = Faulty::new(
        Memory::new(Clock::manual(Timestamp::default())),
        FaultyOptions { seed, ..FaultyOptions::default() },
    );
    engine.log_put(LOG, LogSettings::kept_for(Duration::from_hours(24))).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen.push(format!("{:?}", append(&engine, "x").await));
    }
    seen
}

#[tokio::test]
async fn a_seed_makes_the_same_troubles_each_time() {
    assert_eq!(course(7).await, course(7).await);
    assert_ne!(course(7).await, course(8).await);
}

#[tokio::test(start_paused = true)]
async fn memory_with_troubles_keeps_the_laws() {
    laws::check_under_faults("memory", &|clock| Memory::new(clock)).await;
}

/// The laws are not bent for those who break them: each trouble alone is found.
#[tokio::test(start_paused = true)]
async fn a_caller_who_copes_with_nothing_meets_every_trouble() {
    for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::Pause) {
        let options = FaultyOptions { per_mille: BTreeMap::from([(fault, 400)]), ..FaultyOptions::default() };
        let check = async {
            laws::check(&|clock| Arc::new(Faulty::new(Memory::new(clock), options.clone()))).await;
        };
        assert!(AssertUnwindSafe(check).catch_unwind().await.is_err(), "{fault:?} goes unseen");
    }
}
