//! Deleting a stream.

use std::sync::Arc;

use crate::attached;
use crate::engine::{Change, DocumentError, Durability, Expect};
use crate::error::{NoStream, StoreError};
use crate::name::StreamName;
use crate::store::Store;
use crate::stream::{Stream, StreamStatus};

/// Why a stream was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteStreamError {
    /// There is none of this name.
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// It has consumers, and only a stream without any was to be deleted.
    #[error("the stream '{name}' has {consumers} registered consumers")]
    HasConsumers {
        /// The stream.
        name: StreamName,
        /// How many.
        consumers: usize,
    },
    /// The engine failed. The deletion goes on at the next start.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which registered consumers a stream may have that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consumers {
    Any,
    None,
}

impl Store {
    /// Deletes a stream with all its records, and all that hangs on it.
    pub async fn delete_stream(&self, name: &StreamName) -> Result<(), DeleteStreamError> {
        self.delete_stream_where(name, Consumers::Any).await
    }

    /// Like [`Store::delete_stream`], where no consumer is registered.
    pub async fn delete_stream_without_consumers(&self, name: &StreamName) -> Result<(), DeleteStreamError> {
        self.delete_stream_where(name, Consumers::None).await
    }

    async fn delete_stream_where(&self, name: &StreamName, allowed: Consumers) -> Result<(), DeleteStreamError> {
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.delete(&name, allowed).await }).await
    }

    async fn delete(&self, name: &StreamName, allowed: Consumers) -> Result<(), DeleteStreamError> {
        let known = self.stream(name)?;
        let _attaching = self.attaching().wait(known.id).await;
        if allowed == Consumers::None {
            let consumers = self.attached(&known).await?.consumers_count();
            if consumers > 0 {
                return Err(DeleteStreamError::HasConsumers { name: name.clone(), consumers });
            }
        }
        // Forgotten first: nothing is put into a stream that may be marked already.
        self.forget(&known);
        let turn = self.turns().wait(known.id).await;
        let deleted = self.delete_in_turn(known).await;
        drop(turn);
        deleted
    }

    async fn delete_in_turn(&self, known: Arc<Stream>) -> Result<(), DeleteStreamError> {
        let name = known.name.clone();
        // Its shard map may have changed until now.
        let known = match self.reload(&known).await {
            Ok(found) => found.ok_or_else(|| NoStream { name: name.clone() })?,
            Err(error) => {
                self.remember(known);
                return Err(error.into());
            }
        };
        match self.mark_deleting(&known).await {
            Ok(stream) => {
                self.finish_deletion(&stream).await?;
                self.turns().forget(stream.id);
                self.attaching().forget(stream.id);
                Ok(())
            }
            // Someone else was faster: with the same, or with a change after which this one means another stream.
            Err(DocumentError::Conflict { .. }) => {
                if let Some(changed) = self.reload(&known).await? {
                    self.remember(changed);
                }
                Err(NoStream { name }.into())
            }
            Err(error @ (DocumentError::TooLarge { .. } | DocumentError::Full(_) | DocumentError::Unavailable(_))) => {
                self.remember(known);
                Err(StoreError::from(error).into())
            }
            Err(error @ DocumentError::Unknown) => Err(StoreError::from(error).into()),
        }
    }

    /// From here on the stream is gone at the next start at the latest. No log goes before this is sure.
    pub(crate) async fn mark_deleting(&self, stream: &Stream) -> Result<Stream, DocumentError> {
        let mut stream = Stream { status: StreamStatus::Deleting, ..stream.clone() };
        stream.revision = self.change(stream.key(), Expect::At(stream.revision), Some(stream.encode())).await?;
        Ok(stream)
    }

    /// From DELETING to gone; also after a crash between the two.
    pub(crate) async fn finish_deletion(&self, stream: &Stream) -> Result<(), StoreError> {
        for log in stream.logs() {
            self.engine().log_drop(log).await?;
        }
        let document = Change { key: stream.key(), expect: Expect::At(stream.revision), value: None };
        let changes = [document, attached::removal(stream.id)];
        match self.change_all(&changes, Durability::Synced).await {
            // A document that is being deleted only ever goes: someone else has finished.
            Ok(_) | Err(DocumentError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
