//! What holds for files beyond the laws: reopening, recovery, damage, format.

use std::fs;
use std::path::{Path, PathBuf};

use ::bytes::Bytes;

use super::*;
use crate::clock::Timestamp;
use crate::engine::{Expect, MarkChange};
use crate::limits;
use crate::record::{PartitionKey, Record};

const LOG: LogId = LogId { stream: StreamId(1), part: 0 };
const SETTINGS: LogSettings = LogSettings::kept_for(Duration::from_hours(24));
const ALL: ReadLimits = ReadLimits { records_max: 100_000, bytes_max: 1 << 30 };
const A: ShardIndex = ShardIndex(0);

fn open(path: &Path) -> Embedded {
    Embedded::open(path, Clock::manual(Timestamp::from_millis(1_000_000)), EmbeddedOptions::default()).unwrap()
}

fn record(data: &[u8]) -> (ShardIndex, Record) {
    let partition_key = PartitionKey::parse("k").unwrap();
    (A, Record { partition_key, explicit_hash: None, data: Bytes::copy_from_slice(data) })
}

async fn append(engine: &Embedded, data: &[u8]) {
    let append = Append { records: vec![record(data)], marks: Vec::new() };
    engine.append(LOG, Generation::FIRST, append).await.unwrap();
}

async fn texts(engine: &Embedded) -> Vec<String> {
    let batch = engine.read(LOG, A, Bound::START, ALL).await.unwrap();
    batch.records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect()
}

fn files() -> Files {
    Files::new(Arc::new(System), 8)
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let log = folder.join("logs").join(LOG.to_string());
    files()
        .names(&log)
        .unwrap()
        .into_iter()
        .filter(|name| segment::number_of(name).is_some())
        .map(|name| log.join(name))
        .collect()
}

/// The end of the last frame in a segment that was not closed.
fn frames_end(path: &Path) -> (u64, u64) {
    let file = files().open(path).unwrap();
    let header = segment::Header::read(&file, LOG).unwrap();
    let scan = segment::scan(&fs::read(path).unwrap(), &header, header.state(&file).unwrap(), path).unwrap();
    (scan.last_frame.unwrap(), scan.frames_end)
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    files().open(path).unwrap().write_at(bytes, offset).unwrap();
}

#[tokio::test]
async fn what_is_kept_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let top = tempfile::tempdir().unwrap();
    let (ours, theirs) = (top.path().join("ours"), top.path().join("theirs"));
    std::fs::create_dir(&theirs).unwrap();
    std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (folder, expected) in [(&ours, 0o700), (&theirs, 0o755)] {
        drop(Embedded::open(folder, Clock::system(), EmbeddedOptions::default()).unwrap());
        assert_eq!(mode(folder), expected, "{}", folder.display());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn files_keep_the_laws() {
    let folder = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    crate::engine::laws::check(&|clock| {
        let path = folder.path().join(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        Arc::new(Embedded::open(&path, clock, EmbeddedOptions::default()).unwrap())
    })
    .await;
}

#[tokio::test]
async fn files_keep_the_laws_without_a_tail_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    crate::engine::laws::check(&|clock| {
        let path = folder.path().join(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        let options = EmbeddedOptions { tail_bytes_max: 0, ..EmbeddedOptions::default() };
        Arc::new(Embedded::open(&path, clock, options).unwrap())
    })
    .await;
}

fn document(key: &str, value: Vec<u8>) -> Vec<Change> {
    vec![Change { key: Key::new(key), expect: Expect::Any, value: Some(value.into()) }]
}

/// A log of the records "1" to "3" that was not closed.
async fn three_records(folder: &Path) -> PathBuf {
    let engine = open(folder);
    engine.log_put(LOG, SETTINGS).await.unwrap();
    for data in [b"1", b"2", b"3"] {
        append(&engine, data).await;
    }
    drop(engine);
    segments(folder).pop().unwrap()
}

#[tokio::test]
async fn everything_is_there_after_a_crash_and_after_a_close() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.log_put(LOG, SETTINGS).await.unwrap();
    let mark = MarkChange { key: Bytes::from_static(b"m"), expect: None, value: Bytes::from_static(b"v") };
    let first = Append { records: vec![record(b"1")], marks: vec![mark] };
    let first = engine.append(LOG, Generation::FIRST, first).await.unwrap();
    let revision = engine.compare_and_set(document("d", b"x".to_vec()), Durability::Synced).await.unwrap()[0];
    drop(engine);
    for round in 0..6 {
        let engine = open(folder.path());
        assert_eq!(texts(&engine).await.len(), round + 1);
        assert_eq!(engine.read(LOG, A, Bound::START, ALL).await.unwrap().records[0].position, first.positions[0]);
        append(&engine, b"more").await;
        assert_eq!(engine.mark(LOG, b"m").await.unwrap().unwrap().revision, first.positions[0]);
        assert_eq!(engine.get(&Key::new("d")).await.unwrap().unwrap().revision, revision);
        if round % 2 == 0 {
            engine.close();
        }
    }
}

#[tokio::test]
async fn a_torn_last_frame_is_cut_off_and_the_log_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let segment = three_records(folder.path()).await;
    let (last, end) = frames_end(&segment);
    let torn = fs::read(&segment).unwrap()[last as usize..end as usize - 20].to_vec();
    overwrite(&segment, end, &torn);
    let engine = open(folder.path());
    assert_eq!(texts(&engine).await, ["1", "2", "3"]);
    append(&engine, b"4").await;
    drop(engine);
    assert_eq!(texts(&open(folder.path())).await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn damage_before_the_last_frame_is_an_error_that_says_where_and_harms_no_other_log() {
    let folder = tempfile::tempdir().unwrap();
    let segment = three_records(folder.path()).await;
    let (last, _) = frames_end(&segment);
    overwrite(&segment, last - 20, &[0xff; 4]);
    let engine = open(folder.path());
    let error = engine.read(LOG, A, Bound::START, ALL).await.unwrap_err();
    let LogError::Corrupt(corruption) = error else { panic!("{error}") };
    assert_eq!(corruption.file, segment.display().to_string());
    assert!(corruption.offset < last && corruption.offset > 0);
    assert_eq!(corruption.log, LOG);
    let trouble = Trouble { log: Some(LOG), what: corruption.to_string() };
    assert_eq!(engine.health(), Health::Degraded(vec![trouble]));
    let refused = engine.append(LOG, Generation::FIRST, Append { records: vec![record(b"4")], marks: vec![] }).await;
    assert!(matches!(&refused, Err(AppendError::Damaged(found)) if *found == corruption), "{refused:?}");
    let other = LogId { stream: StreamId(2), part: 0 };
    engine.log_put(other, SETTINGS).await.unwrap();
    engine.append(other, Generation::FIRST, Append { records: vec![record(b"1")], marks: vec![] }).await.unwrap();
}

#[tokio::test]
async fn many_segments_are_read_through_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..2 {
        let engine = open(folder.path());
        engine.log_put(LOG, SETTINGS).await.unwrap();
        for number in 0..80 {
            let mut data = vec![b'x'; 100_000];
            data.extend_from_slice(format!("{round}:{number}").as_bytes());
            append(&engine, &data).await;
            expected.push(String::from_utf8(data).unwrap());
        }
        assert!(texts(&engine).await == expected);
        engine.close();
    }
    assert!(segments(folder.path()).len() >= 4);
    let options = EmbeddedOptions { tail_bytes_max: 0, ..EmbeddedOptions::default() };
    let clock = Clock::manual(Timestamp::from_millis(1_000_000));
    let engine = Embedded::open(folder.path(), clock, options).unwrap();
    assert!(texts(&engine).await == expected);
    let bytes = engine.stats(LOG).await.unwrap().bytes;
    assert!(bytes < 17_000_000, "closed segments hold no more than their frames: {bytes}");
}

#[tokio::test]
async fn a_changed_byte_in_a_closed_segment_is_an_error_and_never_data() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.log_put(LOG, SETTINGS).await.unwrap();
    append(&engine, &[b'a'; 5000]).await;
    engine.close();
    drop(engine);
    // Another segment behind it, so that the damaged one is not looked through at the start.
    let engine = open(folder.path());
    append(&engine, b"later").await;
    engine.close();
    drop(engine);
    let segment = segments(folder.path()).remove(0);
    let bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(100).position(|window| window == [b'a'; 100]).unwrap();
    overwrite(&segment, at as u64 + 50, b"b");
    let engine = open(folder.path());
    let error = engine.read(LOG, A, Bound::START, ALL).await.unwrap_err();
    assert!(matches!(&error, LogError::Corrupt(corruption) if corruption.what.contains("checksum")), "{error}");
}

#[tokio::test]
async fn a_lost_sled_is_made_anew_from_the_meta_log() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    let first = engine.compare_and_set(document("a", b"1".to_vec()), Durability::Synced).await.unwrap()[0];
    engine.compare_and_set(document("b", b"1".to_vec()), Durability::Synced).await.unwrap();
    engine
        .compare_and_set(vec![Change { key: Key::new("b"), expect: Expect::Any, value: None }], Durability::Synced)
        .await
        .unwrap();
    drop(engine);
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let engine = open(folder.path());
    let found = engine.get(&Key::new("a")).await.unwrap().unwrap();
    assert_eq!((found.revision, &found.value[..]), (first, &b"1"[..]));
    assert_eq!(engine.get(&Key::new("b")).await.unwrap(), None);
    assert!(engine.compare_and_set(document("a", b"2".to_vec()), Durability::Synced).await.unwrap()[0] > first);
}

#[tokio::test]
async fn an_idle_run_does_not_empty_the_meta_log() {
    let folder = tempfile::tempdir().unwrap();
    let synced = async |engine: &Embedded, key: &str| {
        engine.compare_and_set(document(key, b"1".to_vec()), Durability::Synced).await.unwrap();
    };
    let engine = open(folder.path());
    synced(&engine, "a").await;
    engine.close();
    drop(engine);
    open(folder.path()).close();
    let kept = tempfile::tempdir().unwrap();
    let (sled, old_sled) = (folder.path().join("sled"), kept.path().join("sled"));
    let copied = |from: &Path, to: &Path| {
        fs::create_dir_all(to).unwrap();
        for name in files().names(from).unwrap().into_iter().filter(|name| from.join(name).is_file()) {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    };
    copied(&sled, &old_sled);
    let engine = open(folder.path());
    synced(&engine, "b").await;
    drop(engine);
    // As after a power cut: sled stands where its last checkpoint was.
    fs::remove_dir_all(&sled).unwrap();
    copied(&old_sled, &sled);
    let engine = open(folder.path());
    assert!(engine.get(&Key::new("a")).await.unwrap().is_some());
    assert!(engine.get(&Key::new("b")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_meta_log_that_ends_before_what_sled_has_seen_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.compare_and_set(document("a", b"1".to_vec()), Durability::Synced).await.unwrap();
    engine.close();
    drop(engine);
    fs::remove_dir_all(folder.path().join("meta")).unwrap();
    let error = Embedded::open(folder.path(), Clock::system(), EmbeddedOptions::default()).unwrap_err();
    assert!(error.to_string().contains("segments of the log are missing"), "{error}");
}

#[tokio::test]
async fn a_sled_that_is_older_than_the_meta_log_reaches_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        EmbeddedOptions { checkpoint_bytes: 100_000, segment_bytes: [64 << 10; 4], ..EmbeddedOptions::default() };
    let engine = Embedded::open(folder.path(), Clock::system(), options).unwrap();
    for _ in 0..20 {
        engine.compare_and_set(document("big", vec![1; 20_000]), Durability::Synced).await.unwrap();
    }
    assert!(engine.counts().checkpoints > 1);
    drop(engine);
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let error = Embedded::open(folder.path(), Clock::system(), EmbeddedOptions::default()).unwrap_err();
    assert!(error.to_string().contains("older than the meta log reaches"), "{error}");
}

/// Small segments, and a checkpoint after little.
fn small() -> EmbeddedOptions {
    EmbeddedOptions { checkpoint_bytes: 30_000, segment_bytes: [16 << 10; 4], ..EmbeddedOptions::default() }
}

#[tokio::test]
async fn a_trimmed_segment_is_written_again_and_its_old_frames_are_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path(), Clock::system(), small()).unwrap();
    for number in 0..100u8 {
        engine.compare_and_set(document("d", vec![number; 3000]), Durability::Synced).await.unwrap();
    }
    let counts = engine.counts();
    assert!(counts.checkpoints > 2 && counts.segments_reused > 2, "{counts:?}");
    let meta = folder.path().join("meta");
    assert!(files().names(&meta).unwrap().len() < 12, "{:?}", files().names(&meta));
    drop(engine);
    let engine = Embedded::open(folder.path(), Clock::system(), small()).unwrap();
    assert_eq!(engine.get(&Key::new("d")).await.unwrap().unwrap().value[..], [99; 3000]);
    assert_eq!(engine.health(), Health::Healthy);
}

#[tokio::test]
async fn large_documents_lie_in_files_of_their_own_and_go_when_nothing_refers_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let large = |byte| vec![byte; limits::BLOB_BYTES_MIN];
    let blobs = || files().names(&folder.path().join("blobs")).unwrap();
    let engine = open(folder.path());
    for key in ["a", "b"] {
        engine.compare_and_set(document(key, large(1)), Durability::Synced).await.unwrap();
    }
    assert_eq!(blobs().len(), 1, "the same content is kept once");
    engine.compare_and_set(document("c", large(2)), Durability::Lazy).await.unwrap();
    drop(engine);
    fs::write(folder.path().join("blobs").join("half.tmp"), b"x").unwrap();
    let engine = open(folder.path());
    assert_eq!(engine.get(&Key::new("b")).await.unwrap().unwrap().value, large(1));
    let page = engine.list("", None, 10).await.unwrap();
    assert_eq!(page.iter().map(|document| document.value[0]).collect::<Vec<_>>(), [1, 1, 2]);
    for key in ["a", "c"] {
        engine.compare_and_set(document(key, vec![3]), Durability::Synced).await.unwrap();
    }
    engine.close();
    drop(engine);
    assert_eq!(blobs().len(), 1);
    let blob = folder.path().join("blobs").join(&blobs()[0]);
    overwrite(&blob, 7, b"x");
    let engine = open(folder.path());
    let damaged = engine.get(&Key::new("b")).await.unwrap_err();
    assert!(damaged.to_string().contains("is not what its name says"), "{damaged}");
    fs::remove_file(blob).unwrap();
    let missing = engine.get(&Key::new("b")).await.unwrap_err();
    assert!(missing.to_string().contains("is missing"), "{missing}");
    assert_eq!(engine.get(&Key::new("a")).await.unwrap().unwrap().value[..], [3]);
}

#[tokio::test]
async fn a_missing_newest_segment_is_an_error_and_harms_no_other_log() {
    let folder = tempfile::tempdir().unwrap();
    three_records(folder.path()).await;
    let engine = open(folder.path());
    append(&engine, b"4").await;
    engine.compare_and_set(document("any", vec![1]), Durability::Synced).await.unwrap();
    engine.close();
    drop(engine);
    let newest = segments(folder.path()).pop().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&newest, &elsewhere).unwrap();
    let engine = open(folder.path());
    let error = engine.read(LOG, A, Bound::START, ALL).await.unwrap_err();
    assert!(error.to_string().contains(&newest.display().to_string()), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(engine.counts().corruptions, 1);
    drop(engine);
    fs::rename(&elsewhere, &newest).unwrap();
    let engine = open(folder.path());
    assert_eq!(texts(&engine).await, ["1", "2", "3", "4"]);
    engine.log_drop(LOG).await.unwrap();
    engine.compare_and_set(document("any", vec![2]), Durability::Synced).await.unwrap();
    drop(engine);
    assert_eq!(open(folder.path()).health(), Health::Healthy, "a dropped log is not missed");
}

#[tokio::test]
async fn more_logs_than_files_that_may_be_open_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { open_files_max: 8, tail_bytes_max: 0, ..EmbeddedOptions::default() };
    let engine = Embedded::open(folder.path(), Clock::system(), options).unwrap();
    let logs: Vec<LogId> = (1..=40).map(|stream| LogId { stream: StreamId(stream), part: 0 }).collect();
    for round in 1..=2 {
        for log in &logs {
            engine.log_put(*log, SETTINGS).await.unwrap();
            let one = Append { records: vec![record(&log.stream.0.to_le_bytes())], marks: vec![] };
            engine.append(*log, Generation::FIRST, one).await.unwrap();
            assert!(engine.counts().open_files <= 8);
        }
        for log in &logs {
            let batch = engine.read(*log, A, Bound::START, ALL).await.unwrap();
            assert_eq!(batch.records.len(), round);
            assert_eq!(batch.records[0].data[..], log.stream.0.to_le_bytes());
        }
    }
}

#[tokio::test]
async fn a_segment_that_someone_removes_takes_no_more_records() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.log_put(LOG, SETTINGS).await.unwrap();
    append(&engine, b"1").await;
    let segment = segments(folder.path()).pop().unwrap();
    fs::remove_file(&segment).unwrap();
    let refused = engine.append(LOG, Generation::FIRST, Append { records: vec![record(b"2")], marks: vec![] }).await;
    let Err(AppendError::Unavailable { reason, .. }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("someone removed the file") && reason.contains(&segment.display().to_string()), "{reason}");
    assert!(matches!(engine.health(), Health::Degraded(_)));
}

#[tokio::test]
async fn a_folder_has_one_node_one_format_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    let open = || Embedded::open(folder.path(), Clock::system(), EmbeddedOptions::default());
    let second = open().unwrap_err();
    assert!(
        matches!(second, OpenError::InUse { process: Some(process), .. } if process == std::process::id()),
        "{second}"
    );
    drop(engine);
    fs::write(folder.path().join("format"), format!("tidemill data folder, format {}\n", FORMAT + 1)).unwrap();
    let newer = open().unwrap_err();
    assert!(
        matches!(newer, OpenError::Newer { found, supported, .. } if found == FORMAT + 1 && supported == FORMAT),
        "{newer}"
    );
    fs::write(folder.path().join("format"), "tidemill data folder, format 1\n").unwrap();
    let older = open().unwrap_err();
    assert!(matches!(older, OpenError::Older { found: 1, .. }), "{older}");
    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.txt"), "x").unwrap();
    let refused = Embedded::open(foreign.path(), Clock::system(), EmbeddedOptions::default()).unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
}

#[tokio::test]
async fn buffers_of_the_tail_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { tail_bytes_max: 1 << 20, ..EmbeddedOptions::default() };
    let engine = Embedded::open(folder.path(), Clock::system(), options).unwrap();
    engine.log_put(LOG, SETTINGS).await.unwrap();
    for _ in 0..40 {
        append(&engine, &vec![1; 100_000]).await;
        assert!(engine.tail_bytes() <= 1 << 20);
    }
    assert!(engine.tail_bytes() > 0);
    assert_eq!(texts(&engine).await.len(), 40);
}

#[tokio::test]
async fn more_than_may_wait_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        EmbeddedOptions { pending_bytes_max: 1024, pending_wait: Duration::ZERO, ..EmbeddedOptions::default() };
    let engine = Embedded::open(folder.path(), Clock::system(), options).unwrap();
    engine.log_put(LOG, SETTINGS).await.unwrap();
    let put = || engine.append(LOG, Generation::FIRST, Append { records: vec![record(&[0; 900])], marks: vec![] });
    let waiting = Arc::clone(&engine.room).try_acquire_owned().unwrap();
    let refused = put().await;
    assert!(matches!(refused, Err(AppendError::Overloaded { waiting_bytes: 1024 })), "{refused:?}");
    drop(waiting);
    put().await.unwrap();
}
