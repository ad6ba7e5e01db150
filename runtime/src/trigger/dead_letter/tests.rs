//! What the tests of the room share, and letters on streams.

use bytes::Bytes;
use tidemill_stream::clock::Clock;
use tidemill_stream::encryption::Encryption;
use tidemill_stream::engine::memory::Memory;
use tidemill_stream::engine::{Position, ReadLimits};
use tidemill_stream::keys::{KEY_BYTES, Keyring};
use tidemill_stream::read::StartAt;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::stream::StreamMode;

use super::*;
use crate::functions::FunctionName;
use crate::home::Home;

pub(super) const DAY: std::time::Duration = std::time::Duration::from_hours(24);
/// `2019-11-14T00:38:04.835Z`
pub(super) const ARRIVAL: Timestamp = Timestamp::from_millis(1_573_691_884_835);

pub(super) fn stream_name(name: &str) -> StreamName {
    StreamName::parse(name).unwrap()
}

/// A record at this place, which arrived so many milliseconds after [`ARRIVAL`].
pub(super) fn record(position: u64, key: &str, data: &str) -> StoredRecord {
    StoredRecord {
        position: Position(position),
        arrival: Timestamp::from_millis(ARRIVAL.as_millis() + position),
        partition_key: PartitionKey::parse(key).unwrap(),
        explicit_hash: None,
        data: Bytes::copy_from_slice(data.as_bytes()),
    }
}

/// A call with records of shard 1 of the stream `orders`.
pub(super) fn invocation(records: Vec<StoredRecord>) -> Invocation {
    let stream = stream_name("orders");
    Invocation {
        request_id: "0123456789abcdef0123456789abcdef".to_owned(),
        arns: Arc::new(Home::default().arns(&stream, FunctionName::parse("score").unwrap())),
        stream,
        shard: ShardIndex(1),
        shard_created: Timestamp::from_millis(1_573_600_000_000),
        attempt: 3,
        records: records.into(),
        window: None,
    }
}

/// `2019-11-14T00:38:06.021Z`
pub(super) fn letter(invocation: &Invocation) -> Letter<'_> {
    Letter {
        invocation,
        condition: Condition::RetryAttemptsExhausted,
        invoke_count: 3,
        has_failed: true,
        at: Timestamp::from_millis(1_573_691_886_021),
    }
}

pub(super) async fn store() -> Store {
    let clock = Clock::manual(Timestamp::from_millis(1_573_691_900_000));
    Store::open(Arc::new(Memory::new(clock.clone())), clock).await.unwrap()
}

/// A call with records of a stream that is there.
pub(super) async fn invocation_of_stream(store: &Store) -> Invocation {
    let stream = store.create_stream(&stream_name("orders"), 2, StreamMode::Provisioned, DAY).await.unwrap();
    let shard_created = stream.shards[1].created;
    Invocation { shard_created, ..invocation(vec![record(1, "k", "a")]) }
}

async fn records_on(store: &Store, stream: &str) -> Vec<StoredRecord> {
    let stream = store.stream(&stream_name(stream)).unwrap();
    let from = store.position(&stream, ShardIndex(0), StartAt::TrimHorizon).await.unwrap();
    let limits = ReadLimits { records_max: 100, bytes_max: 1 << 20 };
    store.read(&stream, ShardIndex(0), from, limits).await.unwrap().records
}

#[tokio::test]
async fn a_stream_gets_a_record_with_the_document_and_the_shard_as_its_key() {
    let store = store().await;
    let destination = Destination::new(&DestinationSpec::Stream(stream_name("failures")), TriggerId(7), &store);
    let invocation = invocation_of_stream(&store).await;
    let error = destination.deliver(&letter(&invocation)).await.unwrap_err().to_string();
    assert_eq!(error, "the stream 'failures' takes no record: there is no stream 'failures'");
    store.create_stream(&stream_name("failures"), 1, StreamMode::Provisioned, DAY).await.unwrap();
    destination.deliver(&letter(&invocation)).await.unwrap();
    let records = records_on(&store, "failures").await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].partition_key.as_str(), "shardId-000000000001");
    assert_eq!(records[0].data, document::write(&letter(&invocation), Payload::LeftOut));
}

#[tokio::test]
async fn payload_is_left_out_where_it_may_not_lie_in_the_clear() {
    let store = store().await;
    let invocation = invocation_of_stream(&store).await;
    assert_eq!(payload(&store, &letter(&invocation)), Payload::Event);
    let keys = Keyring::new([("k".to_owned(), [7; KEY_BYTES])]);
    let encryption = Encryption { key_id: "alias/k".to_owned(), key: keys.named("k").unwrap() };
    store.set_encryption(&invocation.stream, Some(encryption)).await.unwrap();
    assert_eq!(payload(&store, &letter(&invocation)), Payload::LeftOut);
    store.set_encryption(&invocation.stream, None).await.unwrap();
    assert_eq!(payload(&store, &letter(&invocation)), Payload::Event);
    let of_another = Invocation { shard_created: Timestamp::from_millis(1), ..invocation.clone() };
    assert_eq!(payload(&store, &letter(&of_another)), Payload::LeftOut, "the stream was made anew since");
    store.delete_stream(&invocation.stream).await.unwrap();
    assert_eq!(payload(&store, &letter(&invocation)), Payload::LeftOut);
}

#[tokio::test]
async fn an_address_or_a_key_that_is_none_is_told_when_it_is_used() {
    let store = store().await;
    let invocation = invocation_of_stream(&store).await;
    for (url, variable, expected) in [
        ("ftp://example.org/x", None, "the address is none that can be asked: it begins with 'http://' or 'https://'"),
        (
            "http://example.org/",
            Some("TIDEMILL_TEST_NOT_SET"),
            "the environment variable 'TIDEMILL_TEST_NOT_SET', which",
        ),
    ] {
        let spec = DestinationSpec::Url { url: url.to_owned(), secret_variable: variable.map(str::to_owned) };
        let destination = Destination::new(&spec, TriggerId(7), &store);
        let error = destination.deliver(&letter(&invocation)).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
