//! What holds for the whole node: so far, whether its account has committed itself to a least throughput, and so gets more
//! consumers and warm throughput (Kinesis `MinimumThroughputBillingCommitment`). Nothing is billed.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::engine::{DocumentError, Expect, Key};
use crate::error::StoreError;
use crate::limits::{CHANGE_TRIES_MAX, COMMITMENT_MIN};
use crate::store::Store;

const KEY: &str = "account";

/// A commitment that was made, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment {
    /// When it was made.
    pub started: Timestamp,
    /// When it ends or has ended, if it was ended.
    pub ends: Option<Timestamp>,
}

impl Commitment {
    /// Whether it holds at this time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }

    /// The first time at which it may end.
    pub fn earliest_end(&self) -> Timestamp {
        self.started.plus(COMMITMENT_MIN)
    }
}

/// The document. Fields are numbered: new ones are added with new numbers, as options.
#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    started_ms: u64,
    #[n(1)]
    ends_ms: Option<u64>,
}

impl Store {
    /// The commitment that was made last, if any ever was.
    pub async fn commitment(&self) -> Result<Option<Commitment>, StoreError> {
        self.commitment_with_place().await.map(|(commitment, _)| commitment)
    }

    /// Makes the commitment; takes back that it ends. One that holds goes on.
    pub async fn commit_throughput(&self) -> Result<Commitment, StoreError> {
        let change = |known: Option<Commitment>, now: Timestamp| match known {
            Some(known) if known.holds(now) => Commitment { ends: None, ..known },
            Some(_) | None => Commitment { started: now, ends: None },
        };
        self.change_commitment(change).await
    }

    /// Ends the commitment as early as that may be.
    pub async fn end_commitment(&self) -> Result<Option<Commitment>, StoreError> {
        self.change_commitment(|known, now| {
            known.map(|known| match known.ends {
                None => Commitment { ends: Some(known.earliest_end().max(now)), ..known },
                Some(_) => known,
            })
        })
        .await
    }

    async fn change_commitment<C: Copy + Into<Option<Commitment>>>(
        &self,
        change: impl Fn(Option<Commitment>, Timestamp) -> C,
    ) -> Result<C, StoreError> {
        for _ in 0..CHANGE_TRIES_MAX {
            let (before, expect) = self.commitment_with_place().await?;
            let changed = change(before, self.clock().now());
            let after: Option<Commitment> = changed.into();
            if after == before {
                return Ok(changed);
            }
            match self.change(Key::new(KEY), expect, after.map(encode)).await {
                Ok(_) => return Ok(changed),
                Err(DocumentError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DocumentError::Unknown.into())
    }

    async fn commitment_with_place(&self) -> Result<(Option<Commitment>, Expect), StoreError> {
        let Some(document) = self.engine().get(&Key::new(KEY)).await? else { return Ok((None, Expect::Absent)) };
        let stored: Stored = minicbor::decode(&document.value)
            .map_err(|error| StoreError::Unreadable { key: KEY.to_owned(), reason: error.to_string() })?;
        let commitment = Commitment {
            started: Timestamp::from_millis(stored.started_ms),
            ends: stored.ends_ms.map(Timestamp::from_millis),
        };
        Ok((Some(commitment), Expect::At(document.revision)))
    }
}

fn encode(commitment: Commitment) -> Bytes {
    let Commitment { started, ends } = commitment;
    let stored = Stored { started_ms: started.as_millis(), ends_ms: ends.map(Timestamp::as_millis) };
    minicbor::to_vec(stored).map(Bytes::from).unwrap_or_default()
}
