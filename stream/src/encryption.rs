//! With which key a stream's records are encrypted on the disk.
//!
//! Promises what `retention` does: the document says it first, and the logs follow. Records that are there already stay
//! as they are. Must not know what the names of keys mean.

use std::sync::Arc;

use minicbor::{Decode, Encode};

use crate::error::{NoStream, StoreError};
use crate::keys::KeyPrint;
use crate::name::StreamName;
use crate::store::Store;
use crate::stream::{Stream, StreamStatus};

/// The key of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// As whoever chose it called it.
    pub key_id: String,
    /// Which it is.
    pub key: KeyPrint,
}

/// Why a stream's encryption was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SetEncryptionError {
    /// There is none of this name.
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// It changes in another way now.
    #[error("the stream '{name}' is {status:?}, not active: wait until it is")]
    NotActive {
        /// The stream.
        name: StreamName,
        /// What it is.
        status: StreamStatus,
    },
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Encrypts the records of a stream that come from now on with this key, or with none. The same as before is no
    /// error.
    pub async fn set_encryption(
        &self,
        name: &StreamName,
        encryption: Option<Encryption>,
    ) -> Result<Arc<Stream>, SetEncryptionError> {
        let changed = move |stream: &Stream| match stream.status {
            StreamStatus::Active => Ok(Stream { encryption: encryption.clone(), ..stream.clone() }),
            status => Err(SetEncryptionError::NotActive { name: stream.name.clone(), status }),
        };
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move { store.change_kept(&name, changed).await }).await
    }
}

/// As it stands in a stream's document.
#[derive(Encode, Decode)]
pub(crate) struct StoredEncryption {
    #[n(0)]
    key_id: String,
    #[n(1)]
    key: u64,
}

impl From<&Encryption> for StoredEncryption {
    fn from(encryption: &Encryption) -> Self {
        Self { key_id: encryption.key_id.clone(), key: encryption.key.number() }
    }
}

impl StoredEncryption {
    pub(crate) fn into_encryption(self) -> Option<Encryption> {
        KeyPrint::from_number(self.key).map(|key| Encryption { key_id: self.key_id, key })
    }
}
