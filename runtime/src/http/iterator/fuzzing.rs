//! What must hold for iterators and paging tokens whatever a client hands back: the fuzzers' and the tests' judge.
//!
//! It panics when a promise is broken.

use std::time::Duration;

use super::{
    BLOCK_BYTES, Bound, ConsumerName, ConsumersPlace, Engine as _, HEADER, IteratorKey, KIND_CONSUMERS, KIND_ITERATOR,
    KIND_SHARDS, KIND_STREAMS, Position, STANDARD, ShardIndex, ShardPlace, ShardsPlace, StreamId, StreamName,
    TOKEN_LIFETIME, Timestamp, Token, TokenError,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// What [`made_up`] reads before the name: two long numbers, a short one, and what the token is for.
const NUMBERS_BYTES: usize = 8 + 8 + 4 + 2;

/// What a token was opened as.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Shard(ShardPlace),
    Streams(String),
    Shards(ShardsPlace),
    Consumers(ConsumersPlace),
}

/// What each use makes of a token.
type Opened = [Result<Place, TokenError>; 4];

const GARBLED: Opened = [const { Err(TokenError::Garbled) }; 4];

/// The bytes as text, as what lies below base64, as what lies below the seal, and as a token that is sealed.
pub fn token(bytes: &[u8]) {
    let key = IteratorKey::from_bytes([7; 32]);
    for text in [String::from_utf8_lossy(bytes).into_owned(), encoded(&[&HEADER, bytes])] {
        assert_eq!(opened(&key, &text, NOW), GARBLED, "nobody sealed {text}");
    }
    // Only a mistake of our own could seal them.
    for kind in [KIND_ITERATOR, KIND_STREAMS, KIND_SHARDS, KIND_CONSUMERS] {
        let _ = key.seal_bytes(bytes, kind).map(|text| opened(&key, &text, NOW));
    }
    if let Some(place) = made_up(bytes) {
        check_sealed(&key, &place, bytes.len());
    }
}

fn encoded(parts: &[&[u8]]) -> String {
    STANDARD.encode(parts.concat())
}

fn opened(key: &IteratorKey, text: &str, now: Timestamp) -> Opened {
    [
        key.open_iterator(text, now).map(Place::Shard),
        key.open_streams(text, now).map(Place::Streams),
        key.open_shards(text, now).map(Place::Shards),
        key.open_consumers(text, now).map(Place::Consumers),
    ]
}

/// The place opens as it was sealed, for its own use, in its time, with its key, and unchanged.
fn check_sealed(key: &IteratorKey, place: &Place, at: usize) {
    let text = key.seal(&place.token(), NOW).unwrap_or_default();
    let bytes = STANDARD.decode(&text).unwrap_or_default();
    let blocks = bytes.strip_prefix(&HEADER).map(<[u8]>::len);
    assert!(blocks.is_some_and(|bytes| bytes > 0 && bytes.is_multiple_of(BLOCK_BYTES)), "{place:?} is {text}");
    for (age, expected) in [
        (Duration::ZERO, Ok(place.clone())),
        (TOKEN_LIFETIME, Ok(place.clone())),
        (TOKEN_LIFETIME + Duration::from_millis(1), Err(TokenError::Expired { issued: NOW })),
    ] {
        assert_eq!(opened(key, &text, NOW.plus(age)), place.alone(expected), "{text} after {age:?}");
    }
    assert_eq!(opened(&IteratorKey::from_bytes([8; 32]), &text, NOW), GARBLED, "{text} has another key");
    let at_byte = at % bytes.len();
    let (before, after) = bytes.split_at(at_byte);
    let (byte, after) = after.split_first().unwrap_or((&0, b""));
    let letters = text.chars().enumerate();
    let other = |letter: char| if letter == 'A' { 'B' } else { 'A' };
    let misspelt = letters.map(|(n, letter)| if n == at % text.len() { other(letter) } else { letter }).collect();
    for (what, text) in [
        ("has another byte", encoded(&[before, &[byte ^ (1 << (at % 8))], after])),
        ("lacks a byte", encoded(&[before, after])),
        ("is cut", encoded(&[before])),
        ("is longer", encoded(&[&bytes, &[0; BLOCK_BYTES]])),
        ("has another letter", misspelt),
    ] {
        assert_eq!(opened(key, &text, NOW), GARBLED, "{text} {what} at {at}");
    }
}

impl Place {
    fn token(&self) -> Token {
        match self {
            Self::Shard(place) => Token::Shard(place.clone()),
            Self::Streams(after) => Token::Streams { after: after.clone() },
            Self::Shards(place) => Token::Shards(place.clone()),
            Self::Consumers(place) => Token::Consumers(place.clone()),
        }
    }

    /// What is said where it is opened for its own use, and nothing for another.
    fn alone(&self, said: Result<Self, TokenError>) -> Opened {
        let [shard, streams, shards, consumers] = GARBLED;
        match self {
            Self::Shard(_) => [said, streams, shards, consumers],
            Self::Streams(_) => [shard, said, shards, consumers],
            Self::Shards(_) => [shard, streams, said, consumers],
            Self::Consumers(_) => [shard, streams, shards, said],
        }
    }
}

/// A place with these numbers and with what of the bytes can be in a name.
fn made_up(bytes: &[u8]) -> Option<Place> {
    let (numbers, name) = bytes.split_at_checked(NUMBERS_BYTES)?;
    let legal = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let name: String = name.iter().filter(legal).take(128).map(|byte| char::from(*byte)).collect();
    let (id, rest) = numbers.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (shard, rest) = rest.split_first_chunk()?;
    let (id, number, shard) = (u64::from_le_bytes(*id), u64::from_le_bytes(*number), u32::from_le_bytes(*shard));
    let (id, shard) = (StreamId(id), ShardIndex(shard));
    let [kind, filter] = *rest.first_chunk()?;
    Some(match kind % 4 {
        0 => {
            let (stream, from) = (StreamName::parse(&name).ok()?, Bound::at(Position(number)));
            Place::Shard(ShardPlace { stream, id, shard, from })
        }
        1 => Place::Streams(name),
        2 => {
            let at = (filter > 127).then(|| Timestamp::from_millis(number));
            Place::Shards(ShardsPlace { stream: StreamName::parse(&name).ok()?, id, after: shard, filter, at })
        }
        _ => Place::Consumers(ConsumersPlace { id, after: ConsumerName::parse(&name).ok()? }),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_of_token_is_made_up() {
        let of = |kind: u8| made_up(&[&[1; NUMBERS_BYTES - 2], &[kind, 200][..], b"or/ders"].concat()).unwrap();
        let kinds = [0, 1, 2, 3].map(|kind| of(kind).token().kind());
        assert_eq!(kinds, [KIND_ITERATOR, KIND_STREAMS, KIND_SHARDS, KIND_CONSUMERS]);
        assert_eq!(of(1), Place::Streams("orders".to_owned()));
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_only_what_was_sealed_opens(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            token(&bytes);
        }

        /// Below the seal lies CBOR, which random bytes seldom are.
        #[test]
        fn damaged_fields_are_no_trouble(
            numbers in prop::array::uniform22(any::<u8>()),
            name in "[a-z]{1,20}",
            damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let place = made_up(&[&numbers, name.as_bytes()].concat());
            if let Some(place) = place {
                let mut bytes = place.token().fields(NOW).unwrap();
                for (at, byte) in &damages {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                token(&bytes);
            }
        }
    }

    #[test]
    fn inputs_that_were_kept_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/token");
        let inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= 10, "{} holds {} inputs", folder.display(), inputs.len());
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            assert!(std::panic::catch_unwind(|| token(&bytes)).is_ok(), "{} breaks a promise", input.display());
        }
    }
}
