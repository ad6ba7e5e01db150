//! A change of the shard map as the stream's document keeps it. Fields are numbered: new ones are added as options.

use minicbor::{Decode, Encode};

use super::{Opening, Reshard};
use crate::shard::{HashKey, HashRange, ShardIndex};

#[derive(Encode, Decode)]
pub(crate) struct StoredReshard {
    #[n(0)]
    open: Vec<StoredOpening>,
    #[n(1)]
    target: Option<u32>,
}

#[derive(Encode, Decode)]
struct StoredOpening {
    #[cbor(n(0), with = "minicbor::bytes")]
    start: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    end: [u8; 16],
    #[n(2)]
    parents: Vec<u32>,
}

impl From<&Reshard> for StoredReshard {
    fn from(reshard: &Reshard) -> Self {
        let opening = |opening: &Opening| StoredOpening {
            start: opening.range.start.0.to_be_bytes(),
            end: opening.range.end.0.to_be_bytes(),
            parents: opening.parents.iter().map(|parent| parent.0).collect(),
        };
        Self { open: reshard.open.iter().map(opening).collect(), target: reshard.target }
    }
}

impl From<StoredReshard> for Reshard {
    fn from(stored: StoredReshard) -> Self {
        let key = |bytes| HashKey(u128::from_be_bytes(bytes));
        let opening = |stored: StoredOpening| Opening {
            range: HashRange { start: key(stored.start), end: key(stored.end) },
            parents: stored.parents.into_iter().map(ShardIndex).collect(),
        };
        Self { open: stored.open.into_iter().map(opening).collect(), target: stored.target }
    }
}
