//! Sequence numbers in decimal, made only when somebody asks.
//!
//! The number is 47 hexadecimal digits: `2`, the second of the shard's creation (9), the shard's index mod 16 (1), the
//! position (16), `00`, the second of arrival (9), the shard's index (8), `2`.

use crate::batch::Shard;

/// Decimal digits that one step of the division yields.
const CHUNK: u64 = 10_000_000_000_000_000_000;
/// The seconds that fit: 36 bits, good until the year 4147.
const SECONDS_MASK: u64 = (1 << 36) - 1;

/// The number in decimal: 56 digits.
pub(crate) fn decimal(shard: Shard, position: u64, arrival_seconds: u64) -> String {
    let mut limbs = limbs(shard, position, arrival_seconds);
    let low = divide(&mut limbs);
    let middle = divide(&mut limbs);
    let high = divide(&mut limbs);
    format!("{high}{middle:019}{low:019}")
}

/// The number as three 64-bit digits, the highest first.
fn limbs(shard: Shard, position: u64, arrival_seconds: u64) -> [u64; 3] {
    let index = u128::from(shard.index);
    let below = (u128::from(arrival_seconds & SECONDS_MASK) << 36) | (index << 4) | 2;
    let above = (2 << 40) | (u128::from(shard.created_seconds & SECONDS_MASK) << 4) | (index & 0xf);
    // `below` has 20 digits (80 bits), the position 16 (64 bits): the rest is `above`, which begins at bit 144.
    let position = u128::from(position);
    let low = below | ((position & 0xffff_ffff_ffff) << 80);
    let high = (above << 16) | (position >> 48);
    [high as u64, (low >> 64) as u64, low as u64]
}

/// Divides by ten to the nineteenth in place and returns the rest.
fn divide(limbs: &mut [u64; 3]) -> u64 {
    let mut rest = 0_u64;
    for limb in limbs {
        let dividend = (u128::from(rest) << 64) | u128::from(*limb);
        *limb = (dividend / u128::from(CHUNK)) as u64;
        rest = (dividend % u128::from(CHUNK)) as u64;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(index: u32, created_seconds: u64, position: u64, arrival_seconds: u64, expected: &str) {
        let shard = Shard { index, created_seconds };
        assert_eq!(decimal(shard, position, arrival_seconds), expected);
    }

    #[test]
    fn numbers_are_those_of_the_layout() {
        check(0, 0, 0, 0, "49039857307708443467467104868809893875799651909875269634");
        check(0, 1_517_363_399, 1, 1_517_363_400, "49581270660263249165637163997740576930635608650994941954");
        check(7, 1_795_000_000, 123_456_789, 1_795_000_123, "49680334709966348180481874309690933784846752126060200050");
        check(
            0xdead_beef,
            SECONDS_MASK,
            (1 << 63) - 1,
            SECONDS_MASK,
            "73559785961551514828601391991642868751110021915585801970",
        );
        check(
            9_999,
            1_795_000_000,
            (1 << 48) + 5,
            1_795_999_999,
            "49680334710144754482352336965667898808233995606763401458",
        );
    }

    #[test]
    fn a_number_that_kinesis_gave_comes_out_the_same() {
        // The record of the sample event in Lambda's guide: shardId-000000000006, arrived at 1545084650.987.
        check(6, 0x5bf4_e5c2, 0x6764_8a17, 1_545_084_650, "49590338271490256608559692538361571095921575989136588898");
    }

    #[test]
    fn numbers_sort_by_position() {
        let shard = Shard { index: 3, created_seconds: 1_700_000_000 };
        let number = |position| decimal(shard, position, 1_800_000_000 - position);
        assert!(number(1) < number(2) && number(255) < number(256) && number(1 << 20) < number((1 << 20) + 1));
    }
}
