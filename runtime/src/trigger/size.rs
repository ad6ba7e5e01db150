//! What a record counts in a batch.
//!
//! Lambda counts the event as it sends it: JSON with the data in base64. Everywhere else data and partition key count.

use tidemill_stream::record::StoredRecord;

use crate::deploy::Semantics;
use crate::functions::event;
use crate::home::Arns;
use crate::limits::{BATCH_BYTES_MAX, EVENT_BYTES_MAX};

/// How records are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sizes {
    /// Data and partition key.
    Payload,
    /// The record in an event, whose names have so many bytes.
    Event { names_bytes: usize },
}

impl Sizes {
    pub(super) fn new(semantics: Semantics, arns: &Arns) -> Self {
        match semantics {
            Semantics::Tidemill => Self::Payload,
            Semantics::Lambda => Self::Event { names_bytes: event::names_bytes(arns) },
        }
    }

    /// The most that a batch has.
    pub(super) fn bytes_max(self) -> usize {
        match self {
            Self::Payload => BATCH_BYTES_MAX,
            Self::Event { .. } => EVENT_BYTES_MAX - event::EVENT_FIELDS_BYTES,
        }
    }

    /// At least what the record takes.
    pub(super) fn of(self, record: &StoredRecord) -> usize {
        match self {
            Self::Payload => record.size_bytes(),
            Self::Event { names_bytes } => event::record_bytes(record, names_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;
    use tidemill_stream::clock::Timestamp;
    use tidemill_stream::engine::Position;
    use tidemill_stream::name::StreamName;
    use tidemill_stream::record::PartitionKey;
    use tidemill_stream::shard::ShardIndex;

    use super::*;
    use crate::functions::{Invocation, WindowCall, event_json};
    use crate::home::Home;

    fn record() -> impl Strategy<Value = StoredRecord> {
        // The last second of the year 2286 has ten digits.
        let (position, arrival_ms) = (0..1_u64 << 63, 1_000_000_000_000..10_000_000_000_000_u64);
        let key = "[a-z0-9-]{1,64}|\\PC{1,256}|[\\x00-\\x7f]{1,256}";
        let data = prop::collection::vec(any::<u8>(), 0..400);
        (position, arrival_ms, key, data).prop_map(|(position, arrival_ms, key, data)| StoredRecord {
            position: Position(position),
            arrival: Timestamp::from_millis(arrival_ms),
            partition_key: PartitionKey::parse(key).unwrap(),
            explicit_hash: None,
            data: Bytes::from(data),
        })
    }

    fn window() -> impl Strategy<Value = Option<WindowCall>> {
        let window = (0..100_000_000_u64, any::<bool>()).prop_map(|(minute, is_final)| {
            let at = |minute: u64| Timestamp::from_millis(minute * 60_000);
            let state = Bytes::from_static(b"{\"1\":282}");
            WindowCall { start: at(minute), end: at(minute + 1), state, is_final, is_terminated_early: is_final }
        });
        prop::option::of(window)
    }

    fn arns() -> impl Strategy<Value = Arns> {
        let names = ("[0-9]{12}", "[a-z]{2}-[a-z]{4,9}-[1-9]", "[a-zA-Z0-9_.-]{1,128}", "[a-zA-Z0-9_-]{1,64}");
        names.prop_map(|(account, region, stream, function)| {
            Home { account, region }.arns(&StreamName::parse(&stream).unwrap(), function)
        })
    }

    proptest! {
        #[test]
        fn an_event_has_at_most_what_its_records_count(
            arns in arns(), shard: u32, records in prop::collection::vec(record(), 0..20), window in window(),
        ) {
            let sizes = Sizes::new(Semantics::Lambda, &arns);
            let state = window.as_ref().map_or(0, |window| window.state.len());
            let counted: usize = records.iter().map(|record| sizes.of(record)).sum();
            let invocation = Invocation {
                request_id: "request".to_owned(),
                stream: StreamName::parse("orders").unwrap(),
                shard: ShardIndex(shard),
                shard_created: Timestamp::from_millis(1_700_000_000_000),
                attempt: 1,
                records: records.into(),
                arns: Arc::new(arns),
                window,
            };
            let beside = event_json(&Invocation { records: Arc::default(), ..invocation.clone() }).len() - state;
            prop_assert!(beside <= event::EVENT_FIELDS_BYTES, "{beside} bytes beside records and state");
            // Taken apart from the rest, so that no spare byte of that hides one that the records lack.
            let records = event_json(&invocation).len() - state - beside;
            prop_assert!(records <= counted, "{records} bytes of records, {counted} counted");
            prop_assert!(counted <= records + records / 10, "{records} bytes of records, {counted} counted");
        }
    }
}
