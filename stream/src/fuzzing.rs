//! What must hold for decoders whatever bytes they are given. Each function panics when a promise is broken.
//!
//! `fuzz/` in the repository calls them with bytes that a fuzzer makes up; a test calls them with those that were kept.

pub use crate::engine::embedded::fuzzing::{footer, frame, header};

use crate::clock::Timestamp;
use crate::engine::Position;
use crate::sequence::SequenceNumber;
use crate::shard::{HashKey, HashRange, Shard, ShardIndex};

/// What [`sequence_number`] reads for one number: when its shard was created, the shard, position, when it arrived.
const FIELDS_BYTES: usize = 8 + 4 + 8 + 8;

/// Sequence numbers: the bytes as text, and two numbers made of them.
pub fn sequence_number(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(number) = SequenceNumber::parse(text)
    {
        assert_eq!(number.to_string(), text, "a number is printed as it was read");
    }
    let Some((one, rest)) = bytes.split_first_chunk::<FIELDS_BYTES>() else { return };
    let first = number_of(one);
    assert_eq!(SequenceNumber::parse(&first.to_string()).as_ref(), Ok(&first), "a number is read as it was printed");
    let Some((other, _)) = rest.split_first_chunk::<FIELDS_BYTES>() else { return };
    let second = number_of(other);
    assert_eq!(first.cmp(&second), first.to_string().cmp(&second.to_string()), "numbers sort as their text does");
    // In one shard the position alone decides.
    let mut moved = *one;
    moved[12..20].copy_from_slice(&other[12..20]);
    let moved = number_of(&moved);
    assert_eq!(first.cmp(&moved), first.position().cmp(&moved.position()), "numbers sort as positions do");
}

fn number_of(bytes: &[u8; FIELDS_BYTES]) -> SequenceNumber {
    let number = |at: usize| bytes[at..].iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let shard = Shard {
        index: ShardIndex(number(8) as u32),
        range: HashRange { start: HashKey(0), end: HashKey(u128::MAX) },
        created: Timestamp::from_millis(number(0)),
        parents: Vec::new(),
        closed: None,
    };
    SequenceNumber::new(&shard, Position(number(12)), Timestamp::from_millis(number(20)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Inputs that fuzzing found interesting, and real encodings.
    fn check_corpus(target: &str, judge: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= 10, "{} holds {} inputs", folder.display(), inputs.len());
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let judged = std::panic::catch_unwind(|| judge(&bytes));
            assert!(judged.is_ok(), "{} breaks a promise", input.display());
        }
    }

    #[test]
    fn frames_that_were_kept_are_right() {
        check_corpus("frame", frame);
    }

    #[test]
    fn headers_that_were_kept_are_right() {
        check_corpus("header", header);
    }

    #[test]
    fn footers_that_were_kept_are_right() {
        check_corpus("footer", footer);
    }

    #[test]
    fn sequence_numbers_that_were_kept_are_right() {
        check_corpus("sequence_number", sequence_number);
    }
}
