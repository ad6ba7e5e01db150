//! What can be wrong with a pattern, where, and what would be right.

use super::{COMBINED_FIELDS_MAX, PATTERN_CHARACTERS_MAX, PATTERNS_MAX};

/// Why patterns make no filter. The caller corrects the pattern; nothing else helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No pattern, or too many.
    #[error("a filter has 1 to {PATTERNS_MAX} patterns, not {given}")]
    Count {
        /// How many were given.
        given: usize,
    },
    /// One of the patterns is wrong.
    #[error("pattern {number}{}: {fault}", place(path))]
    Pattern {
        /// Which one, from 1.
        number: usize,
        /// Where in it, such as `data.order.type[0].prefix`; empty for the pattern as a whole.
        path: String,
        /// What is wrong there.
        fault: Fault,
    },
}

/// What is wrong at a place in a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Longer than Lambda takes.
    #[error("a pattern has at most {PATTERN_CHARACTERS_MAX} characters, not {characters}")]
    TooLong {
        /// How many it has.
        characters: usize,
    },
    /// Not JSON.
    #[error("not JSON: {expected} was expected at byte {at}")]
    NotJson {
        /// What would have been right.
        expected: &'static str,
        /// Where, in bytes from the pattern's start.
        at: usize,
    },
    /// JSON of another kind than can stand here.
    #[error("{place} must be {right}, not {found}")]
    Kind {
        /// What stands here.
        place: &'static str,
        /// What it must be, with an example.
        right: &'static str,
        /// What was found.
        found: &'static str,
    },
    /// A key of the record that cannot be filtered on; for Kinesis, Lambda itself knows `data` alone.
    #[error("records cannot be filtered on \"{key}\": use \"data\", \"partitionKey\" or \"$or\" of them")]
    Key {
        /// The key.
        key: String,
    },
    /// Too many `$or`s beside or in one another.
    #[error(
        "the \"$or\"s of a pattern may combine to {COMBINED_FIELDS_MAX} fields, not to {fields}: give some a pattern of their own"
    )]
    Combinations {
        /// How many fields there are so far.
        fields: usize,
    },
    /// No such operator.
    #[error(
        "there is no operator \"{name}\": use \"prefix\", \"suffix\", \"equals-ignore-case\", \"anything-but\", \
         \"numeric\", \"exists\" or \"cidr\""
    )]
    Operator {
        /// The name given.
        name: String,
    },
    /// An operator of `EventBridge`'s event buses that Lambda's filters do not have.
    #[error("Lambda's filters have no operator \"wildcard\": use \"prefix\" or \"suffix\"")]
    Wildcard,
    /// A number that `numeric` does not compare.
    #[error("\"numeric\" compares numbers from -5000000000 to 5000000000, not {number}")]
    Number {
        /// As it was written.
        number: String,
    },
    /// A range that holds no number.
    #[error("the range's low end {low} is not below its high end {high}")]
    EmptyRange {
        /// As it was written.
        low: String,
        /// As it was written.
        high: String,
    },
    /// Not a block of addresses.
    #[error(
        "\"cidr\" takes an address and its leading bits such as \"10.0.0.0/8\" or \"2001:db8::/32\", not \"{text}\""
    )]
    Cidr {
        /// What was given.
        text: String,
    },
}

/// A fault, and the steps to it from the value looked at.
#[derive(Debug)]
pub(super) struct Located {
    path: String,
    fault: Fault,
}

impl From<Fault> for Located {
    fn from(fault: Fault) -> Self {
        Self { path: String::new(), fault }
    }
}

impl Located {
    /// The same, seen from the object that has the field.
    pub(super) fn in_field(self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        Self { path: format!("{name}{dot}{}", self.path), fault: self.fault }
    }

    /// The same, seen from the array that has the element.
    pub(super) fn in_element(self, index: usize) -> Self {
        self.in_field(&format!("[{index}]"))
    }

    pub(super) fn in_pattern(self, number: usize) -> FilterError {
        FilterError::Pattern { number, path: self.path, fault: self.fault }
    }
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", at {path}") }
}
