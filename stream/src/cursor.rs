//! Cursors: how far a trigger has come in a shard.
//!
//! A cursor is fixed durably when its trigger is made, and moves lazily: after a crash it may lag, and records are
//! delivered again. It moves by compare-and-set, so a stale owner never moves it.

mod progress;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::engine::{Bound, Change, DocumentError, Durability, Expect, Key, Position, Revision};
use crate::error::StoreError;
use crate::shard::ShardIndex;
use crate::store::Store;

pub use self::progress::{Progress, lane_of};

/// Tells one trigger from all others, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerId(pub u64);

/// How far a trigger has come in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What the next move must find.
    pub revision: Revision,
    /// What is processed.
    pub progress: Progress,
}

/// Why a cursor was not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveCursorError {
    /// Someone else moved it: the caller owns the shard no more.
    #[error("the cursor of shard {shard} was moved by someone else, to revision {found:?}")]
    Stale {
        /// The shard.
        shard: ShardIndex,
        /// The revision that is there, if there is still a cursor.
        found: Option<Revision>,
    },
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The document. Fields are numbered: new ones are added with new numbers, as options.
#[derive(Encode, Decode)]
struct Stored {
    /// All before it is processed.
    #[n(0)]
    bound: u64,
    /// The bounds of the lanes, where they are not all that one.
    #[n(1)]
    lanes: Option<Vec<u64>>,
    /// Those of earlier divisions into lanes that still say more.
    #[n(2)]
    former: Option<Vec<Vec<u64>>>,
}

impl Stored {
    fn progress(self) -> Option<Progress> {
        let bounds = |lanes: Vec<u64>| lanes.into_iter().map(|bound| Bound::at(Position(bound))).collect::<Vec<_>>();
        let lanes = self.lanes.unwrap_or_else(|| vec![self.bound]);
        let former = self.former.unwrap_or_default();
        Progress::stored(bounds(lanes), former.into_iter().map(bounds).collect())
    }
}

impl Store {
    /// The cursor of a trigger in a shard.
    pub async fn cursor(&self, trigger: TriggerId, shard: ShardIndex) -> Result<Option<Cursor>, StoreError> {
        let key = key_of(trigger, shard);
        let Some(document) = self.engine().get(&key).await? else { return Ok(None) };
        let progress =
            read(&document.value).map_err(|reason| StoreError::Unreadable { key: key.as_str().to_owned(), reason })?;
        Ok(Some(Cursor { revision: document.revision, progress }))
    }

    /// Makes cursors where there are none, durably, all or nothing together with other documents.
    pub async fn fix_cursors(
        &self,
        trigger: TriggerId,
        cursors: &[(ShardIndex, Bound)],
        with: Vec<Change>,
    ) -> Result<(), DocumentError> {
        let fix = |(shard, bound): &(ShardIndex, Bound)| Change {
            key: key_of(trigger, *shard),
            expect: Expect::Absent,
            value: Some(encode(&(*bound).into())),
        };
        let changes: Vec<Change> = cursors.iter().map(fix).chain(with).collect();
        self.change_all(&changes, Durability::Synced).await.map(drop)
    }

    /// Moves a cursor, unless someone else did meanwhile.
    pub async fn move_cursor(
        &self,
        trigger: TriggerId,
        shard: ShardIndex,
        from: &Cursor,
        to: Progress,
    ) -> Result<Cursor, MoveCursorError> {
        let change =
            Change { key: key_of(trigger, shard), expect: Expect::At(from.revision), value: Some(encode(&to)) };
        match self.change_all(&[change], Durability::Lazy).await {
            Ok(revisions) => {
                let revision = revisions.first().copied().unwrap_or(from.revision);
                Ok(Cursor { revision, progress: to })
            }
            Err(DocumentError::Conflict { found, .. }) => Err(MoveCursorError::Stale { shard, found }),
            Err(
                error @ (DocumentError::Unknown
                | DocumentError::TooLarge { .. }
                | DocumentError::Full(_)
                | DocumentError::Unavailable(_)),
            ) => Err(StoreError::from(error).into()),
        }
    }

    /// Forgets the cursors of a trigger in these shards.
    pub async fn drop_cursors(&self, trigger: TriggerId, shards: &[ShardIndex]) -> Result<(), DocumentError> {
        let change = |shard: &ShardIndex| Change { key: key_of(trigger, *shard), expect: Expect::Any, value: None };
        let changes: Vec<Change> = shards.iter().map(change).collect();
        self.change_all(&changes, Durability::Synced).await.map(drop)
    }
}

/// All documents of cursors begin so.
pub(crate) const PREFIX: &str = "cursor/";

fn key_of(trigger: TriggerId, shard: ShardIndex) -> Key {
    Key::new(format!("{PREFIX}{:016x}/{:010}", trigger.0, shard.0))
}

/// What a cursor's document says.
pub(crate) fn decode(key: &str, value: &[u8]) -> Result<(TriggerId, ShardIndex, Progress), String> {
    let name = key.strip_prefix(PREFIX).and_then(|name| name.split_once('/'));
    let ids = name.and_then(|(trigger, shard)| Some((u64::from_str_radix(trigger, 16).ok()?, shard.parse().ok()?)));
    let (trigger, shard) = ids.ok_or("it is not named as cursors are")?;
    Ok((TriggerId(trigger), ShardIndex(shard), read(value)?))
}

fn read(value: &[u8]) -> Result<Progress, String> {
    let stored: Stored = minicbor::decode(value).map_err(|error| error.to_string())?;
    stored.progress().ok_or_else(|| "it has more lanes than there can be".to_owned())
}

fn encode(progress: &Progress) -> Bytes {
    let positions = |lanes: &[Bound]| lanes.iter().map(|bound| bound.lowest().0).collect::<Vec<_>>();
    let low = progress.low();
    let is_even = progress.lanes().iter().all(|bound| *bound == low);
    let stored = Stored {
        bound: low.lowest().0,
        lanes: (!is_even).then(|| positions(progress.lanes())),
        former: progress.has_former().then(|| progress.former().iter().map(|lanes| positions(lanes)).collect()),
    };
    minicbor::to_vec(stored).map(Bytes::from).unwrap_or_default()
}
