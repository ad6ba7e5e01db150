//! The event of a batch: JSON of the shape that AWS Lambda gives to a handler of a Kinesis event source mapping.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidemill_stream::record::StoredRecord;
use tidemill_stream::sequence::SequenceNumber;
use tidemill_stream::shard::{HashKey, HashRange, Shard};

use super::Invocation;

/// A batch as a handler of Lambda's shape gets it.
pub(crate) fn event_json(invocation: &Invocation) -> Vec<u8> {
    let records: Vec<Value> = invocation.records.iter().map(|record| record_json(invocation, record)).collect();
    json!({ "Records": records }).to_string().into_bytes()
}

fn record_json(invocation: &Invocation, record: &StoredRecord) -> Value {
    let Invocation { shard: index, shard_created: created, arns, .. } = invocation;
    let range = HashRange { start: HashKey(0), end: HashKey(u128::MAX) };
    let shard = Shard { index: *index, range, created: *created, parents: Vec::new(), closed: None };
    let number = SequenceNumber::new(&shard, record.position, record.arrival).to_string();
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key.as_str(),
            "sequenceNumber": number,
            "data": STANDARD.encode(&record.data),
            "approximateArrivalTimestamp": record.arrival.as_millis() as f64 / 1000.0,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("{index}:{number}"),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": arns.role,
        "awsRegion": arns.region,
        "eventSourceARN": arns.stream,
    })
}
