//! Records that are not delivered any more: when, who is told what of them, and that the trigger goes on behind them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tidemill::deploy::{DestinationSpec, Semantics, TriggerRules};
use tidemill::functions::{Answer, Emitted, Invocation, Reply};
use tidemill::status::ShardStatus;
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::engine::{Bound, ReadLimits};
use tidemill_stream::name::StreamName;
use tidemill_stream::read::StartAt;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{HashKey, HashRange, Shard, ShardIndex};
use tokio::time::Instant;

use crate::rig::{self, Outcome, Rig, fails, spec_with, succeeds};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// They tell the stream `failures`.
fn rules() -> TriggerRules {
    let failures = DestinationSpec::Stream(StreamName::parse("failures").unwrap());
    TriggerRules { on_failure: Some(failures), ..TriggerRules::default() }
}

/// With the streams `orders` and `failures`.
async fn rig(function: impl Fn(&Invocation) -> Outcome + Send + Sync + 'static) -> Rig {
    let rig = Rig::new(function).await;
    for stream in ["orders", "failures"] {
        rig.create_stream(stream, 1).await;
    }
    rig
}

async fn letters(rig: &Rig) -> Vec<Value> {
    rig.data("failures").await.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

fn has(invocation: &Invocation, data: &str) -> Option<usize> {
    invocation.records.iter().position(|record| record.data == data)
}

fn advance(rig: &Rig, time: Duration) {
    rig.clock.set(rig.clock.now().plus(time));
}

async fn given_up(rig: &Rig, records: u64) -> ShardStatus {
    rig.status("t", 0, |status| status.counts.set_aside == records).await
}

/// The sequence numbers of the records of `orders`.
async fn numbers(rig: &Rig) -> Vec<String> {
    let stream = rig.store.stream(&StreamName::parse("orders").unwrap()).unwrap();
    let shard = stream.shard(ShardIndex(0)).unwrap();
    let from = rig.store.position(&stream, shard.index, StartAt::TrimHorizon).await.unwrap();
    let limits = ReadLimits { records_max: 1000, bytes_max: 1 << 20 };
    let read = rig.store.read(&stream, shard.index, from, limits).await.unwrap();
    let number = |record: &StoredRecord| stream.sequence_number(shard, record.position, record.arrival).to_string();
    read.records.iter().map(number).collect()
}

/// Where the trigger stands, and where the stream ends.
async fn cursor_and_end(rig: &Rig) -> (Bound, Bound) {
    let id = TriggerId(rig.trigger_ids().await[0]);
    let stream = rig.store.stream(&StreamName::parse("orders").unwrap()).unwrap();
    let end = rig.store.position(&stream, ShardIndex(0), StartAt::Latest).await.unwrap();
    (rig.store.cursor(id, ShardIndex(0)).await.unwrap().unwrap().progress.low(), end)
}

/// The letter is of these records of `orders`, by their places.
async fn check_records(rig: &Rig, letter: &Value, first: usize, last: usize) {
    let (batch, numbers) = (&letter["KinesisBatchInfo"], numbers(rig).await);
    assert_eq!(batch["batchSize"], last - first + 1);
    assert_eq!(batch["startSequenceNumber"], numbers[first]);
    assert_eq!(batch["endSequenceNumber"], numbers[last]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_up_after_its_retries_and_the_trigger_goes_on() {
    for retries in 0..=3 {
        let rig = rig(|call| if has(call, "0").is_some() { fails("never") } else { succeeds() }).await;
        rig.put("orders", 0..3).await;
        rig.apply(&[spec_with(TriggerRules { retries_max: Some(retries), ..rules() })]).await;
        given_up(&rig, 3).await;
        assert_eq!(rig.calls(0).await.len() as u32, retries + 1);
        let later = rig.put("orders", 3..5).await;
        assert_eq!(rig::data_of(&rig.delivered(2).await), later);
        let letters = letters(&rig).await;
        assert_eq!(letters.len(), 1);
        let (request, response) = (&letters[0]["requestContext"], &letters[0]["responseContext"]);
        assert_eq!(request["condition"], "RetryAttemptsExhausted");
        assert_eq!(request["approximateInvokeCount"], retries + 1);
        assert_eq!(request["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f");
        assert_eq!(response["functionError"], "Unhandled");
        check_records(&rig, &letters[0], 0, 2).await;
        let rig = rig.stopped().await;
        let (cursor, end) = cursor_and_end(&rig).await;
        assert_eq!(cursor, end, "nothing is delivered again");
    }
}

#[tokio::test(start_paused = true)]
async fn bisecting_isolates_the_one_bad_record() {
    let rig = rig(|call| if has(call, "5").is_some() { fails("bad record") } else { succeeds() }).await;
    rig.put("orders", 0..8).await;
    rig.apply(&[spec_with(TriggerRules { retries_max: Some(1), bisects: true, ..rules() })]).await;
    let status = rig.status("t", 0, |status| status.counts.set_aside + status.counts.records == 8).await;
    assert_eq!((status.counts.set_aside, status.counts.dropped), (1, 0));
    assert_eq!(rig::data_of(&rig.delivered(7).await), ["0", "1", "2", "3", "4", "6", "7"]);
    let letters = letters(&rig).await;
    assert_eq!(letters.len(), 1);
    check_records(&rig, &letters[0], 5, 5).await;
    assert_eq!(letters[0]["requestContext"]["approximateInvokeCount"], 2, "splits use up no retry");
}

#[tokio::test(start_paused = true)]
async fn each_half_is_told_of_with_a_call_that_had_it() {
    let rig = rig(|_| fails("never")).await;
    rig.put("orders", 0..2).await;
    rig.apply(&[spec_with(TriggerRules { age_max: Some(MINUTE), bisects: true, ..rules() })]).await;
    rig.calls(4).await; // both, then the first alone
    advance(&rig, MINUTE + SECOND);
    given_up(&rig, 2).await;
    let letters = letters(&rig).await;
    let id = |letter: &Value| letter["requestContext"]["requestId"].clone();
    assert_eq!(letters.len(), 2);
    assert_ne!(id(&letters[0]), id(&letters[1]));
}

#[tokio::test(start_paused = true)]
async fn records_that_are_too_old_at_first_sight_are_given_up_unseen() {
    let rig = rig(|_| succeeds()).await;
    rig.put("orders", 0..3).await;
    advance(&rig, MINUTE + SECOND);
    let young = rig.put("orders", 3..5).await;
    rig.apply(&[spec_with(TriggerRules { age_max: Some(MINUTE), ..rules() })]).await;
    given_up(&rig, 3).await;
    assert_eq!(rig::data_of(&rig.delivered(2).await), young);
    let letters = letters(&rig).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(letters[0]["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(letters[0].get("responseContext"), None);
    check_records(&rig, &letters[0], 0, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_batch_is_given_up_when_it_has_become_old() {
    let rig = rig(|_| fails("never")).await;
    rig.put("orders", 0..3).await;
    rig.apply(&[spec_with(TriggerRules { age_max: Some(MINUTE), ..rules() })]).await;
    rig.calls(3).await;
    advance(&rig, MINUTE + SECOND);
    given_up(&rig, 3).await;
    let calls = rig.calls(3).await.len();
    let letters = letters(&rig).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(letters[0]["requestContext"]["approximateInvokeCount"], calls);
    assert_eq!(letters[0].get("responseContext"), None);
}

#[tokio::test(start_paused = true)]
async fn only_the_old_beginning_of_a_batch_is_given_up() {
    let mended = Arc::new(AtomicBool::new(false));
    let flag = mended.clone();
    let rig = rig(move |_| if flag.load(Ordering::SeqCst) { succeeds() } else { fails("not yet") }).await;
    rig.put("orders", 0..2).await;
    advance(&rig, MINUTE / 2);
    let young = rig.put("orders", 2..4).await;
    rig.apply(&[spec_with(TriggerRules { age_max: Some(MINUTE), ..rules() })]).await;
    assert_eq!(rig.calls(1).await[0].data.len(), 4);
    advance(&rig, MINUTE / 2 + SECOND);
    given_up(&rig, 2).await;
    mended.store(true, Ordering::SeqCst);
    assert_eq!(rig::data_of(&rig.delivered(2).await), young);
    let letters = letters(&rig).await;
    assert_eq!(letters.len(), 1);
    check_records(&rig, &letters[0], 0, 1).await;
}

/// Reports the record with this data, if the call has it.
fn reports(call: &Invocation, data: &str) -> Outcome {
    let Some(place) = has(call, data) else { return succeeds() };
    let range = HashRange { start: HashKey(0), end: HashKey(u128::MAX) };
    let shard = Shard { index: call.shard, range, created: call.shard_created, parents: Vec::new(), closed: None };
    let number = SequenceNumber::new(&shard, call.records[place].position, call.records[place].arrival);
    let response = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{number}"}}]}}"#);
    let answer = Answer { emitted: Emitted::default(), reply: Reply::Response(response.into()) };
    Box::pin(async { Ok(answer) })
}

/// As it was seen at AWS: the record is delivered once in its batch and, counted anew, 1 + 3 times alone.
#[tokio::test(start_paused = true)]
async fn a_record_that_is_always_reported_is_given_up_alone() {
    let rig = rig(|call| reports(call, "5")).await;
    rig.put("orders", 0..6).await;
    let rules = TriggerRules { batch_records_max: 3, retries_max: Some(3), reports_failures: true, ..rules() };
    rig.apply(&[spec_with(rules)]).await;
    let status = rig.status("t", 0, |status| status.counts.set_aside + status.counts.records == 6).await;
    assert_eq!((status.counts.set_aside, status.counts.records), (1, 5));
    let calls = rig.calls(0).await;
    let with_it = calls.iter().filter(|call| call.data.contains(&"5".to_owned()));
    let sizes: Vec<usize> = with_it.map(|call| call.data.len()).collect();
    assert_eq!(sizes, [3, 1, 1, 1, 1]);
    let letters = letters(&rig).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["requestContext"]["approximateInvokeCount"], 4);
    assert_eq!(letters[0]["responseContext"].get("functionError"), Some(&Value::Null));
    check_records(&rig, &letters[0], 5, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_holds_the_lane_until_it_is_told() {
    let rig = Rig::new(|call| if has(call, "0").is_some() { fails("never") } else { succeeds() }).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..3).await;
    rig.apply(&[spec_with(TriggerRules { retries_max: Some(0), ..rules() })]).await;
    let status = rig.status("t", 0, |status| status.counts.destination_failures >= 5).await;
    assert_eq!((status.counts.set_aside, status.counts.dropped), (0, 0));
    assert_eq!(status.blocked[&0].records, 3, "the lane shows what holds it");
    let error = status.last_error.unwrap().message;
    assert_eq!(
        error,
        "the destination of failures: the stream 'failures' takes no record: there is no stream 'failures'"
    );
    let (cursor, end) = cursor_and_end(&rig).await;
    assert!(cursor < end, "the letter comes before the cursor");
    rig.create_stream("failures", 1).await;
    given_up(&rig, 3).await;
    assert_eq!(letters(&rig).await.len(), 1);
    let later = rig.put("orders", 3..5).await;
    assert_eq!(rig::data_of(&rig.delivered(2).await), later);
    assert!(rig.status("t", 0, |status| status.counts.records == 2).await.blocked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_lambdas_semantics_a_destination_that_is_down_loses_letters() {
    let rig = Rig::new(|call| if has(call, "0").is_some() { fails("never") } else { succeeds() }).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..3).await;
    let rules = TriggerRules { semantics: Semantics::Lambda, retries_max: Some(0), ..rules() };
    rig.apply(&[spec_with(rules)]).await;
    let status = rig.status("t", 0, |status| status.counts.dropped == 3).await;
    assert_eq!((status.counts.set_aside, status.counts.destination_failures), (0, 3));
    let later = rig.put("orders", 3..5).await;
    assert_eq!(rig::data_of(&rig.delivered(2).await), later);
}

#[tokio::test(start_paused = true)]
async fn without_a_destination_records_are_counted_as_dropped() {
    let rig = rig(|call| if has(call, "0").is_some() { fails("never") } else { succeeds() }).await;
    rig.put("orders", 0..3).await;
    rig.apply(&[spec_with(TriggerRules { retries_max: Some(0), on_failure: None, ..rules() })]).await;
    let status = rig.status("t", 0, |status| status.counts.dropped == 3).await;
    assert_eq!((status.counts.set_aside, status.counts.destination_failures), (0, 0));
    let later = rig.put("orders", 3..5).await;
    assert_eq!(rig::data_of(&rig.delivered(2).await), later);
    let rig = rig.stopped().await;
    let (cursor, end) = cursor_and_end(&rig).await;
    assert_eq!(cursor, end);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_destination_is_down_is_prompt_and_loses_nothing() {
    let rig = Rig::new(|_| fails("never")).await;
    rig.create_stream("orders", 1).await;
    rig.put("orders", 0..3).await;
    let wanted = [spec_with(TriggerRules { retries_max: Some(0), ..rules() })];
    rig.apply(&wanted).await;
    rig.status("t", 0, |status| status.counts.destination_failures >= 10).await; // by now it waits for seconds
    tokio::task::yield_now().await;
    let before = Instant::now();
    let rig = rig.stopped().await;
    assert_eq!(Instant::now(), before, "time stands still unless everybody sleeps");
    rig.create_stream("failures", 1).await;
    let rig = rig.restarted();
    rig.apply(&wanted).await;
    given_up(&rig, 3).await;
    assert_eq!(letters(&rig).await.len(), 1);
}

/// Nobody takes its connections from the queue.
#[tokio::test(start_paused = true)]
async fn a_stop_while_the_destination_does_not_answer_is_prompt() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let rig = rig(|_| fails("never")).await;
    rig.put("orders", 0..3).await;
    let on_failure = Some(DestinationSpec::Url { url, secret_variable: None });
    rig.apply(&[spec_with(TriggerRules { retries_max: Some(0), on_failure, ..TriggerRules::default() })]).await;
    let status = rig.status("t", 0, |status| status.counts.destination_failures >= 1).await;
    let error = status.last_error.unwrap().message;
    assert!(error.ends_with("did not answer within 15s"), "{error}");
    let before = Instant::now();
    rig.stopped().await;
    assert_eq!(Instant::now(), before, "time stands still unless everybody sleeps");
}
