//! `PutRecords`: the hot path. A request is parsed once, its texts are borrowed, its payloads decoded once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use bytestring::ByteString;
use tidemill_stream::limits::PUT_RECORDS_MAX;
use tidemill_stream::name::StreamName;
use tidemill_stream::put::{PutFailure, PutOutcome};
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::settings::Distribution;
use tidemill_stream::shard::{HashKey, ShardIndex};
use tidemill_stream::stream::Stream;
use tidemill_wire::{PutRecordsEntry, PutRecordsRequest, PutRecordsResponse, PutRecordsResult};

use super::shape;
use crate::http::constraint::{At, Check, HASH_KEY, PARTITION_KEY, StreamRef};
use crate::http::context::{Context, stop_dry_run};
use crate::http::error::ApiError;

/// Bytes of one result: its number, its shard and the words around them.
const RESULT_BYTES: usize = 128;

pub(super) async fn run(context: &Context<'_>, request: PutRecordsRequest<'_>) -> Result<Bytes, ApiError> {
    let dry_run = request.dry_run;
    let mut check = context.check();
    let name = check.stream(StreamRef {
        name: request.stream_name.as_deref(),
        arn: request.stream_arn.as_deref(),
        id: request.stream_id.as_deref(),
    });
    let keys = keys(context, name.as_ref());
    let entries = check.required(At::Member("records"), request.records);
    let records = entries.and_then(|entries| records(&mut check, entries, keys));
    let (name, records) = check.finish(name.zip(records))?;
    let stream = context.stream(&name)?;
    stop_dry_run(dry_run)?;
    let put = match &context.state.errors {
        None => context.store().put(&name, records).await,
        Some(errors) => errors.put(context.store(), &name, records).await,
    };
    let outcomes = put.map_err(|error| ApiError::of_put(error, context.account()))?;
    answer(context, &stream, &outcomes)
}

/// All records, or `None` when one is wrong. Entries beyond the limit are not looked at.
fn records(check: &mut Check, entries: Vec<PutRecordsEntry<'_>>, keys: Keys) -> Option<Vec<Record>> {
    check.length(At::Member("records"), entries.len(), 1..=PUT_RECORDS_MAX);
    let entries = entries.into_iter().take(PUT_RECORDS_MAX).enumerate();
    let mut records = Vec::with_capacity(entries.len());
    let mut all = true;
    for (index, entry) in entries {
        match record(check, |member| At::Record(index, member), entry, keys) {
            Some(record) => records.push(record),
            None => all = false,
        }
    }
    all.then_some(records)
}

/// Whether records need a partition key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keys {
    /// They do: it decides the shard.
    Needed,
    /// A record without one gets one by chance.
    Optional,
}

/// Whether the records of this stream need a partition key.
pub(super) fn keys(context: &Context<'_>, stream: Option<&StreamName>) -> Keys {
    let stream = stream.and_then(|name| context.store().stream(name).ok());
    match stream.map(|stream| stream.settings.distribution) {
        Some(Distribution::Even) => Keys::Optional,
        Some(Distribution::PartitionKey) | None => Keys::Needed,
    }
}

/// One record; `at` names a member of it.
pub(super) fn record(
    check: &mut Check,
    at: impl Fn(&'static str) -> At,
    entry: PutRecordsEntry<'_>,
    keys: Keys,
) -> Option<Record> {
    let data = check.data(at("data"), entry.data.map(|blob| blob.0));
    let key = match (entry.partition_key.as_deref(), keys) {
        (Some(key), _) => Some(ByteString::from(key)),
        (None, Keys::Optional) => Some(format!("{:032x}", rand::random::<u128>()).into()),
        (None, Keys::Needed) => check.required(at("partitionKey"), None),
    };
    let parsed = key.and_then(|key| PartitionKey::parse(key).ok());
    if parsed.is_none() {
        check.text(at("partitionKey"), entry.partition_key.as_deref(), &PARTITION_KEY);
    }
    let hash = check.text(at("explicitHashKey"), entry.explicit_hash_key.as_deref(), &HASH_KEY);
    let explicit_hash = hash.and_then(|text| text.parse().ok()).map(HashKey);
    if let Some(text) = hash.filter(|_| explicit_hash.is_none()) {
        check.invalid(format!("ExplicitHashKey {text} is invalid: it must lie between 0 and 2^128-1."));
    }
    data.zip(parsed).map(|(data, partition_key)| Record { partition_key, explicit_hash, data })
}

fn answer(context: &Context<'_>, stream: &Stream, outcomes: &[PutOutcome]) -> Result<Bytes, ApiError> {
    let no_key = |outcome: &PutOutcome| match outcome {
        Err(PutFailure::NoKey(reason)) => Some(ApiError::no_key(reason)),
        Ok(_) | Err(_) => None,
    };
    // It is of the stream, so of all its records.
    if let Some(error) = outcomes.first().and_then(no_key) {
        return Err(error);
    }
    // Many records, few shards: each id is written once.
    let used: BTreeSet<ShardIndex> = outcomes.iter().flatten().map(|placed| placed.shard).collect();
    let shards: BTreeMap<ShardIndex, String> = used.into_iter().map(|shard| (shard, shard.to_string())).collect();
    let account = context.account();
    let results: Vec<_> = outcomes.iter().map(|outcome| result(&shards, outcome, account)).collect();
    let failed = results.iter().filter(|result| result.error_code.is_some()).count();
    context.state.metrics.records_in.inc_by((results.len() - failed) as u64);
    let is_trouble = |failure: &&PutFailure| !matches!(failure, PutFailure::OverCapacity(_));
    if let Some(failure) = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).find(is_trouble) {
        let _entered = context.span().entered();
        tracing::warn!(failed, %failure, "records were not appended");
    }
    let bytes_expected = results.len() * RESULT_BYTES;
    let response = PutRecordsResponse {
        failed_record_count: failed as u64,
        records: results,
        encryption_type: shape::encrypted(stream),
    };
    context.codec.encode(&response, bytes_expected)
}

fn result<'a>(shards: &'a BTreeMap<ShardIndex, String>, outcome: &PutOutcome, account: &str) -> PutRecordsResult<'a> {
    let failed = |code: &'static str, message: &str| PutRecordsResult {
        error_code: Some(code.into()),
        error_message: Some(message.to_owned()),
        ..PutRecordsResult::default()
    };
    match outcome {
        Ok(placed) => PutRecordsResult {
            sequence_number: Some(placed.sequence.to_string()),
            shard_id: shards.get(&placed.shard).map(|id| id.as_str().into()),
            ..PutRecordsResult::default()
        },
        Err(PutFailure::Throughput(reason)) => failed("ProvisionedThroughputExceededException", reason),
        Err(PutFailure::NoKey(reason)) => failed("KMSNotFoundException", reason),
        Err(PutFailure::OverCapacity(over)) => {
            let ApiError { kind, message, .. } = ApiError::over_capacity(over, account);
            failed(kind.name(), &message)
        }
        Err(failure @ (PutFailure::Full(_) | PutFailure::Damaged(_))) => {
            failed("InternalFailure", &failure.to_string())
        }
        Err(PutFailure::Internal(reason)) => failed("InternalFailure", reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_not_appended_has_an_error_and_no_place() {
        for (failure, code, message) in [
            (PutFailure::Throughput("too much".to_owned()), "ProvisionedThroughputExceededException", "too much"),
            (PutFailure::Full("too much".to_owned()), "InternalFailure", "the disk is full: too much"),
            (PutFailure::Internal("too much".to_owned()), "InternalFailure", "too much"),
        ] {
            let json = serde_json::to_string(&result(&BTreeMap::new(), &Err(failure), "")).unwrap();
            assert_eq!(json, format!(r#"{{"ErrorCode":"{code}","ErrorMessage":"{message}"}}"#));
        }
    }
}
