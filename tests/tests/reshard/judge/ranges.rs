//! Hash ranges: at every moment they cover the space exactly once, and what a shard had goes to its children.

use super::Violation;
use crate::history::{History, Range};

pub(super) fn judge(history: &History, found: &mut Vec<Violation>) {
    let open: Vec<Range> = history.kept.values().filter(|shard| shard.is_open).map(|shard| shard.range).collect();
    let listings = history.listings.iter().chain([&open]);
    found.extend(listings.filter(|listed| !cover(listed, Range::ALL)).cloned().map(Violation::NotCovered));
    for (id, shard) in history.kept.iter().filter(|(_, shard)| !shard.is_open) {
        let children: Vec<Range> = history.children(id).map(|(_, child)| child.range).collect();
        if !cover(&children, shard.range) {
            found.push(Violation::NotInherited { shard: id.clone(), children });
        }
    }
}

/// Whether the parts that lie in `whole` cover it exactly once, and none lies outside.
pub(super) fn cover(parts: &[Range], whole: Range) -> bool {
    if parts.iter().any(|part| part.start > whole.end || part.end < whole.start) {
        return false;
    }
    let clipped = |part: &Range| Range { start: part.start.max(whole.start), end: part.end.min(whole.end) };
    let mut parts: Vec<Range> = parts.iter().map(clipped).collect();
    parts.sort();
    let ends = parts.first().is_some_and(|first| first.start == whole.start)
        && parts.last().is_some_and(|last| last.end == whole.end);
    ends && parts.windows(2).all(|pair| pair[0].end.checked_add(1) == Some(pair[1].start))
}
