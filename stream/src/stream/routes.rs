//! Which open shard takes a hash key: a table of the open shards, in the order of their ranges.

use std::sync::OnceLock;

use crate::shard::{HashKey, Shard};

/// The table of one snapshot of a stream, made when it is first asked. A clone begins without one, as clones are changed.
#[derive(Debug, Default)]
pub(crate) struct Routes(OnceLock<Vec<(HashKey, usize)>>);

impl Routes {
    /// The open shard whose range holds the key.
    pub(crate) fn find<'s>(&self, shards: &'s [Shard], key: HashKey) -> Option<&'s Shard> {
        let table = self.0.get_or_init(|| table(shards));
        let behind = table.partition_point(|(start, _)| *start <= key);
        let (_, at) = behind.checked_sub(1).and_then(|at| table.get(at))?;
        shards.get(*at).filter(|shard| shard.range.contains(key))
    }
}

impl Clone for Routes {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Says nothing that the shards do not say.
impl PartialEq for Routes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Routes {}

fn table(shards: &[Shard]) -> Vec<(HashKey, usize)> {
    let open = shards.iter().enumerate().filter(|(_, shard)| shard.is_open());
    let mut table: Vec<_> = open.map(|(at, shard)| (shard.range.start, at)).collect();
    table.sort_unstable();
    table
}
