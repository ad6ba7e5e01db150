//! From a pattern's text to the combinations of conditions that its `$or`s stand for.
//!
//! A combination has no `$or` left, so the conditions on one path lie together wherever the pattern gave them.

use std::collections::BTreeMap;

use super::error::{Fault, Located};
use super::matching::Alternatives;
use super::operator;
use super::tree::Json;
use super::{COMBINED_FIELDS_MAX, PATTERN_CHARACTERS_MAX};

const FIELD: &str = "an object of fields or an array of values such as [\"a\", \"b\"]";
const OBJECT: &str = "an object of fields such as {\"state\": [\"on\"]}";
const PATTERN: &str = "a JSON object such as {\"data\": {\"state\": [\"on\"]}}";
const OR: &str = "an array of two or more objects such as [{\"a\": [1]}, {\"b\": [2]}]";

/// Conditions that must all hold, by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    /// On the value here: of each list, one must hold.
    pub(super) here: Vec<Alternatives>,
    /// On the fields of the object here.
    pub(super) fields: BTreeMap<String, Conditions>,
}

/// What an object of the pattern describes.
#[derive(Clone, Copy)]
enum Place {
    /// The record, or a part of a `$or` of it.
    Record,
    /// An object in the record's data.
    Data,
}

type Compiled = Result<Vec<Conditions>, Located>;

/// The combinations of one pattern, each with the fields `data`, `partitionKey` or both; one must hold.
pub(super) fn pattern(text: &str) -> Compiled {
    let characters = text.chars().count();
    if characters > PATTERN_CHARACTERS_MAX {
        return Err(Fault::TooLong { characters }.into());
    }
    match Json::parse(text).map_err(|malformed| Fault::NotJson { expected: malformed.expected, at: malformed.at })? {
        Json::Object(members) => object(&members, Place::Record, "a pattern", PATTERN),
        other => Err(kind("a pattern", PATTERN, &other)),
    }
}

fn object(members: &[(String, Json<'_>)], place: Place, what: &'static str, right: &'static str) -> Compiled {
    if members.is_empty() {
        return Err(Fault::Kind { place: what, right, found: "an empty object" }.into());
    }
    members.iter().try_fold(vec![Conditions::default()], |all, (name, value)| {
        let one = member(name, value, place).map_err(|located| located.in_field(name))?;
        product(&all, &one).map_err(|located| located.in_field(name))
    })
}

fn member(name: &str, value: &Json<'_>, place: Place) -> Compiled {
    let below = match (place, name) {
        (_, "$or") => return or(value, place),
        (Place::Record, "data") => data(value)?,
        (Place::Record, "partitionKey") => partition_key(value)?,
        (Place::Record, _) => return Err(Fault::Key { key: name.to_owned() }.into()),
        (Place::Data, _) => field(value)?,
    };
    Ok(below.into_iter().map(|conditions| conditions.below(name)).collect())
}

fn data(value: &Json<'_>) -> Compiled {
    match value {
        Json::Object(members) => object(members, Place::Data, "\"data\"", OBJECT),
        other @ (Json::Array(_) | Json::Scalar(_)) => Err(kind("\"data\"", OBJECT, other)),
    }
}

fn partition_key(value: &Json<'_>) -> Compiled {
    match value {
        Json::Array(values) => Ok(vec![Conditions::here(operator::alternatives(values)?)]),
        other => Err(kind("\"partitionKey\"", "an array of values such as [\"a\", \"b\"]", other)),
    }
}

fn field(value: &Json<'_>) -> Compiled {
    match value {
        Json::Object(members) => object(members, Place::Data, "a field", FIELD),
        Json::Array(values) => Ok(vec![Conditions::here(operator::alternatives(values)?)]),
        scalar @ Json::Scalar(_) => Err(kind("a field", FIELD, scalar)),
    }
}

fn or(value: &Json<'_>, place: Place) -> Compiled {
    let ways = match value {
        Json::Array(ways) if ways.len() >= 2 => ways,
        Json::Array(ways) if ways.len() == 1 => {
            return Err(Fault::Kind { place: "\"$or\"", right: OR, found: "an array of one" }.into());
        }
        other => return Err(kind("\"$or\"", OR, other)),
    };
    let mut all = Vec::new();
    for (index, way) in ways.iter().enumerate() {
        all.extend(way_of_or(way, place).map_err(|located| located.in_element(index))?);
        bounded(size(&all))?;
    }
    Ok(all)
}

fn way_of_or(way: &Json<'_>, place: Place) -> Compiled {
    match way {
        Json::Object(members) => object(members, place, "each way of a \"$or\"", OBJECT),
        other => Err(kind("each way of a \"$or\"", OBJECT, other)),
    }
}

/// Every one of the first together with every one of the second.
fn product(first: &[Conditions], second: &[Conditions]) -> Compiled {
    bounded(first.len() * size(second) + second.len() * size(first))?;
    Ok(first.iter().flat_map(|one| second.iter().map(|other| one.clone().and(other.clone()))).collect())
}

fn bounded(fields: usize) -> Result<(), Located> {
    if fields > COMBINED_FIELDS_MAX { Err(Fault::Combinations { fields }.into()) } else { Ok(()) }
}

fn size(combinations: &[Conditions]) -> usize {
    combinations.iter().map(Conditions::size).sum()
}

fn kind(place: &'static str, right: &'static str, found: &Json<'_>) -> Located {
    Fault::Kind { place, right, found: found.kind() }.into()
}

impl Conditions {
    fn here(alternatives: Alternatives) -> Self {
        Self { here: vec![alternatives], fields: BTreeMap::new() }
    }

    fn below(self, name: &str) -> Self {
        Self { here: Vec::new(), fields: BTreeMap::from([(name.to_owned(), self)]) }
    }

    /// How many fields there are, and one for the value here.
    fn size(&self) -> usize {
        1 + self.fields.values().map(Self::size).sum::<usize>()
    }

    fn and(mut self, other: Self) -> Self {
        self.here.extend(other.here);
        for (name, conditions) in other.fields {
            let known = self.fields.remove(&name).unwrap_or_default();
            self.fields.insert(name, known.and(conditions));
        }
        self
    }
}
