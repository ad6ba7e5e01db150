//! Putting records: batches, and retries of what was not taken.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use tidemill_wire::{Blob, Operation, PutRecordsEntry, PutRecordsRequest, PutRecordsResponse, PutRecordsResult, Text};

use crate::client::{Client, unreadable};
use crate::error::ClientError;

/// Records of one request (Kinesis).
const BATCH_RECORDS_MAX: usize = 500;
/// Data and partition keys of one request, what every server of the API takes.
const BATCH_BYTES_MAX: usize = 5 << 20;
/// How often a record is sent before it is given up.
const ATTEMPTS_MAX: u32 = 10;
/// The wait before the second attempt; it doubles with each.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A record to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRecord {
    /// What decides the shard; records of one key keep their order.
    pub partition_key: String,
    /// A hash key, in decimal, that decides the shard instead.
    pub explicit_hash_key: Option<String>,
    /// The payload.
    pub data: Bytes,
}

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its shard.
    pub shard_id: String,
    /// Its number there.
    pub sequence_number: String,
}

/// Why not all records were put.
#[derive(Debug, thiserror::Error)]
#[error("{} of {} records were put: {source}", .placed.iter().flatten().count(), .placed.len())]
pub struct PutRecordsError {
    /// Those that are known to be placed, in the order given.
    pub placed: Vec<Option<Placed>>,
    /// What ended it.
    pub source: ClientError,
}

impl Client {
    /// Puts records and returns where they are, in order.
    ///
    /// They go in batches of at most 500 records and 5 MiB, one after the other; records that a batch did not take are
    /// sent again, alone, before the next batch. A node refuses all of a shard's records in one request or none, so
    /// those of one key keep their order; a server that refuses one record and takes a later one of its key may not.
    ///
    /// A request that the server answers with its own failure is sent again and may have happened: records are put at
    /// least once. One whose connection breaks is not sent again.
    pub async fn put_records(&self, stream: &str, records: &[PutRecord]) -> Result<Vec<Placed>, PutRecordsError> {
        let mut placed: Vec<Option<Placed>> = vec![None; records.len()];
        let mut start = 0;
        while start < records.len() {
            let batch = batch(records, start);
            start = batch.end;
            if let Err(source) = self.put_batch(stream, records, batch, &mut placed).await {
                return Err(PutRecordsError { placed, source });
            }
        }
        Ok(placed.into_iter().flatten().collect())
    }

    async fn put_batch(
        &self,
        stream: &str,
        records: &[PutRecord],
        batch: Range<usize>,
        placed: &mut [Option<Placed>],
    ) -> Result<(), ClientError> {
        let mut waiting: Vec<usize> = batch.collect();
        let mut attempt = 1;
        loop {
            let failed = match self.put_once(stream, records, &mut waiting, placed).await {
                Ok(None) => return Ok(()),
                Ok(Some((code, message))) => {
                    ClientError::Refused { records: waiting.len(), attempts: attempt, code, message }
                }
                Err(error) if error.is_retryable() => error,
                Err(error) => return Err(error),
            };
            if attempt == ATTEMPTS_MAX {
                return Err(failed);
            }
            self.note_retry();
            tokio::time::sleep(backoff(attempt)).await;
            attempt += 1;
        }
    }

    /// Sends the records that wait, and leaves those that were not taken. Returns why the first of them was not.
    async fn put_once(
        &self,
        stream: &str,
        records: &[PutRecord],
        waiting: &mut Vec<usize>,
        placed: &mut [Option<Placed>],
    ) -> Result<Option<(String, String)>, ClientError> {
        let entries = waiting.iter().filter_map(|index| records.get(*index)).map(entry).collect();
        let request = PutRecordsRequest {
            stream_name: Some(stream.into()),
            records: Some(entries),
            ..PutRecordsRequest::default()
        };
        let body = self.send(Operation::PutRecords, &request).await?;
        let response: PutRecordsResponse<'_> =
            serde_json::from_slice(&body).map_err(|source| unreadable(Operation::PutRecords, source))?;
        let mut refused = None;
        let mut results = response.records.into_iter();
        waiting.retain(|index| match (results.next().map(outcome), placed.get_mut(*index)) {
            (Some(Ok(place)), Some(slot)) => {
                *slot = Some(place);
                false
            }
            (Some(Err(failure)), _) => {
                refused.get_or_insert(failure);
                true
            }
            (None, _) | (Some(Ok(_)), None) => {
                refused.get_or_insert_with(|| ("MissingResult".to_owned(), "the answer has no result".to_owned()));
                true
            }
        });
        Ok(refused)
    }
}

fn entry(record: &PutRecord) -> PutRecordsEntry<'_> {
    PutRecordsEntry {
        data: Some(Blob(record.data.clone())),
        partition_key: Some(record.partition_key.as_str().into()),
        explicit_hash_key: record.explicit_hash_key.as_deref().map(Text::from),
    }
}

fn outcome(result: PutRecordsResult<'_>) -> Result<Placed, (String, String)> {
    if let (Some(shard_id), Some(sequence_number)) = (result.shard_id, result.sequence_number) {
        return Ok(Placed { shard_id: shard_id.0.into_owned(), sequence_number });
    }
    let code = result.error_code.map(|code| code.0.into_owned());
    Err((code.unwrap_or_default(), result.error_message.unwrap_or_default()))
}

/// The batch that begins at `start`: at least one record.
fn batch(records: &[PutRecord], start: usize) -> Range<usize> {
    let mut bytes = 0;
    let fits = |record: &&PutRecord| {
        bytes += record.data.len() + record.partition_key.len();
        bytes <= BATCH_BYTES_MAX
    };
    let count = records.iter().skip(start).take(BATCH_RECORDS_MAX).take_while(fits).count();
    start..start + count.max(1)
}

fn backoff(attempt: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << (attempt - 1).min(16)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize) -> PutRecord {
        PutRecord { partition_key: "k".into(), explicit_hash_key: None, data: vec![0; bytes].into() }
    }

    #[test]
    fn batches_keep_to_both_limits_and_always_go_on() {
        let small = vec![record(1); 1001];
        assert_eq!([0, 500, 1000].map(|start| batch(&small, start)), [0..500, 500..1000, 1000..1001]);
        let large = vec![record(1 << 20); 6];
        assert_eq!([0, 4].map(|start| batch(&large, start)), [0..4, 4..6]);
        assert_eq!(batch(&[record(6 << 20), record(1)], 0), 0..1);
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        assert_eq!([1, 2, 3].map(|attempt| backoff(attempt).as_millis()), [50, 100, 200]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}
