//! Logs that may take so much of the disk and no more: what is refused, what goes on, and what makes room again.

use std::path::Path;

use ::bytes::Bytes;

use super::*;
use crate::clock::Timestamp;
use crate::engine::{Change, Expect};
use crate::record::{PartitionKey, Record};

const FIRST: LogId = LogId { stream: StreamId(1), part: 0 };
const SECOND: LogId = LogId { stream: StreamId(2), part: 0 };
const A: ShardIndex = ShardIndex(0);
const ALL: ReadLimits = ReadLimits { records_max: 100_000, bytes_max: 1 << 30 };
const DAY: Duration = Duration::from_hours(24);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const QUOTA_BYTES: u64 = 300_000;

fn open(folder: &Path, clock: &Clock) -> Embedded {
    let options = EmbeddedOptions {
        segment_bytes: [16 << 10, 32 << 10, 64 << 10, 64 << 10],
        checkpoint_bytes: 20_000,
        quota_bytes: Some(QUOTA_BYTES),
        ..EmbeddedOptions::default()
    };
    Embedded::open(folder, clock.clone(), options).unwrap()
}

async fn put(engine: &Embedded, log: LogId, bytes: usize) -> Result<Appended, AppendError> {
    let partition_key = PartitionKey::parse("k").unwrap();
    let record = Record { partition_key, explicit_hash: None, data: Bytes::from(vec![7; bytes]) };
    engine.append(log, Generation::FIRST, Append { records: vec![(A, record)], marks: vec![] }).await
}

/// Puts until there is no room, with ever smaller records. Returns how many there were.
async fn fill(engine: &Embedded, log: LogId) -> usize {
    let mut puts = 0;
    for bytes in [4_000, 200, 1] {
        loop {
            match put(engine, log, bytes).await {
                Ok(_) => puts += 1,
                Err(AppendError::Full(error)) => {
                    assert!(error.to_string().contains("the disk quota is used up"), "{error}");
                    break;
                }
                Err(error) => panic!("{error}"),
            }
            assert!(puts < 10_000, "nothing is refused");
        }
    }
    puts
}

async fn count(engine: &Embedded, log: LogId) -> usize {
    let (mut from, mut records) = (Bound::START, 0);
    loop {
        let batch = engine.read(log, A, from, ALL).await.unwrap();
        records += batch.records.len();
        if batch.is_at_tip() {
            return records;
        }
        from = batch.next;
    }
}

/// What lies in the folders of logs.
fn bytes_on_disk(folder: &Path) -> u64 {
    let logs = std::fs::read_dir(folder.join("logs")).unwrap().map(|log| log.unwrap().path());
    let files = logs.flat_map(|log| std::fs::read_dir(log).unwrap());
    files
        .chain(std::fs::read_dir(folder.join("meta")).unwrap())
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test]
async fn records_take_no_more_than_the_quota_and_all_else_goes_on() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let engine = open(folder.path(), &clock);
    let settings = LogSettings::kept_for(DAY);
    for log in [FIRST, SECOND] {
        engine.log_put(log, settings).await.unwrap();
    }
    put(&engine, SECOND, 1).await.unwrap();
    let puts = fill(&engine, FIRST).await;
    assert!(bytes_on_disk(folder.path()) <= QUOTA_BYTES, "{}", bytes_on_disk(folder.path()));
    assert!(puts * 4_000 > 200_000, "only {puts} records found room");
    fill(&engine, SECOND).await;
    assert!(matches!(engine.health(), Health::Degraded(_)));
    assert_eq!(count(&engine, FIRST).await, puts);

    // Documents, new logs and settings.
    for number in 0..200 {
        let key = Key::new(format!("document/{number}"));
        let change = Change { key, expect: Expect::Any, value: Some(Bytes::from(vec![1; 1000])) };
        engine.compare_and_set(vec![change], Durability::Synced).await.unwrap();
    }
    let third = LogId { stream: StreamId(3), part: 0 };
    engine.log_put(third, settings).await.unwrap();
    assert!(matches!(put(&engine, third, 1).await, Err(AppendError::Full(_))));
    engine.log_put(FIRST, LogSettings::kept_for(DAY * 2)).await.unwrap();
    engine.seal(FIRST, Generation::FIRST, &[A], &[ShardIndex(1)]).await.unwrap();
    let engine = {
        engine.close();
        drop(engine);
        open(folder.path(), &clock)
    };
    assert_eq!(engine.counts().disk_bytes, bytes_on_disk(folder.path()));
    assert_eq!(count(&engine, FIRST).await, puts);

    // A log that goes makes room.
    engine.log_drop(FIRST).await.unwrap();
    put(&engine, third, 4_000).await.unwrap();
}

#[tokio::test]
async fn what_expires_makes_room() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let mut engine = open(folder.path(), &clock);
    engine.log_put(FIRST, LogSettings::kept_for(DAY)).await.unwrap();
    for day in 1..10_u32 {
        let puts = fill(&engine, FIRST).await;
        assert_eq!(count(&engine, FIRST).await, puts, "day {day}");
        if day % 3 == 0 {
            // As after a crash.
            drop(engine);
            engine = open(folder.path(), &clock);
        }
        clock.set(START.plus(DAY * 2 * day));
        engine.expire(FIRST).await.unwrap();
        assert_eq!(count(&engine, FIRST).await, 0);
        let (used, found) = (engine.counts().disk_bytes, bytes_on_disk(folder.path()));
        assert!(found <= used, "day {day}: {used} bytes are counted where there are {found}");
    }
    assert!(engine.counts().disk_bytes < QUOTA_BYTES / 2, "{}", engine.counts().disk_bytes);
}
