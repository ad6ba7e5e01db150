//! What a put is answered with.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use tidemill_stream::put::{OncePut, PutOutcome};
use tidemill_stream::shard::ShardIndex;

use super::error::{Code, IngestError};

/// Bytes of one entry: its number, its shard and the words around them.
const ENTRY_BYTES: usize = 128;

/// An answer with places.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// What metrics count it as.
    pub(super) outcome: &'static str,
    /// Records that this request has appended.
    pub(super) placed: u64,
    pub(super) is_repeat: bool,
    pub(super) retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Body<'a> {
    records: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Placed { shard_id: &'a str, sequence_number: String },
    Failed { error: &'static str, message: String },
}

impl Answer {
    /// 200 with all places, 207 where only some records were placed, an error where none was.
    pub(super) fn of(put: &OncePut) -> Result<Self, IngestError> {
        let failure = put.outcomes.iter().find_map(|outcome| outcome.as_ref().err()).map(IngestError::of_failure);
        let placed = put.outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let (status, outcome) = match (&failure, placed) {
            (None, _) if put.is_repeat => (StatusCode::OK, "repeated"),
            (None, _) => (StatusCode::OK, "none"),
            (Some(failure), 0) => return Err(failure.clone()),
            (Some(_), _) => (StatusCode::MULTI_STATUS, "partial"),
        };
        let retry_after = failure.and_then(|failure| failure.retry_after);
        let placed = if put.is_repeat { 0 } else { placed as u64 };
        Ok(Self { status, body: encode(&put.outcomes)?, outcome, placed, is_repeat: put.is_repeat, retry_after })
    }
}

fn encode(outcomes: &[PutOutcome]) -> Result<Bytes, IngestError> {
    // Many records, few shards: each id is written once.
    let mut shards: BTreeMap<ShardIndex, String> = BTreeMap::new();
    for placed in outcomes.iter().flatten() {
        shards.entry(placed.shard).or_insert_with(|| placed.shard.to_string());
    }
    let entry = |outcome: &PutOutcome| match outcome {
        Ok(placed) => Entry::Placed {
            shard_id: shards.get(&placed.shard).map(String::as_str).unwrap_or_default(),
            sequence_number: placed.sequence.to_string(),
        },
        Err(failure) => {
            let IngestError { code, message, .. } = IngestError::of_failure(failure);
            Entry::Failed { error: code.name(), message }
        }
    };
    let mut body = Vec::with_capacity(outcomes.len() * ENTRY_BYTES);
    let written = serde_json::to_writer(&mut body, &Body { records: outcomes.iter().map(entry).collect() });
    written.map_err(|error| IngestError::new(Code::Internal, format!("the answer could not be written: {error}")))?;
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use tidemill_stream::clock::Timestamp;
    use tidemill_stream::engine::Position;
    use tidemill_stream::put::{Placed, PutFailure};
    use tidemill_stream::sequence::SequenceNumber;
    use tidemill_stream::shard::{HashRange, Shard};

    use super::*;

    fn placed() -> Placed {
        let time = Timestamp::from_millis(1_700_000_000_000);
        let range = HashRange::uniform(1)[0];
        let shard = Shard { index: ShardIndex(0), range, created: time, parents: Vec::new(), closed: None };
        Placed { shard: shard.index, sequence: SequenceNumber::new(&shard, Position(7), time) }
    }

    fn answer(outcomes: Vec<PutOutcome>) -> Result<Answer, IngestError> {
        Answer::of(&OncePut { outcomes, is_repeat: false })
    }

    #[test]
    fn a_put_that_is_done_in_part_says_of_each_record_what_became_of_it() {
        let full = Err(PutFailure::Full("no space".to_owned()));
        let answer = answer(vec![Ok(placed()), full]).unwrap();
        assert_eq!((answer.status.as_u16(), answer.outcome, answer.placed), (207, "partial", 1));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(30)));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["records"][0]["shard_id"], "shardId-000000000000");
        assert_eq!(body["records"][1]["error"], "disk_full");
        assert_eq!(body["records"][1]["message"], "the disk is full: no space; send it again when there is space");
    }

    #[test]
    fn a_put_of_which_nothing_is_done_is_an_error() {
        for (failure, status, code, wait) in [
            (PutFailure::Throughput("9 bytes wait".to_owned()), 429, "over_capacity", Some(1)),
            (PutFailure::Full("no space".to_owned()), 507, "disk_full", Some(30)),
            (PutFailure::Internal("broken".to_owned()), 500, "internal", None),
        ] {
            let error = answer(vec![Err(failure.clone()), Err(failure)]).unwrap_err();
            assert_eq!((error.code.status().as_u16(), error.code.name()), (status, code));
            assert_eq!(error.retry_after.map(|wait| wait.as_secs()), wait, "{code}");
        }
    }
}
