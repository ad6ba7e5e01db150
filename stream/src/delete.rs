//! Deleting a stream.

use std::sync::Arc;

use crate::engine::{DocumentError, Expect};
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
    /// The engine failed. The deletion goes on at the next start.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Deletes a stream with all its records.
    pub async fn delete_stream(&self, name: &StreamName) -> Result<(), DeleteStreamError> {
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.delete(&name).await }).await
    }

    async fn delete(&self, name: &StreamName) -> Result<(), DeleteStreamError> {
        let known = self.stream(name)?;
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
        match self.change(stream.key(), Expect::At(stream.revision), None).await {
            // A document that is being deleted only ever goes: someone else has finished.
            Ok(_) | Err(DocumentError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
