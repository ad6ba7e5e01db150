//! Whether conditions hold for what was found in a record.

use std::iter;
use std::sync::Arc;

use super::compile::Conditions;
use super::condition::Condition;
use super::found::{Found, Wanted};
use super::reader::Scalar;

/// Conditions without `$or`; all of them must hold.
#[derive(Debug)]
pub(super) struct Combination {
    partition_key: Vec<Alternatives>,
    data: Option<Node>,
}

/// Conditions on a value of the data and on the fields below it.
#[derive(Debug)]
struct Node {
    here: Vec<Alternatives>,
    /// By the slot in which the field is found.
    fields: Vec<(usize, Node)>,
}

/// One of the conditions must hold. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Alternatives {
    conditions: Arc<[Condition]>,
    /// Whether one of them is that there is no value.
    or_absent: bool,
}

/// Whether conditions hold, and by what: in an array of objects that decides which of them must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    No,
    /// Only because values are absent, or because nothing is asked.
    ByAbsence,
    /// By at least one value.
    ByValue,
}

impl Combination {
    /// From conditions on the fields `partitionKey` and `data`; the fields of the data become wanted.
    pub(super) fn new(mut conditions: Conditions, wanted: &mut Wanted) -> Self {
        let partition_key = conditions.fields.remove("partitionKey").unwrap_or_default().here;
        let data = conditions.fields.remove("data").map(|conditions| Node::new(conditions, wanted));
        Self { partition_key, data }
    }

    pub(super) fn needs_data_json(&self) -> bool {
        self.data.is_some()
    }

    /// Whether what is asked of the partition key holds.
    pub(super) fn takes_key(&self, partition_key: &str) -> bool {
        let key = Scalar::String(partition_key.into());
        self.partition_key.iter().all(|alternatives| alternatives.hold_for(&key))
    }

    /// Whether what is asked of the data holds.
    pub(super) fn takes_data(&self, data: &Found<'_>) -> bool {
        self.data.as_ref().is_none_or(|node| node.holds(data) != Holds::No)
    }
}

impl Alternatives {
    pub(super) fn new(conditions: Vec<Condition>) -> Self {
        let or_absent = conditions.contains(&Condition::Absent);
        Self { conditions: conditions.into(), or_absent }
    }

    fn hold_for(&self, value: &Scalar<'_>) -> bool {
        self.conditions.iter().any(|condition| condition.holds(value))
    }

    fn hold_among(&self, found: &Found<'_>) -> bool {
        match found {
            Found::Scalar(value) => self.hold_for(value),
            Found::Array(elements) => elements.iter().any(|element| self.hold_among(element)),
            Found::Nothing | Found::Object(_) => false,
        }
    }

    fn holds(&self, found: &Found<'_>) -> Holds {
        if self.hold_among(found) {
            Holds::ByValue
        } else if self.or_absent && !found.has_scalar() {
            Holds::ByAbsence
        } else {
            Holds::No
        }
    }
}

impl Node {
    fn new(conditions: Conditions, wanted: &mut Wanted) -> Self {
        let below = |(name, conditions): (String, Conditions)| {
            let (slot, wanted) = wanted.field(&name);
            (slot, Self::new(conditions, wanted))
        };
        Self { here: conditions.here, fields: conditions.fields.into_iter().map(below).collect() }
    }

    fn holds(&self, found: &Found<'_>) -> Holds {
        let here = all(self.here.iter().map(|alternatives| alternatives.holds(found)));
        if here == Holds::No || self.fields.is_empty() { here } else { all([here, self.fields_hold(found)]) }
    }

    fn fields_hold(&self, found: &Found<'_>) -> Holds {
        match found {
            Found::Object(slots) => all(self.fields.iter().map(|(slot, node)| match slots.get(*slot) {
                Some(found) => node.holds(found),
                None => node.holds(&Found::Nothing),
            })),
            Found::Array(elements) => {
                // An empty array holds what nothing holds.
                let nothing = iter::once_with(|| self.nothing_holds());
                one(elements.iter().map(|element| self.fields_hold(element)).chain(nothing))
            }
            Found::Nothing | Found::Scalar(_) => self.nothing_holds(),
        }
    }

    /// Whether what is asked of the fields holds where none is.
    fn nothing_holds(&self) -> Holds {
        all(self.fields.iter().map(|(_, node)| node.holds(&Found::Nothing)))
    }
}

/// Of conditions that must all hold.
fn all(parts: impl IntoIterator<Item = Holds>) -> Holds {
    let both = |all, part| if part == Holds::No { None } else { Some(Holds::max(all, part)) };
    parts.into_iter().try_fold(Holds::ByAbsence, both).unwrap_or(Holds::No)
}

/// Of the same conditions on each element of an array: by a value in one, or else absent from all.
fn one(elements: impl Iterator<Item = Holds>) -> Holds {
    let mut absent_from_all = true;
    for holds in elements {
        match holds {
            Holds::ByValue => return Holds::ByValue,
            Holds::ByAbsence => {}
            Holds::No => absent_from_all = false,
        }
    }
    if absent_from_all { Holds::ByAbsence } else { Holds::No }
}
