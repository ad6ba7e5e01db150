//! What expires of a log on disk: which files go, what is left of a crash in between, and readers who are in the way.

use std::fs;
use std::path::{Path, PathBuf};

use ::bytes::Bytes;

use super::disk::Access;
use super::*;
use crate::clock::Timestamp;
use crate::record::{PartitionKey, Record};

const LOG: LogId = LogId { stream: StreamId(1), part: 0 };
const A: ShardIndex = ShardIndex(0);
const ALL: ReadLimits = ReadLimits { records_max: 100_000, bytes_max: 1 << 30 };
const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// An engine whose time a test sets.
struct World {
    folder: tempfile::TempDir,
    clock: Clock,
    engine: Embedded,
}

/// A file system that does something once, before a segment is opened to be read.
#[derive(Debug, Default)]
struct Interrupted {
    before_open: Mutex<Option<(Arc<Embedded>, Clock, Timestamp)>>,
}

impl Disk for Interrupted {
    fn open(&self, path: &Path, access: Access) -> std::io::Result<fs::File> {
        let interruption = self.before_open.lock().take();
        if let Some((engine, clock, now)) = interruption {
            clock.set(now);
            tokio::runtime::Handle::current().block_on(engine.expire(LOG)).unwrap();
        }
        System.open(path, access)
    }
}

fn options() -> EmbeddedOptions {
    EmbeddedOptions { segment_bytes: [16 << 10, 32 << 10, 32 << 10, 32 << 10], ..EmbeddedOptions::default() }
}

impl World {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
        let engine = Embedded::open(folder.path(), clock.clone(), options()).unwrap();
        engine.log_put(LOG, LogSettings::kept_for(DAY)).await.unwrap();
        Self { folder, clock, engine }
    }

    fn reopen(self) -> Self {
        let Self { folder, clock, engine } = self;
        drop(engine);
        let engine = Embedded::open(folder.path(), clock.clone(), options()).unwrap();
        assert_eq!(engine.health(), Health::Healthy);
        Self { folder, clock, engine }
    }

    /// One record of 4,000 bytes in each of these hours.
    async fn fill(&self, hours: std::ops::Range<u32>) {
        for hour in hours {
            self.clock.set(START.plus(HOUR * hour));
            put(&self.engine, hour).await;
        }
    }

    async fn hours(&self) -> Vec<u32> {
        hours(&self.engine).await
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("logs").join(LOG.to_string())).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn segments(&self) -> Vec<u32> {
        let name = |path: &PathBuf| segment::number_of(&path.file_name().unwrap().to_string_lossy());
        self.files().iter().filter_map(name).collect()
    }
}

async fn put(engine: &Embedded, hour: u32) {
    let mut data = vec![7; 4000];
    data[..4].copy_from_slice(&hour.to_le_bytes());
    let partition_key = PartitionKey::parse("k").unwrap();
    let record = Record { partition_key, explicit_hash: None, data: Bytes::from(data) };
    let append = Append { records: vec![(A, record)], marks: vec![] };
    engine.append(LOG, Generation::FIRST, append).await.unwrap();
}

async fn hours(engine: &Embedded) -> Vec<u32> {
    let (mut from, mut hours) = (Bound::START, Vec::new());
    loop {
        let batch = engine.read(LOG, A, from, ALL).await.unwrap();
        hours.extend(batch.records.iter().map(|record| u32::from_le_bytes(record.data[..4].try_into().unwrap())));
        if batch.is_at_tip() {
            return hours;
        }
        from = batch.next;
    }
}

#[tokio::test]
async fn a_year_of_records_takes_the_space_of_a_day() {
    let mut world = World::new().await;
    let mut bytes_max = 0;
    for day in 1..=365 {
        world.fill(day * 24..day * 24 + 24).await;
        world.engine.expire(LOG).await.unwrap();
        let stats = world.engine.stats(LOG).await.unwrap();
        bytes_max = bytes_max.max(stats.bytes);
        assert_eq!(world.hours().await.len(), if day == 1 { 24 } else { 25 }, "day {day}");
        if day % 90 == 0 {
            world = world.reopen();
        }
    }
    // 25 records in segments of up to 8, one that is filled and one to be filled.
    assert!(bytes_max < 25 * 4000 + 4 * (32 << 10), "{bytes_max}");
    assert!(world.segments()[0] > 365 * 24 / 8);
}

#[tokio::test]
async fn a_busy_stream_writes_over_what_has_expired() {
    let world = World::new().await;
    for day in 0..20 {
        world.clock.set(START.plus(DAY * day));
        for number in 0..50 {
            put(&world.engine, number).await;
        }
        world.engine.expire(LOG).await.unwrap();
    }
    assert!(world.engine.counts().segments_reused > 10, "{:?}", world.engine.counts());
    assert_eq!(world.hours().await, (0..50).chain(0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_log_that_falls_silent_costs_next_to_nothing() {
    let world = World::new().await;
    world.fill(0..40).await;
    world.clock.set(START.plus(DAY * 3));
    assert!(world.engine.expire(LOG).await.unwrap().bytes > 4000 * 24);
    assert_eq!(world.files().len(), 1, "{:?}", world.files());
    assert!(world.engine.stats(LOG).await.unwrap().bytes <= 8 << 10);
    let files = world.files();
    let world = world.reopen();
    for _ in 0..3 {
        assert_eq!(world.engine.expire(LOG).await.unwrap(), Expired::default());
    }
    assert_eq!(world.files(), files, "what holds nothing is left alone");
    world.fill(100..101).await;
    assert_eq!(world.hours().await, [100]);
}

#[tokio::test]
async fn a_slow_streams_records_go_an_hour_late_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let engine = Embedded::open(folder.path(), clock.clone(), EmbeddedOptions::default()).unwrap();
    engine.log_put(LOG, LogSettings::kept_for(DAY)).await.unwrap();
    let world = World { folder, clock, engine };
    world.fill(0..48).await;
    world.engine.expire(LOG).await.unwrap();
    assert_eq!(world.hours().await, (23..48).collect::<Vec<_>>());
    // Two hours are one segment: a record that came exactly an hour after the first is not late yet.
    assert!((13..=15).contains(&world.segments().len()), "{:?}", world.segments());
}

/// What an engine leaves that says what goes, and dies.
#[tokio::test]
async fn a_crash_before_the_files_go_is_finished_at_the_next_start() {
    let world = World::new().await;
    world.fill(0..60).await;
    let log = world.engine.log(LOG).unwrap();
    let (answer, answered) = oneshot::channel();
    world.engine.committers.submit(&log, Work::Expire(commit::PendingExpiry { answer }));
    answered.await.unwrap().unwrap();
    drop(log);
    let before = world.segments();
    assert_eq!(before[0], 1);
    let world = world.reopen();
    assert!(world.segments()[0] > 3, "{:?} of {before:?}", world.segments());
    assert_eq!(world.hours().await, (35..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_that_is_missing_for_another_reason_is_an_error() {
    for is_oldest in [true, false] {
        let world = World::new().await;
        world.fill(0..60).await;
        world.engine.expire(LOG).await.unwrap();
        let files = world.files();
        let lost = files.iter().filter(|path| path.extension().unwrap() == "seg").nth(usize::from(!is_oldest)).unwrap();
        let World { folder, clock, engine } = world;
        engine.close();
        drop(engine);
        fs::remove_file(lost).unwrap();
        let engine = Embedded::open(folder.path(), clock, options()).unwrap();
        let damaged = engine.stats(LOG).await;
        assert!(matches!(&damaged, Err(LogError::Corrupt(_))), "{damaged:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_goes_while_it_is_read_is_no_error() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let disk = Arc::new(Interrupted::default());
    let cold = EmbeddedOptions { tail_bytes_max: 0, open_files_max: 1, ..options() };
    let engine = Arc::new(Embedded::open_on(disk.clone(), folder.path(), clock.clone(), cold).unwrap());
    engine.log_put(LOG, LogSettings::kept_for(DAY)).await.unwrap();
    for hour in 0..40 {
        clock.set(START.plus(HOUR * hour));
        put(&engine, hour).await;
    }
    // The reader has its plan, and waits for a file, when what it wants goes.
    for (now, first) in [(60u32, 36), (62, 38)] {
        engine.read(LOG, A, Bound::START, ALL).await.unwrap();
        *disk.before_open.lock() = Some((Arc::clone(&engine), clock.clone(), START.plus(HOUR * now)));
        let read = hours(&engine).await;
        assert_eq!(read, (first..40).collect::<Vec<_>>());
        assert!(disk.before_open.lock().is_none(), "the reader met the disk");
    }
}

#[tokio::test]
async fn of_too_many_bytes_the_oldest_segments_go() {
    let world = World::new().await;
    let settings = LogSettings { retention_bytes: Some(200_000), ..LogSettings::kept_for(DAY * 365) };
    world.engine.log_put(LOG, settings).await.unwrap();
    for round in 1..10 {
        world.fill((round - 1) * 40..round * 40).await;
        world.engine.expire(LOG).await.unwrap();
        let kept = world.hours().await;
        assert_eq!(kept.last(), Some(&(round * 40 - 1)));
        assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{kept:?}");
        let bytes = kept.len() * 4000;
        // A segment of 25,000 bytes more may have to go, and the last one stays.
        assert!(bytes <= 200_000 && (round < 2 || bytes > 150_000), "round {round}: {bytes}");
    }
    let world = world.reopen();
    assert_eq!(world.engine.stats(LOG).await.unwrap().settings, settings);
    assert!(world.engine.read(LOG, A, Bound::START, ALL).await.unwrap().skipped);
}

#[tokio::test]
async fn a_limit_that_comes_later_is_kept_to_when_as_much_is_behind_what_was_there() {
    let world = World::new().await;
    world.fill(0..38).await;
    let most = 64 << 10;
    let settings = LogSettings { retention_bytes: Some(most), ..LogSettings::kept_for(DAY * 365) };
    world.engine.log_put(LOG, settings).await.unwrap();
    world.engine.expire(LOG).await.unwrap();
    let kept = world.hours().await.len() as u64 * 4000;
    assert!((most - (32 << 10)..most + (32 << 10)).contains(&kept), "{kept} bytes of {most}");
    for hour in 38..60 {
        world.fill(hour..hour + 1).await;
        world.engine.expire(LOG).await.unwrap();
    }
    let kept = world.hours().await.len() as u64 * 4000;
    assert!((most / 2..=most).contains(&kept), "{kept} bytes of {most}");
}

#[tokio::test]
async fn damage_goes_with_its_segment() {
    let world = World::new().await;
    world.fill(0..40).await;
    let first = world.files().remove(0);
    let world = world.reopen();
    let len = fs::metadata(&first).unwrap().len();
    let bytes = vec![0xff; usize::try_from(len).unwrap() - 4096];
    std::os::unix::fs::FileExt::write_all_at(&fs::OpenOptions::new().write(true).open(&first).unwrap(), &bytes, 4096)
        .unwrap();
    world.clock.set(START.plus(HOUR * 10));
    world.engine.read(LOG, A, Bound::START, ALL).await.unwrap_err();
    assert!(matches!(world.engine.health(), Health::Degraded(_)));
    world.clock.set(START.plus(HOUR * 40));
    world.engine.expire(LOG).await.unwrap();
    assert_eq!(world.engine.health(), Health::Healthy);
    assert_eq!(world.hours().await, (16..40).collect::<Vec<_>>());
}
