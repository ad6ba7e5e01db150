//! An event as AWS Lambda gives it to a function that a Kinesis stream feeds
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html>), as far as a call here is made of it.
//!
//! Where its sequence numbers have the layout of Kinesis, the call is of the same shard and its records have the same
//! places, so that a response names the numbers that stand in the file.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::StoredRecord;
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::ShardIndex;

use super::{Event, stored};
use crate::functions::WindowCall;
use crate::home::Home;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LambdaEvent {
    #[serde(rename = "Records")]
    records: Vec<Record>,
    window: Option<Window>,
    state: Option<Box<RawValue>>,
    shard_id: Option<String>,
    #[serde(rename = "eventSourceARN")]
    source: Option<String>,
    #[serde(default)]
    is_final_invoke_for_window: bool,
    #[serde(default)]
    is_window_terminated_early: bool,
}

#[derive(Deserialize)]
struct Window {
    start: String,
    end: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    kinesis: Payload,
    #[serde(rename = "eventSourceARN")]
    source: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    partition_key: String,
    data: String,
    sequence_number: Option<String>,
    approximate_arrival_timestamp: Option<tidemill_wire::Timestamp>,
}

impl LambdaEvent {
    pub(super) fn into_event(self, now: Timestamp) -> anyhow::Result<Event> {
        let source = self.records.first().and_then(|record| record.source.as_deref()).or(self.source.as_deref());
        let source = source.map(source_of).transpose()?.flatten();
        let window = self.window_call()?;
        let shard = self.shard_id.as_deref().and_then(|id| ShardIndex::parse_id(id).ok()).unwrap_or(ShardIndex(0));
        let numbers = self.numbers();
        let records = self.records.into_iter().enumerate().map(|(index, record)| record.stored(index, now));
        let records = records.collect::<anyhow::Result<Vec<_>>>()?;
        let event = Event { source, shard, window, ..Event::of(records) };
        Ok(match numbers {
            Some(numbers) => at(event, &numbers),
            None => event,
        })
    }

    fn window_call(&self) -> anyhow::Result<Option<WindowCall>> {
        let Some(Window { start, end }) = &self.window else { return Ok(None) };
        let state = self.state.as_ref().map_or("{}", |state| state.get());
        Ok(Some(WindowCall {
            start: instant(start)?,
            end: instant(end)?,
            state: Bytes::copy_from_slice(state.as_bytes()),
            is_final: self.is_final_invoke_for_window,
            is_terminated_early: self.is_window_terminated_early,
        }))
    }

    /// Those of all records, if they have the layout of Kinesis and are of one shard.
    fn numbers(&self) -> Option<Vec<SequenceNumber>> {
        let number = |record: &Record| SequenceNumber::parse(record.kinesis.sequence_number.as_deref()?).ok();
        let numbers: Vec<_> = self.records.iter().map(number).collect::<Option<_>>()?;
        let shard = |number: &SequenceNumber| (number.shard(), number.shard_created_secs());
        let first = numbers.first().map(shard);
        numbers.iter().all(|number| Some(shard(number)) == first).then_some(numbers)
    }
}

/// The event with the places that these numbers say.
fn at(event: Event, numbers: &[SequenceNumber]) -> Event {
    let Some(first) = numbers.first() else { return event };
    let placed =
        |(record, number): (StoredRecord, &SequenceNumber)| StoredRecord { position: number.position(), ..record };
    let records = event.records.into_iter().zip(numbers).map(placed).collect();
    let shard_created = Timestamp::from_millis(first.shard_created_secs() * 1000);
    Event { shard: first.shard(), shard_created, records, ..event }
}

impl Record {
    fn stored(self, index: usize, now: Timestamp) -> anyhow::Result<StoredRecord> {
        let Payload { partition_key, data, approximate_arrival_timestamp: arrival, .. } = self.kinesis;
        let data = STANDARD.decode(data).with_context(|| format!("the data of record {} is no base64", index + 1))?;
        let arrival = arrival.and_then(|arrival| u64::try_from(arrival.millis).ok()).map(Timestamp::from_millis);
        stored(index, partition_key, data.into(), arrival.unwrap_or(now))
    }
}

/// Where a stream is, and its name, from `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
fn source_of(arn: &str) -> anyhow::Result<Option<(Home, StreamName)>> {
    let Some((place, name)) = arn.rsplit_once('/') else { return Ok(None) };
    let mut parts = place.split(':').skip(3);
    let home = match (parts.next(), parts.next()) {
        (Some(region), Some(account)) => Home { account: account.to_owned(), region: region.to_owned() },
        _ => Home::default(),
    };
    Ok(Some((home, StreamName::parse(name)?)))
}

fn instant(text: &str) -> anyhow::Result<Timestamp> {
    let time: jiff::Timestamp = text.parse().with_context(|| format!("'{text}' bounds the window"))?;
    Ok(Timestamp::from_millis(u64::try_from(time.as_millisecond()).unwrap_or_default()))
}
