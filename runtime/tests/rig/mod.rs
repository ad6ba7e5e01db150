//! What trigger tests share: a store in memory, a function that is a closure, and waits for facts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that goes wrong shall stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tidemill::deploy::{Start, TriggerRules, TriggerSpec};
use tidemill::functions::{Answer, Deployment, Emission, Emitted, FunctionName, Invocation, Invoke, InvokeError};
use tidemill::home::Home;
use tidemill::status::{Board, ShardStatus, TriggerStatus};
use tidemill::trigger::{Target, Targets, Triggers};
use tidemill_stream::clock::{Clock, Timestamp};
use tidemill_stream::engine::ReadLimits;
use tidemill_stream::engine::faulty::{Faulty, FaultyOptions};
use tidemill_stream::engine::memory::Memory;
use tidemill_stream::name::StreamName;
use tidemill_stream::read::StartAt;
use tidemill_stream::record::{PartitionKey, Record};
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tidemill_stream::stream::StreamMode;
use tokio::sync::watch;

/// When the tests' clocks begin.
pub(crate) const START_MS: u64 = 1_700_000_000_000;
/// Of paused time: passes at once when everybody sleeps.
const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) type Outcome = Pin<Box<dyn Future<Output = Result<Answer, InvokeError>> + Send>>;
type Function = Arc<dyn Fn(&Invocation) -> Outcome + Send + Sync>;

/// A call of the function.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) shard: ShardIndex,
    pub(crate) attempt: u32,
    pub(crate) data: Vec<String>,
    pub(crate) succeeded: bool,
    /// How often the first record was delivered in all.
    pub(crate) trigger_calls: usize,
}

pub(crate) struct Rig {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) board: Board,
    pub(crate) versions: watch::Sender<Option<Arc<Deployment>>>,
    triggers: Triggers,
    calls: watch::Sender<Vec<Call>>,
    function: Function,
}

pub(crate) fn succeeds() -> Outcome {
    emits(&[])
}

/// Succeeds, with these records (stream and data) for other streams.
pub(crate) fn emits(records: &[(&str, &str)]) -> Outcome {
    let emission = |(stream, data): &(&str, &str)| Emission {
        stream: StreamName::parse(stream).unwrap(),
        record: Record {
            partition_key: PartitionKey::parse("k").unwrap(),
            explicit_hash: None,
            data: Bytes::copy_from_slice(data.as_bytes()),
        },
    };
    let emitted = Emitted(records.iter().map(emission).collect());
    Box::pin(async { Ok(emitted.into()) })
}

pub(crate) fn fails(message: &'static str) -> Outcome {
    Box::pin(async move { Err(rig_error(message)) })
}

pub(crate) fn spec(name: &str, stream: &str, start: Start) -> TriggerSpec {
    let (name, function) = (name.to_owned(), FunctionName::parse("f").unwrap());
    let stream = StreamName::parse(stream).unwrap();
    TriggerSpec { name, stream, function, start, is_enabled: true, rules: TriggerRules::default() }
}

/// The trigger `t` on `orders` from the beginning on, with these rules.
pub(crate) fn spec_with(rules: TriggerRules) -> TriggerSpec {
    TriggerSpec { rules, ..spec("t", "orders", Start::TrimHorizon) }
}

pub(crate) fn data_of(calls: &[Call]) -> Vec<String> {
    calls.iter().flat_map(|call| call.data.clone()).collect()
}

impl Rig {
    pub(crate) async fn new(function: impl Fn(&Invocation) -> Outcome + Send + Sync + 'static) -> Self {
        Self::with_troubles(FaultyOptions { per_mille: BTreeMap::new(), ..FaultyOptions::default() }, function).await
    }

    /// Over an engine that makes these troubles.
    pub(crate) async fn with_troubles(
        troubles: FaultyOptions,
        function: impl Fn(&Invocation) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(START_MS));
        let engine = Faulty::new(Memory::new(clock.clone()), troubles);
        let store = Store::open(Arc::new(engine), clock.clone()).await.unwrap();
        Self::over(clock, store, watch::Sender::new(Vec::new()), Arc::new(function))
    }

    fn over(clock: Clock, store: Store, calls: watch::Sender<Vec<Call>>, function: Function) -> Self {
        let (versions, board) = (watch::Sender::new(None), Board::new());
        let targets = targets(&versions, &calls, &function);
        let triggers = Triggers::start(store.clone(), Home::default(), targets, board.clone());
        Self { clock, store, board, versions, triggers, calls, function }
    }

    pub(crate) async fn stopped(self) -> Self {
        self.triggers.stop().await;
        self
    }

    /// Other triggers over the same store, as after a restart.
    pub(crate) fn restarted(self) -> Self {
        Self::over(self.clock, self.store, self.calls, self.function)
    }

    pub(crate) async fn apply(&self, wanted: &[TriggerSpec]) {
        self.triggers.apply(wanted.to_vec()).await.unwrap();
    }

    pub(crate) async fn create_stream(&self, name: &str, shards: u32) {
        let (name, day) = (StreamName::parse(name).unwrap(), Duration::from_hours(24));
        self.store.create_stream(&name, shards, StreamMode::Provisioned, day).await.unwrap();
    }

    pub(crate) async fn delete_stream(&self, name: &str) {
        self.store.delete_stream(&StreamName::parse(name).unwrap()).await.unwrap();
    }

    /// Puts records whose data and key are their numbers; returns the data.
    pub(crate) async fn put(&self, stream: &str, numbers: Range<u32>) -> Vec<String> {
        let data: Vec<String> = numbers.map(|number| number.to_string()).collect();
        let record = |text: &String| Record {
            partition_key: PartitionKey::parse(text.as_str()).unwrap(),
            explicit_hash: None,
            data: text.clone().into(),
        };
        let records = data.iter().map(record).collect();
        let placed = self.store.put(&StreamName::parse(stream).unwrap(), records).await.unwrap();
        assert!(placed.iter().all(Result::is_ok));
        data
    }

    /// Puts records whose data are their numbers, of ten keys in turn.
    pub(crate) async fn put_of_ten_keys(&self, stream: &str, numbers: Range<u32>) {
        let record = |number: u32| Record {
            partition_key: PartitionKey::parse(format!("{}", number % 10)).unwrap(),
            explicit_hash: None,
            data: number.to_string().into(),
        };
        let (stream, records): (_, Vec<_>) = (StreamName::parse(stream).unwrap(), numbers.map(record).collect());
        for records in records.chunks(500) {
            let placed = self.store.put(&stream, records.to_vec()).await.unwrap();
            assert!(placed.iter().all(Result::is_ok));
        }
    }

    /// The data of all records of a stream of one shard.
    pub(crate) async fn data(&self, stream: &str) -> Vec<String> {
        let stream = self.store.stream(&StreamName::parse(stream).unwrap()).unwrap();
        let from = self.store.position(&stream, ShardIndex(0), StartAt::TrimHorizon).await.unwrap();
        let limits = ReadLimits { records_max: 10_000, bytes_max: 1 << 20 };
        let read = self.store.read(&stream, ShardIndex(0), from, limits).await.unwrap();
        read.records.iter().map(|record| String::from_utf8(record.data.to_vec()).unwrap()).collect()
    }

    pub(crate) async fn count_in_shard(&self, stream: &str, shard: u32) -> u64 {
        let stream = self.store.stream(&StreamName::parse(stream).unwrap()).unwrap();
        let from = self.store.position(&stream, ShardIndex(shard), StartAt::TrimHorizon).await.unwrap();
        let limits = ReadLimits { records_max: 10_000, bytes_max: 1 << 20 };
        self.store.read(&stream, ShardIndex(shard), from, limits).await.unwrap().records.len() as u64
    }

    /// Waits for this many calls; returns all.
    pub(crate) async fn calls(&self, count: usize) -> Vec<Call> {
        self.wait_for_calls(|calls| calls.len() >= count).await
    }

    /// Waits until calls that succeeded have had this many records; returns them.
    pub(crate) async fn delivered(&self, records: usize) -> Vec<Call> {
        let succeeded = |calls: &[Call]| -> Vec<Call> { calls.iter().filter(|call| call.succeeded).cloned().collect() };
        let calls = self.wait_for_calls(|calls| data_of(&succeeded(calls)).len() >= records).await;
        let calls = succeeded(&calls);
        assert_eq!(data_of(&calls).len(), records, "no more than that");
        calls
    }

    /// Waits until calls that succeeded have had so many records.
    pub(crate) async fn delivered_at_least(&self, records: usize) {
        let count =
            |calls: &[Call]| calls.iter().filter(|call| call.succeeded).map(|call| call.data.len()).sum::<usize>();
        self.wait_for_calls(|calls| count(calls) >= records).await;
    }

    async fn wait_for_calls(&self, enough: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        let mut calls = self.calls.subscribe();
        let found = tokio::time::timeout(PATIENCE, calls.wait_for(|calls| enough(calls))).await;
        found.unwrap_or_else(|_| panic!("waited in vain; there are {:?}", self.calls.borrow())).unwrap().clone()
    }

    /// Waits until the trigger's status in this shard is as wanted.
    pub(crate) async fn status(&self, trigger: &str, shard: u32, wanted: impl Fn(&ShardStatus) -> bool) -> ShardStatus {
        let is_it = |row: &TriggerStatus| row.key.trigger == trigger && row.key.shard == Some(ShardIndex(shard));
        self.row(|row| is_it(row) && wanted(&row.status)).await.status
    }

    /// Waits until the board has such a row.
    pub(crate) async fn row(&self, wanted: impl Fn(&TriggerStatus) -> bool) -> TriggerStatus {
        let mut ticks = tokio::time::interval(Duration::from_millis(1)); // of paused time
        for _ in 0..PATIENCE.as_millis() {
            if let Some(row) = self.board.snapshot().into_iter().find(|row| wanted(row)) {
                return row;
            }
            ticks.tick().await;
        }
        panic!("waited in vain; the board shows {:?}", self.board.snapshot());
    }

    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let documents = self.store.engine().list(prefix, None, 1000).await.unwrap();
        documents.iter().map(|document| document.key.as_str().to_owned()).collect()
    }

    /// The ids of all triggers that have cursors.
    pub(crate) async fn trigger_ids(&self) -> Vec<u64> {
        let id = |key: &String| u64::from_str_radix(key.split('/').nth(1).unwrap(), 16).unwrap();
        let ids: BTreeSet<u64> = self.keys("cursor/").await.iter().map(id).collect();
        ids.into_iter().collect()
    }
}

fn targets(
    versions: &watch::Sender<Option<Arc<Deployment>>>,
    calls: &watch::Sender<Vec<Call>>,
    function: &Function,
) -> Targets {
    let (versions, calls, function) = (versions.clone(), calls.clone(), function.clone());
    Arc::new(move |name| {
        let invoke = Box::new(Recorder { calls: calls.clone(), function: function.clone() });
        (name.as_str() == "f").then(|| Target { invoke, versions: versions.subscribe(), threads: None })
    })
}

struct Recorder {
    calls: watch::Sender<Vec<Call>>,
    function: Function,
}

#[async_trait]
impl Invoke for Recorder {
    async fn invoke(&mut self, invocation: &Invocation) -> Result<Answer, InvokeError> {
        let data: Vec<String> =
            invocation.records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect();
        let mut at = 0;
        self.calls.send_modify(|calls| {
            let trigger_calls = 1 + calls.iter().filter(|call| call.data.first() == data.first()).count();
            at = calls.len();
            calls.push(Call {
                shard: invocation.shard,
                attempt: invocation.attempt,
                data: data.clone(),
                succeeded: false,
                trigger_calls,
            });
        });
        let outcome = (self.function)(invocation).await;
        let succeeded = outcome.is_ok();
        self.calls.send_modify(|calls| calls[at].succeeded = succeeded);
        outcome
    }
}

fn rig_error(message: &'static str) -> InvokeError {
    InvokeError::Failed { message: message.to_owned() }
}
