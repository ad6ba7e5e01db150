//! Faults while something expires: what is inside stays readable, and what is not goes when the fault is over.

use super::*;
use crate::clock::Timestamp;

const HOUR: Duration = Duration::from_hours(1);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const EVERY_LOG: &str = "/logs/";

/// Records of two times, of which those of the first have expired.
async fn half_expired(disk: Arc<Faulty>, folder: &Path, clock: &Clock) -> Embedded {
    let options = EmbeddedOptions { reserve_bytes: 64 << 10, ..options() };
    let engine = Embedded::open_on(disk, folder, clock.clone(), options).unwrap();
    engine.log_put(LOG, SETTINGS).await.unwrap();
    for (hour, numbers) in [(0, 0..12), (20, 12..16)] {
        clock.set(START.plus(HOUR * hour));
        for number in numbers {
            engine.append(LOG, Generation::FIRST, records(number, 3000)).await.unwrap();
        }
    }
    clock.set(START.plus(HOUR * 30));
    engine
}

async fn readable(engine: &Embedded) -> Vec<u32> {
    let batch = engine.read(LOG, A, Bound::START, ALL).await.unwrap();
    batch.records.iter().map(|record| number(&record.data)).collect()
}

#[tokio::test]
async fn what_is_inside_stays_while_what_is_not_cannot_go() {
    for (call, kind) in [
        (Call::Write, Kind::Broken),
        (Call::SyncData, Kind::Broken),
        (Call::Rename, Kind::Denied),
        (Call::Remove, Kind::Broken),
        (Call::SyncFolder, Kind::Broken),
    ] {
        let (folder, disk) = (tempfile::tempdir().unwrap(), Arc::new(Faulty::default()));
        let clock = Clock::manual(START);
        let engine = half_expired(disk.clone(), folder.path(), &clock).await;
        disk.fail(Fault { call, kind, path: EVERY_LOG, times: UNTIL_MENDED });
        let error = engine.expire(LOG).await.expect_err(&format!("{call:?}"));
        assert!(error.to_string().contains(&kind.text()), "{call:?}: {error}");
        assert_eq!(readable(&engine).await, [12, 13, 14, 15], "{call:?}");
        assert!(disk.mend() >= 1, "{call:?}");
        engine.expire(LOG).await.unwrap();
        engine.append(LOG, Generation::FIRST, records(16, 100)).await.unwrap();
        assert_eq!(readable(&engine).await, [12, 13, 14, 15, 16], "{call:?}");
        drop(engine);
        let engine = Embedded::open(folder.path(), clock, options()).unwrap();
        assert_eq!(engine.health(), Health::Healthy, "{call:?}");
        assert_eq!(readable(&engine).await, [12, 13, 14, 15, 16], "{call:?}");
        assert!(!folder.path().join(SEGMENT.trim_start_matches('/')).exists(), "{call:?}");
    }
}

#[tokio::test]
async fn on_a_full_disk_expiry_takes_of_what_is_kept_for_deletions() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), Arc::new(Faulty::default()));
    let clock = Clock::manual(START);
    let engine = half_expired(disk.clone(), folder.path(), &clock).await;
    clock.set(START.plus(HOUR * 50));
    // The log needs a segment to say it in, and finds space once the reserve is given up.
    disk.fail(Fault { call: Call::Create, kind: Kind::Full, path: ROLLED, times: 1 });
    assert!(engine.expire(LOG).await.unwrap().bytes > 12 * 3000);
    assert_eq!(disk.mend(), 1);
    assert!(!folder.path().join("reserve").exists());
    engine.append(LOG, Generation::FIRST, records(16, 100)).await.unwrap();
    assert!(folder.path().join("reserve").exists(), "there is space again");
    assert_eq!(readable(&engine).await, [16]);
}

/// The frame of a change whose sync failed may be on the disk all the same: what was answered later stands.
#[tokio::test]
async fn a_change_that_failed_does_not_come_back() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), Arc::new(Faulty::default()));
    let clock = Clock::manual(START);
    let engine = Embedded::open_on(disk.clone(), folder.path(), clock.clone(), options()).unwrap();
    engine.log_put(LOG, SETTINGS).await.unwrap();
    engine.append(LOG, Generation::FIRST, records(1, 100)).await.unwrap();
    disk.fail(Fault { call: Call::SyncData, kind: Kind::Broken, path: EVERY_LOG, times: 1 });
    engine.log_put(LOG, LogSettings::kept_for(HOUR)).await.unwrap_err();
    assert_eq!(disk.mend(), 1);
    engine.log_put(LOG, SETTINGS).await.unwrap();
    drop(engine);
    clock.set(START.plus(HOUR * 20));
    let engine = Embedded::open(folder.path(), clock, options()).unwrap();
    assert_eq!(engine.stats(LOG).await.unwrap().settings, SETTINGS);
    assert_eq!(readable(&engine).await, [1]);
}
