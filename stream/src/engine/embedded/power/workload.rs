//! What is done to an engine while the recorder looks on: logs are made and dropped, records appended by several at a
//! time, documents changed, shards closed, and now and then the process ends, in good order or not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use rand::RngExt;
use rand::rngs::StdRng;

use super::facts::{Fact, MARK, RETENTION, SHARDS, log_id, name_of, read_all};
use super::recorder::Recorder;
use crate::clock::{Clock, Timestamp};
use crate::engine::embedded::{Embedded, EmbeddedOptions};
use crate::engine::{Append, Change, Durability, Engine, Expect, Generation, Key, LogId, LogSettings, MarkChange};
use crate::keys::{KEY_BYTES, KeyPrint, Keyring};
use crate::limits::BLOB_BYTES_MIN;
use crate::record::{PartitionKey, Record};
use crate::shard::ShardIndex;

const KEYS: u32 = 5;
const OPENINGS_MAX: usize = 20;
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn keys() -> Keyring {
    Keyring::new([("a".to_owned(), [1; KEY_BYTES]), ("b".to_owned(), [2; KEY_BYTES])])
}

pub(super) fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: [16 << 10, 32 << 10, 64 << 10, 64 << 10],
        checkpoint_bytes: 20_000,
        open_files_max: 6,
        tail_bytes_max: 100_000,
        reserve_bytes: 0,
        keys: keys(),
        ..EmbeddedOptions::default()
    }
}

pub(super) struct Workload<'a> {
    pub(super) recorder: Arc<Recorder>,
    pub(super) root: &'a Path,
    pub(super) chance: StdRng,
    logs: Vec<LogId>,
    next_log: u64,
    next_append: u32,
    versions: [u32; KEYS as usize],
    next_mark: u32,
    clock: Clock,
}

struct NewAppend {
    log: LogId,
    number: u32,
    records: Vec<(ShardIndex, Record)>,
    mark: Option<u32>,
}

impl<'a> Workload<'a> {
    pub(super) fn new(recorder: Arc<Recorder>, root: &'a Path, chance: StdRng) -> Self {
        let versions = [0; KEYS as usize];
        let clock = Clock::manual(START);
        recorder.note(Fact::Time(START));
        Self { recorder, root, chance, logs: Vec::new(), next_log: 1, next_append: 0, versions, next_mark: 0, clock }
    }

    /// The life of one process.
    pub(super) async fn live(&mut self, steps: usize) {
        self.recorder.revive();
        self.pass_time(Duration::from_millis(1));
        let clock = self.clock.clone();
        // Now and then a sync fails, here as anywhere: whoever starts the node tries again.
        let open = || Embedded::open_on(self.recorder.clone(), self.root, clock.clone(), options());
        let engine = (0..OPENINGS_MAX).find_map(|_| open().ok()).unwrap();
        self.look(&engine).await;
        if self.chance.random_bool(0.6) {
            self.recorder.kill_after(self.chance.random_range(0..400));
        }
        for _ in 0..steps {
            self.step(&engine).await;
        }
        if self.chance.random_bool(0.3) {
            engine.close();
        }
    }

    async fn step(&mut self, engine: &Embedded) {
        match self.chance.random_range(0..100) {
            0..6 => self.make_log(engine).await,
            6..8 => self.drop_log(engine).await,
            8..52 => self.append(engine).await,
            52..80 => self.change_documents(engine).await,
            80..82 => self.seal(engine).await,
            82..86 => {
                let hours = self.chance.random_range(2..16);
                self.pass_time(Duration::from_hours(hours));
            }
            86..89 => self.expire(engine).await,
            89..90 => self.change_retention(engine).await,
            90..93 => {
                engine.documents.flush().unwrap();
                self.recorder.keep_sled(false).unwrap();
            }
            _ => self.look(engine).await,
        }
    }

    async fn make_log(&mut self, engine: &Embedded) {
        if self.logs.len() >= 4 {
            return;
        }
        let log = log_id(self.next_log);
        self.next_log += 1;
        self.recorder.note(Fact::LogAsked(log));
        let settings = LogSettings { key: self.any_key(), ..LogSettings::kept_for(RETENTION) };
        if engine.log_put(log, settings).await.is_ok() {
            self.recorder.note(Fact::LogMade(log));
            self.logs.push(log);
        }
    }

    fn pass_time(&mut self, span: Duration) {
        let now = self.clock.now().plus(span);
        // Said first: from then on something may expire.
        self.recorder.note(Fact::Time(now));
        self.clock.set(now);
    }

    async fn expire(&mut self, engine: &Embedded) {
        let Some(log) = self.any_log() else { return };
        self.recorder.note(Fact::ExpiryAsked);
        let expired = engine.expire(log).await.unwrap_or_default();
        self.recorder.note(Fact::Expired(expired.bytes));
    }

    async fn change_retention(&mut self, engine: &Embedded) {
        let Some(log) = self.any_log() else { return };
        let retention = Duration::from_hours([6, 12, 48][self.chance.random_range(0..3)]);
        self.recorder.note(Fact::RetentionAsked { log, retention });
        let settings = LogSettings { key: self.any_key(), ..LogSettings::kept_for(retention) };
        if engine.log_put(log, settings).await.is_ok() {
            self.recorder.note(Fact::RetentionMade { log, retention });
        }
    }

    async fn drop_log(&mut self, engine: &Embedded) {
        if self.logs.len() > 2 {
            let log = self.logs.remove(0);
            self.recorder.note(Fact::LogDropAsked(log));
            let _ = engine.log_drop(log).await;
        }
    }

    /// Records are encrypted with one of two keys, or not.
    fn any_key(&mut self) -> Option<KeyPrint> {
        keys().named(["a", "b", "none"][self.chance.random_range(0..3)])
    }

    fn any_log(&mut self) -> Option<LogId> {
        (!self.logs.is_empty()).then(|| self.logs[self.chance.random_range(0..self.logs.len())])
    }

    /// Several producers at a time.
    async fn append(&mut self, engine: &Embedded) {
        let count = self.chance.random_range(1..4);
        let appends: Vec<_> = (0..count).filter_map(|index| self.new_append(index == 0)).collect();
        join_all(appends.into_iter().map(|new| Self::append_one(&self.recorder, engine, new))).await;
    }

    async fn append_one(recorder: &Recorder, engine: &Embedded, new: NewAppend) -> Option<()> {
        let NewAppend { log, number, records, mark } = new;
        let generation = engine.stats(log).await.ok()?.generation;
        let shards: Vec<ShardIndex> = records.iter().map(|(shard, _)| *shard).collect();
        let mut append = Append { records, marks: Vec::new() };
        if let Some(value) = mark {
            let expect = engine.mark(log, MARK).await.ok()?.map(|mark| mark.revision);
            let value = Bytes::copy_from_slice(&value.to_le_bytes());
            append.marks.push(MarkChange { key: Bytes::from_static(MARK), expect, value });
        }
        let appended = engine.append(log, generation, append).await.ok()?;
        let positions = shards.into_iter().zip(appended.positions).collect();
        recorder.note(Fact::Appended { log, append: number, positions, arrival: appended.arrival, mark });
        Some(())
    }

    fn new_append(&mut self, with_mark: bool) -> Option<NewAppend> {
        let log = self.any_log()?;
        let number = self.next_append;
        self.next_append += 1;
        let count = self.chance.random_range(1..6);
        let records = (0..count).map(|index| self.record(number, index)).collect();
        let mark = (with_mark && self.chance.random_bool(0.5)).then(|| {
            self.next_mark += 1;
            self.next_mark
        });
        self.recorder.note(Fact::AppendAsked { log, append: number, records: count, mark });
        Some(NewAppend { log, number, records, mark })
    }

    fn record(&mut self, append: u32, index: u32) -> (ShardIndex, Record) {
        let mut data = [append.to_le_bytes(), index.to_le_bytes()].concat();
        data.resize(8 + self.chance.random_range(0..1500), append as u8);
        let partition_key = PartitionKey::parse("key").unwrap();
        let shard = ShardIndex(self.chance.random_range(0..SHARDS));
        (shard, Record { partition_key, explicit_hash: None, data: data.into() })
    }

    /// Changes two documents, at the same time.
    async fn change_documents(&mut self, engine: &Embedded) {
        let first = self.chance.random_range(0..KEYS);
        let (one, other) = (self.new_change(first), self.new_change((first + 1) % KEYS));
        join(self.change(engine, one), self.change(engine, other)).await;
    }

    fn new_change(&mut self, key: u32) -> (Change, u32, Durability) {
        let version = &mut self.versions[key as usize];
        *version += 1;
        let version = *version;
        let bytes = if self.chance.random_bool(0.05) { BLOB_BYTES_MIN } else { self.chance.random_range(4..600) };
        let value = self.chance.random_bool(0.9).then(|| {
            let mut value = version.to_le_bytes().to_vec();
            value.resize(bytes, version as u8);
            Bytes::from(value)
        });
        let durability = if self.chance.random_bool(0.7) { Durability::Synced } else { Durability::Lazy };
        let key = format!("document/{key}");
        self.recorder.note(Fact::DocumentAsked { key: key.clone(), version, is_there: value.is_some() });
        (Change { key: Key::new(key), expect: Expect::Any, value }, version, durability)
    }

    async fn change(&self, engine: &Embedded, (change, version, durability): (Change, u32, Durability)) {
        let key = change.key.as_str().to_owned();
        // A lazy change may go back after a crash.
        if engine.compare_and_set(vec![change], durability).await.is_ok() && durability == Durability::Synced {
            self.recorder.note(Fact::DocumentMade { key, version });
        }
    }

    async fn seal(&mut self, engine: &Embedded) {
        let Some(log) = self.any_log() else { return };
        let Ok(stats) = engine.stats(log).await else { return };
        if let Ok(sealed) = engine.seal(log, stats.generation, &[], &[ShardIndex(0)]).await {
            assert_eq!(sealed.generation, Generation(stats.generation.0 + 1));
            self.recorder.note(Fact::Sealed { log, generation: sealed.generation });
        }
    }

    /// A reader: what it was given must stay.
    async fn look(&mut self, engine: &Embedded) {
        let Some(log) = self.any_log() else { return };
        for shard in (0..SHARDS).map(ShardIndex) {
            for record in read_all(engine, log, shard).await.unwrap_or_default() {
                let (position, arrival, name) = (record.position, record.arrival, name_of(&record.data));
                self.recorder.note(Fact::Seen { log, shard, position, arrival, name });
            }
        }
    }
}
