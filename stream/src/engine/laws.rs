//! The laws that every engine keeps, checked on each of them.

mod retention;
mod subject;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use self::subject::Caller;

use self::subject::{Subject, texts};
use super::faulty::{Counts, Fault, Faulty, FaultyOptions};
use super::{
    Append, AppendError, Batch, Bound, Change, Document, DocumentError, Durability, Engine, Expect, Generation, Key,
    LogError, LogId, LogSettings, MarkChange, Position, ReadLimits, Revision, SealError, Seek, StreamId,
};
use crate::clock::{Clock, Timestamp};
use crate::limits;
use crate::record::{PartitionKey, Record};
use crate::shard::ShardIndex;

const LOG: LogId = LogId { stream: StreamId(1), part: 0 };
const OTHER: LogId = LogId { stream: StreamId(1), part: 1 };
const SETTINGS: LogSettings = LogSettings::kept_for(Duration::from_hours(24));
const ALL: ReadLimits = ReadLimits { records_max: 1000, bytes_max: 1 << 20 };
const A: ShardIndex = ShardIndex(0);
const B: ShardIndex = ShardIndex(1);
/// Long enough that a test which waits for it has failed.
const FOR_EVER: Duration = Duration::from_hours(1);
/// How often each trouble must have been met.
const FAULTS_MIN: u64 = 200;
/// Rounds after which a trouble that is still too rare never comes.
const ROUNDS_MAX: u64 = 200;

/// Makes an engine that is empty.
type MakeEngine<'a> = &'a dyn Fn(Clock) -> Arc<dyn Engine>;
/// Makes an empty engine with its caller.
type Make<'a> = &'a dyn Fn(Clock) -> Subject;

/// Checks all laws on an engine that makes no trouble, each on one of its own.
pub(crate) async fn check(make: MakeEngine<'_>) {
    check_as(make, Caller::Strict).await;
}

/// Checks all laws on an engine with troubles, with one seed after the other, until each trouble was met often enough.
#[expect(clippy::print_stderr, reason = "a random test prints its seed")]
pub(crate) async fn check_under_faults<E: Engine>(name: &str, make: &dyn Fn(Clock) -> E) {
    let counts = parking_lot::Mutex::new(Vec::new());
    let met = |fault: Fault| counts.lock().iter().map(|counts: &Arc<Counts>| counts.of(fault)).sum::<u64>();
    for seed in 0..ROUNDS_MAX {
        eprintln!("{name}: seed {seed}");
        let number = std::sync::atomic::AtomicU64::new(0);
        let faulty = |clock| -> Arc<dyn Engine> {
            let law = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let options = FaultyOptions { seed: seed << 8 | law, ..FaultyOptions::default() };
            let engine = Faulty::new(make(clock), options);
            counts.lock().push(Arc::clone(engine.counts()));
            Arc::new(engine)
        };
        check_as(&faulty, Caller::Patient).await;
        if Fault::ALL.into_iter().all(|fault| met(fault) >= FAULTS_MIN) {
            return;
        }
    }
    panic!("{name}: some trouble was too rare: {:?}", Fault::ALL.map(|fault| (fault, met(fault))));
}

async fn check_as(make: MakeEngine<'_>, caller: Caller) {
    let make: Make<'_> = &|clock| Subject::new(make(clock), caller);
    records_are_read_as_they_were_appended(make).await;
    reads_keep_their_limits(make).await;
    positions_increase_and_arrivals_never_step_back(make).await;
    bounds_are_found(make).await;
    an_append_of_an_old_generation_is_fenced(make).await;
    a_closed_shard_ends(make).await;
    a_log_is_sealed_time_and_again(make).await;
    marks_move_with_their_append_or_not_at_all(make).await;
    what_is_too_large_is_refused(make).await;
    logs_are_separate_and_go(make).await;
    concurrent_appends_are_all_there_once(make).await;
    a_waiting_reader_is_woken(make).await;
    documents_compare_and_set(make).await;
    documents_change_all_or_nothing(make).await;
    watchers_are_told(make).await;
    retention::check(make).await;
    documents_are_listed_in_pages(make).await;
    concurrent_changes_of_a_document_are_one_after_another(make).await;
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_000_000))
}

fn record(key: &str, data: &str) -> Record {
    let data = Bytes::copy_from_slice(data.as_bytes());
    Record { partition_key: PartitionKey::parse(key.to_owned()).unwrap(), explicit_hash: None, data }
}

fn append(records: &[(ShardIndex, &str)]) -> Append {
    let records = records.iter().map(|(shard, data)| (*shard, record("k", data))).collect();
    Append { records, marks: Vec::new() }
}

async fn with_log(make: Make<'_>, clock: Clock) -> Subject {
    let engine = make(clock);
    engine.log_put(LOG, SETTINGS).await.unwrap();
    engine
}

async fn records_are_read_as_they_were_appended(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    let done = engine.append(LOG, Generation::FIRST, append(&[(B, "1"), (A, "2"), (B, "3")])).await.unwrap();
    engine.append(LOG, Generation::FIRST, append(&[(A, "4")])).await.unwrap();
    engine.shows(A, Bound::START, ALL, &["2", "4"]).await;
    engine.shows(B, Bound::START, ALL, &["1", "3"]).await;
    let batch = engine.read_until(LOG, B, Bound::START, ALL, |batch| batch.records.len() == 2).await;
    let positions: Vec<_> = batch.records.iter().map(|record| record.position).collect();
    assert_eq!(positions, [done.positions[0], done.positions[2]]);
    assert!(batch.records.iter().all(|record| record.arrival == done.arrival));
    assert!(batch.is_at_tip() && !batch.is_at_end());
    assert_eq!(batch.tip.unwrap().position, done.positions[2]);
    engine.shows(ShardIndex(7), Bound::START, ALL, &[]).await;
}

async fn reads_keep_their_limits(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    for data in ["aaaa", "bbbb", "cccc"] {
        engine.append(LOG, Generation::FIRST, append(&[(A, data), (B, "x"), (A, data)])).await.unwrap();
    }
    let two = ReadLimits { records_max: 2, bytes_max: 1 << 20 };
    let first = engine.read_until(LOG, A, Bound::START, two, |batch| !batch.is_at_tip()).await;
    assert_eq!((first.records.len(), first.is_at_tip()), (2, false));
    engine.shows(A, first.next, ALL, &["bbbb", "bbbb", "cccc", "cccc"]).await;
    // A record is its data and its key of one byte.
    let three = ReadLimits { records_max: 100, bytes_max: 15 };
    engine.shows(A, Bound::START, three, &["aaaa", "aaaa", "bbbb"]).await;
    let none = ReadLimits { records_max: 100, bytes_max: 1 };
    engine.shows(A, Bound::START, none, &["aaaa"]).await;
    // A bound in the middle of what was appended at once.
    let second = first.records[1].position;
    engine.shows(A, Bound::at(second), two, &["aaaa", "bbbb"]).await;
    engine.shows(A, Bound::after(second), two, &["bbbb", "bbbb"]).await;
}

async fn positions_increase_and_arrivals_never_step_back(make: Make<'_>) {
    let clock = clock();
    let engine = with_log(make, clock.clone()).await;
    let first = engine.append(LOG, Generation::FIRST, append(&[(A, "1"), (A, "2")])).await.unwrap();
    clock.set(Timestamp::from_millis(5));
    let second = engine.append(LOG, Generation::FIRST, append(&[(A, "3")])).await.unwrap();
    assert!(first.positions[0] < first.positions[1] && first.positions[1] < second.positions[0]);
    assert_eq!(second.arrival, first.arrival);
    clock.set(Timestamp::from_millis(2_000_000));
    let third = engine.append(LOG, Generation::FIRST, append(&[(A, "4")])).await.unwrap();
    assert_eq!(third.arrival, Timestamp::from_millis(2_000_000));
}

async fn bounds_are_found(make: Make<'_>) {
    let clock = clock();
    let engine = with_log(make, clock.clone()).await;
    let at = |millis| Seek::Time(Timestamp::from_millis(millis));
    for (time, data) in [(1_000_000, "1"), (2_000_000, "2"), (2_000_000, "3"), (3_000_000, "4")] {
        clock.set(Timestamp::from_millis(time));
        engine.append(LOG, Generation::FIRST, append(&[(A, data)])).await.unwrap();
    }
    let cases = [
        (Seek::Horizon, &["1", "2", "3", "4"][..]),
        (Seek::Latest, &[]),
        (at(0), &["1", "2", "3", "4"]),
        (at(1_000_001), &["2", "3", "4"]),
        (at(2_000_000), &["2", "3", "4"]),
        (at(3_000_000), &["4"]),
        (at(3_000_001), &[]),
    ];
    for (seek, expected) in cases {
        let bound = engine.seek(LOG, A, seek).await.unwrap();
        engine.shows(A, bound, ALL, expected).await;
        let empty = engine.seek(LOG, B, seek).await.unwrap();
        engine.shows(B, empty, ALL, &[]).await;
    }
    let latest = engine.seek(LOG, A, Seek::Latest).await.unwrap();
    let of_empty = engine.seek(LOG, B, Seek::Latest).await.unwrap();
    engine.append(LOG, Generation::FIRST, append(&[(A, "5"), (B, "6")])).await.unwrap();
    engine.shows(A, latest, ALL, &["5"]).await;
    engine.shows(B, of_empty, ALL, &["6"]).await;
}

async fn an_append_of_an_old_generation_is_fenced(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    let sealed = engine.seal(LOG, Generation::FIRST, &[A], &[B]).await.unwrap();
    assert_eq!(sealed.generation, Generation(2));
    let late = engine.append(LOG, Generation::FIRST, append(&[(A, "late")])).await;
    assert!(matches!(late, Err(AppendError::Fenced { given: Generation::FIRST, current: Generation(2) })), "{late:?}");
    let stale = engine.seal(LOG, Generation::FIRST, &[B], &[]).await;
    assert!(matches!(stale, Err(SealError::Fenced { .. })), "{stale:?}");
    engine.shows(A, Bound::START, ALL, &[]).await;
    engine.append(LOG, Generation(2), append(&[(B, "1")])).await.unwrap();
    assert_eq!(engine.stats(LOG).await.unwrap().generation, Generation(2));
}

async fn a_closed_shard_ends(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    engine.append(LOG, Generation::FIRST, append(&[(A, "1"), (B, "2")])).await.unwrap();
    let sealed = engine.seal(LOG, Generation::FIRST, &[A], &[ShardIndex(2)]).await.unwrap();
    let batch = engine.read_until(LOG, A, Bound::START, ALL, Batch::is_at_end).await;
    assert!(batch.is_at_end());
    assert_eq!(texts(&batch), ["1"]);
    assert_eq!(batch.closed_at, Some(sealed.position));
    assert!(batch.records.iter().all(|record| record.position < sealed.position));
    assert!(!engine.read(LOG, B, Bound::START, ALL).await.unwrap().is_at_end());
    engine.purge(LOG, B).await.unwrap();
    // An open shard is not purged.
    engine.shows(B, Bound::START, ALL, &["2"]).await;
    engine.purge(LOG, A).await.unwrap();
    engine.shows(A, Bound::START, ALL, &[]).await;
}

async fn a_log_is_sealed_time_and_again(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    let mut generation = Generation::FIRST;
    let mut closed_at = None;
    for shard in 0..10 {
        let (shard, child) = (ShardIndex(shard), ShardIndex(shard + 1));
        engine.append(LOG, generation, append(&[(shard, "x")])).await.unwrap();
        let sealed = engine.seal(LOG, generation, &[shard], &[child]).await.unwrap();
        assert_eq!(sealed.generation, Generation(generation.0 + 1));
        assert!(Some(sealed.position) > closed_at);
        (generation, closed_at) = (sealed.generation, Some(sealed.position));
        // The wait ends at once: the shard has changed.
        engine.changed(LOG, shard, Bound::after(sealed.position), FOR_EVER).await;
        let ended = engine.read_until(LOG, shard, Bound::START, ALL, Batch::is_at_end).await;
        assert_eq!((texts(&ended), ended.closed_at), (vec!["x".to_owned()], closed_at));
    }
}

async fn marks_move_with_their_append_or_not_at_all(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    let mark = |expect, value: &'static str| MarkChange {
        key: Bytes::from_static(b"m"),
        expect,
        value: Bytes::from_static(value.as_bytes()),
    };
    let with = |data, mark| Append { marks: vec![mark], ..append(&[(A, data)]) };
    assert_eq!(engine.mark(LOG, b"m").await.unwrap(), None);
    engine.append(LOG, Generation::FIRST, with("1", mark(None, "x"))).await.unwrap();
    let first = engine.mark(LOG, b"m").await.unwrap().unwrap();
    assert_eq!(&first.value[..], b"x");
    let conflict = engine.append(LOG, Generation::FIRST, with("2", mark(None, "y"))).await;
    assert!(matches!(conflict, Err(AppendError::MarkConflict)), "{conflict:?}");
    engine.shows(A, Bound::START, ALL, &["1"]).await;
    let alone = Append { records: vec![], marks: vec![mark(Some(first.revision), "z")] };
    engine.append(LOG, Generation::FIRST, alone).await.unwrap();
    let second = engine.mark(LOG, b"m").await.unwrap().unwrap();
    assert_eq!(&second.value[..], b"z");
    assert!(second.revision > first.revision);
    let stale = engine.append(LOG, Generation::FIRST, with("3", mark(Some(first.revision), "w"))).await;
    assert!(matches!(stale, Err(AppendError::MarkConflict)), "{stale:?}");
}

async fn what_is_too_large_is_refused(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    let huge = "x".repeat(limits::APPEND_BYTES_MAX + 1);
    let refused = engine.append(LOG, Generation::FIRST, append(&[(A, "ok"), (A, &huge)])).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { records: 2, .. })), "{refused:?}");
    engine.shows(A, Bound::START, ALL, &[]).await;
    let value = Some(Bytes::from(vec![0; limits::DOCUMENT_BYTES_MAX + 1]));
    let change = Change { key: Key::new("d"), expect: Expect::Any, value };
    let refused = engine.change(vec![change], Durability::Synced).await;
    assert!(matches!(refused, Err(DocumentError::TooLarge { .. })), "{refused:?}");
}

async fn logs_are_separate_and_go(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    engine.log_put(OTHER, SETTINGS).await.unwrap();
    engine.append(LOG, Generation::FIRST, append(&[(A, "1")])).await.unwrap();
    engine.log_put(LOG, LogSettings::kept_for(Duration::from_hours(48))).await.unwrap();
    assert!(engine.read(OTHER, A, Bound::START, ALL).await.unwrap().records.is_empty());
    engine.log_drop(LOG).await.unwrap();
    engine.log_drop(LOG).await.unwrap();
    assert!(matches!(engine.read(LOG, A, Bound::START, ALL).await, Err(LogError::NoLog(LOG))));
    let gone = engine.append(LOG, Generation::FIRST, append(&[(A, "2")])).await;
    assert!(matches!(gone, Err(AppendError::NoLog(LOG))), "{gone:?}");
    engine.append(OTHER, Generation::FIRST, append(&[(A, "3")])).await.unwrap();
    engine.log_put(LOG, SETTINGS).await.unwrap();
    engine.shows(A, Bound::START, ALL, &[]).await;
}

async fn concurrent_appends_are_all_there_once(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    let producer = |producer: u32| {
        let engine = &engine;
        async move {
            for number in 0..50 {
                let data = format!("{producer}:{number:03}");
                engine.append(LOG, Generation::FIRST, append(&[(A, &data), (B, &data)])).await.unwrap();
            }
        }
    };
    futures_util::future::join_all((0..8).map(producer)).await;
    for shard in [A, B] {
        let all = |batch: &Batch| batch.records.len() >= 400;
        let mut seen = texts(&engine.read_until(LOG, shard, Bound::START, ALL, all).await);
        assert_eq!(seen.len(), 400);
        for producer in 0..8 {
            let own: Vec<_> = seen.iter().filter(|data| data.starts_with(&format!("{producer}:"))).collect();
            assert!(own.is_sorted(), "the records of one producer keep their order");
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 400);
    }
}

async fn a_waiting_reader_is_woken(make: Make<'_>) {
    let engine = with_log(make, clock()).await;
    let started = tokio::time::Instant::now();
    let waits = engine.changed(LOG, A, Bound::START, FOR_EVER);
    let appends = async {
        engine.append(LOG, Generation::FIRST, append(&[(A, "1")])).await.unwrap();
    };
    futures_util::future::join(waits, appends).await;
    // What is there already is no reason to wait.
    engine.changed(LOG, A, Bound::START, FOR_EVER).await;
    let tip = engine.seek(LOG, A, Seek::Latest).await.unwrap();
    let waits = engine.changed(LOG, A, tip, FOR_EVER);
    let closes = async { engine.seal(LOG, Generation::FIRST, &[A], &[]).await.map(drop).unwrap() };
    futures_util::future::join(waits, closes).await;
    let waits = engine.changed(LOG, B, Bound::START, FOR_EVER);
    let drops = async { engine.log_drop(LOG).await.unwrap() };
    futures_util::future::join(waits, drops).await;
    assert!(engine.is_patient() || started.elapsed() < FOR_EVER, "a hint was lost");
}

fn set(key: &str, expect: Expect, value: Option<&str>) -> Change {
    let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    Change { key: Key::new(key), expect, value }
}

async fn one(engine: &Subject, change: Change) -> Result<Revision, DocumentError> {
    engine.change(vec![change], Durability::Synced).await.map(|revisions| revisions[0])
}

async fn documents_compare_and_set(make: Make<'_>) {
    let engine = make(clock());
    let key = Key::new("a/b");
    assert_eq!(engine.get(&key).await.unwrap(), None);
    let first = one(&engine, set("a/b", Expect::Absent, Some("1"))).await.unwrap();
    let document = Document { key: key.clone(), revision: first, value: Bytes::from_static(b"1") };
    assert_eq!(engine.get(&key).await.unwrap(), Some(document));
    let conflict = one(&engine, set("a/b", Expect::Absent, Some("2"))).await;
    assert!(matches!(conflict, Err(DocumentError::Conflict { found: Some(found), .. }) if found == first));
    let lazy = vec![set("a/b", Expect::At(first), Some("2"))];
    let second = engine.change(lazy, Durability::Lazy).await.unwrap()[0];
    assert!(second > first);
    assert!(one(&engine, set("a/b", Expect::At(first), Some("3"))).await.is_err());
    one(&engine, set("a/b", Expect::At(second), None)).await.unwrap();
    assert_eq!(engine.get(&key).await.unwrap(), None);
    let third = one(&engine, set("a/b", Expect::Any, Some("4"))).await.unwrap();
    assert!(third > second, "a document that is made anew gets no old revision");
}

async fn documents_change_all_or_nothing(make: Make<'_>) {
    let engine = make(clock());
    one(&engine, set("x", Expect::Absent, Some("1"))).await.unwrap();
    let changes = vec![set("y", Expect::Absent, Some("1")), set("x", Expect::Absent, Some("2"))];
    assert!(engine.change(changes, Durability::Synced).await.is_err());
    assert_eq!(engine.get(&Key::new("y")).await.unwrap(), None);
    let changes = vec![set("y", Expect::Absent, Some("1")), set("x", Expect::Any, None)];
    assert_eq!(engine.change(changes, Durability::Synced).await.unwrap().len(), 2);
    assert_eq!(engine.get(&Key::new("x")).await.unwrap(), None);
}

async fn watchers_are_told(make: Make<'_>) {
    let engine = make(clock());
    let mut watchers: Vec<_> = (0..10).map(|_| engine.watch("x")).collect();
    one(&engine, set("x", Expect::Absent, Some("1"))).await.unwrap();
    let mut told = 0;
    for watcher in &mut watchers {
        let hint = tokio::time::timeout(FOR_EVER, watcher.changed()).await;
        told += usize::from(hint.is_ok_and(|moved| moved.is_ok()));
    }
    // A hint may be missed, but not by everybody.
    assert!(told == 10 || engine.is_patient() && told > 0, "{told} of 10 were told");
}

async fn documents_are_listed_in_pages(make: Make<'_>) {
    let engine = make(clock());
    for key in ["p/3", "p/1", "q", "p/2", "o", "p"] {
        one(&engine, set(key, Expect::Absent, Some(key))).await.unwrap();
    }
    let keys =
        |page: Vec<Document>| page.into_iter().map(|document| document.key.as_str().to_owned()).collect::<Vec<_>>();
    let first = engine.list("p/", None, 2).await.unwrap();
    let last = first[1].key.clone();
    assert_eq!(keys(first), ["p/1", "p/2"]);
    assert_eq!(keys(engine.list("p/", Some(&last), 2).await.unwrap()), ["p/3"]);
    assert_eq!(keys(engine.list("", None, 100).await.unwrap()), ["o", "p", "p/1", "p/2", "p/3", "q"]);
}

async fn concurrent_changes_of_a_document_are_one_after_another(make: Make<'_>) {
    let engine = make(clock());
    one(&engine, set("n", Expect::Absent, Some(""))).await.unwrap();
    // Each adds its own letter: so whoever meets an unknown outcome sees whether it was made.
    let add = |letter: char| {
        let engine = &engine;
        async move {
            loop {
                let document = engine.get(&Key::new("n")).await.unwrap().unwrap();
                let text = std::str::from_utf8(&document.value).unwrap();
                if text.contains(letter) {
                    return;
                }
                let change = set("n", Expect::At(document.revision), Some(&format!("{text}{letter}")));
                let done = engine.compare_and_set(vec![change], Durability::Synced).await;
                assert!(engine.is_patient() || !matches!(done, Err(DocumentError::Unknown)));
            }
        }
    };
    futures_util::future::join_all(('a'..='p').map(add)).await;
    let mut letters = engine.get(&Key::new("n")).await.unwrap().unwrap().value.to_vec();
    letters.sort_unstable();
    assert_eq!(letters, b"abcdefghijklmnop");
}
