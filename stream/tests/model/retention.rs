//! Retention: the steps, and the model of what has expired.
//!
//! A log's horizon is now less the retention, and never steps back: not with the clock while the store is open, and not
//! when the retention becomes longer. What only the clock has moved may step back when the store is opened anew, unless
//! the log has noted it; how far it did is read off what is there.

use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::{Bound, LogId};
use tidemill_stream::name::StreamName;
use tidemill_stream::read::{ReadError, StartAt};
use tidemill_stream::retention::{RetentionChange, SetRetentionError};
use tidemill_stream::shard::{Closed, ShardIndex};

use super::records::{Kept, WHOLE};
use super::steps::{Target, Way};
use super::tally::Kind;
use super::world::World;

/// Behind which time a log's records are not read any more.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Horizon {
    /// While the store is open.
    seen: Timestamp,
    /// At least, whenever the store is opened.
    noted: Timestamp,
}

impl Kept {
    /// Behind which time records of a shard are not read any more.
    pub(crate) fn horizon(&self, shard: ShardIndex) -> Timestamp {
        self.horizons.get(&self.stream.log_of(shard)).copied().unwrap_or_default().seen
    }

    fn pass_time(&mut self, log: LogId, now: Timestamp) {
        let horizon = self.horizons.entry(log).or_default();
        horizon.seen = horizon.seen.max(now.minus(self.retention));
    }

    /// The logs of the shards that are listed.
    fn logs(&self) -> Vec<(LogId, ShardIndex)> {
        let mut logs: Vec<_> = self.map.all().map(|shard| (self.stream.log_of(shard.index), shard.index)).collect();
        logs.dedup_by_key(|(log, _)| *log);
        logs
    }

    /// Closed shards that have no record any more that is read.
    fn gone(&self, now: Timestamp) -> Vec<ShardIndex> {
        let is_old = |closed: Closed| closed.at < now.minus(self.retention);
        let old = self.map.closed().into_iter().filter(|shard| shard.closed.is_some_and(is_old));
        let is_empty = |shard: &ShardIndex| {
            let last = self.records(*shard).last();
            last.is_none_or(|last| last.arrival < self.horizon(*shard))
        };
        old.map(|shard| shard.index).filter(is_empty).collect()
    }
}

impl World {
    pub(crate) async fn set_retention(&mut self, target: Target, way: Way) {
        let name = self.target(target);
        let change = change_of(way);
        let changed = self.store().set_retention(&name, change).await;
        let now = self.clock.now();
        let Some(kept) = self.streams.get_mut(&name) else {
            assert!(matches!(changed, Err(SetRetentionError::NoStream(_))), "{changed:?}");
            return self.tally.in_vain(Kind::RetentionShorter);
        };
        let (RetentionChange::To(given) | RetentionChange::Increase(given) | RetentionChange::Decrease(given)) = change;
        let before = kept.retention;
        let is_wrong = match change {
            RetentionChange::To(_) => false,
            RetentionChange::Increase(given) => given < before,
            RetentionChange::Decrease(given) => given > before,
        };
        if is_wrong {
            let Err(SetRetentionError::WrongWay { current, given: refused, .. }) = changed else {
                panic!("{change:?} of {before:?}: {changed:?}")
            };
            assert_eq!((current, refused), (before, given));
            return self.tally.succeeded(Kind::RetentionWrongWay);
        }
        if given != before {
            for (log, _) in kept.logs() {
                kept.pass_time(log, now);
                let horizon = kept.horizons.entry(log).or_default();
                horizon.noted = horizon.noted.max(horizon.seen);
            }
        }
        kept.retention = given;
        kept.adopt(changed.unwrap());
        self.look_at_horizons().await;
        match given.cmp(&before) {
            std::cmp::Ordering::Less => self.tally.succeeded(Kind::RetentionShorter),
            std::cmp::Ordering::Greater => self.tally.succeeded(Kind::RetentionLonger),
            std::cmp::Ordering::Equal => self.tally.in_vain(Kind::RetentionLonger),
        }
    }

    /// Each log is looked at: so its horizon is what the model says, and stays so when the clock is set back.
    pub(crate) async fn look_at_horizons(&mut self) {
        let now = self.clock.now();
        for kept in self.streams.values() {
            for (_, shard) in kept.logs() {
                self.store().position(&kept.stream, shard, StartAt::TrimHorizon).await.unwrap();
            }
        }
        for kept in self.streams.values_mut() {
            for (log, _) in kept.logs() {
                kept.pass_time(log, now);
            }
        }
    }

    pub(crate) async fn expire(&mut self) {
        let expiry = self.store().expire().await;
        assert!(expiry.troubles.is_empty(), "{:?}", expiry.troubles);
        let now = self.clock.now();
        let names: Vec<StreamName> = self.streams.keys().cloned().collect();
        let mut gone = 0;
        for name in names {
            gone += self.let_shards_go(&name, now).await;
        }
        if gone > 0 {
            self.tally.succeeded(Kind::ShardsGone);
        }
        if expiry.bytes > 0 { self.tally.succeeded(Kind::Expire) } else { self.tally.in_vain(Kind::Expire) }
    }

    /// The shards that must have left a stream are gone, and no others are. Returns how many those are.
    async fn let_shards_go(&mut self, name: &StreamName, now: Timestamp) -> usize {
        let answered = self.store().stream(name).unwrap();
        let kept = self.streams.get_mut(name).unwrap();
        let (gone, before) = (kept.gone(now), std::sync::Arc::clone(&kept.stream));
        for shard in &gone {
            kept.map.remove(*shard);
            kept.shards.remove(shard);
        }
        kept.adopt(answered);
        for shard in &gone {
            let read = self.store().read(&self.streams[name].stream, *shard, Bound::START, WHOLE).await;
            assert!(matches!(read, Err(ReadError::NoShard(_))), "{read:?}");
            // Who has an older list of the shards finds that it has ended.
            let read = self.store().read(&before, *shard, Bound::START, WHOLE).await.unwrap();
            assert!(read.records.is_empty() && read.is_at_end, "{read:?}");
        }
        self.bookmarks.retain(|bookmark| bookmark.name != *name || !gone.contains(&bookmark.shard));
        gone.len()
    }

    /// After the store was opened: where the horizon of each log is, between what is noted and what was seen before.
    pub(crate) async fn settle_horizons(&mut self) {
        let now = self.clock.now();
        let mut settled = Vec::new();
        for (name, kept) in &self.streams {
            for (log, _) in kept.logs() {
                let Horizon { seen, noted } = kept.horizons.get(&log).copied().unwrap_or_default();
                let shards = kept.map.all().map(|shard| shard.index).filter(|shard| kept.stream.log_of(*shard) == log);
                let mut earliest = seen;
                for shard in shards {
                    let read = self.store().read(&kept.stream, shard, Bound::START, WHOLE).await.unwrap();
                    earliest = earliest.min(read.records.first().map_or(seen, |record| record.arrival));
                }
                let least = noted.max(now.minus(kept.retention));
                assert!(earliest >= least.min(seen), "{log}: a record of {earliest:?} is back; {least:?} was noted");
                settled.push((name.clone(), log, Horizon { seen: earliest.max(least), noted }));
            }
        }
        for (name, log, horizon) in settled {
            self.streams.get_mut(&name).unwrap().horizons.insert(log, horizon);
        }
    }
}

fn change_of(way: Way) -> RetentionChange {
    match way {
        Way::To(span) => RetentionChange::To(span),
        Way::Longer(span) => RetentionChange::Increase(span),
        Way::Shorter(span) => RetentionChange::Decrease(span),
    }
}
