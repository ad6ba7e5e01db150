//! Damage in segments, each found in its file and at its byte.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tidemill_stream::fsck::{Finding, Report, Severity};

use super::rig::*;

/// A segment in the middle of the log of `orders`.
fn middle(folder: &Path) -> PathBuf {
    segments(&orders(folder))[1].clone()
}

/// The only finding, of the stream that it must name.
#[track_caller]
fn error_in(report: &Report, stream: &str, file: &Path, offset: u64, what: &str) {
    let found = only(report);
    expect(found, Severity::Error, file, Some(offset), what);
    assert_eq!(found.stream, Some(name(stream)));
}

#[tokio::test]
async fn a_flipped_byte_in_a_body_costs_its_block_alone() {
    for folder in [closed().await, crashed().await] {
        let whole = check(folder.path()).counts;
        for segment in segments(&orders(folder.path())).into_iter().take(2) {
            let frame = frames(&segment)[1];
            let bytes = fs::read(&segment).unwrap();
            let block = u32_at(&bytes, frame as usize + 80 + 8);
            let records = u32_at(&bytes, frame as usize + 80 + 4);
            flip(&segment, frame + u64::from(block) + 50);
            let report = check(folder.path());
            error_in(&report, "orders", &segment, frame + u64::from(block), "shardId-000000000000 at positions");
            let expected = (whole.frames, whole.records - u64::from(records));
            assert_eq!((report.counts.frames, report.counts.records), expected);
            fs::write(&segment, bytes).unwrap();
        }
    }
}

#[tokio::test]
async fn a_flipped_byte_in_a_frames_head_costs_the_frame() {
    for folder in [closed().await, crashed().await] {
        let whole = check(folder.path()).counts;
        for segment in segments(&orders(folder.path())).into_iter().take(2) {
            let frames = frames(&segment);
            flip(&segment, frames[0] + 50);
            let report = check(folder.path());
            let next = format!("up to the whole frame at byte {}", frames[1]);
            error_in(&report, "orders", &segment, frames[0], &next);
            assert_eq!((report.counts.frames, report.counts.records), (whole.frames - 1, whole.records - 20));
            flip(&segment, frames[0] + 50);
        }
    }
}

#[tokio::test]
async fn two_damaged_frames_of_one_segment_are_both_found() {
    let folder = closed().await;
    let segment = middle(folder.path());
    let frames = frames(&segment);
    flip(&segment, frames[0] + 20);
    flip(&segment, frames[2] + 20);
    let found: Vec<_> = check(folder.path()).findings.iter().map(|finding| finding.offset.unwrap()).collect();
    assert_eq!(found, [frames[0], frames[2]]);
}

#[tokio::test]
async fn the_last_frame_of_a_closed_segment_is_missed() {
    let folder = closed().await;
    for segment in [middle(folder.path()), segments(&orders(folder.path())).pop().unwrap()] {
        let last = *frames(&segment).last().unwrap();
        flip(&segment, last + 3);
        error_in(&check(folder.path()), "orders", &segment, last, "are lost");
        flip(&segment, last + 3);
    }
}

#[tokio::test]
async fn a_torn_frame_is_noted_at_the_very_end_alone() {
    let folder = crashed().await;
    let segment = segments(&orders(folder.path())).pop().unwrap();
    let frames = frames(&segment);
    let last = *frames.last().unwrap();
    flip(&segment, last + 300);
    expect(only(&check(folder.path())), Severity::Note, &segment, Some(last), "torn");
    // With a segment behind it, it was whole once.
    let folder = closed().await;
    let segment = middle(folder.path());
    let last = *self::frames(&segment).last().unwrap();
    let file = OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(last + 300).unwrap();
    let report = check(folder.path());
    let found: Vec<(&Path, Option<u64>)> = errors(&report).map(|found| (found.file.as_path(), found.offset)).collect();
    assert_eq!(found, [(segment.as_path(), Some(last))], "{report:?}");
}

fn errors(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| finding.severity == Severity::Error)
}

#[tokio::test]
async fn damaged_headers_are_found() {
    let folder = closed().await;
    let segment = middle(folder.path());
    flip(&segment, 40);
    error_in(&check(folder.path()), "orders", &segment, 0, "header is damaged");
    flip(&segment, 40);
    flip(&segment, 70);
    error_in(&check(folder.path()), "orders", &segment, 64, "the state in the header is damaged");
    flip(&segment, 70);
    fs::write(&segment, "").unwrap();
    error_in(&check(folder.path()), "orders", &segment, 0, "shorter than a segment's header");
}

#[tokio::test]
async fn damaged_footers_are_found() {
    let folder = closed().await;
    let segment = middle(folder.path());
    let bytes = fs::read(&segment).unwrap();
    let trailer = bytes.len() - 80;
    let (index, index_bytes) = (u64::from(u32_at(&bytes, trailer + 8)), u64::from(u32_at(&bytes, trailer + 16)));
    let state = index + index_bytes;
    for (at, offset, what) in [
        (index + 10, index, "the index in the footer is damaged"),
        (state + 3, state, "the state in the footer is damaged"),
        (trailer as u64 + 30, trailer as u64, "trailer is damaged"),
        (trailer as u64 + 2, trailer as u64, "trailer is damaged"),
        (trailer as u64 + 79, trailer as u64, "trailer is damaged"),
    ] {
        flip(&segment, at);
        error_in(&check(folder.path()), "orders", &segment, offset, what);
        flip(&segment, at);
    }
    let last = segments(&orders(folder.path())).pop().unwrap();
    let trailer = fs::metadata(&last).unwrap().len() - 80;
    flip(&last, trailer + 30);
    expect(only(&check(folder.path())), Severity::Note, &last, Some(trailer), "not whole");
}

/// A footer that is sound in itself and does not say what the frames say.
#[tokio::test]
async fn a_footer_of_other_frames_is_found() {
    let folder = closed().await;
    let segment = middle(folder.path());
    let bytes = fs::read(&segment).unwrap();
    let trailer = bytes.len() - 80;
    let (index, index_bytes) = (u32_at(&bytes, trailer + 8) as usize, u32_at(&bytes, trailer + 16) as usize);
    let rewrite = |changed: &mut Vec<u8>, offset: u64, what: &str| {
        let state = index + index_bytes;
        let crcs = [(20, crc32c::crc32c(&changed[index..state])), (28, crc32c::crc32c(&changed[state..trailer]))];
        for (at, crc) in crcs {
            changed[trailer + at..][..4].copy_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32c::crc32c(&changed[trailer..trailer + 72]);
        changed[trailer + 72..][..4].copy_from_slice(&crc.to_le_bytes());
        fs::write(&segment, &*changed).unwrap();
        error_in(&check(folder.path()), "orders", &segment, offset, what);
    };
    let mut changed = bytes.clone();
    changed[index + 8] ^= 1;
    rewrite(&mut changed, index as u64, "the index in the footer is not that of the frames");
    let mut changed = bytes.clone();
    changed[trailer + 48] ^= 1;
    rewrite(&mut changed, trailer as u64, "last positions and time");
    // The retention, far into the state: a number of five bytes.
    let mut changed = bytes;
    changed[index + index_bytes + 6] ^= 1;
    rewrite(&mut changed, (index + index_bytes) as u64, "the state in the footer is not that of the frames");
}

#[tokio::test]
async fn missing_segments_are_found() {
    let folder = closed().await;
    let all = segments(&orders(folder.path()));
    let content = fs::read(&all[1]).unwrap();
    fs::remove_file(&all[1]).unwrap();
    let report = check(folder.path());
    expect(only(&report), Severity::Error, &all[1], None, "the file is missing: the log has the segments 1 and 3");
    assert_eq!(only(&report).stream, Some(name("orders")));
    fs::write(&all[1], content).unwrap();
    let newest = all.last().unwrap();
    fs::remove_file(newest).unwrap();
    expect(only(&check(folder.path())), Severity::Error, newest, None, "it was the log's newest");
}

#[tokio::test]
async fn a_segment_of_another_place_is_found() {
    let folder = closed().await;
    let all = segments(&orders(folder.path()));
    fs::copy(&all[0], &all[1]).unwrap();
    let found = check(folder.path());
    error_in(&found, "orders", &all[1], 0, "belongs to another log, or to another place");
}

#[tokio::test]
async fn a_missing_log_is_found() {
    let folder = closed().await;
    let log = orders(folder.path());
    fs::remove_dir_all(&log).unwrap();
    let report = check(folder.path());
    expect(only(&report), Severity::Error, &log, None, "the log is missing");
    assert_eq!(only(&report).stream, Some(name("orders")));
}

#[tokio::test]
async fn a_segment_that_is_larger_than_any_is_not_read() {
    let folder = closed().await;
    let last = segments(&orders(folder.path())).pop().unwrap();
    let file = OpenOptions::new().write(true).open(&last).unwrap();
    file.set_len(1 << 30).unwrap();
    file.write_all_at(&[1], 100).unwrap();
    // The hash of the whole folder would read the file, too: here the check alone is of interest.
    let scratch = tempfile::tempdir().unwrap();
    let above = tidemill_stream::fsck::Above { names: &[], trigger: &|_, _| Ok(None) };
    let report = tidemill_stream::fsck::check(folder.path(), scratch.path(), above, &mut |_| {}).unwrap();
    error_in(&report, "orders", &last, 0, "more than a segment ever has");
}
