//! What was asked of a store, what was answered and shown; and whether a store that is opened later keeps it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::super::facts::Name;
use super::map::{Reshape, check_follows, check_map};
use super::reader::{Found, read_stream};
use crate::clock::Timestamp;
use crate::engine::Position;
use crate::name::StreamName;
use crate::shard::ShardIndex;
use crate::store::Store;
use crate::stream::{Stream, StreamMode, StreamStatus};

/// Of a stream that is made.
pub(super) const RETENTION: Duration = Duration::from_hours(12);

/// What is done to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Kind {
    Open,
    Create,
    Delete,
    Put,
    Split,
    Merge,
    Count,
    Mode,
    Retention,
    Expire,
}

#[derive(Debug, Clone)]
pub(in super::super) enum StoreFact {
    Began(Kind),
    /// It was answered, and has changed something.
    Done(Kind),
    /// It was answered with an error, or there was nothing to do.
    InVain(Kind),
    Time(Timestamp),
    CreateAsked(StreamName),
    DeleteAsked(StreamName),
    Deleted(StreamName),
    ReshapeAsked(StreamName, Reshape),
    ModeAsked(StreamName, StreamMode),
    RetentionAsked(StreamName, Duration),
    /// Somebody was shown the stream.
    Shown {
        stream: Arc<Stream>,
        /// Nothing that was asked for before is in doubt any more.
        is_settled: bool,
    },
    PutAsked {
        name: StreamName,
        put: u32,
        keys: Vec<u8>,
    },
    /// Records were acknowledged, or a reader was given them.
    Kept(StreamName, Vec<(Name, Kept)>),
    /// The put was answered, whatever became of its records.
    PutAnswered(StreamName, u32),
}

/// All that counts at one moment.
#[derive(Debug, Default)]
pub(super) struct Promises {
    streams: BTreeMap<StreamName, StreamPromises>,
    pub(super) now: Timestamp,
    facts: usize,
}

#[derive(Debug, Default)]
pub(super) struct StreamPromises {
    shown: Option<Arc<Stream>>,
    may_be_gone: bool,
    is_gone: bool,
    asked: Vec<Reshape>,
    /// Those that it may have.
    modes: Vec<StreamMode>,
    retentions: Vec<Duration>,
    /// Records that arrived before may have expired.
    pub(super) gone_before: Timestamp,
    /// Records that arrived before have expired for good.
    pub(super) never_before: Timestamp,
    pub(super) puts: HashMap<u32, PutPromises>,
    pub(super) kept: HashMap<Name, Kept>,
}

/// Where a record is, and when it arrived.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Kept {
    pub(super) place: (ShardIndex, Position),
    pub(super) arrival: Timestamp,
}

/// A put: the key of each record, and when it was asked for and answered, counted in facts.
#[derive(Debug)]
pub(super) struct PutPromises {
    pub(super) keys: Vec<u8>,
    pub(super) asked: usize,
    pub(super) answered: Option<usize>,
}

impl Promises {
    pub(super) fn after<'a>(facts: impl Iterator<Item = &'a StoreFact>) -> Self {
        let mut promises = Self::default();
        facts.for_each(|fact| promises.add(fact));
        promises
    }

    fn add(&mut self, fact: &StoreFact) {
        self.facts += 1;
        match fact {
            StoreFact::Began(_) | StoreFact::Done(_) | StoreFact::InVain(_) => {}
            StoreFact::Time(now) => {
                self.now = *now;
                self.streams.values_mut().for_each(|stream| stream.pass_time(*now));
            }
            StoreFact::CreateAsked(name) => {
                let (modes, retentions) = (vec![StreamMode::Provisioned], vec![RETENTION]);
                self.streams.insert(name.clone(), StreamPromises { modes, retentions, ..StreamPromises::default() });
            }
            StoreFact::DeleteAsked(name) => self.stream(name).may_be_gone = true,
            StoreFact::Deleted(name) => self.stream(name).is_gone = true,
            StoreFact::ReshapeAsked(name, reshape) => self.stream(name).asked.push(*reshape),
            StoreFact::ModeAsked(name, mode) => self.stream(name).modes.push(*mode),
            StoreFact::RetentionAsked(name, retention) => self.ask_retention(name, *retention),
            StoreFact::Shown { stream, is_settled } => self.stream(&stream.name).show(stream, *is_settled),
            StoreFact::PutAsked { name, put, keys } => {
                let promises = PutPromises { keys: keys.clone(), asked: self.facts, answered: None };
                self.stream(name).puts.insert(*put, promises);
            }
            StoreFact::Kept(name, records) => self.stream(name).kept.extend(records.iter().copied()),
            StoreFact::PutAnswered(name, put) => {
                let facts = self.facts;
                self.stream(name).puts.get_mut(put).unwrap().answered = Some(facts);
            }
        }
    }

    fn stream(&mut self, name: &StreamName) -> &mut StreamPromises {
        self.streams.get_mut(name).unwrap()
    }

    /// Each log has one of the retentions that are possible until now, and notes its horizon when it gets another.
    fn ask_retention(&mut self, name: &StreamName, retention: Duration) {
        let now = self.now;
        let promises = self.stream(name);
        promises.never_before = promises.never_before.max(now.minus(promises.longest()));
        promises.retentions.push(retention);
        promises.pass_time(now);
    }

    /// What a store does not keep, if anything.
    pub(super) async fn check(&self, store: &Store) -> Result<(), String> {
        for stream in store.streams() {
            if self.streams.get(&stream.name).is_none_or(|promises| promises.is_gone) {
                return Err(format!("nobody has the stream {}", stream.name));
            }
        }
        for (name, promises) in &self.streams {
            promises.check(store, name, self.now).await.map_err(|what| format!("stream {name}: {what}"))?;
        }
        Ok(())
    }

    pub(super) fn kept_records(&self) -> usize {
        let there = self.streams.values().filter(|promises| !promises.may_be_gone);
        there.map(|promises| promises.kept.values().filter(|kept| kept.arrival >= promises.gone_before).count()).sum()
    }
}

impl StreamPromises {
    fn longest(&self) -> Duration {
        self.retentions.iter().max().copied().unwrap_or(RETENTION)
    }

    fn pass_time(&mut self, now: Timestamp) {
        let shortest = self.retentions.iter().min().copied().unwrap_or(RETENTION);
        self.gone_before = self.gone_before.max(now.minus(shortest));
    }

    fn show(&mut self, stream: &Arc<Stream>, is_settled: bool) {
        if self.shown.as_ref().is_none_or(|shown| shown.revision < stream.revision) {
            self.shown = Some(Arc::clone(stream));
        }
        if is_settled {
            self.may_be_gone = false;
            self.modes = vec![stream.mode];
            self.retentions = vec![stream.retention];
        }
    }

    async fn check(&self, store: &Store, name: &StreamName, now: Timestamp) -> Result<(), String> {
        let Ok(found) = store.stream(name) else {
            let is_right = self.shown.is_none() || self.may_be_gone;
            return if is_right { Ok(()) } else { Err("it is not there".to_owned()) };
        };
        if found.status == StreamStatus::Updating {
            let error = store.finish_reshard(found).await.err().map(|error| error.to_string());
            return Err(format!("its shards were left half changed: {error:?}"));
        }
        check_map(&found)?;
        if let Some(shown) = &self.shown {
            check_follows(shown, &found, &self.asked, self.gone_before)?;
        }
        if !self.modes.contains(&found.mode) || !self.retentions.contains(&found.retention) {
            let (mode, retention) = (found.mode, found.retention);
            return Err(format!("it is {mode:?} for {retention:?}, not of {:?}, {:?}", self.modes, self.retentions));
        }
        let records = read_stream(store, &found).await?;
        self.check_records(&found, &records, now)
    }

    fn check_records(&self, stream: &Stream, records: &[Found], now: Timestamp) -> Result<(), String> {
        let never_before = self.never_before.max(now.minus(self.longest()));
        let mut found = HashMap::new();
        for record in records {
            let name = record.name;
            if record.arrival < never_before {
                return Err(format!("{name:?} expired, and is read"));
            }
            let put = self.puts.get(&name.append).ok_or_else(|| format!("nobody put {name:?}"))?;
            if put.keys.get(name.index as usize) != Some(&record.key) {
                return Err(format!("{name:?} has the key {}, of {:?}", record.key, put.keys));
            }
            if found.insert(name, record.place).is_some() {
                return Err(format!("{name:?} is there twice"));
            }
        }
        for (name, Kept { place, arrival }) in &self.kept {
            if *arrival >= self.gone_before && found.get(name) != Some(place) {
                return Err(format!("{name:?} was promised at {place:?}, and is at {:?}", found.get(name)));
            }
        }
        self.check_whole_puts(stream, &found)?;
        self.check_order(records)
    }

    /// In one log a put is there wholly or not at all.
    fn check_whole_puts(&self, stream: &Stream, found: &HashMap<Name, (ShardIndex, Position)>) -> Result<(), String> {
        if stream.logs().count() > 1 {
            return Ok(());
        }
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for name in found.keys() {
            *counts.entry(name.append).or_default() += 1;
        }
        let is_part = |(put, count): &(&u32, &usize)| self.puts.get(put).is_some_and(|put| put.keys.len() != **count);
        match counts.iter().find(is_part) {
            Some((put, count)) => Err(format!("{count} records of put {put}, {:?}", self.puts.get(put))),
            None => Ok(()),
        }
    }

    /// Along the shards of a key, in the order of their sequence numbers: nothing is before what was answered before it
    /// was asked for, and the records of one put are in their order.
    fn check_order(&self, records: &[Found]) -> Result<(), String> {
        let mut sorted: Vec<&Found> = records.iter().collect();
        sorted.sort_by_key(|record| (record.key, record.sequence));
        for of_key in sorted.chunk_by(|one, other| one.key == other.key) {
            let mut latest: Option<(usize, Name)> = None;
            for record in of_key {
                let Some(put) = self.puts.get(&record.name.append) else { continue };
                if let Some((asked, before)) = latest {
                    let is_late = put.answered.is_some_and(|answered| answered < asked);
                    let is_swapped = before.append == record.name.append && before.index > record.name.index;
                    if is_late || is_swapped {
                        return Err(format!("key {}: {before:?} lies before {:?}", record.key, record.name));
                    }
                }
                latest = latest.filter(|(asked, _)| *asked > put.asked).or(Some((put.asked, record.name)));
            }
        }
        Ok(())
    }
}
