//! What is written down of a run: what producers gave away, what was answered, listed, read and delivered, and what the
//! stream holds in the end. Nothing here knows how it came to be.

use std::collections::BTreeMap;

pub(crate) type ShardId = String;
/// A sequence number; all have as many digits, so they compare as text.
pub(crate) type Number = String;

/// What a record says of itself. No two records of a run are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Told {
    /// Each key has one producer.
    pub(crate) key: String,
    /// Rises with each record of the key.
    pub(crate) count: u64,
}

/// A record where somebody met it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Met {
    pub(crate) shard: ShardId,
    pub(crate) number: Number,
    pub(crate) record: Told,
}

/// When something was asked or answered: of two ticks the smaller one was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(crate) u64);

/// A range of the hash space, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) start: u128,
    pub(crate) end: u128,
}

impl Range {
    pub(crate) const ALL: Self = Self { start: 0, end: u128::MAX };
}

/// Where in a shard a reader began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    Horizon,
    At(Number),
    After(Number),
    /// The first record that arrived then or later.
    TimeMs(u64),
    /// Behind what was there at some moment between these.
    Latest {
        asked: Tick,
        answered: Tick,
    },
}

/// A child, as the end of its parent names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) id: ShardId,
    pub(crate) parents: Vec<ShardId>,
    pub(crate) range: Range,
}

/// One who read some shards to their ends, and then what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) starts: BTreeMap<ShardId, Start>,
    /// In the order of reading.
    pub(crate) seen: Vec<Met>,
    /// The children that the end of a shard named.
    pub(crate) ends: BTreeMap<ShardId, Vec<Child>>,
}

/// A record as the stream holds it in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) met: Met,
    pub(crate) arrival_ms: u64,
}

/// A shard as it is in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) range: Range,
    pub(crate) parents: Vec<ShardId>,
    pub(crate) is_open: bool,
    pub(crate) records: Vec<Kept>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// When each record was given away, answered or not.
    pub(crate) submitted: BTreeMap<Told, Tick>,
    pub(crate) acked: BTreeMap<Met, Tick>,
    /// The ranges of the open shards, whenever somebody asked.
    pub(crate) listings: Vec<Vec<Range>>,
    pub(crate) readers: Vec<Reader>,
    /// To the trigger's function, in order; the same record may come again.
    pub(crate) delivered: Vec<Met>,
    /// The shards after a crash and a new start.
    pub(crate) kept: BTreeMap<ShardId, Shard>,
}

impl History {
    /// All records that the stream holds.
    pub(crate) fn all_kept(&self) -> impl Iterator<Item = &Kept> {
        self.kept.values().flat_map(|shard| &shard.records)
    }

    /// The shards that took over from this one.
    pub(crate) fn children(&self, parent: &str) -> impl Iterator<Item = (&ShardId, &Shard)> {
        self.kept.iter().filter(move |(_, shard)| shard.parents.iter().any(|known| known == parent))
    }
}
