//! Documents: sled, the log of documents and the files of large ones.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tidemill_stream::fsck::Severity;

use super::rig::*;

fn blob(folder: &Path) -> PathBuf {
    fs::read_dir(folder.join("blobs")).unwrap().next().unwrap().unwrap().path()
}

/// A folder whose log of documents was trimmed, and sled as it was before.
async fn trimmed() -> (TempDir, TempDir) {
    let folder = closed().await;
    let old = tempfile::tempdir().unwrap();
    copy(&folder.path().join("sled"), old.path());
    for round in 0..3 {
        let running = run(folder.path()).await;
        running.put_document("round", vec![round]).await;
        running.close();
    }
    assert_eq!(check(folder.path()).findings, []);
    (folder, old)
}

#[tokio::test]
async fn damaged_and_missing_blobs_are_found() {
    let folder = closed().await;
    let blob = blob(folder.path());
    flip(&blob, 1000);
    expect(only(&check(folder.path())), Severity::Error, &blob, None, "'config/large' lies in it: its sha256");
    fs::write(&blob, b"short").unwrap();
    expect(only(&check(folder.path())), Severity::Error, &blob, None, "it has 5 bytes, and 65537 belong there");
    fs::remove_file(&blob).unwrap();
    expect(only(&check(folder.path())), Severity::Error, &blob, None, "it is missing");
}

#[tokio::test]
async fn a_blob_that_nothing_refers_to_is_noted() {
    let folder = closed().await;
    let other = folder.path().join("blobs").join("ab".repeat(32));
    fs::write(&other, "x").unwrap();
    fs::write(folder.path().join("blobs/half.tmp"), "x").unwrap();
    expect(only(&check(folder.path())), Severity::Note, &other, None, "no document refers to it");
}

#[tokio::test]
async fn sled_is_made_anew_as_far_as_the_log_of_documents_reaches() {
    let folder = closed().await;
    let sled = folder.path().join("sled");
    fs::remove_dir_all(&sled).unwrap();
    let report = check(folder.path());
    expect(only(&report), Severity::Note, &sled, None, "the next start makes it anew");
    assert_eq!((report.counts.streams, report.counts.documents), (2, 6), "all are in the log");
    let (folder, _) = trimmed().await;
    let sled = folder.path().join("sled");
    fs::remove_dir_all(&sled).unwrap();
    let found = check(folder.path());
    let error = found.findings.iter().find(|finding| finding.severity == Severity::Error).unwrap();
    expect(error, Severity::Error, &sled, None, "what is older is lost");
}

#[tokio::test]
async fn a_sled_that_is_too_old_is_found() {
    let (folder, old) = trimmed().await;
    let sled = folder.path().join("sled");
    fs::remove_dir_all(&sled).unwrap();
    copy(old.path(), &sled);
    expect(only(&check(folder.path())), Severity::Error, &sled, None, "older than the log of documents reaches");
}

#[tokio::test]
async fn a_sled_that_lags_is_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let running = run(folder.path()).await;
    running.create("first", 1).await;
    running.close();
    let old = tempfile::tempdir().unwrap();
    copy(&folder.path().join("sled"), old.path());
    let running = run(folder.path()).await;
    running.create("second", 2).await;
    running.crash(folder.path());
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    copy(old.path(), &folder.path().join("sled"));
    let report = check(folder.path());
    // The second session's checkpoint trimmed nothing that the first session's sled has not seen.
    assert_eq!((report.findings, report.counts.streams), (vec![], 2));
}

#[tokio::test]
async fn a_log_of_documents_that_is_lost_or_cut_is_found() {
    let folder = closed().await;
    let meta = folder.path().join("meta");
    let last = segments(&meta).pop().unwrap();
    let content = fs::read(&last).unwrap();
    let frames = frames(&last);
    fs::write(&last, &content[..*frames.last().unwrap() as usize]).unwrap();
    expect(only(&check(folder.path())), Severity::Error, &meta, None, "segments of the log are missing");
    fs::write(&last, &content).unwrap();
    flip(&last, frames[1] + 100);
    let report = check(folder.path());
    expect(only(&report), Severity::Error, &last, only(&report).offset, "damaged");
    fs::remove_dir_all(&meta).unwrap();
    expect(only(&check(folder.path())), Severity::Error, &meta, None, "the log of documents is missing");
}

/// sled takes much damage for a crash and forgets what it cannot read: then it is older than the log, and found if the
/// log does not reach so far back, or else brought up.
#[tokio::test]
async fn a_damaged_sled_is_found_or_made_up_for() {
    for folder in [closed().await, trimmed().await.0] {
        let whole = check(folder.path()).counts.documents;
        let database = folder.path().join("sled/db");
        let bytes = fs::read(&database).unwrap();
        let mut damaged = vec![vec![0x55; bytes.len()], Vec::new()];
        for at in (0..bytes.len()).step_by(bytes.len() / 30 + 1) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            damaged.push(flipped);
        }
        for damaged in damaged {
            fs::write(&database, damaged).unwrap();
            let report = check(folder.path());
            assert!(report.errors > 0 || report.counts.documents == whole, "{report:?}");
        }
    }
}
