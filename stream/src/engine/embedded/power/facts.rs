//! What the outside asked for, was promised and saw; and whether an engine keeps it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::store::StoreFact;
use crate::clock::Timestamp;
use crate::engine::{Bound, DocumentError, Engine, Generation, Key, LogError, LogId, Position, ReadLimits, StreamId};
use crate::record::StoredRecord;
use crate::shard::ShardIndex;

pub(super) const SHARDS: u32 = 3;
pub(super) const MARK: &[u8] = b"mark";
/// Of a log that is made.
pub(super) const RETENTION: Duration = Duration::from_hours(12);
const READ: ReadLimits = ReadLimits { records_max: 7, bytes_max: 20_000 };

/// Names a record: the append it came with, and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) append: u32,
    pub(super) index: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Fact {
    LogAsked(LogId),
    LogMade(LogId),
    LogDropAsked(LogId),
    /// So many records, and the mark's new value if it was to move.
    AppendAsked {
        log: LogId,
        append: u32,
        records: u32,
        mark: Option<u32>,
    },
    Appended {
        log: LogId,
        append: u32,
        positions: Vec<(ShardIndex, Position)>,
        arrival: Timestamp,
        mark: Option<u32>,
    },
    /// A reader was given it.
    Seen {
        log: LogId,
        shard: ShardIndex,
        position: Position,
        arrival: Timestamp,
        name: Name,
    },
    /// The clock was set.
    Time(Timestamp),
    RetentionAsked {
        log: LogId,
        retention: Duration,
    },
    RetentionMade {
        log: LogId,
        retention: Duration,
    },
    ExpiryAsked,
    /// So many bytes were given back.
    Expired(u64),
    Sealed {
        log: LogId,
        generation: Generation,
    },
    /// Versions of a document grow; `None` deletes it.
    DocumentAsked {
        key: String,
        version: u32,
        is_there: bool,
    },
    DocumentMade {
        key: String,
        version: u32,
    },
    /// Of a store over the engine.
    Store(StoreFact),
}

/// All that counts at one moment.
#[derive(Debug, Default)]
pub(super) struct Promises {
    logs: BTreeMap<LogId, LogPromises>,
    documents: BTreeMap<String, DocumentPromises>,
    /// What the clock says.
    pub(super) now: Timestamp,
}

#[derive(Debug, Default)]
struct LogPromises {
    /// How long records may have been kept since the last time that it was sure.
    retentions: Vec<Duration>,
    /// Records that arrived before may have expired at some time.
    gone_before: Timestamp,
    arrivals: HashMap<Name, Timestamp>,
    is_made: bool,
    may_be_gone: bool,
    asked: HashMap<u32, u32>,
    kept: HashMap<Name, (ShardIndex, Position)>,
    mark_made: u32,
    mark_asked: u32,
    generation: u64,
}

#[derive(Debug, Default)]
struct DocumentPromises {
    /// Whether each version is there or deletes.
    asked: BTreeMap<u32, bool>,
    made: u32,
}

impl Promises {
    pub(super) fn after<'a>(facts: impl Iterator<Item = &'a Fact>) -> Self {
        let mut promises = Self::default();
        facts.for_each(|fact| promises.add(fact));
        promises
    }

    fn add(&mut self, fact: &Fact) {
        match fact {
            Fact::LogAsked(log) => self.logs.entry(*log).or_default().retentions = vec![RETENTION],
            Fact::LogMade(log) => self.logs.entry(*log).or_default().is_made = true,
            Fact::LogDropAsked(log) => self.logs.entry(*log).or_default().may_be_gone = true,
            Fact::AppendAsked { log, append, records, mark } => {
                let promises = self.logs.entry(*log).or_default();
                promises.asked.insert(*append, *records);
                promises.mark_asked = promises.mark_asked.max(mark.unwrap_or(0));
            }
            Fact::Appended { log, append, positions, arrival, mark } => {
                let promises = self.logs.entry(*log).or_default();
                for (index, place) in (0..).zip(positions) {
                    promises.keep(Name { append: *append, index }, *place, *arrival);
                }
                promises.mark_made = promises.mark_made.max(mark.unwrap_or(0));
            }
            Fact::Seen { log, shard, position, arrival, name } => {
                self.logs.entry(*log).or_default().keep(*name, (*shard, *position), *arrival);
            }
            Fact::Time(now) => {
                self.now = *now;
                self.logs.values_mut().for_each(|log| log.pass_time(*now));
            }
            Fact::RetentionAsked { log, retention } => {
                let promises = self.logs.entry(*log).or_default();
                promises.retentions.push(*retention);
                promises.pass_time(self.now);
            }
            Fact::RetentionMade { log, retention } => {
                self.logs.entry(*log).or_default().retentions = vec![*retention];
            }
            Fact::ExpiryAsked | Fact::Expired(_) | Fact::Store(_) => {}
            Fact::Sealed { log, generation } => self.logs.entry(*log).or_default().generation = generation.0,
            Fact::DocumentAsked { key, version, is_there } => {
                self.documents.entry(key.clone()).or_default().asked.insert(*version, *is_there);
            }
            Fact::DocumentMade { key, version } => self.documents.entry(key.clone()).or_default().made = *version,
        }
    }

    /// What an engine does not keep, if anything.
    pub(super) async fn check(&self, engine: &impl Engine) -> Result<(), String> {
        for (log, promises) in &self.logs {
            if !promises.may_be_gone {
                promises.check(engine, *log, self.now).await.map_err(|what| format!("log {log}: {what}"))?;
            }
        }
        for (key, promises) in &self.documents {
            promises.check(engine, key).await.map_err(|what| format!("document {key}: {what}"))?;
        }
        Ok(())
    }

    /// The logs that must be there.
    pub(super) fn logs(&self) -> impl Iterator<Item = LogId> {
        self.logs.iter().filter(|(_, promises)| promises.is_made && !promises.may_be_gone).map(|(log, _)| *log)
    }

    pub(super) fn dropped_logs(&self) -> impl Iterator<Item = LogId> {
        self.logs.iter().filter(|(_, promises)| promises.may_be_gone).map(|(log, _)| *log)
    }

    pub(super) fn kept_records(&self) -> usize {
        self.logs.values().map(|log| log.kept.keys().filter(|name| log.is_inside(**name)).count()).sum()
    }
}

impl LogPromises {
    fn keep(&mut self, name: Name, place: (ShardIndex, Position), arrival: Timestamp) {
        self.kept.insert(name, place);
        self.arrivals.insert(name, arrival);
    }

    fn pass_time(&mut self, now: Timestamp) {
        let shortest = self.retentions.iter().min().copied().unwrap_or(RETENTION);
        self.gone_before = self.gone_before.max(now.minus(shortest));
    }

    fn is_inside(&self, name: Name) -> bool {
        self.arrivals[&name] >= self.gone_before
    }

    async fn check(&self, engine: &impl Engine, log: LogId, now: Timestamp) -> Result<(), String> {
        let stats = match engine.stats(log).await {
            Err(LogError::NoLog(_)) if !self.is_made && self.kept.is_empty() => return Ok(()),
            stats => stats.map_err(|error| error.to_string())?,
        };
        if stats.generation.0 < self.generation {
            return Err(format!("generation {} was reached, and it is {}", self.generation, stats.generation.0));
        }
        let mark = engine.mark(log, MARK).await.map_err(|error| error.to_string())?;
        let mark = mark.map_or(0, |mark| u32::from_le_bytes(mark.value[..].try_into().unwrap()));
        if !(self.mark_made..=self.mark_asked).contains(&mark) {
            return Err(format!("the mark is {mark}; {} was made, {} was asked for", self.mark_made, self.mark_asked));
        }
        let mut found = HashMap::new();
        for shard in (0..SHARDS).map(ShardIndex) {
            for record in read_all(engine, log, shard).await? {
                let name = name_of(&record.data);
                let longest = self.retentions.iter().max().copied().unwrap_or(RETENTION);
                if record.arrival < now.minus(longest) {
                    return Err(format!("{name:?} expired, and is read"));
                }
                if found.insert(name, (shard, record.position)).is_some() {
                    return Err(format!("{name:?} is there twice"));
                }
            }
        }
        self.check_found(&found)
    }

    fn check_found(&self, found: &HashMap<Name, (ShardIndex, Position)>) -> Result<(), String> {
        for (name, place) in self.kept.iter().filter(|(name, _)| self.is_inside(**name)) {
            if found.get(name) != Some(place) {
                return Err(format!("{name:?} was promised at {place:?}, and is at {:?}", found.get(name)));
            }
        }
        let appends: BTreeSet<u32> = found.keys().map(|name| name.append).collect();
        for append in appends {
            let records = found.keys().filter(|name| name.append == append).count();
            if self.asked.get(&append).is_none_or(|asked| *asked as usize != records) {
                return Err(format!(
                    "{records} records of append {append}, of which {:?} were asked for",
                    self.asked.get(&append)
                ));
            }
        }
        Ok(())
    }
}

impl DocumentPromises {
    async fn check(&self, engine: &impl Engine, key: &str) -> Result<(), String> {
        let found = engine.get(&Key::new(key)).await.map_err(|error: DocumentError| error.to_string())?;
        let allowed: Vec<_> = self.asked.range(self.made..).collect();
        let is_allowed = match &found {
            Some(document) => {
                let version = version_of(&document.value);
                allowed.contains(&(&version, &true))
            }
            None => self.made == 0 || allowed.iter().any(|(_, is_there)| !**is_there),
        };
        let version = found.map(|document| version_of(&document.value));
        if is_allowed {
            Ok(())
        } else {
            Err(format!("found {version:?}; version {} was made, of {:?}", self.made, self.asked))
        }
    }
}

/// All records of a shard, which must come in order.
pub(super) async fn read_all(engine: &impl Engine, log: LogId, shard: ShardIndex) -> Result<Vec<StoredRecord>, String> {
    let (mut from, mut records) = (Bound::START, Vec::<StoredRecord>::new());
    loop {
        let batch = engine.read(log, shard, from, READ).await.map_err(|error| error.to_string())?;
        if batch.records.is_empty() && batch.is_at_tip() {
            return Ok(records);
        }
        if batch.records.is_empty() {
            return Err(format!("shard {shard} has nothing at {from:?}, and its tip is {:?}", batch.tip));
        }
        for record in batch.records {
            if records.last().is_some_and(|last| last.position >= record.position || last.arrival > record.arrival) {
                return Err(format!("shard {shard} steps back at {:?}", record.position));
            }
            records.push(record);
        }
        from = batch.next;
    }
}

pub(super) fn log_id(number: u64) -> LogId {
    LogId { stream: StreamId(number), part: 0 }
}

pub(super) fn name_of(data: &[u8]) -> Name {
    let number = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
    Name { append: number(0), index: number(4) }
}

/// The version that a document's content says; every byte of it is checked.
pub(super) fn version_of(value: &[u8]) -> u32 {
    let version = u32::from_le_bytes(value[..4].try_into().unwrap());
    assert!(value[4..].iter().all(|byte| *byte == version as u8), "the document is not what was written");
    version
}
