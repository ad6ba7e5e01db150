//! Reading a log: blocks are found by the indexes, and come from the tail in memory or from their file.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::Access;
use super::frame::RECORD_HEAD_BYTES;
use super::index::{BlockRef, SegmentIndex};
use super::log::{Log, Segment};
use super::records::Records;
use super::sealing::{DataKey, Sealed};
use super::segment::corruption;
use super::state::ShardState;
use crate::clock::Timestamp;
use crate::engine::{Batch, Bound, LogError, ReadLimits, Seek};
use crate::record::StoredRecord;
use crate::shard::ShardIndex;

/// What a read may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Memory,
    Disk,
}

/// A block to be read.
struct Planned {
    shard: ShardIndex,
    block: BlockRef,
    segment: u32,
    path: Arc<Path>,
    key: Option<Arc<DataKey>>,
}

/// A segment that blocks lie in.
struct Home<'a> {
    segment: u32,
    path: &'a Arc<Path>,
    key: Option<&'a Arc<DataKey>>,
}

impl Log {
    /// Records of a shard. With [`Source::Memory`]: `None` when the next record is not in memory.
    pub(super) fn read(
        &self,
        shard: ShardIndex,
        from: Bound,
        limits: ReadLimits,
        source: Source,
    ) -> Result<Option<Batch>, LogError> {
        self.as_segments_go(|| self.read_once(shard, from, limits, source))
    }

    fn read_once(
        &self,
        shard: ShardIndex,
        from: Bound,
        limits: ReadLimits,
        source: Source,
    ) -> Result<Option<Batch>, LogError> {
        let view = self.view.read();
        let (state, shards) = (view.state.shards.get(&shard).copied().unwrap_or_default(), view.state.shards.len());
        let horizon = self.horizon(&view.state);
        drop(view);
        let batch = |records: Vec<StoredRecord>, next, skipped| Batch {
            records,
            next,
            tip: state.tip,
            closed_at: state.closed_at,
            skipped,
        };
        let start = from.max(state.gone_before.map_or(Bound::START, Bound::at));
        match state.tip.filter(|tip| start.admits(tip.position)) {
            None => return Ok(Some(batch(Vec::new(), start, start > from))),
            Some(tip) if tip.arrival < horizon => {
                return Ok(Some(batch(Vec::new(), Bound::after(tip.position), true)));
            }
            Some(_) => {}
        }
        let wanted =
            Plan { from: start, horizon, limits, records: 0, bytes: 0, blocks: Vec::new(), skipped: start > from };
        let Some(plan) = self.plan(shard, wanted, source)? else { return Ok(None) };
        let reading = (source == Source::Disk).then(|| self.cold.begin(shard));
        if let Some(reading) = &reading {
            self.fetch_ahead(&plan.blocks, reading.is_crowded(shards))?;
        }
        let Some(records) = self.gather(&plan.blocks, start, limits, source)? else { return Ok(None) };
        // Where nothing was found the next read says it.
        let Some(last) = records.last() else { return Ok(Some(batch(records, from, false))) };
        let next = Bound::after(last.position);
        Ok(Some(batch(records, next, plan.skipped)))
    }

    /// The blocks that a read needs, in order. No lock is held while footers are read; a segment that closes meanwhile
    /// ends the plan early, and the next read goes on there.
    fn plan(&self, shard: ShardIndex, mut plan: Plan, source: Source) -> Result<Option<Plan>, LogError> {
        let (closed, active) = self.segments(|segment| plan.from.admits(segment.next));
        for segment in closed {
            let index = match (self.index_in_memory(&segment), source) {
                (Some(index), _) => index,
                (None, Source::Memory) => return Ok(plan.found()),
                (None, Source::Disk) => match self.index_of(&segment) {
                    // It is read only for whether something was skipped.
                    Err(_) if segment.last_arrival < plan.horizon => continue,
                    index => index?,
                },
            };
            let home = Home { segment: segment.number, path: &segment.path, key: segment.key.as_ref() };
            if plan.add(&index, shard, &home) {
                return Ok(Some(plan));
            }
        }
        let view = self.view.read();
        if let Some(same) = view.active.as_ref().filter(|now| Some(now.number) == active) {
            let home = Home { segment: same.number, path: &same.path, key: same.key.as_ref() };
            plan.add(&same.index, shard, &home);
        }
        Ok(Some(plan))
    }

    /// The closed segments of this kind, and the number of the active one.
    pub(super) fn segments(&self, wanted: impl Fn(&Segment) -> bool) -> (Vec<Arc<Segment>>, Option<u32>) {
        let view = self.view.read();
        let kept = view.closed.iter().filter(|segment| segment.number >= view.state.kept_from);
        let closed = kept.filter(|segment| wanted(segment)).cloned().collect();
        (closed, view.active.as_ref().map(|active| active.number))
    }

    fn gather(
        &self,
        plan: &[Planned],
        from: Bound,
        limits: ReadLimits,
        source: Source,
    ) -> Result<Option<Vec<StoredRecord>>, LogError> {
        let planned_records: usize = plan.iter().map(|planned| planned.block.count as usize).sum();
        let mut records: Vec<StoredRecord> = Vec::with_capacity(planned_records.min(limits.records_max));
        let mut bytes = 0;
        for planned in plan {
            let Some(body) = self.body(planned, source)? else {
                return Ok((!records.is_empty()).then_some(records));
            };
            let mut reader = Records::new(body, planned.block.first, planned.block.arrival);
            let damaged = || self.damaged(planned, "a block holds fewer records than its head says");
            reader.skip_to(from.lowest()).ok_or_else(damaged)?;
            for record in reader {
                bytes += record.size_bytes();
                let full = records.len() >= limits.records_max || bytes > limits.bytes_max;
                if full && !records.is_empty() {
                    return Ok(Some(records));
                }
                records.push(record);
            }
        }
        Ok(Some(records))
    }

    /// Lets the system fetch all blocks at once: a shard's blocks lie apart, so it would not read ahead of itself. Where
    /// most shards are being read, what lies between is wanted as well, and one long stretch is fetched faster.
    fn fetch_ahead(&self, plan: &[Planned], is_crowded: bool) -> Result<(), LogError> {
        let missing = |planned: &&Planned| {
            let BlockRef { offset, len, .. } = planned.block;
            self.shared.tail.get(self.id, planned.segment, offset, len).is_none()
        };
        let missing: Vec<&Planned> = plan.iter().filter(missing).collect();
        for of_segment in missing.chunk_by(|a, b| a.segment == b.segment) {
            let Some((first, last)) = of_segment.first().zip(of_segment.last()) else { continue };
            let file = self.shared.files.shared(&first.path, Access::Read)?;
            if is_crowded {
                let (start, end) = (u64::from(first.block.offset), u64::from(last.block.offset + last.block.len));
                file.will_read(start, end - start);
            } else {
                for Planned { block, .. } in of_segment {
                    file.will_read(u64::from(block.offset), u64::from(block.len));
                }
            }
        }
        Ok(())
    }

    /// The records of a block.
    fn body(&self, planned: &Planned, source: Source) -> Result<Option<Bytes>, LogError> {
        let Some(bytes) = self.bytes_of(planned, source)? else { return Ok(None) };
        let Some(key) = &planned.key else { return Ok(Some(bytes)) };
        let BlockRef { count, first, arrival, .. } = planned.block;
        let block = Sealed { shard: planned.shard, count, first, arrival };
        let opened = key.open(self.id, &self.shared.keys, &block, bytes.into())?;
        let changed = || self.damaged(planned, "a block was sealed with another key, or is not what was sealed");
        opened.ok_or_else(changed).map(Some)
    }

    /// A block as it lies on the disk.
    fn bytes_of(&self, planned: &Planned, source: Source) -> Result<Option<Bytes>, LogError> {
        let BlockRef { offset, len, crc, .. } = planned.block;
        if let Some(body) = self.shared.tail.get(self.id, planned.segment, offset, len) {
            return Ok(Some(body));
        }
        if source == Source::Memory {
            return Ok(None);
        }
        let file = self.shared.files.shared(&planned.path, Access::Read)?;
        let body = file.read_at(u64::from(offset), len as usize)?;
        if crc32c::crc32c(&body) != crc {
            return Err(self.damaged(planned, "a block's checksum does not match"));
        }
        Ok(Some(body.into()))
    }

    fn damaged(&self, planned: &Planned, what: &str) -> LogError {
        corruption(self.id, &planned.path, u64::from(planned.block.offset), what)
    }

    /// Where a read from this place begins.
    pub(super) fn seek(&self, shard: ShardIndex, to: Seek) -> Result<Bound, LogError> {
        let view = self.view.read();
        let (state, horizon) = (view.state.shards.get(&shard).copied(), self.horizon(&view.state));
        drop(view);
        let ShardState { tip, gone_before, .. } = state.unwrap_or_default();
        let gone = gone_before.map_or(Bound::START, Bound::at);
        let Some(latest) = tip.map(|tip| Bound::after(tip.position)) else { return Ok(gone) };
        let since = match to {
            Seek::Latest => return Ok(latest),
            Seek::Horizon => horizon,
            Seek::Time(time) => time.max(horizon),
        };
        let found = self.as_segments_go(|| self.first_since(shard, since))?;
        Ok(found.map_or(latest, |bound| gone.max(bound)))
    }

    fn first_since(&self, shard: ShardIndex, time: Timestamp) -> Result<Option<Bound>, LogError> {
        loop {
            let (closed, active) = self.segments(|segment| segment.last_arrival >= time);
            for segment in closed {
                if let Some(block) = self.index_of(&segment)?.at_time(shard, time) {
                    return Ok(Some(Bound::at(block.first)));
                }
            }
            let view = self.view.read();
            if view.active.as_ref().map(|now| now.number) == active {
                let found = view.active.as_ref().and_then(|active| active.index.at_time(shard, time));
                return Ok(found.map(|block| Bound::at(block.first)));
            }
        }
    }

    /// Whether a reader at `from` has something to see.
    pub(super) fn has_news(&self, shard: ShardIndex, from: Bound) -> bool {
        let view = self.view.read();
        let shard = view.state.shards.get(&shard);
        shard.is_some_and(|shard| shard.closed_at.is_some() || shard.tip.is_some_and(|tip| from.admits(tip.position)))
    }
}

struct Plan {
    from: Bound,
    horizon: Timestamp,
    limits: ReadLimits,
    records: usize,
    bytes: usize,
    blocks: Vec<Planned>,
    /// Whether there are blocks behind the horizon.
    skipped: bool,
}

impl Plan {
    /// Adds a segment's blocks; true when there are enough.
    fn add(&mut self, index: &SegmentIndex, shard: ShardIndex, home: &Home<'_>) -> bool {
        let blocks = index.from(shard, self.from);
        let behind = blocks.partition_point(|block| block.arrival < self.horizon);
        self.skipped |= behind > 0;
        for block in blocks.get(behind..).unwrap_or_default() {
            let (path, key) = (Arc::clone(home.path), home.key.cloned());
            self.blocks.push(Planned { shard, block: *block, segment: home.segment, path, key });
            // The first block may begin before the bound: it does not count.
            if self.from.admits(block.first) {
                self.records += block.count as usize;
                self.bytes += block.len as usize - (RECORD_HEAD_BYTES * block.count as usize).min(block.len as usize);
            }
            if self.records >= self.limits.records_max || self.bytes >= self.limits.bytes_max {
                return true;
            }
        }
        false
    }

    /// What was found so far, if anything.
    fn found(self) -> Option<Self> {
        (!self.blocks.is_empty()).then_some(self)
    }
}
