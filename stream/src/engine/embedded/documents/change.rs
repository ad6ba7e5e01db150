//! A change of a document as it stands in the meta log, and a document as it stands in sled.

use minicbor::{Decode, Encode};

use crate::engine::Revision;

/// Says what follows the revision in sled.
const INLINE: u8 = 0;
const BLOB: u8 = 1;

/// A document's change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct StoredChange {
    #[n(0)]
    pub(super) key: String,
    #[n(1)]
    pub(super) revision: u64,
    /// `None` deletes.
    #[n(2)]
    pub(super) content: Option<Content>,
}

/// What a document holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Content {
    #[n(0)]
    Inline(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// A large one lies in a file of its own.
    #[n(1)]
    Blob(#[n(0)] BlobId),
}

/// Names a file by what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub(super) struct BlobId {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) sha256: [u8; 32],
    #[n(1)]
    pub(super) len: u64,
}

impl Content {
    /// As sled has it: revision u64 · kind u8 · the content, or sha256 and length u64.
    pub(super) fn encode(&self, revision: u64) -> Vec<u8> {
        let mut out = revision.to_le_bytes().to_vec();
        match self {
            Self::Inline(value) => {
                out.push(INLINE);
                out.extend_from_slice(value);
            }
            Self::Blob(blob) => {
                out.push(BLOB);
                out.extend_from_slice(&blob.sha256);
                out.extend_from_slice(&blob.len.to_le_bytes());
            }
        }
        out
    }

    pub(super) fn decode(stored: &[u8]) -> Option<(Revision, Self)> {
        let (revision, rest) = stored.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let content = match *kind {
            INLINE => Self::Inline(rest.to_vec()),
            BLOB => {
                let (sha256, len) = rest.split_first_chunk::<32>()?;
                Self::Blob(BlobId { sha256: *sha256, len: u64::from_le_bytes(len.try_into().ok()?) })
            }
            _ => return None,
        };
        Some((Revision(u64::from_le_bytes(*revision)), content))
    }

    /// Bytes in a file of its own.
    pub(super) fn blob_bytes(&self) -> u64 {
        match self {
            Self::Inline(_) => 0,
            Self::Blob(blob) => blob.len,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Inline(value) => value.len(),
            Self::Blob(_) => size_of::<BlobId>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_as_they_were_written() {
        let blob = BlobId { sha256: [7; 32], len: 9 };
        for content in [Content::Inline(vec![]), Content::Inline(vec![1, 2]), Content::Blob(blob)] {
            let stored = content.encode(5);
            assert_eq!(Content::decode(&stored), Some((Revision(5), content.clone())));
            let change = StoredChange { key: "k".to_owned(), revision: 5, content: Some(content) };
            assert_eq!(minicbor::decode::<StoredChange>(&minicbor::to_vec(&change).unwrap()).unwrap(), change);
        }
        assert_eq!(Content::decode(&[0; 8]), None);
        assert_eq!(Content::decode(&[0, 0, 0, 0, 0, 0, 0, 0, 2]), None);
    }
}
