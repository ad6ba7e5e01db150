//! Shard iterators and paging tokens: places that travel through the client and back, and cannot be forged.
//!
//! They look as AWS's do: base64 of the 8 bytes 00 00 00 00 00 00 00 01 and of a body whose length is a multiple of 16.
//! The body is a random nonce and an AES-256-GCM ciphertext, so the node keeps nothing; the kind of a token is
//! authenticated with it. This module must not know operations.

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;

use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minicbor::{Decode, Encode};
use tidemill_stream::clock::Timestamp;
use tidemill_stream::engine::{Bound, Position, StreamId};
use tidemill_stream::name::{ConsumerName, StreamName};
use tidemill_stream::shard::ShardIndex;

use super::error::ApiError;
use super::limits::TOKEN_LIFETIME;

const HEADER: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;

/// The key that seals iterators and paging tokens. Nonces are random, so a key is good for 2^32 of them (NIST SP
/// 800-38D): one that is kept must be replaced before.
#[derive(Clone)]
pub struct IteratorKey(Arc<Aes256Gcm>);

impl std::fmt::Debug for IteratorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IteratorKey")
    }
}

impl IteratorKey {
    /// A key that was kept.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self(Arc::new(Aes256Gcm::new(&key.into())))
    }

    /// A new key, good as long as this process.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self::from_bytes(key))
    }

    pub(super) fn seal(&self, token: &Token, now: Timestamp) -> Result<String, ApiError> {
        let mut plain = token.fields(now)?;
        pad(&mut plain);
        self.seal_bytes(&plain, token.kind())
    }

    fn seal_bytes(&self, plain: &[u8], kind: &[u8]) -> Result<String, ApiError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| not_sealed(&error))?;
        let payload = Payload { msg: plain, aad: kind };
        let sealed = self.0.encrypt(&Nonce::from(nonce), payload).map_err(|error| not_sealed(&error))?;
        Ok(STANDARD.encode([HEADER.as_slice(), &nonce, &sealed].concat()))
    }

    /// The place that a shard iterator stands for.
    pub(super) fn open_iterator(&self, text: &str, now: Timestamp) -> Result<ShardPlace, TokenError> {
        match self.open(text, KIND_ITERATOR, now)? {
            Body::Shard { stream, id, shard, lowest } => Ok(ShardPlace {
                stream: StreamName::parse(&stream).map_err(|_| TokenError::Garbled)?,
                id: StreamId(id),
                shard: ShardIndex(shard),
                // Nothing lies below `lowest`, so the record there is the first.
                from: Bound::at(Position(lowest)),
            }),
            Body::Streams { .. } | Body::Shards { .. } | Body::Consumers { .. } => Err(TokenError::Garbled),
        }
    }

    /// The name behind which a listing of streams goes on.
    pub(super) fn open_streams(&self, text: &str, now: Timestamp) -> Result<String, TokenError> {
        match self.open(text, KIND_STREAMS, now)? {
            Body::Streams { after } => Ok(after),
            Body::Shard { .. } | Body::Shards { .. } | Body::Consumers { .. } => Err(TokenError::Garbled),
        }
    }

    /// Where a listing of shards goes on.
    pub(super) fn open_shards(&self, text: &str, now: Timestamp) -> Result<ShardsPlace, TokenError> {
        match self.open(text, KIND_SHARDS, now)? {
            Body::Shards { stream, id, after, filter, at_ms } => Ok(ShardsPlace {
                stream: StreamName::parse(&stream).map_err(|_| TokenError::Garbled)?,
                id: StreamId(id),
                after: ShardIndex(after),
                filter,
                at: at_ms.map(Timestamp::from_millis),
            }),
            Body::Shard { .. } | Body::Streams { .. } | Body::Consumers { .. } => Err(TokenError::Garbled),
        }
    }

    /// Where a listing of consumers goes on.
    pub(super) fn open_consumers(&self, text: &str, now: Timestamp) -> Result<ConsumersPlace, TokenError> {
        match self.open(text, KIND_CONSUMERS, now)? {
            Body::Consumers { id, after } => Ok(ConsumersPlace {
                id: StreamId(id),
                after: ConsumerName::parse(&after).map_err(|_| TokenError::Garbled)?,
            }),
            Body::Shard { .. } | Body::Streams { .. } | Body::Shards { .. } => Err(TokenError::Garbled),
        }
    }

    fn open(&self, text: &str, kind: &[u8], now: Timestamp) -> Result<Body, TokenError> {
        let fields = self.decrypt(text, kind).ok_or(TokenError::Garbled)?;
        let issued = Timestamp::from_millis(fields.issued_ms);
        if now.since(issued) > TOKEN_LIFETIME { Err(TokenError::Expired { issued }) } else { Ok(fields.body) }
    }

    fn decrypt(&self, text: &str, kind: &[u8]) -> Option<Fields> {
        let bytes = STANDARD.decode(text).ok()?;
        let (nonce, sealed) = bytes.strip_prefix(&HEADER)?.split_first_chunk::<NONCE_BYTES>()?;
        let plain = self.0.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: kind }).ok()?;
        let padding = usize::from(*plain.last()?);
        minicbor::decode(plain.get(..plain.len().checked_sub(padding)?)?).ok()
    }
}

const KIND_ITERATOR: &[u8] = b"iterator";
const KIND_STREAMS: &[u8] = b"streams";
const KIND_SHARDS: &[u8] = b"shards";
const KIND_CONSUMERS: &[u8] = b"consumers";

/// What is sealed.
pub(super) enum Token {
    Shard(ShardPlace),
    Streams { after: String },
    Shards(ShardsPlace),
    Consumers(ConsumersPlace),
}

/// A place in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShardPlace {
    pub(super) stream: StreamName,
    pub(super) id: StreamId,
    pub(super) shard: ShardIndex,
    pub(super) from: Bound,
}

/// A place in a listing of shards. What the filter's number means, only the listing knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShardsPlace {
    pub(super) stream: StreamName,
    pub(super) id: StreamId,
    pub(super) after: ShardIndex,
    pub(super) filter: u8,
    pub(super) at: Option<Timestamp>,
}

/// A place in a listing of a stream's consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConsumersPlace {
    pub(super) id: StreamId,
    pub(super) after: ConsumerName,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenError {
    /// It is not one that this key sealed for this use.
    Garbled,
    /// It is too old.
    Expired { issued: Timestamp },
}

impl Token {
    /// What is sealed, but for its filling.
    fn fields(&self, now: Timestamp) -> Result<Vec<u8>, ApiError> {
        let fields = Fields { issued_ms: now.as_millis(), body: self.body() };
        minicbor::to_vec(&fields).map_err(|error| not_sealed(&error))
    }

    fn kind(&self) -> &'static [u8] {
        match self {
            Self::Shard(_) => KIND_ITERATOR,
            Self::Streams { .. } => KIND_STREAMS,
            Self::Shards(_) => KIND_SHARDS,
            Self::Consumers(_) => KIND_CONSUMERS,
        }
    }

    fn body(&self) -> Body {
        match self {
            Self::Shard(place) => Body::Shard {
                stream: place.stream.as_str().to_owned(),
                id: place.id.0,
                shard: place.shard.0,
                lowest: place.from.lowest().0,
            },
            Self::Streams { after } => Body::Streams { after: after.clone() },
            Self::Shards(place) => Body::Shards {
                stream: place.stream.as_str().to_owned(),
                id: place.id.0,
                after: place.after.0,
                filter: place.filter,
                at_ms: place.at.map(Timestamp::as_millis),
            },
            Self::Consumers(place) => Body::Consumers { id: place.id.0, after: place.after.to_string() },
        }
    }
}

#[derive(Encode, Decode)]
struct Fields {
    #[n(0)]
    issued_ms: u64,
    #[n(1)]
    body: Body,
}

#[derive(Encode, Decode)]
enum Body {
    #[n(0)]
    Shard {
        #[n(0)]
        stream: String,
        #[n(1)]
        id: u64,
        #[n(2)]
        shard: u32,
        #[n(3)]
        lowest: u64,
    },
    #[n(1)]
    Streams {
        #[n(0)]
        after: String,
    },
    #[n(2)]
    Shards {
        #[n(0)]
        stream: String,
        #[n(1)]
        id: u64,
        #[n(2)]
        after: u32,
        #[n(3)]
        filter: u8,
        #[n(4)]
        at_ms: Option<u64>,
    },
    #[n(3)]
    Consumers {
        #[n(0)]
        id: u64,
        #[n(1)]
        after: String,
    },
}

fn not_sealed(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::internal("a token could not be sealed", error)
}

/// Fills up so that nonce, ciphertext and tag are whole blocks; each byte of the filling says how long it is.
fn pad(plain: &mut Vec<u8>) {
    let filled = NONCE_BYTES + plain.len() + TAG_BYTES;
    let padding = BLOCK_BYTES - filled % BLOCK_BYTES;
    plain.resize(plain.len() + padding, padding as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn place(name: &str) -> ShardPlace {
        let from = Bound::after(Position(u64::MAX - 1));
        ShardPlace {
            stream: StreamName::parse(name).unwrap(),
            id: StreamId(u64::MAX),
            shard: ShardIndex(u32::MAX),
            from,
        }
    }

    fn key() -> IteratorKey {
        IteratorKey::from_bytes([7; 32])
    }

    #[test]
    fn an_iterator_of_any_length_looks_like_one_and_opens() {
        for chars in 1..=128 {
            let place = place(&"n".repeat(chars));
            let text = key().seal(&Token::Shard(place.clone()), NOW).unwrap();
            let bytes = STANDARD.decode(&text).unwrap();
            assert!(text.len() <= 512 && bytes.starts_with(&HEADER) && (bytes.len() - 8).is_multiple_of(16), "{text}");
            assert_eq!(key().open_iterator(&text, NOW), Ok(place));
        }
    }

    #[test]
    fn an_iterator_lives_300_seconds() {
        let text = key().seal(&Token::Shard(place("s")), NOW).unwrap();
        let at = |millis| key().open_iterator(&text, Timestamp::from_millis(NOW.as_millis() + millis));
        assert!(at(300_000).is_ok());
        assert_eq!(at(300_001), Err(TokenError::Expired { issued: NOW }));
    }

    #[test]
    fn what_this_key_did_not_seal_for_this_use_is_refused() {
        let text = key().seal(&Token::Shard(place("s")), NOW).unwrap();
        let bytes = STANDARD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert_eq!(key().open_iterator(&STANDARD.encode(forged), NOW), Err(TokenError::Garbled), "byte {at}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(key().open_iterator(&STANDARD.encode(&bytes[..cut]), NOW), Err(TokenError::Garbled));
        }
        assert_eq!(IteratorKey::from_bytes([8; 32]).open_iterator(&text, NOW), Err(TokenError::Garbled));
        assert_eq!(key().open_streams(&text, NOW), Err(TokenError::Garbled));
        assert_eq!(key().open_iterator("not base64!", NOW), Err(TokenError::Garbled));
    }

    #[test]
    fn paging_tokens_open_as_they_were_sealed() {
        let place = ShardsPlace {
            stream: StreamName::parse("s").unwrap(),
            id: StreamId(3),
            after: ShardIndex(9),
            filter: 2,
            at: Some(NOW),
        };
        let text = key().seal(&Token::Shards(place.clone()), NOW).unwrap();
        assert_eq!(key().open_shards(&text, NOW), Ok(place));
        let place = ConsumersPlace { id: StreamId(3), after: ConsumerName::parse("c").unwrap() };
        let text = key().seal(&Token::Consumers(place.clone()), NOW).unwrap();
        assert_eq!(key().open_consumers(&text, NOW), Ok(place));
        let text = key().seal(&Token::Streams { after: "m".into() }, NOW).unwrap();
        assert_eq!(key().open_streams(&text, NOW), Ok("m".to_owned()));
    }
}
