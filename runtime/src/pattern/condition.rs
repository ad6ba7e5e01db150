//! What a pattern can ask of one value.

use std::net::IpAddr;
use std::ops::{Bound, RangeBounds};

use super::reader::Scalar;

/// The greatest number that `numeric` compares, and the least if negative (`EventBridge`'s guide).
pub(super) const NUMBER_MAX: f64 = 5e9;

/// Asked of a string, number, boolean or null of the record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    Null,
    Bool(bool),
    /// The number's text.
    Number(Box<str>),
    String(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// The text [`folded`].
    EqualsIgnoreCase(Box<str>),
    /// The text [`folded`].
    PrefixIgnoreCase(Box<str>),
    /// The text [`folded`].
    SuffixIgnoreCase(Box<str>),
    /// None of these.
    AnythingBut(Vec<Condition>),
    Numeric(Bound<f64>, Bound<f64>),
    Cidr(Block),
    Exists,
    /// Holds for no value: that there is none.
    Absent,
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    V4 { network: u32, mask: u32 },
    V6 { network: u128, mask: u128 },
}

impl Condition {
    /// Whether it holds for the value.
    pub(super) fn holds(&self, value: &Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Exists, _) | (Self::Null, Scalar::Null) => true,
            (Self::AnythingBut(excluded), _) => !excluded.iter().any(|condition| condition.holds(value)),
            (Self::Bool(wanted), Scalar::Bool(value)) => wanted == value,
            (Self::Number(wanted), Scalar::Number(text)) => **wanted == **text,
            (Self::Numeric(low, high), Scalar::Number(text)) => within(text, *low, *high),
            (_, Scalar::String(text)) => self.holds_for_text(text),
            (_, Scalar::Null | Scalar::Bool(_) | Scalar::Number(_)) => false,
        }
    }

    fn holds_for_text(&self, text: &str) -> bool {
        match self {
            Self::String(wanted) => **wanted == *text,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::EqualsIgnoreCase(wanted) => wanted.chars().eq(folded(text)),
            Self::PrefixIgnoreCase(prefix) => starts_with(folded(text), prefix.chars()),
            Self::SuffixIgnoreCase(suffix) => starts_with(folded(text).rev(), suffix.chars().rev()),
            Self::Cidr(block) => text.parse().is_ok_and(|address| block.has(address)),
            Self::Exists => true,
            Self::AnythingBut(_) | Self::Null | Self::Bool(_) | Self::Number(_) | Self::Numeric(..) | Self::Absent => {
                false
            }
        }
    }
}

impl Block {
    /// From an address and its leading bits such as `10.0.0.0/8`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits = bits.parse::<u8>().ok().filter(|_| bits.bytes().all(|byte| byte.is_ascii_digit()))?;
        match address.parse().ok()? {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits.into())?).unwrap_or(0);
                Some(Self::V4 { network: address.to_bits() & mask, mask })
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.checked_sub(bits.into())?).unwrap_or(0);
                Some(Self::V6 { network: address.to_bits() & mask, mask })
            }
        }
    }

    fn has(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4 { network, mask }, IpAddr::V4(address)) => address.to_bits() & mask == network,
            (Self::V6 { network, mask }, IpAddr::V6(address)) => address.to_bits() & mask == network,
            (Self::V4 { .. }, IpAddr::V6(_)) | (Self::V6 { .. }, IpAddr::V4(_)) => false,
        }
    }
}

/// The text's characters in lower case, one by one: no rule of a language or of a neighbour applies.
pub(super) fn folded(text: &str) -> impl DoubleEndedIterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

/// A number's value if `numeric` compares it.
pub(super) fn comparable(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.abs() <= NUMBER_MAX)
}

fn within(text: &str, low: Bound<f64>, high: Bound<f64>) -> bool {
    comparable(text).is_some_and(|value| (low, high).contains(&value))
}

fn starts_with(mut text: impl Iterator<Item = char>, mut start: impl Iterator<Item = char>) -> bool {
    start.all(|character| text.next() == Some(character))
}
