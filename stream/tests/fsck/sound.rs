//! A sound folder, and one that cannot be checked at all.

use std::fs;

use tidemill_stream::engine::embedded::OpenError;
use tidemill_stream::fsck::{FsckError, Severity};
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::reshard::Scale;
use tidemill_stream::shard::ShardIndex;

use super::rig::*;

#[tokio::test]
async fn a_folder_that_was_closed_has_no_findings() {
    let folder = closed().await;
    let mut seen = Vec::new();
    let report = try_check(folder.path(), &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(report.findings, []);
    let counts = report.counts;
    assert_eq!((counts.streams, counts.logs, counts.records, counts.blobs), (2, 1 + 1 + 3, 2 * 12 * 20, 1));
    let files: usize = logs(folder.path()).iter().map(|log| segments(log).len()).sum();
    assert_eq!(counts.segments, files as u64);
    let all = logs(folder.path()).iter().flat_map(|log| segments(log)).map(|path| frames(&path).len()).sum::<usize>();
    assert_eq!(counts.frames, all as u64);
    assert_eq!(counts.documents, 2 + 2 + 2, "streams, config, a trigger and its cursor");
    assert!(seen.windows(2).all(|pair| pair[0].checked_bytes <= pair[1].checked_bytes), "{seen:?}");
    let last = seen.last().unwrap();
    assert_eq!((last.checked_bytes, counts.bytes), (last.total_bytes, last.total_bytes));
}

#[tokio::test]
async fn a_folder_that_was_not_closed_has_no_findings() {
    let folder = crashed().await;
    let last = segments(&orders(folder.path())).pop().unwrap();
    assert!(fs::metadata(&last).unwrap().len() >= 12 << 10, "the last segment has room for more");
    assert_eq!(check(folder.path()).findings, []);
}

#[tokio::test]
async fn a_folder_that_was_opened_many_times_has_no_findings() {
    let folder = closed().await;
    for round in 0..4 {
        let running = run(folder.path()).await;
        running.fill("orders").await;
        running.put_document(BLOB, vec![round; 70_000]).await;
        if round % 2 == 0 {
            running.close();
        } else {
            running.crash(folder.path());
        }
        let report = check(folder.path());
        assert_eq!(report.findings, []);
        assert_eq!(report.counts.records, 480 + 240 * (u64::from(round) + 1));
    }
}

#[tokio::test]
async fn streams_whose_shards_were_changed_have_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    let running = filled(folder.path()).await;
    for stream in running.store.streams() {
        for shards in [7, 2] {
            running.store.update_shard_count(&stream.name, shards, Scale::Any).await.unwrap();
            running.fill(stream.name.as_str()).await;
        }
        let changed = running.store.stream(&stream.name).unwrap();
        assert!(
            changed.shards.len() > 9
                && changed.log_of(changed.shards.last().unwrap().index) != stream.log_of(ShardIndex(0))
        );
    }
    running.crash(folder.path());
    let report = check(folder.path());
    assert_eq!(report.findings, []);
    assert!(report.counts.records > 2 * 12 * 20, "{:?}", report.counts);
}

#[tokio::test]
async fn deleted_streams_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let running = filled(folder.path()).await;
    running.store.delete_stream(&name("orders")).await.unwrap();
    running.close();
    let report = check(folder.path());
    assert_eq!((report.findings, report.counts.streams), (vec![], 1));
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let running = filled(folder.path()).await;
    let refused = check_running(folder.path(), &mut |_| {}).unwrap_err();
    let own = std::process::id();
    assert!(
        matches!(&refused, FsckError::Open(OpenError::InUse { process: Some(process), .. }) if *process == own),
        "{refused:?}"
    );
    running.close();
    check(folder.path());
}

#[test]
fn what_is_no_data_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for missing in [folder.path().join("none"), folder.path().to_owned()] {
        let refused = try_check(&missing, &mut |_| {}).unwrap_err();
        assert!(matches!(&refused, FsckError::NoFolder { folder } if *folder == missing), "{refused:?}");
    }
    fs::write(folder.path().join("essay.txt"), "words").unwrap();
    let refused = try_check(folder.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, FsckError::Open(OpenError::Foreign { .. })), "{refused:?}");
}

#[tokio::test]
async fn another_format_is_refused_and_a_damaged_one_found() {
    let folder = closed().await;
    let format = folder.path().join("format");
    fs::write(&format, "tidemill data folder, format 99\n").unwrap();
    let refused = try_check(folder.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, FsckError::Open(OpenError::Newer { found: 99, .. })), "{refused:?}");
    fs::write(&format, "tidemill dat").unwrap();
    expect(only(&check(folder.path())), Severity::Error, &format, Some(0), "format");
    fs::remove_file(&format).unwrap();
    expect(only(&check(folder.path())), Severity::Error, &format, Some(0), "format");
}

#[tokio::test]
async fn strange_names_are_noted() {
    let folder = closed().await;
    let strange = [folder.path().join("notes.txt"), folder.path().join("logs/other"), folder.path().join("meta/x")];
    for path in &strange {
        fs::write(path, "").unwrap();
    }
    fs::create_dir(folder.path().join("functions")).unwrap();
    fs::write(folder.path().join("meta/new.tmp"), "half a segment").unwrap();
    let report = check(folder.path());
    assert_eq!((report.errors, report.notes), (0, 3), "{report:?}");
    for path in &strange {
        let found = report.findings.iter().find(|finding| finding.file == *path).unwrap();
        expect(found, Severity::Note, path, None, "a strange name");
    }
    fs::remove_file(folder.path().join("lock")).unwrap();
    assert_eq!(check(folder.path()).notes, 4, "nobody is kept out");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_appends_that_are_joined_in_one_frame_have_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    let running = filled(folder.path()).await;
    let name = StreamName::parse("orders").unwrap();
    for _ in 0..50 {
        let record = |index: usize| Record {
            partition_key: PartitionKey::parse(format!("key-{index}")).unwrap(),
            explicit_hash: None,
            data: vec![b'x'; 1000].into(),
        };
        let put = || running.store.put(&name, (0..100).map(record).collect());
        let (one, two, three, four) = tokio::join!(put(), put(), put(), put());
        for outcomes in [one, two, three, four] {
            assert!(outcomes.unwrap().iter().all(Result::is_ok));
        }
    }
    running.close();
    assert_eq!(check(folder.path()).findings, []);
}
