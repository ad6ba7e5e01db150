//! Whether streams, cursors and logs say the same.

use tidemill_stream::engine::{Bound, Engine as _, Generation, LogId, LogSettings, Position, StreamId};
use tidemill_stream::fsck::Severity;
use tidemill_stream::shard::ShardIndex;

use super::rig::*;

#[tokio::test]
async fn a_log_that_no_stream_has_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let running = filled(folder.path()).await;
    let log = LogId { stream: StreamId(99), part: 0 };
    running.engine.log_put(log, LogSettings::kept_for(DAY)).await.unwrap();
    running.close();
    let path = folder.path().join("logs").join(log.to_string());
    let report = check(folder.path());
    expect(only(&report), Severity::Note, &path, None, "no stream has this log");
    assert_eq!(only(&report).stream, None);
}

#[tokio::test]
async fn a_generation_and_shards_that_the_stream_does_not_know_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let running = filled(folder.path()).await;
    let stream = running.store.stream(&name("orders")).unwrap();
    let log = stream.log_of(ShardIndex(0));
    running.engine.seal(log, Generation::FIRST, &[ShardIndex(0)], &[ShardIndex(40)]).await.unwrap();
    running.close();
    let report = check(folder.path());
    let path = folder.path().join("logs").join(log.to_string());
    let [generation, shard] = report.findings.as_slice() else { panic!("{report:?}") };
    expect(generation, Severity::Error, &path, None, "the log has generation 2, and the stream's document says 1");
    expect(shard, Severity::Error, &path, None, "the log holds shardId-000000000040");
    assert_eq!(shard.stream, Some(name("orders")));
}

#[tokio::test]
async fn a_cursor_beyond_its_log_is_found() {
    for (beyond, errors) in [(0, 0), (1, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let running = filled(folder.path()).await;
        let stream = running.store.stream(&name("orders")).unwrap();
        running.fix_cursor(8, &stream, 2, Bound::at(Position(241 + beyond))).await;
        running.close();
        let report = check(folder.path());
        assert_eq!(report.errors, errors, "{report:?}");
        if errors > 0 {
            let path = folder.path().join("logs").join(stream.log_of(ShardIndex(2)).to_string());
            let what = "in shardId-000000000002 stands at position 242, and the log ends at 240";
            expect(only(&report), Severity::Error, &path, None, what);
        }
    }
}

#[tokio::test]
async fn documents_that_cannot_be_read_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let running = filled(folder.path()).await;
    for key in ["stream/broken", "stream/no stream", "cursor/x", "trigger/short"] {
        running.put_document(key, b"\xff".to_vec()).await;
    }
    running.close();
    let report = check(folder.path());
    assert_eq!((report.errors, report.notes), (4, 0), "{report:?}");
    for (finding, key) in report.findings.iter().zip(["cursor/x", "stream/broken", "stream/no stream", "trigger/short"])
    {
        let what = format!("the document '{key}' cannot be read");
        expect(finding, Severity::Error, &folder.path().join("sled"), None, &what);
    }
}
