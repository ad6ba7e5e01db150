//! A trigger as it is kept: one document, made together with its cursors.
//!
//! Its positions are fixed durably when it is created, those of `latest` too, so that a restart neither skips nor
//! repeats what arrived before.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use minicbor::{Decode, Encode};
use rand::Rng;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::engine::{Bound, Change, Document, DocumentError, Durability, Expect, Key, Revision, StreamId};
use tidemill_stream::error::StoreError;
use tidemill_stream::read::{PositionError, ReadError, StartAt};
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::store::Store;
use tidemill_stream::stream::Stream;
use tracing::info;

use crate::deploy::{Start, TriggerItem, TriggerSpec};

/// All documents of triggers begin so.
pub(crate) const PREFIX: &str = "trigger/";
/// The first byte of a document. Another number means another layout.
const FORMAT: u8 = 1;
/// Documents that one page of a listing holds.
const PAGE_DOCUMENTS: usize = 256;

/// Why a trigger was not set up or removed.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// Its first positions could not be found.
    #[error("cannot find where the trigger '{trigger}' starts: {source}")]
    Position {
        /// The trigger.
        trigger: String,
        /// Why.
        source: PositionError,
    },
    /// Its documents could not be read or changed.
    #[error("cannot keep the trigger '{trigger}': {source}")]
    Store {
        /// The trigger.
        trigger: String,
        /// Why.
        source: StoreError,
    },
}

impl TriggerError {
    /// Whether the stream was deleted meanwhile.
    pub(super) fn is_stream_gone(&self) -> bool {
        matches!(self, Self::Position { source: PositionError::Read(ReadError::NoStream(_)), .. })
    }
}

/// The content of the document. Fields are numbered: new ones are added with new numbers, as options.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Stored {
    #[n(0)]
    id: u64,
    #[n(1)]
    stream_id: u64,
    #[n(2)]
    stream: String,
    #[n(3)]
    function: String,
    #[n(4)]
    start: StoredStart,
    /// The shards that have a cursor.
    #[n(5)]
    shards: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
enum StoredStart {
    #[n(0)]
    TrimHorizon,
    #[n(1)]
    Latest,
    #[n(2)]
    At(#[n(0)] u64),
}

impl From<Start> for StoredStart {
    fn from(start: Start) -> Self {
        match start {
            Start::TrimHorizon => Self::TrimHorizon,
            Start::Latest => Self::Latest,
            Start::At(time) => Self::At(time.as_millis()),
        }
    }
}

impl From<StoredStart> for Start {
    fn from(start: StoredStart) -> Self {
        match start {
            StoredStart::TrimHorizon => Self::TrimHorizon,
            StoredStart::Latest => Self::Latest,
            StoredStart::At(millis) => Self::At(Timestamp::from_millis(millis)),
        }
    }
}

/// The triggers that have documents. How large their batches were is not kept.
pub(crate) async fn kept(store: &Store) -> Result<BTreeMap<String, TriggerItem>, TriggerError> {
    let mut found = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.engine().list(PREFIX, after.as_ref(), PAGE_DOCUMENTS).await;
        let page = page.map_err(|error| failed("(all)", error.into()))?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.key.clone());
        for document in &page {
            let name = document.key.as_str().strip_prefix(PREFIX).unwrap_or_default();
            let Stored { stream, function, start, .. } = decode(document).map_err(|source| failed(name, source))?;
            let start = Start::from(start).to_string();
            found.insert(name.to_owned(), TriggerItem::unknown(stream, function, start));
        }
    }
}

/// Makes the trigger's documents what the manifest and the stream ask for; returns its id.
///
/// A trigger that is there already keeps its cursors, unless its stream or its start is another.
pub(super) async fn ensure(
    store: &Store,
    spec: &TriggerSpec,
    stream: &Stream,
    random: &mut (dyn Rng + Send),
) -> Result<TriggerId, TriggerError> {
    let found = read(store, &spec.name).await.map_err(|source| failed(&spec.name, source))?;
    let Some((document, stored)) = found else {
        return create(store, spec, stream, None, random).await;
    };
    if stored.stream_id != stream.id.0 || stored.start != spec.start.into() {
        return create(store, spec, stream, Some((&document, &stored)), random).await;
    }
    let born = unknown_shards(&stored, stream);
    if stored.function == spec.function.as_str() && born.is_empty() {
        return Ok(TriggerId(stored.id));
    }
    if stored.function != spec.function.as_str() {
        info!(trigger = spec.name, from = stored.function, to = %spec.function, "the trigger has another function now");
    }
    let shards = stored.shards.iter().copied().chain(born.iter().map(|(shard, _)| shard.0)).collect();
    let changed = Stored { function: spec.function.to_string(), shards, ..stored };
    let change =
        Change { key: key_of(&spec.name), expect: Expect::At(document.revision), value: Some(encode(&changed)) };
    let outcome = store.fix_cursors(TriggerId(changed.id), &born, vec![change]).await;
    settle(store, &spec.name, &changed, outcome).await?;
    Ok(TriggerId(changed.id))
}

/// Shards that were born after the trigger was made, or last looked: it reads them from their beginning.
fn unknown_shards(stored: &Stored, stream: &Stream) -> Vec<(ShardIndex, Bound)> {
    let known: BTreeSet<u32> = stored.shards.iter().copied().collect();
    let born = stream.shards.iter().filter(|shard| !known.contains(&shard.index.0));
    born.map(|shard| (shard.index, Bound::START)).collect()
}

/// Takes away the documents of triggers that nobody wants any more; returns their names.
pub(super) async fn remove_others(store: &Store, wanted: &[TriggerSpec]) -> Result<Vec<String>, TriggerError> {
    let mut removed = Vec::new();
    let mut after = None;
    loop {
        let page = store.engine().list(PREFIX, after.as_ref(), PAGE_DOCUMENTS).await;
        let page = page.map_err(|error| failed("(all)", error.into()))?;
        let Some(last) = page.last() else { return Ok(removed) };
        after = Some(last.key.clone());
        for document in &page {
            let name = document.key.as_str().strip_prefix(PREFIX).unwrap_or_default();
            if !wanted.iter().any(|spec| spec.name == name) {
                remove(store, name, document).await?;
                removed.push(name.to_owned());
            }
        }
    }
}

async fn remove(store: &Store, name: &str, document: &Document) -> Result<(), TriggerError> {
    let stored = decode(document).map_err(|source| failed(name, source))?;
    write(store, name, Expect::At(document.revision), None).await?;
    drop_cursors(store, name, &stored).await
}

/// A new trigger with positions of its own, in place of an old one if there is one: all in one change.
async fn create(
    store: &Store,
    spec: &TriggerSpec,
    stream: &Stream,
    old: Option<(&Document, &Stored)>,
    random: &mut (dyn Rng + Send),
) -> Result<TriggerId, TriggerError> {
    let start = effective_start(spec, old.map(|(_, stored)| stored), stream.id);
    let cursors = positions(store, &spec.name, stream, start).await?;
    let id = TriggerId(random.next_u64());
    let stored = Stored {
        id: id.0,
        stream_id: stream.id.0,
        stream: stream.name.as_str().to_owned(),
        function: spec.function.to_string(),
        start: spec.start.into(),
        shards: cursors.iter().map(|(shard, _)| shard.0).collect(),
    };
    let expect = old.map_or(Expect::Absent, |(document, _)| Expect::At(document.revision));
    let change = Change { key: key_of(&spec.name), expect, value: Some(encode(&stored)) };
    settle(store, &spec.name, &stored, store.fix_cursors(id, &cursors, vec![change]).await).await?;
    match old {
        None => info!(trigger = spec.name, stream = stored.stream, start = ?start, "trigger created"),
        Some((_, old)) => {
            info!(trigger = spec.name, stream = stored.stream, start = ?start, old_stream = old.stream, old_start = ?old.start,
                "the trigger's stream or start has changed: it starts afresh");
            drop_cursors(store, &spec.name, old).await?;
        }
    }
    Ok(id)
}

/// A stream that was made anew under the name that the trigger waits for has only records that came after the trigger:
/// `latest` then means all of them.
fn effective_start(spec: &TriggerSpec, old: Option<&Stored>, stream: StreamId) -> Start {
    let made_anew = old.is_some_and(|old| {
        old.stream == spec.stream.as_str() && old.stream_id != stream.0 && old.start == spec.start.into()
    });
    match spec.start {
        Start::Latest if made_anew => Start::TrimHorizon,
        start @ (Start::TrimHorizon | Start::Latest | Start::At(_)) => start,
    }
}

async fn positions(
    store: &Store,
    trigger: &str,
    stream: &Stream,
    start: Start,
) -> Result<Vec<(ShardIndex, Bound)>, TriggerError> {
    let start = match start {
        Start::TrimHorizon => StartAt::TrimHorizon,
        Start::Latest => StartAt::Latest,
        Start::At(time) => StartAt::Time(time),
    };
    let mut positions = Vec::with_capacity(stream.shards.len());
    for shard in &stream.shards {
        let bound = store.position(stream, shard.index, start).await;
        let bound = bound.map_err(|source| TriggerError::Position { trigger: trigger.to_owned(), source })?;
        positions.push((shard.index, bound));
    }
    Ok(positions)
}

/// An unknown outcome is settled by reading: the id is random, so only our own change can have written it.
async fn settle(
    store: &Store,
    trigger: &str,
    meant: &Stored,
    outcome: Result<(), DocumentError>,
) -> Result<(), TriggerError> {
    match outcome {
        Ok(()) => Ok(()),
        Err(DocumentError::Unknown) => {
            let found = read(store, trigger).await.map_err(|source| failed(trigger, source))?;
            let happened = found.is_some_and(|(_, stored)| stored == *meant);
            if happened { Ok(()) } else { Err(failed(trigger, DocumentError::Unknown.into())) }
        }
        Err(error) => Err(failed(trigger, error.into())),
    }
}

async fn drop_cursors(store: &Store, trigger: &str, stored: &Stored) -> Result<(), TriggerError> {
    let shards: Vec<ShardIndex> = stored.shards.iter().copied().map(ShardIndex).collect();
    store.drop_cursors(TriggerId(stored.id), &shards).await.map_err(|error| failed(trigger, error.into()))
}

async fn write(store: &Store, trigger: &str, expect: Expect, value: Option<Bytes>) -> Result<(), TriggerError> {
    let change = Change { key: key_of(trigger), expect, value };
    let written = store.engine().compare_and_set(vec![change], Durability::Synced).await;
    written.map(drop).map_err(|error| failed(trigger, error.into()))
}

async fn read(store: &Store, trigger: &str) -> Result<Option<(Document, Stored)>, StoreError> {
    let Some(document) = store.engine().get(&key_of(trigger)).await? else { return Ok(None) };
    let stored = decode(&document)?;
    Ok(Some((document, stored)))
}

fn decode(document: &Document) -> Result<Stored, StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { key: document.key.as_str().to_owned(), reason };
    match document.value.split_first() {
        Some((&FORMAT, content)) => minicbor::decode(content).map_err(|error| unreadable(error.to_string())),
        Some((format, _)) => Err(unreadable(format!("its format is {format}, this version knows {FORMAT}"))),
        None => Err(unreadable("it is empty".to_owned())),
    }
}

#[expect(clippy::expect_used, reason = "encoding into memory has no way to fail")]
fn encode(stored: &Stored) -> Bytes {
    let mut bytes = vec![FORMAT];
    minicbor::encode(stored, &mut bytes).expect("memory takes every byte");
    bytes.into()
}

/// The trigger that a document keeps, and the stream that it reads; `None` for a document of something else.
pub(crate) fn of_document(key: &str, value: &[u8]) -> Result<Option<(TriggerId, StreamId)>, String> {
    if !key.starts_with(PREFIX) {
        return Ok(None);
    }
    let document = Document { key: Key::new(key), revision: Revision(0), value: Bytes::copy_from_slice(value) };
    let stored = decode(&document).map_err(|error| error.to_string())?;
    Ok(Some((TriggerId(stored.id), StreamId(stored.stream_id))))
}

fn key_of(trigger: &str) -> Key {
    Key::new(format!("{PREFIX}{trigger}"))
}

fn failed(trigger: &str, source: StoreError) -> TriggerError {
    TriggerError::Store { trigger: trigger.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_another_format_is_refused() {
        let stored = Stored {
            id: 1,
            stream_id: 2,
            stream: "orders".to_owned(),
            function: "score".to_owned(),
            start: Start::At(Timestamp::from_millis(5)).into(),
            shards: vec![0, 1],
        };
        let document = |value| Document { key: key_of("t"), revision: tidemill_stream::engine::Revision(1), value };
        assert_eq!(decode(&document(encode(&stored))).unwrap(), stored);
        let mut newer = encode(&stored).to_vec();
        newer[0] = 2;
        for bad in [newer, vec![], vec![FORMAT], vec![FORMAT, 0xff]] {
            assert!(matches!(decode(&document(bad.clone().into())), Err(StoreError::Unreadable { .. })), "{bad:?}");
        }
    }
}
