//! Patterns of events, as Amazon `EventBridge` writes them: which records a trigger delivers.
//!
//! Promises what `FilterCriteria` of AWS Lambda's event source mappings promise for Kinesis: a record passes that
//! matches one of the patterns; within a pattern the fields of an object must all hold and of an array's values one
//! must. Compiled once; a record is read once, only the fields that a pattern names are kept, and nothing panics on
//! any bytes.
//!
//! Of the operators, those are taken that `EventBridge`'s table "Comparison operators for use in event patterns" grants
//! to pipes, which filter as event source mappings do, plus `cidr`, of which the table is silent, and `anything-but` of
//! `prefix`, `suffix` and `equals-ignore-case`, which it grants to event buses only. `wildcard` is refused.
//!
//! | asked | decided |
//! |---|---|
//! | numbers in arrays of values and in `anything-but` | compared as written: 300, 300.0 and 3.0e2 differ (AWS's guide) |
//! | numbers of `numeric` | compared by value, -5e9 to 5e9 |
//! | a key given twice, in a pattern or in a record | the last one counts |
//! | a key with a dot | is one key, never a path |
//! | a field named beside a `$or` and in it | must satisfy both |
//! | `exists` | asks for a string, number, boolean or null; an object or an empty array is none |
//! | a record's array of values | one of its values must match |
//! | a record's array of objects | all fields must match in the same object, also fields below different `$or` |
//! | `{"exists": false}` below an array of objects | absent from the object that the other fields matched; from all of them if no other field did |
//! | data nested deeper than 127 | is no JSON |
//!
//! Our own code because the nearest crate (`quamina` 0.7) has no `$or` and stops reading before it knows whether the data
//! is JSON; and our own reader because `serde_json` keeps a number's text only under a feature that changes its numbers
//! for the whole workspace.
//!
//! This room must not know of triggers, manifests and stores.

mod compile;
mod condition;
mod error;
mod found;
mod matching;
mod numeric;
mod operator;
mod reader;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::sync::Arc;

pub use error::{Fault, FilterError};

use found::{Found, Wanted};
use matching::Combination;

/// The most patterns of a filter; Lambda's quota is 5 and can be raised to 10.
pub const PATTERNS_MAX: usize = 10;

/// The longest pattern, in characters, as Lambda's `Filter.Pattern` has it.
pub const PATTERN_CHARACTERS_MAX: usize = 4096;

/// The most fields that one pattern may name once each combination of its `$or`s is written out: bounds a filter's memory
/// and a record's time. Our own limit; a pattern without `$or` stays below it.
pub const COMBINED_FIELDS_MAX: usize = 20_000;

/// One to ten patterns; a record passes that matches one of them. Cheap to clone; two are equal whose texts are.
#[derive(Clone)]
pub struct Filter(Arc<Compiled>);

struct Compiled {
    patterns: Vec<String>,
    combinations: Vec<Combination>,
    wanted: Wanted,
}

/// What patterns are matched against.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The record's data as it was put: decoded from base64, of any bytes.
    pub data: &'a [u8],
    /// The record's partition key.
    pub partition_key: &'a str,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A pattern matches: the record is delivered.
    Passes,
    /// No pattern matches: the record is passed over.
    Filtered,
    /// Every pattern that could match asks for JSON, and the data is none: the record is passed over, as Lambda does.
    NotJson,
}

impl Filter {
    /// Compiles 1 to [`PATTERNS_MAX`] patterns, each a JSON object of at most [`PATTERN_CHARACTERS_MAX`] characters.
    pub fn parse(patterns: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, FilterError> {
        let patterns: Vec<String> = patterns.into_iter().map(Into::into).collect();
        if !(1..=PATTERNS_MAX).contains(&patterns.len()) {
            return Err(FilterError::Count { given: patterns.len() });
        }
        let mut wanted = Wanted::default();
        let mut combinations = Vec::new();
        for (number, pattern) in (1..).zip(&patterns) {
            let trees = compile::pattern(pattern).map_err(|located| located.in_pattern(number))?;
            combinations.extend(trees.into_iter().map(|tree| Combination::new(tree, &mut wanted)));
        }
        Ok(Self(Arc::new(Compiled { patterns, combinations, wanted })))
    }

    /// The patterns as they were given.
    pub fn patterns(&self) -> &[String] {
        &self.0.patterns
    }

    /// Whether a pattern has conditions on the record's data, which then must be JSON.
    pub fn needs_data_json(&self) -> bool {
        self.0.combinations.iter().any(Combination::needs_data_json)
    }

    /// Whether the record passes. Reads the data only where the partition key has not decided it.
    pub fn verdict(&self, event: &Event<'_>) -> Verdict {
        let could = || self.0.combinations.iter().filter(|combination| combination.takes_key(event.partition_key));
        if could().any(|combination| !combination.needs_data_json()) {
            return Verdict::Passes;
        }
        if could().next().is_none() {
            return Verdict::Filtered;
        }
        match Found::read(event.data, &self.0.wanted) {
            None => Verdict::NotJson,
            Some(found) if could().any(|combination| combination.takes_data(&found)) => Verdict::Passes,
            Some(_) => Verdict::Filtered,
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Filter").field(&self.0.patterns).finish()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.patterns() == other.patterns()
    }
}

impl Eq for Filter {}
