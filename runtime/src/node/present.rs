//! What the node has at this moment, as an inventory.
//!
//! Streams and functions are asked for; what was applied of triggers and of plain HTTP is remembered here. A node that
//! has just started knows its triggers by their documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_stream::store::Store;
use tidemill_stream::stream::{Stream, StreamMode};

use super::Deployed;
use crate::deploy::{FunctionItem, IngestItem, Inventory, Manifest, StreamItem, TriggerItem};
use crate::functions::{FunctionName, Functions};

/// Clones are one.
#[derive(Clone)]
pub(super) struct Present {
    store: Store,
    functions: Functions,
    deployed: Deployed,
    applied: Arc<Mutex<Applied>>,
}

/// What was applied last.
struct Applied {
    triggers: BTreeMap<String, TriggerItem>,
    ingest: IngestItem,
    /// Whether anything was, since the node started.
    is_any: bool,
}

impl Present {
    pub(super) fn new(
        store: &Store,
        functions: &Functions,
        deployed: &Deployed,
        triggers: BTreeMap<String, TriggerItem>,
    ) -> Self {
        let applied = Applied { triggers, ingest: IngestItem::default(), is_any: false };
        Self {
            store: store.clone(),
            functions: functions.clone(),
            deployed: Arc::clone(deployed),
            applied: Arc::new(Mutex::new(applied)),
        }
    }

    pub(super) fn inventory(&self) -> Inventory {
        let names: Vec<FunctionName> = self.deployed.lock().keys().cloned().collect();
        let function = |name: &FunctionName| Some((name.to_string(), self.function(name)?));
        let stream = |stream: &Arc<Stream>| (stream.name.as_str().to_owned(), stream_item(stream));
        let applied = self.applied.lock();
        Inventory {
            streams: self.store.streams().iter().filter(|stream| stream.name.space().is_own()).map(stream).collect(),
            functions: names.iter().filter_map(function).collect(),
            triggers: applied.triggers.clone(),
            ingest: applied.ingest.clone(),
        }
    }

    /// The version that is in place, whatever was asked for.
    fn function(&self, name: &FunctionName) -> Option<FunctionItem> {
        let watch = self.functions.watch(name);
        let deployment = watch.borrow();
        deployment.as_ref().map(|deployment| FunctionItem::of(deployment.version(), deployment.settings()))
    }

    /// Notes that this is what the node has now.
    pub(super) fn set(&self, manifest: &Manifest) {
        let (triggers, ingest) = (TriggerItem::by_name(&manifest.triggers), IngestItem::of(&manifest.ingest));
        *self.applied.lock() = Applied { triggers, ingest, is_any: true };
    }

    pub(super) fn is_applied(&self) -> bool {
        self.applied.lock().is_any
    }
}

fn stream_item(stream: &Stream) -> StreamItem {
    let retention_ms = u64::try_from(stream.retention.as_millis()).unwrap_or(u64::MAX);
    let shards = (stream.mode == StreamMode::Provisioned).then(|| stream.open_shards().count() as u64);
    let capacity = stream.capacity.map(|capacity| capacity.name().to_owned());
    StreamItem { shards, retention_ms, retention_bytes: stream.retention_bytes, capacity }
}
