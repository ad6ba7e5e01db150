//! From the batch on the wire to a handler's batch, and from its error to a text.

use serde::de::DeserializeOwned;

use crate::batch::{Batch, Raw, Record, Shard};
use crate::bindings::tidemill::function::types as wire;
use crate::{Error, Result};

/// A function that can handle batches: `fn(Batch<T>) -> Result<()>`.
///
/// `Payload` says how payloads are read: [`Json<T>`] for every `T` that serde can deserialize, [`Raw`] for `Batch<Raw>`.
/// There is no need to implement this trait.
pub trait Handler<Payload> {
    /// What the function takes for a payload.
    type Value;

    /// Reads a payload; `record` is where it came from, for the error.
    fn decode(record: Record<Raw>) -> Result<Record<Self::Value>>;

    /// Runs the function.
    fn call(&self, batch: Batch<Self::Value>) -> Result<()>;
}

/// Payloads are JSON of `T`.
#[derive(Debug)]
pub struct Json<T>(std::marker::PhantomData<T>);

impl<F, T> Handler<Json<T>> for F
where
    F: Fn(Batch<T>) -> Result<()>,
    T: DeserializeOwned,
{
    type Value = T;

    fn decode(record: Record<Raw>) -> Result<Record<T>> {
        let value =
            serde_json::from_slice(&record.value.0).map_err(|source| record.undecodable("valid JSON", &source))?;
        let Record { value: _, partition_key, arrival_ms, position, shard } = record;
        Ok(Record { value, partition_key, arrival_ms, position, shard })
    }

    fn call(&self, batch: Batch<T>) -> Result<()> {
        self(batch)
    }
}

impl<F> Handler<Raw> for F
where
    F: Fn(Batch<Raw>) -> Result<()>,
{
    type Value = Raw;

    fn decode(record: Record<Raw>) -> Result<Record<Raw>> {
        Ok(record)
    }

    fn call(&self, batch: Batch<Raw>) -> Result<()> {
        self(batch)
    }
}

/// Decodes a batch and hands it to the handler; what [`handler!`](crate::handler!) exports.
pub fn handle<P, H: Handler<P>>(handler: &H, batch: wire::Batch) -> Result<(), String> {
    decode::<P, H>(batch).and_then(|batch| handler.call(batch)).map_err(|error| describe(&error))
}

fn decode<P, H: Handler<P>>(batch: wire::Batch) -> Result<Batch<H::Value>> {
    let shard = Shard { index: batch.shard.index, created_seconds: batch.shard.created_seconds };
    let record = |wire: wire::Record| {
        let wire::Record { position, arrival_ms, partition_key, data } = wire;
        H::decode(Record { value: Raw(data), partition_key, arrival_ms, position, shard })
    };
    let records = batch.records.into_iter().map(record).collect::<Result<_>>()?;
    Ok(Batch { stream: batch.stream, shard, request_id: batch.request_id, attempt: batch.attempt, records })
}

/// An error and what caused it, in one line.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Quake {
        place: String,
        magnitude: Option<f64>,
    }

    fn batch(payloads: &[&[u8]]) -> wire::Batch {
        let record = |(index, data): (usize, &&[u8])| wire::Record {
            position: 10 + index as u64,
            arrival_ms: 1_795_000_123_456,
            partition_key: format!("key-{index}"),
            data: data.to_vec(),
        };
        wire::Batch {
            stream: "quakes".to_owned(),
            shard: wire::Shard { index: 7, created_seconds: 1_795_000_000 },
            request_id: "request".to_owned(),
            attempt: 2,
            records: payloads.iter().enumerate().map(record).collect(),
        }
    }

    #[test]
    fn json_payloads_arrive_typed_and_in_order() {
        let handler = |batch: Batch<Quake>| {
            let seen: Vec<_> =
                batch.iter().map(|record| (record.value.place.as_str(), record.value.magnitude)).collect();
            assert_eq!(seen, [("Hualien", Some(6.4)), ("Sangiang", None)]);
            let [first, second] = batch.records.as_slice() else { return Err("two records".into()) };
            assert_eq!((first.position, second.position), (10, 11));
            assert_eq!((first.partition_key.as_str(), first.arrival_ms), ("key-0", 1_795_000_123_456));
            assert_eq!((batch.stream.as_str(), batch.shard.index, batch.attempt), ("quakes", 7, 2));
            Ok(())
        };
        let payloads: [&[u8]; 2] =
            [br#"{"place":"Hualien","magnitude":6.4}"#, br#"{"place":"Sangiang","magnitude":null}"#];
        assert_eq!(handle(&handler, batch(&payloads)), Ok(()));
    }

    #[test]
    fn a_record_that_does_not_parse_is_named() {
        let handler = |_: Batch<Quake>| Ok(());
        let failure = handle(&handler, batch(&[br#"{"place":"Hualien","magnitude":6.4}"#, b"{}"])).unwrap_err();
        let number = Record::<()> {
            value: (),
            partition_key: String::new(),
            arrival_ms: 1_795_000_123_456,
            position: 11,
            shard: Shard { index: 7, created_seconds: 1_795_000_000 },
        }
        .sequence_number();
        let expected = format!(
            "the record with sequence number {number} of shardId-000000000007 is not valid JSON: missing field `place` at line 1 column 2"
        );
        assert_eq!(failure, expected);
    }

    #[test]
    fn raw_payloads_are_left_as_they_are() {
        let handler = |batch: Batch<Raw>| {
            let texts: Vec<_> = batch.iter().map(|record| record.text()).collect::<Result<_>>()?;
            assert_eq!(texts, ["not json"]);
            Ok(())
        };
        assert_eq!(handle(&handler, batch(&[b"not json"])), Ok(()));
        let failure = handle(&handler, batch(&[b"\xff"])).unwrap_err();
        assert!(failure.contains("shardId-000000000007 is not UTF-8 text: invalid utf-8"), "{failure}");
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the limit is no number")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let handler = |_: Batch<Raw>| Err(Outer("x".parse::<u8>().unwrap_err()).into());
        let failure = handle(&handler, batch(&[b""])).unwrap_err();
        assert_eq!(failure, "the limit is no number: invalid digit found in string");
    }
}
