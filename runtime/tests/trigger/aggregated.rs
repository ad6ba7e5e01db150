//! Aggregated records, packed by protobuf's own encoder, as a function gets them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong shall stop")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use prost::Message as _;
use tidemill::deploy::{Semantics, Start, TriggerRules, TriggerSpec};
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::engine::{Bound, ReadLimits};
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::shard::{HashKey, ShardIndex};

use crate::rig::{self, Rig, fails, spec, succeeds};

#[derive(Clone, PartialEq, prost::Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct UserRecord {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
}

/// Keys and data of its user records.
fn aggregate<'a>(records: impl IntoIterator<Item = (&'a str, String)>) -> Bytes {
    let mut message = AggregatedRecord::default();
    for (key, data) in records {
        let partition_key_index = message.partition_key_table.len() as u64;
        message.partition_key_table.push(key.to_owned());
        message.records.push(UserRecord { partition_key_index, data: data.into_bytes() });
    }
    let message = message.encode_to_vec();
    [&[0xf3, 0x89, 0x9a, 0xc2][..], &message, Md5::digest(&message).as_slice()].concat().into()
}

fn numbered(numbers: std::ops::Range<u32>) -> Bytes {
    aggregate(numbers.map(|number| ("k", number.to_string())))
}

fn texts(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// Puts it where hash key 0 belongs.
async fn put(rig: &Rig, data: Bytes) {
    let (partition_key, explicit_hash) = (PartitionKey::parse("a").unwrap(), Some(HashKey(0)));
    let records = vec![Record { partition_key, explicit_hash, data }];
    let placed = rig.store.put(&StreamName::parse("orders").unwrap(), records).await.unwrap();
    assert!(placed.iter().all(Result::is_ok));
}

async fn cursor(rig: &Rig) -> Bound {
    let id = TriggerId(rig.trigger_ids().await[0]);
    rig.store.cursor(id, ShardIndex(0)).await.unwrap().unwrap().progress.low()
}

#[tokio::test(start_paused = true)]
async fn user_records_come_in_order_and_in_batches_of_user_records() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    for numbers in [0..40, 40..80, 80..330] {
        put(&rig, numbered(numbers)).await;
    }
    put(&rig, "330".into()).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let delivered = rig.delivered(331).await;
    assert_eq!(rig::data_of(&delivered), texts(0..331));
    assert_eq!(delivered.iter().map(|call| call.data.len()).collect::<Vec<_>>(), [80, 100, 100, 51]);
    let status = rig.status("t", 0, |status| status.counts.records == 331).await;
    assert_eq!((status.counts.malformed, status.counts.misplaced, status.pending_since), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn a_failure_within_an_aggregate_never_leaves_the_cursor_there() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&is_broken);
    let rig = Rig::new(move |call| {
        let has_205 = call.records.iter().any(|record| &record.data[..] == b"205");
        if has_205 && flag.load(Ordering::SeqCst) { fails("not this one") } else { succeeds() }
    })
    .await;
    rig.create_stream("orders", 1).await;
    for numbers in [0..10, 10..310] {
        put(&rig, numbered(numbers)).await;
    }
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let status = rig.status("t", 0, |status| status.counts.failures >= 3).await;
    assert_eq!(status.counts.records, 110, "the batches before it are not delivered again while the node runs");
    let stream = rig.store.stream(&StreamName::parse("orders").unwrap()).unwrap();
    let limits = ReadLimits { records_max: 10, bytes_max: 1 << 20 };
    let put = rig.store.read(&stream, ShardIndex(0), Bound::START, limits).await.unwrap().records;
    let rig = rig.stopped().await;
    assert_eq!(cursor(&rig).await, Bound::after(put[0].position), "before the aggregate that failed");
    let calls_before = rig.calls(1).await.len();
    is_broken.store(false, Ordering::SeqCst);
    let rig = rig.restarted();
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    rig.status("t", 0, |status| status.counts.records == 300).await;
    let calls = rig.calls(calls_before + 3).await;
    assert_eq!(rig::data_of(&calls[calls_before..]), texts(10..310), "all of it again, and nothing else");
    let rig = rig.stopped().await;
    assert_eq!(cursor(&rig).await, Bound::after(put[1].position));
}

#[tokio::test(start_paused = true)]
async fn after_a_split_an_aggregate_of_both_children_is_delivered_and_counted() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    // The MD5 of "a" lies in the lower half of the hash space, that of "b" in the upper.
    let both = || aggregate([("a", "of-a".to_owned()), ("b", "of-b".to_owned())]);
    put(&rig, both()).await;
    let name = StreamName::parse("orders").unwrap();
    rig.store.split_shard(&name, ShardIndex(0), HashKey(1 << 127)).await.unwrap();
    put(&rig, both()).await;
    put(&rig, aggregate([("a", "of-a-alone".to_owned())])).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    assert_eq!(rig::data_of(&rig.delivered(5).await), ["of-a", "of-b", "of-a", "of-b", "of-a-alone"]);
    let child = rig.status("t", 1, |status| status.counts.records == 3).await;
    assert_eq!((child.counts.misplaced, child.counts.failures), (2, 0));
    assert_eq!(rig.status("t", 0, |_| true).await.counts.misplaced, 0, "the parent has both");
}

#[tokio::test(start_paused = true)]
async fn a_broken_aggregate_is_delivered_as_it_is() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    let mut broken = numbered(0..3).to_vec();
    *broken.last_mut().unwrap() ^= 1;
    put(&rig, broken.clone().into()).await;
    put(&rig, "next".into()).await;
    rig.apply(&[spec("t", "orders", Start::TrimHorizon)]).await;
    let expected = [String::from_utf8_lossy(&broken).into_owned(), "next".to_owned()];
    assert_eq!(rig::data_of(&rig.delivered(2).await), expected);
    assert_eq!(rig.status("t", 0, |status| status.counts.records == 2).await.counts.malformed, 1);
}

#[tokio::test(start_paused = true)]
async fn with_lambda_s_semantics_aggregates_come_as_they_were_put_from_the_next_batch_on() {
    let rig = Rig::new(|_| succeeds()).await;
    rig.create_stream("orders", 1).await;
    put(&rig, numbered(0..3)).await;
    let ours = spec("t", "orders", Start::TrimHorizon);
    let lambda =
        TriggerSpec { rules: TriggerRules { semantics: Semantics::Lambda, ..ours.rules.clone() }, ..ours.clone() };
    rig.apply(&[lambda]).await;
    assert_eq!(rig::data_of(&rig.delivered(1).await), [String::from_utf8_lossy(&numbered(0..3))]);
    rig.status("t", 0, |status| status.counts.records == 1).await;
    rig.apply(&[ours]).await;
    put(&rig, numbered(3..6)).await;
    assert_eq!(rig::data_of(&rig.delivered(4).await)[1..], texts(3..6));
}
