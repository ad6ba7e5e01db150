//! Encrypted logs: what was put is nowhere on the disk, is read back with the key, and with no other.

use std::path::Path;

use ::bytes::Bytes;

use super::*;
use crate::clock::Timestamp;
use crate::keys::{KEY_BYTES, KeyPrint, Keyring};
use crate::record::{PartitionKey, Record};

const LOG: LogId = LogId { stream: StreamId(1), part: 0 };
const OTHER: LogId = LogId { stream: StreamId(2), part: 0 };
const ALL: ReadLimits = ReadLimits { records_max: 100_000, bytes_max: 1 << 30 };
const SECRET: &str = "the combination is 12345";

fn ring(keys: &[(&str, u8)]) -> Keyring {
    Keyring::new(keys.iter().map(|(name, byte)| ((*name).to_owned(), [*byte; KEY_BYTES])))
}

fn both() -> Keyring {
    ring(&[("a", 1), ("b", 2)])
}

fn named(name: &str) -> Option<KeyPrint> {
    both().named(name)
}

fn open_with(folder: &Path, keys: Keyring, tail_bytes_max: usize) -> Embedded {
    let options = EmbeddedOptions { tail_bytes_max, keys, ..EmbeddedOptions::default() };
    Embedded::open(folder, Clock::manual(Timestamp::from_millis(1_000_000)), options).unwrap()
}

fn open(folder: &Path) -> Embedded {
    open_with(folder, both(), 1 << 20)
}

fn encrypted(key: Option<KeyPrint>) -> LogSettings {
    LogSettings { key, ..LogSettings::kept_for(Duration::from_hours(24)) }
}

/// Records of two shards; many of them are a large append.
async fn put(engine: &Embedded, log: LogId, texts: &[String]) -> Result<Appended, AppendError> {
    let record = |(index, text): (usize, &String)| {
        let partition_key = PartitionKey::parse(format!("key of {}", text.split(' ').next().unwrap())).unwrap();
        let data = Bytes::copy_from_slice(text.as_bytes());
        (ShardIndex(index as u32 % 2), Record { partition_key, explicit_hash: None, data })
    };
    let records = texts.iter().enumerate().map(record).collect();
    engine.append(log, Generation::FIRST, Append { records, marks: Vec::new() }).await
}

/// As many as are asked for: some with the secret in every record.
fn secrets(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|number| format!("{number:05} {SECRET} {}", "x".repeat(number % 900))).collect()
}

async fn read(engine: &Embedded, log: LogId) -> Result<Vec<String>, LogError> {
    let mut texts = Vec::new();
    for shard in [ShardIndex(0), ShardIndex(1)] {
        let batch = engine.read(log, shard, Bound::START, ALL).await?;
        texts.extend(batch.records.iter().map(|record| String::from_utf8(record.data.to_vec()).unwrap()));
    }
    texts.sort();
    Ok(texts)
}

/// The files below a folder that hold these bytes.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn what_is_put_is_nowhere_on_the_disk_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let texts = secrets(0, 700);
    let engine = open(folder.path());
    engine.log_put(LOG, encrypted(named("a"))).await.unwrap();
    engine.log_put(OTHER, encrypted(None)).await.unwrap();
    for text in &texts[..20] {
        put(&engine, LOG, std::slice::from_ref(text)).await.unwrap();
    }
    put(&engine, LOG, &texts[20..]).await.unwrap();
    put(&engine, OTHER, &["in the clear".to_owned()]).await.unwrap();
    assert_eq!(read(&engine, LOG).await.unwrap(), texts);
    let nowhere = |what: &str| {
        assert_eq!(holding(folder.path(), SECRET.as_bytes()), [""; 0], "{what}");
        assert_eq!(holding(folder.path(), b"key of 0"), [""; 0], "{what}");
        assert_eq!(holding(folder.path(), b"in the clear").len(), 1, "what is looked for is found: {what}");
    };
    nowhere("while it runs");
    // As after a crash: no footer was written.
    drop(engine);
    nowhere("after a crash");
    let engine = open_with(folder.path(), both(), 0);
    assert_eq!(read(&engine, LOG).await.unwrap(), texts, "from the disk");
    put(&engine, LOG, &secrets(700, 10)).await.unwrap();
    engine.close();
    nowhere("after the end");
    drop(engine);
    let engine = open(folder.path());
    assert_eq!(read(&engine, LOG).await.unwrap(), secrets(0, 710), "from the disk, once more");
    assert_eq!(engine.health(), Health::Healthy);
}

#[tokio::test]
async fn a_log_that_changes_keys_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_with(folder.path(), both(), 0);
    let mut count = 0;
    for key in [None, named("a"), named("b"), named("b"), None, named("a")] {
        engine.log_put(LOG, encrypted(key)).await.unwrap();
        for _ in 0..2 {
            put(&engine, LOG, &secrets(count, 1)).await.unwrap();
            count += 1;
        }
    }
    assert_eq!(read(&engine, LOG).await.unwrap(), secrets(0, count));
    for (number, is_clear) in (0..).step_by(2).zip([true, false, false, false, true, false]) {
        let key = format!("key of {number:05}");
        assert_eq!(!holding(folder.path(), key.as_bytes()).is_empty(), is_clear, "{number}");
    }
    drop(engine);
    let engine = open(folder.path());
    assert_eq!(engine.stats(LOG).await.unwrap().settings, encrypted(named("a")));
    assert_eq!(read(&engine, LOG).await.unwrap(), secrets(0, count));
}

#[tokio::test]
async fn without_its_key_a_log_says_so_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    for (log, key) in [(LOG, named("a")), (OTHER, None)] {
        engine.log_put(log, encrypted(key)).await.unwrap();
        put(&engine, log, &secrets(0, 3)).await.unwrap();
    }
    drop(engine);
    // None, another one, and another under the same name.
    for keys in [Keyring::default(), ring(&[("b", 2)]), ring(&[("a", 9)])] {
        let engine = open_with(folder.path(), keys, 0);
        let refused = read(&engine, LOG).await;
        assert!(matches!(refused, Err(LogError::NoKey { log: LOG, key }) if Some(key) == named("a")), "{refused:?}");
        let refused = put(&engine, LOG, &secrets(3, 1)).await;
        assert!(matches!(refused, Err(AppendError::NoKey { log: LOG, .. })), "{refused:?}");
        assert_eq!(read(&engine, OTHER).await.unwrap(), secrets(0, 3));
        let Health::Degraded(troubles) = engine.health() else { panic!("a key is missing") };
        let of_key = |trouble: &Trouble| trouble.log == Some(LOG) && trouble.what.starts_with("the log 0");
        assert!(troubles.iter().any(|trouble| of_key(trouble) && trouble.what.contains("key")), "{troubles:?}");
        // What is no record waits for no key.
        engine
            .log_put(LOG, LogSettings { retention: Duration::from_hours(48), ..encrypted(named("a")) })
            .await
            .unwrap();
        engine.log_put(LOG, encrypted(named("a"))).await.unwrap();
    }
    let engine = open(folder.path());
    put(&engine, LOG, &secrets(3, 1)).await.unwrap();
    assert_eq!(read(&engine, LOG).await.unwrap(), secrets(0, 4));
    drop(engine);
    // A log whose key is lost goes on in the clear.
    let engine = open_with(folder.path(), Keyring::default(), 0);
    engine.log_put(LOG, encrypted(None)).await.unwrap();
    let appended = put(&engine, LOG, &secrets(4, 1)).await.unwrap();
    let from = Bound::at(appended.positions[0]);
    let batch = engine.read(LOG, ShardIndex(0), from, ALL).await.unwrap();
    assert_eq!(batch.records.len(), 1);
}

/// Whoever can write to the disk, checksums and all, changes nothing unseen.
#[tokio::test]
async fn a_block_that_was_sealed_elsewhere_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.log_put(LOG, encrypted(named("a"))).await.unwrap();
    // Two blocks of the same length, in two frames of the same length.
    for text in ["pay 100 to Ann", "pay 900 to Bob"] {
        put(&engine, LOG, &[text.to_owned()]).await.unwrap();
    }
    engine.close();
    drop(engine);
    let path = segment::path(&folder.path().join("logs").join(LOG.to_string()), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let file = Files::new(Arc::new(System), 8).open(&path).unwrap();
    let header = segment::Header::read(&file, LOG).unwrap();
    let mut trailer = segment::Trailer::read(&file, header.salt).unwrap().unwrap();
    let index = trailer.index(&file, LOG).unwrap();
    let [first, second] = index.from(ShardIndex(0), Bound::START) else { panic!("two blocks") };
    let (from, to) = (second.offset as usize, first.offset as usize);
    bytes.copy_within(from..from + second.len as usize, to);
    // The index, as the attacker writes it.
    let mut forged = bytes[trailer.index_offset as usize..][..trailer.index_bytes as usize].to_vec();
    let crc = first.crc.to_le_bytes();
    let at = forged.windows(4).position(|window| window == crc).unwrap();
    forged[at..at + 4].copy_from_slice(&second.crc.to_le_bytes());
    bytes[trailer.index_offset as usize..][..forged.len()].copy_from_slice(&forged);
    trailer.index_crc = crc32c::crc32c(&forged);
    let trailer = trailer.encode();
    let end = bytes.len() - trailer.len();
    bytes[end..].copy_from_slice(&trailer);
    std::fs::write(&path, &bytes).unwrap();
    let engine = open(folder.path());
    let read = engine.read(LOG, ShardIndex(0), Bound::START, ALL).await;
    let Err(LogError::Corrupt(corruption)) = read else { panic!("{read:?}") };
    assert!(corruption.what.contains("not what was sealed"), "{corruption}");
}

/// Records in the clear go when they expire, with every file that they were in.
#[tokio::test]
async fn of_what_was_in_the_clear_nothing_is_left_when_it_has_expired() {
    for expires_first in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let options = EmbeddedOptions { segment_bytes: [16 << 10; 4], keys: both(), ..EmbeddedOptions::default() };
        let engine = Embedded::open(folder.path(), clock.clone(), options).unwrap();
        engine.log_put(LOG, encrypted(None)).await.unwrap();
        for number in 0..8 {
            put(&engine, LOG, &secrets(880 + number * 900, 12)).await.unwrap();
        }
        clock.set(Timestamp::from_millis(1_000_000).plus(Duration::from_hours(25)));
        if expires_first {
            put(&engine, LOG, &["fresh".to_owned()]).await.unwrap();
            engine.expire(LOG).await.unwrap();
            assert_ne!(holding(folder.path(), SECRET.as_bytes()), [""; 0], "a spare file was kept");
        }
        engine.log_put(LOG, encrypted(named("a"))).await.unwrap();
        for number in 0..8 {
            put(&engine, LOG, &secrets(880 + number * 900, 12)).await.unwrap();
        }
        engine.expire(LOG).await.unwrap();
        assert_eq!(holding(folder.path(), SECRET.as_bytes()), [""; 0], "{expires_first}");
    }
}

/// What `fsck` says of the log; there is no stream that it belongs to.
fn checked(folder: &Path) -> (u64, Vec<String>) {
    let scratch = tempfile::tempdir().unwrap();
    let above = crate::fsck::Above { names: &[], trigger: &|_, _| Ok(None) };
    let report = crate::fsck::check(folder, scratch.path(), above, &mut |_| {}).unwrap();
    let said = report.findings.into_iter().filter(|finding| finding.offset.is_some()).map(|finding| finding.what);
    (report.counts.records, said.collect())
}

#[tokio::test]
async fn fsck_checks_an_encrypted_log_without_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.log_put(LOG, encrypted(named("a"))).await.unwrap();
    put(&engine, LOG, &secrets(0, 5)).await.unwrap();
    engine.close();
    drop(engine);
    assert_eq!(checked(folder.path()), (5, vec![]));
    let path = segment::path(&folder.path().join("logs").join(LOG.to_string()), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    // The key stands at the end of the header.
    bytes[4096 - 10] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let what = "the key in the segment's header is damaged";
    assert_eq!(checked(folder.path()), (5, vec![what.to_owned()]));
    let engine = open(folder.path());
    let read = engine.read(LOG, ShardIndex(0), Bound::START, ALL).await;
    assert!(matches!(&read, Err(LogError::Corrupt(found)) if found.what == what), "{read:?}");
}
