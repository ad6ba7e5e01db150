//! What hangs on a stream beside its shards: tags, resource policies, registered consumers.
//!
//! Promises that it is kept durably in one document of the stream, whose name holds the stream's id: so it changes as one,
//! goes with the stream in one change, and never comes to a later stream of the same name. Must not know what a tag or a
//! policy may look like.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::engine::{Change, Expect, Key, StreamId};
use crate::error::{NoStream, StoreError};
use crate::limits::TAGS_MAX;
use crate::name::{ConsumerName, StreamName};
use crate::store::Store;
use crate::stream::Stream;

/// All such documents begin so.
pub(crate) const PREFIX: &str = "attached/";

/// Labels, by key.
pub type Tags = BTreeMap<String, String>;

/// What hangs on a stream. Fields are numbered: new ones are added with new numbers, as options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Attached {
    /// The stream's own tags and policy.
    #[n(0)]
    pub stream: Labels,
    #[n(1)]
    consumers: BTreeMap<String, StoredConsumer>,
}

/// The tags and the policy of a stream or of a consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Labels {
    /// Its tags.
    #[n(0)]
    pub tags: Tags,
    /// Who may do what with it, as it was given.
    #[n(1)]
    pub policy: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct StoredConsumer {
    #[n(0)]
    created_ms: u64,
    #[n(1)]
    labels: Labels,
}

/// A registered consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name, the only such of its stream.
    pub name: ConsumerName,
    /// When it was registered.
    pub created: Timestamp,
}

/// A consumer that a caller means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRef {
    /// Its name.
    pub name: ConsumerName,
    /// The second in which it was registered, where the caller says so: it tells it from an earlier one of that name.
    pub created_secs: Option<u64>,
}

impl fmt::Display for ConsumerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.created_secs {
            Some(secs) => write!(f, "{}:{secs}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// What has tags and a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The stream itself.
    Stream,
    /// One of its consumers.
    Consumer(ConsumerRef),
}

/// Why nothing was attached or taken away.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// There is no such stream, or not any more.
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// The stream has no such consumer.
    #[error("the stream has no consumer '{0}'")]
    NoConsumer(ConsumerRef),
    /// It has one of that name already.
    #[error("the stream has a consumer '{0}' already")]
    ConsumerExists(ConsumerName),
    /// It has as many as it may have.
    #[error("a stream has at most {max} consumers")]
    TooManyConsumers {
        /// The limit.
        max: usize,
    },
    /// There would be more tags than there may be.
    #[error("{given} tags are more than the {max} that a stream or a consumer may have")]
    TooManyTags {
        /// How many there would be.
        given: usize,
        /// The limit.
        max: usize,
    },
    /// There is no policy.
    #[error("there is no policy")]
    NoPolicy,
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Attached {
    /// What a new stream begins with.
    pub(crate) fn tagged(tags: Tags) -> Self {
        Self { stream: Labels { tags, policy: None }, consumers: BTreeMap::new() }
    }

    /// How many consumers are registered.
    pub fn consumers_count(&self) -> usize {
        self.consumers.len()
    }

    /// The registered consumers, by name.
    pub fn consumers(&self) -> impl Iterator<Item = Consumer> {
        self.consumers.iter().map(|(name, stored)| Consumer {
            name: ConsumerName::stored(name),
            created: Timestamp::from_millis(stored.created_ms),
        })
    }

    /// The consumer that is meant.
    pub fn consumer(&self, meant: &ConsumerRef) -> Result<Consumer, AttachError> {
        let found = self.consumers().find(|consumer| consumer.name == meant.name && is_meant(consumer.created, meant));
        found.ok_or_else(|| AttachError::NoConsumer(meant.clone()))
    }

    /// Tags and policy of the stream or of a consumer.
    pub fn labels(&self, holder: &Holder) -> Result<&Labels, AttachError> {
        match holder {
            Holder::Stream => Ok(&self.stream),
            Holder::Consumer(meant) => {
                let found = self.consumers.get(meant.name.as_str());
                let found = found.filter(|found| is_meant(Timestamp::from_millis(found.created_ms), meant));
                found.map(|found| &found.labels).ok_or_else(|| AttachError::NoConsumer(meant.clone()))
            }
        }
    }

    fn labels_mut(&mut self, holder: &Holder) -> Result<&mut Labels, AttachError> {
        match holder {
            Holder::Stream => Ok(&mut self.stream),
            Holder::Consumer(meant) => {
                let found = self.consumers.get_mut(meant.name.as_str());
                let found = found.filter(|found| is_meant(Timestamp::from_millis(found.created_ms), meant));
                found.map(|found| &mut found.labels).ok_or_else(|| AttachError::NoConsumer(meant.clone()))
            }
        }
    }

    fn register(
        &mut self,
        name: &ConsumerName,
        created: Timestamp,
        tags: Tags,
        consumers_max: usize,
    ) -> Result<Consumer, AttachError> {
        if self.consumers.contains_key(name.as_str()) {
            return Err(AttachError::ConsumerExists(name.clone()));
        }
        if self.consumers.len() >= consumers_max {
            return Err(AttachError::TooManyConsumers { max: consumers_max });
        }
        check_tags(&tags)?;
        let labels = Labels { tags, policy: None };
        self.consumers.insert(name.as_str().to_owned(), StoredConsumer { created_ms: created.as_millis(), labels });
        Ok(Consumer { name: name.clone(), created })
    }

    /// Its document's content; `None` where nothing is left to be kept.
    pub(crate) fn encode(&self) -> Option<Bytes> {
        let is_empty = *self == Self::default();
        (!is_empty).then(|| minicbor::to_vec(self).map(Bytes::from).unwrap_or_default())
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, minicbor::decode::Error> {
        minicbor::decode(value)
    }
}

fn is_meant(created: Timestamp, meant: &ConsumerRef) -> bool {
    meant.created_secs.is_none_or(|secs| secs == created.as_secs())
}

pub(crate) fn check_tags(tags: &Tags) -> Result<(), AttachError> {
    let given = tags.len();
    if given > TAGS_MAX { Err(AttachError::TooManyTags { given, max: TAGS_MAX }) } else { Ok(()) }
}

/// The document of a stream.
pub(crate) fn key_of(stream: StreamId) -> Key {
    Key::new(format!("{PREFIX}{:016x}", stream.0))
}

/// Takes away all that hangs on a stream, as a part of a larger change.
pub(crate) fn removal(stream: StreamId) -> Change {
    Change { key: key_of(stream), expect: Expect::Any, value: None }
}

impl Store {
    /// What hangs on a stream.
    pub async fn attached(&self, stream: &Stream) -> Result<Attached, StoreError> {
        self.attached_with_place(stream).await.map(|(attached, _)| attached)
    }

    async fn attached_with_place(&self, stream: &Stream) -> Result<(Attached, Expect), StoreError> {
        let key = key_of(stream.id);
        let Some(document) = self.engine().get(&key).await? else { return Ok((Attached::default(), Expect::Absent)) };
        let unreadable = |error: minicbor::decode::Error| StoreError::Unreadable {
            key: key.as_str().to_owned(),
            reason: error.to_string(),
        };
        Ok((Attached::decode(&document.value).map_err(unreadable)?, Expect::At(document.revision)))
    }

    /// Sets tags; those of other keys stay.
    pub async fn tag(&self, stream: &StreamName, holder: Holder, tags: Tags) -> Result<(), AttachError> {
        let change = move |attached: &mut Attached| {
            let labels = attached.labels_mut(&holder)?;
            labels.tags.extend(tags);
            check_tags(&labels.tags)
        };
        self.change_attached(stream, change).await
    }

    /// Takes tags away; a key that is not there is no error.
    pub async fn untag(&self, stream: &StreamName, holder: Holder, keys: Vec<String>) -> Result<(), AttachError> {
        let change = move |attached: &mut Attached| {
            attached.labels_mut(&holder)?.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        };
        self.change_attached(stream, change).await
    }

    /// Sets the policy.
    pub async fn set_policy(&self, stream: &StreamName, holder: Holder, policy: String) -> Result<(), AttachError> {
        let change = move |attached: &mut Attached| {
            attached.labels_mut(&holder)?.policy = Some(policy);
            Ok(())
        };
        self.change_attached(stream, change).await
    }

    /// Takes the policy away.
    pub async fn drop_policy(&self, stream: &StreamName, holder: Holder) -> Result<(), AttachError> {
        let change = move |attached: &mut Attached| {
            let policy = attached.labels_mut(&holder)?.policy.take();
            policy.map(drop).ok_or(AttachError::NoPolicy)
        };
        self.change_attached(stream, change).await
    }

    /// Registers a consumer, unless the stream has so many already.
    pub async fn register_consumer(
        &self,
        stream: &StreamName,
        name: ConsumerName,
        tags: Tags,
        consumers_max: usize,
    ) -> Result<Consumer, AttachError> {
        let now = self.clock().now();
        self.change_attached(stream, move |attached| attached.register(&name, now, tags, consumers_max)).await
    }

    /// Forgets a consumer with all that hangs on it.
    pub async fn deregister_consumer(&self, stream: &StreamName, meant: ConsumerRef) -> Result<(), AttachError> {
        let change = move |attached: &mut Attached| {
            let consumer = attached.consumer(&meant)?;
            attached.consumers.remove(consumer.name.as_str());
            Ok(())
        };
        self.change_attached(stream, change).await
    }

    /// One change of a stream's document, durable when this returns.
    async fn change_attached<T: Send + 'static>(
        &self,
        name: &StreamName,
        change: impl FnOnce(&mut Attached) -> Result<T, AttachError> + Send + 'static,
    ) -> Result<T, AttachError> {
        let (store, known) = (self.clone(), self.stream(name)?);
        self.to_the_end(async move { store.change_attached_in_turn(&known, change).await }).await
    }

    async fn change_attached_in_turn<T>(
        &self,
        known: &Arc<Stream>,
        change: impl FnOnce(&mut Attached) -> Result<T, AttachError>,
    ) -> Result<T, AttachError> {
        // A deletion takes this turn before it forgets the stream: so nothing is attached to one that is gone.
        let _turn = self.attaching().wait(known.id).await;
        if self.stream(&known.name)?.id != known.id {
            return Err(NoStream { name: known.name.clone() }.into());
        }
        let (before, expect) = self.attached_with_place(known).await?;
        let mut after = before.clone();
        let done = change(&mut after)?;
        if after != before {
            self.change(key_of(known.id), expect, after.encode()).await.map_err(StoreError::from)?;
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
