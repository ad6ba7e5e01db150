//! Where it is told which records a trigger has given up: a stream of the node, a folder, or a server of others.
//!
//! Promises that a destination that was told has the letter, durably, and that a letter has one identity however often it is
//! told: after a crash, or where an answer was lost, it is told again. It must not know why records are given up, and it does
//! not try again: the runner does.

mod document;
mod folder;
mod identity;
mod secret;
mod webhook;

use std::sync::Arc;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::cursor::TriggerId;
use tidemill_stream::name::StreamName;
use tidemill_stream::put::{PutError, PutFailure};
use tidemill_stream::record::{InvalidPartitionKey, PartitionKey, Record};
use tidemill_stream::store::Store;

use self::document::Payload;
use self::folder::{Folder, FolderError};
use self::identity::Identity;
use self::webhook::{Webhook, WebhookError};
use super::policy::Condition;
use crate::deploy::DestinationSpec;
use crate::functions::Invocation;

/// Records that were given up, and why.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    /// The last call that had them, or would have had them; it holds the records, at least one.
    pub(super) invocation: &'a Invocation,
    pub(super) condition: Condition,
    /// How often the function failed them, at least 1.
    pub(super) invoke_count: u32,
    /// Whether the last call failed, rather than reporting records that it did not take.
    pub(super) has_failed: bool,
    /// When they were given up.
    pub(super) at: Timestamp,
}

/// A destination that can be told. Cheap to clone; one does for all shards of a trigger.
#[derive(Debug, Clone)]
pub(super) struct Destination(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trigger: TriggerId,
    store: Store,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stream(StreamName),
    Folder(Folder),
    Webhook(Webhook),
}

/// Why the destination was not told, or may not have been.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error("the stream '{stream}' takes no record: {source}")]
    Refused { stream: StreamName, source: PutError },
    #[error("the record was not put on the stream '{stream}': {source}")]
    NotPut { stream: StreamName, source: PutFailure },
    #[error(transparent)]
    PartitionKey(#[from] InvalidPartitionKey),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Webhook(#[from] WebhookError),
}

impl Destination {
    /// Of a trigger. What is wrong with it is told when it is used.
    pub(super) fn new(spec: &DestinationSpec, trigger: TriggerId, store: &Store) -> Self {
        let place = match spec {
            DestinationSpec::Stream(stream) => Place::Stream(stream.clone()),
            DestinationSpec::Folder(folder) => Place::Folder(Folder::new(folder, trigger)),
            DestinationSpec::Url { url, secret_variable } => {
                Place::Webhook(Webhook::new(url, secret_variable.as_deref().map(secret::of_variable)))
            }
        };
        Self(Arc::new(Inner { trigger, store: store.clone(), place }))
    }

    /// Tells it, durably: once it has succeeded the destination has it. It may be told the same again; dropping the future leaves
    /// open whether it was told.
    pub(super) async fn deliver(&self, letter: &Letter<'_>) -> Result<(), DeliveryError> {
        let Inner { trigger, store, place } = &*self.0;
        let identity = || Identity::of_letter(*trigger, letter.invocation);
        match place {
            Place::Stream(stream) => put(store, stream, letter).await?,
            Place::Folder(folder) => {
                folder.keep(letter, identity(), document::write(letter, payload(store, letter))).await?;
            }
            Place::Webhook(webhook) => {
                webhook.tell(identity(), document::write(letter, Payload::LeftOut), store.clock().now()).await?;
            }
        }
        Ok(())
    }
}

/// Records of an encrypted stream lie on the disk under its key only. Those of a stream that is gone, or was made anew, may
/// have been of such a one.
fn payload(store: &Store, letter: &Letter<'_>) -> Payload {
    let Invocation { stream, shard, shard_created, .. } = letter.invocation;
    let is_clear = store.stream(stream).is_ok_and(|stream| {
        stream.encryption.is_none() && stream.shard(*shard).is_some_and(|shard| shard.created == *shard_created)
    });
    if is_clear { Payload::Event } else { Payload::LeftOut }
}

/// A record of the shard's id as its key: the letters of a shard keep their order.
async fn put(store: &Store, stream: &StreamName, letter: &Letter<'_>) -> Result<(), DeliveryError> {
    let partition_key = PartitionKey::parse(letter.invocation.shard.to_string())?;
    let record = Record { partition_key, explicit_hash: None, data: document::write(letter, Payload::LeftOut) };
    let refused = |source| DeliveryError::Refused { stream: stream.clone(), source };
    let outcomes = store.put_many(stream, vec![record]).await.map_err(refused)?;
    match outcomes.into_iter().find_map(Result::err) {
        Some(source) => Err(DeliveryError::NotPut { stream: stream.clone(), source }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
