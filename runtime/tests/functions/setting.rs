//! A folder, the functions in it, and batches to call them with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tidemill::functions::{
    Deployed, FunctionLane, FunctionName, FunctionSettings, Functions, FunctionsOptions, Invocation, Invoke as _,
    InvokeError,
};
use tidemill::home::Home;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::Position;
use tidemill_stream::name::StreamName;
use tidemill_stream::record::{PartitionKey, StoredRecord};
use tidemill_stream::shard::ShardIndex;

use crate::lines;

pub(crate) struct Setting {
    pub(crate) functions: Functions,
    folder: TempDir,
}

impl Setting {
    pub(crate) fn new() -> Self {
        lines::catch();
        let folder = tempfile::tempdir().unwrap();
        let functions = open(&folder);
        Self { functions, folder }
    }

    /// A node that keeps no more than this many instances, and starts no more than this many for one call at once.
    pub(crate) fn with_instances(warm_max: usize, transient_max: usize) -> Self {
        lines::catch();
        let folder = tempfile::tempdir().unwrap();
        let options = FunctionsOptions {
            instances_warm_max: warm_max,
            instances_transient_max: transient_max,
            ..FunctionsOptions::new(folder.path())
        };
        let functions = Functions::open(&folder.path().join("compiled"), &options).unwrap();
        Self { functions, folder }
    }

    /// The same folder after a restart.
    pub(crate) fn restart(self) -> Self {
        let functions = open(&self.folder);
        Self { functions, ..self }
    }

    pub(crate) async fn deploy(&self, function: &str, wasm: Bytes, settings: FunctionSettings) -> Deployed {
        self.functions.deploy(&name(function), wasm, settings).await.unwrap()
    }

    pub(crate) fn lane(&self, function: &str) -> FunctionLane {
        self.functions.lane(&name(function))
    }

    /// The files of the compiled cache.
    pub(crate) fn compiled(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder.path().join("compiled")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn open(folder: &TempDir) -> Functions {
    Functions::open(&folder.path().join("compiled"), &FunctionsOptions::new(folder.path())).unwrap()
}

pub(crate) fn name(text: &str) -> FunctionName {
    FunctionName::parse(text).unwrap()
}

/// Settings with which `misbehave` does this.
pub(crate) fn mode(mode: &str) -> FunctionSettings {
    FunctionSettings { config: [("mode".to_owned(), mode.to_owned())].into(), ..FunctionSettings::default() }
}

/// A batch of records at positions 100, 101, ... with the keys `key-0`, `key-1`, ...
pub(crate) fn batch(payloads: &[&str]) -> Invocation {
    let record = |(index, data): (usize, &&str)| StoredRecord {
        position: Position(100 + index as u64),
        arrival: Timestamp::from_millis(1_795_000_123_456),
        partition_key: PartitionKey::parse(format!("key-{index}")).unwrap(),
        explicit_hash: None,
        data: Bytes::copy_from_slice(data.as_bytes()),
    };
    Invocation {
        request_id: "request-1".to_owned(),
        stream: StreamName::parse("orders").unwrap(),
        shard: ShardIndex(7),
        shard_created: Timestamp::from_millis(1_795_000_000_999),
        attempt: 1,
        records: payloads.iter().enumerate().map(record).collect::<Arc<[_]>>(),
        arns: Arc::new(Home::default().arns(&StreamName::parse("orders").unwrap(), "f")),
        window: None,
    }
}

/// Calls with one poisoned record. A call that does not end, which must never be, fails the test.
pub(crate) async fn poison(lane: &mut FunctionLane) -> Result<(), InvokeError> {
    tokio::time::timeout(Duration::from_mins(1), lane.invoke(&batch(&["poison"]))).await.unwrap().map(drop)
}

/// Calls with a harmless record; how many batches the instance that took it has seen.
pub(crate) async fn batches_seen(lane: &mut FunctionLane) -> u64 {
    lane.invoke(&batch(&["harmless"])).await.unwrap();
    let lines = lines::of(lane.name().as_str());
    lines.iter().rev().find_map(|line| line.message().strip_prefix("batches=")).unwrap().parse().unwrap()
}
