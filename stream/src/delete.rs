//! Deleting a stream.

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
        let mut stream = Stream::clone(&known);
        stream.status = StreamStatus::Deleting;
        // Forgotten first: nothing is put into a stream that may be marked already.
        self.forget(&known);
        match self.change(stream.key(), Expect::At(known.revision), Some(stream.encode())).await {
            Ok(revision) => stream.revision = revision,
            // Someone else was faster: with the same, or with a change after which this one means another stream.
            Err(DocumentError::Conflict { .. }) => {
                self.reload(name).await?;
                return Err(NoStream { name: name.clone() }.into());
            }
            Err(error @ (DocumentError::TooLarge { .. } | DocumentError::Unavailable(_))) => {
                self.remember(known);
                return Err(StoreError::from(error).into());
            }
            Err(error @ DocumentError::Unknown) => return Err(StoreError::from(error).into()),
        }
        Ok(self.finish_deletion(&stream).await?)
    }

    /// From DELETING to gone; also after a crash between the two.
    pub(crate) async fn finish_deletion(&self, stream: &Stream) -> Result<(), StoreError> {
        for log in stream.logs() {
            self.engine().log_drop(log).await?;
        }
        self.change(stream.key(), Expect::At(stream.revision), None).await?;
        Ok(())
    }
}
