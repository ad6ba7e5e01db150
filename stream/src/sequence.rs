//! Sequence numbers: a pure function of shard, position and arrival second.
//!
//! The layout is the one that Kinesis clients know, 47 hex digits printed in decimal (56 digits):
//! `2 | shard creation second (9) | shard index mod 16 (1) | position (16) | 00 | arrival second (9) | shard index (8) | 2`.
//! What stands left of the position is constant in a shard, so the order of the numbers is that of the positions; a
//! child is created in a later second than its parents, so its numbers sort after theirs.

use std::fmt;

use ethnum::U256;

use crate::clock::Timestamp;
use crate::engine::Position;
use crate::shard::{Shard, ShardIndex};

/// Seconds that fit the layout's nine hex digits.
const SECONDS_MAX: u64 = (1 << 36) - 1;
/// Decimal digits of every number: the leading hex digit is 2.
const DIGITS: usize = 56;
/// Decimal digits that one division yields, and what is divided by.
const CHUNK_DIGITS: usize = 19;
/// See [`CHUNK_DIGITS`].
const CHUNK: u64 = 10_u64.pow(CHUNK_DIGITS as u32);

/// The sequence number of a record. Fields are in the order that compares like the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    created_secs: u64,
    index_nibble: u8,
    position: Position,
    arrival_secs: u64,
    shard: ShardIndex,
}

/// A text that is no sequence number of this layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not a sequence number of a stream")]
pub struct InvalidSequenceNumber {
    /// What was given.
    pub given: String,
}

impl SequenceNumber {
    /// The number of the record at `position` of `shard` that arrived at `arrival`.
    pub fn new(shard: &Shard, position: Position, arrival: Timestamp) -> Self {
        Self::of(shard.index, shard.created, position, arrival)
    }

    /// The same, of the shard with this index that was created then.
    pub fn of(shard: ShardIndex, created: Timestamp, position: Position, arrival: Timestamp) -> Self {
        Self {
            created_secs: created.as_secs().min(SECONDS_MAX),
            index_nibble: (shard.0 % 16) as u8,
            position,
            arrival_secs: arrival.as_secs().min(SECONDS_MAX),
            shard,
        }
    }

    /// The number at which a shard starts: below that of its first record.
    pub fn start_of(shard: &Shard) -> Self {
        Self::new(shard, Position(0), shard.created)
    }

    /// Reads the decimal form.
    pub fn parse(text: &str) -> Result<Self, InvalidSequenceNumber> {
        let invalid = || InvalidSequenceNumber { given: text.chars().take(80).collect() };
        let canonical = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = U256::from_str_radix(text, 10).ok().filter(|_| canonical).ok_or_else(invalid)?;
        let field = |shift: u32, bits: u32| (number >> shift).as_u64() & (u64::MAX >> (64 - bits));
        let shard = ShardIndex(field(4, 32) as u32);
        let framed = (number >> 184u32) == U256::from(2u8) && field(0, 4) == 2 && field(72, 8) == 0;
        let index_nibble = field(144, 4) as u8;
        if !framed || u32::from(index_nibble) != shard.0 % 16 {
            return Err(invalid());
        }
        let position = Position(field(80, 64));
        Ok(Self { created_secs: field(148, 36), index_nibble, position, arrival_secs: field(36, 36), shard })
    }

    /// The shard's number.
    pub const fn shard(&self) -> ShardIndex {
        self.shard
    }

    /// When the shard was created, seconds since 1970.
    pub const fn shard_created_secs(&self) -> u64 {
        self.created_secs
    }

    /// The record's place in its log.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// When the record arrived, seconds since 1970.
    pub const fn arrival_secs(&self) -> u64 {
        self.arrival_secs
    }

    /// The decimal form: ASCII digits, none of them a leading zero. What an event of 10,000 records has 20,000 of, so it is
    /// made of three chunks that fit a register instead of by long division.
    pub fn digits(&self) -> [u8; DIGITS] {
        let [high, middle, low] = self.limbs();
        // `high` has 57 bits, so it is less than the divisor, and so is the rest that goes on to the next limb.
        let (middle, rest) = divide(high, middle);
        let (low, low_chunk) = divide(rest, low);
        let (high_chunk, middle_chunk) = divide(middle, low);
        let mut digits = [b'0'; DIGITS];
        let (front, back) = digits.split_at_mut(DIGITS - 2 * CHUNK_DIGITS);
        let (between, end) = back.split_at_mut(CHUNK_DIGITS);
        write(front, high_chunk);
        write(between, middle_chunk);
        write(end, low_chunk);
        digits
    }

    /// The number as three 64-bit digits, the highest first.
    fn limbs(&self) -> [u64; 3] {
        let index = u128::from(self.shard.0);
        let above = (2 << 40) | (self.created_secs << 4) | u64::from(self.index_nibble);
        let below = (u128::from(self.arrival_secs) << 36) | (index << 4) | 2;
        // `below` has 80 bits, the position 64: the rest is `above`, which begins at bit 144.
        let low = below | ((u128::from(self.position.0) & 0xffff_ffff_ffff) << 80);
        [(above << 16) | (self.position.0 >> 48), (low >> 64) as u64, low as u64]
    }
}

/// The quotient and the rest of a number of two 64-bit digits, of which the high one is less than the divisor.
fn divide(high: u64, low: u64) -> (u64, u64) {
    let dividend = (u128::from(high) << 64) | u128::from(low);
    let quotient = (dividend / u128::from(CHUNK)) as u64;
    (quotient, low.wrapping_sub(quotient.wrapping_mul(CHUNK)))
}

/// The last digits of a number, as many as there is room for: by eights from behind.
fn write(out: &mut [u8], mut number: u64) {
    for some in out.rchunks_mut(8) {
        let digits = eight_digits(number % 100_000_000);
        number /= 100_000_000;
        let skipped = digits.len() - some.len();
        some.iter_mut().zip(digits.iter().skip(skipped)).for_each(|(place, digit)| *place = *digit);
    }
}

/// The digits of a number below 10^8. Its halves, their halves and so on are split side by side in one register, each step by
/// a multiplication that is exact for numbers this small.
fn eight_digits(number: u64) -> [u8; 8] {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((twos - 10 * tens) << 8);
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shard::{HashKey, HashRange};

    fn shard(index: u32, created_secs: u64) -> Shard {
        let range = HashRange { start: HashKey(0), end: HashKey(u128::MAX) };
        let created = Timestamp::from_millis(created_secs * 1000);
        Shard { index: ShardIndex(index), range, created, parents: Vec::new(), closed: None }
    }

    #[test]
    fn the_layout_is_that_of_kinesis() {
        let number = SequenceNumber::new(
            &shard(0x23, 0x1_2345_6789),
            Position(0xabcd),
            Timestamp::from_millis(0x1_2345_9999 * 1000),
        );
        let hex = "2123456789 3 000000000000abcd 00 123459999 00000023 2".replace(' ', "");
        assert_eq!(number.to_string(), U256::from_str_radix(&hex, 16).unwrap().to_string());
        assert_eq!(number.to_string().len(), 56);
    }

    proptest! {
        #[test]
        fn a_number_is_read_as_it_is_printed(index: u32, created in 0..SECONDS_MAX, position in 0..i64::MAX as u64, arrival in 0..SECONDS_MAX) {
            let number = SequenceNumber::new(&shard(index, created), Position(position), Timestamp::from_millis(arrival * 1000));
            prop_assert_eq!(SequenceNumber::parse(&number.to_string()), Ok(number));
        }

        #[test]
        fn numbers_sort_like_positions_and_like_their_text(index: u32, a in 0..i64::MAX as u64, b in 0..i64::MAX as u64, times: [u32; 2]) {
            let of = |position, time: u32| SequenceNumber::new(&shard(index, 1_700_000_000), Position(position), Timestamp::from_millis(u64::from(time) * 1000));
            let (first, second) = (of(a, times[0]), of(b, times[1]));
            if a != b {
                prop_assert_eq!(first.cmp(&second), a.cmp(&b));
            }
            prop_assert_eq!(first.cmp(&second), first.to_string().cmp(&second.to_string()));
        }

        #[test]
        fn digits_are_those_of_the_number(index: u32, created in 0..=SECONDS_MAX, position in 0..=i64::MAX as u64, arrival in 0..=SECONDS_MAX) {
            let number = SequenceNumber::new(&shard(index, created), Position(position), Timestamp::from_millis(arrival * 1000));
            let hex = format!("2{created:09x}{:x}{position:016x}00{arrival:09x}{index:08x}2", index % 16);
            prop_assert_eq!(number.to_string(), U256::from_str_radix(&hex, 16).unwrap().to_string());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
            let _ = SequenceNumber::parse(&text);
        }
    }

    #[test]
    fn eight_digits_are_those_of_the_number() {
        for number in (0..100_000_000).step_by(9_973).chain(0..10_000).chain(99_990_000..100_000_000) {
            assert_eq!(eight_digits(number), format!("{number:08}").as_bytes());
        }
    }

    #[test]
    fn what_is_no_sequence_number_is_refused() {
        let good = SequenceNumber::new(&shard(1, 5), Position(1), Timestamp::from_millis(1)).to_string();
        let nines = "9".repeat(56);
        for bad in ["", "0", "-1", "49", nines.as_str(), &good[1..], &format!("+{}", &good[1..])] {
            assert!(SequenceNumber::parse(bad).is_err(), "{bad}");
        }
    }
}
