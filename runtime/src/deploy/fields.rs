//! Takes the fields of one part of a manifest out of the tree, and notes what is wrong with them.

use std::time::Duration;

use super::error::{Mistake, Place, Problem};
use super::legal::{Bounded, Flag, Legal, Plain, Ranged};
use super::tree::{Name, Node, Value};
use super::units;

/// How unlike a known name may be and still be proposed (0 is nothing alike, 1 the same).
const LIKENESS_MIN: f64 = 0.7;

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn note(&mut self, place: Place, problem: Problem) {
        self.0.push(Mistake { place, problem });
    }

    /// All of them, in the order of the file.
    pub(super) fn sorted(mut self) -> Vec<Mistake> {
        self.0.sort_by_key(|mistake| mistake.place);
        self.0
    }
}

/// One part of a manifest: its name for messages, where it is, and its fields.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) within: String,
    pub(super) place: Place,
    entries: &'a [(Name, Node)],
}

impl<'a> Part<'a> {
    /// Opens a part; notes when it is no map, and each field that is not legal. Nothing at all is an empty part.
    pub(super) fn open(node: &'a Node, within: String, legal: &Legal, mistakes: &mut Mistakes) -> Option<Self> {
        let entries = entries(node, &within, mistakes)?;
        for (name, _) in entries {
            if let Some(problem) = objection(&within, &name.text, legal) {
                mistakes.note(name.place, problem);
            }
        }
        Some(Self { within, place: node.place, entries })
    }

    pub(super) fn get(&self, field: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(name, _)| name.text == field).map(|(_, node)| node)
    }

    /// The field's value, or a note that it is missing.
    pub(super) fn need(&self, field: &Plain, mistakes: &mut Mistakes) -> Option<&'a Node> {
        let found = self.get(field.name);
        if found.is_none() {
            let (field, example) = (field.name, field.example);
            mistakes.note(self.place, Problem::Missing { within: self.within.clone(), field, example });
        }
        found
    }

    /// How messages call one of the fields.
    pub(super) fn what(&self, field: &str) -> String {
        format!("'{field}' of {}", self.within)
    }

    /// A whole number; the default where it is left out, or noted to be wrong.
    pub(super) fn count(&self, field: &Ranged<u64>, mistakes: &mut Mistakes) -> u64 {
        let range = Range { name: field.name, min: field.min, max: field.max, example: field.example };
        self.number(&range, "a whole number", mistakes).unwrap_or(field.default)
    }

    /// A whole number, if there is one that is right.
    pub(super) fn count_or_none(&self, field: &Bounded<u64>, mistakes: &mut Mistakes) -> Option<u64> {
        if self.says_none(field, mistakes) {
            return None;
        }
        let range = Range { name: field.name, min: field.min, max: field.max, example: field.example };
        let expected = if field.word.is_some() { "a whole number, or unlimited" } else { "a whole number" };
        self.number(&range, expected, mistakes)
    }

    fn number(&self, field: &Range<u64>, expected: &'static str, mistakes: &mut Mistakes) -> Option<u64> {
        let node = self.get(field.name)?;
        // A number that is too large for an integer is read as one with a fraction, which it has not.
        let (given, number) = match node.value {
            Value::Integer(given) => (given.to_string(), u64::try_from(given).ok()),
            Value::Float(given) if given.is_finite() && given.fract() == 0.0 => (given.to_string(), None),
            ref other => {
                mistakes.note(node.place, wrong_type(self.what(field.name), expected, other));
                return None;
            }
        };
        let number = number.filter(|number| (field.min..=field.max).contains(number));
        if number.is_none() {
            let (min, max) = (field.min.to_string(), field.max.to_string());
            mistakes.note(node.place, Problem::Range { what: self.what(field.name), given, min, max });
        }
        number
    }

    /// Whether the field says that it has no value, or is noted to mean that in Lambda's words.
    fn says_none<T>(&self, field: &Bounded<T>, mistakes: &mut Mistakes) -> bool {
        let Some(word) = field.word else { return false };
        let Some(node) = self.get(field.name) else { return true };
        let is_minus_one = match &node.value {
            Value::Integer(number) => *number == -1,
            Value::Text(text) => text == "-1",
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => false,
        };
        if is_minus_one {
            let (what, otherwise) = (self.what(field.name), field.otherwise);
            mistakes.note(node.place, Problem::MinusOne { what, word, otherwise });
        }
        is_minus_one || matches!(&node.value, Value::Text(text) if text == word)
    }

    /// Whether something is so; the default where it is left out, or noted to be wrong.
    pub(super) fn flag(&self, field: &Flag, mistakes: &mut Mistakes) -> bool {
        let Some(node) = self.get(field.name) else { return field.default };
        if let Value::Bool(given) = node.value {
            return given;
        }
        mistakes.note(node.place, wrong_type(self.what(field.name), "true or false", &node.value));
        field.default
    }

    /// A duration; the default where it is left out, or noted to be wrong.
    pub(super) fn duration(&self, field: &Ranged<Duration>, mistakes: &mut Mistakes) -> Duration {
        let range = Range { name: field.name, min: field.min, max: field.max, example: field.example };
        self.amount(&range, &DURATION, mistakes).unwrap_or(field.default)
    }

    /// A duration, if there is one that is right.
    pub(super) fn duration_or_none(&self, field: &Bounded<Duration>, mistakes: &mut Mistakes) -> Option<Duration> {
        if self.says_none(field, mistakes) {
            return None;
        }
        let range = Range { name: field.name, min: field.min, max: field.max, example: field.example };
        self.amount(&range, &DURATION, mistakes)
    }

    /// A size in bytes; the default where it is left out, or noted to be wrong.
    pub(super) fn size_bytes(&self, field: &Ranged<u64>, mistakes: &mut Mistakes) -> u64 {
        let amount = Amount {
            read: units::size_bytes,
            print: units::print_size,
            units: units::SIZE_UNITS,
            expected: "a size like 64MiB",
        };
        let range = Range { name: field.name, min: field.min, max: field.max, example: field.example };
        self.amount(&range, &amount, mistakes).unwrap_or(field.default)
    }

    fn amount<T: Copy + PartialOrd>(&self, field: &Range<T>, amount: &Amount<T>, mistakes: &mut Mistakes) -> Option<T> {
        let node = self.get(field.name)?;
        let what = self.what(field.name);
        let given = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            other => {
                mistakes.note(node.place, wrong_type(what, amount.expected, other));
                return None;
            }
        };
        let Some(value) = (amount.read)(&given) else {
            let (units, example) = (amount.units, field.example);
            mistakes.note(node.place, Problem::Unit { what, given, units, example });
            return None;
        };
        if (field.min..=field.max).contains(&value) {
            return Some(value);
        }
        let (min, max) = ((amount.print)(field.min), (amount.print)(field.max));
        mistakes.note(node.place, Problem::Range { what, given, min, max });
        None
    }
}

/// What a field's value must lie in.
struct Range<T> {
    name: &'static str,
    min: T,
    max: T,
    example: &'static str,
}

struct Amount<T> {
    read: fn(&str) -> Option<T>,
    print: fn(T) -> String,
    units: &'static str,
    expected: &'static str,
}

const DURATION: Amount<Duration> = Amount {
    read: units::duration,
    print: units::print_duration,
    units: units::DURATION_UNITS,
    expected: "a duration like 5s",
};

/// The entries of a map; nothing at all is an empty one.
pub(super) fn entries<'a>(node: &'a Node, what: &str, mistakes: &mut Mistakes) -> Option<&'a [(Name, Node)]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        Value::Null => Some(&[]),
        other => {
            mistakes.note(node.place, wrong_type(what.to_owned(), "a map of fields", other));
            None
        }
    }
}

/// The items of a list, at least one.
pub(super) fn items<'a>(
    what: String,
    node: &'a Node,
    expected: &'static str,
    items_max: usize,
    mistakes: &mut Mistakes,
) -> &'a [Node] {
    match &node.value {
        Value::List(items) if (1..=items_max).contains(&items.len()) => items,
        Value::List(items) if !items.is_empty() => {
            let (given, min, max) = (format!("a list of {}", items.len()), "1".to_owned(), items_max.to_string());
            mistakes.note(node.place, Problem::Range { what, given, min, max });
            &[]
        }
        Value::List(_) => {
            mistakes.note(node.place, Problem::WrongType { what, expected, given: "an empty list".to_owned() });
            &[]
        }
        other => {
            mistakes.note(node.place, wrong_type(what, expected, other));
            &[]
        }
    }
}

/// The text of a value, or a note that it is none.
pub(super) fn text<'a>(node: &'a Node, what: String, mistakes: &mut Mistakes) -> Option<&'a str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    mistakes.note(node.place, wrong_type(what, "a text (in quotes if it looks like a number)", &node.value));
    None
}

pub(super) fn wrong_type(what: String, expected: &'static str, given: &Value) -> Problem {
    Problem::WrongType { what, expected, given: given.describe() }
}

/// What is wrong with a field's name, if anything.
fn objection(within: &str, field: &str, legal: &Legal) -> Option<Problem> {
    if legal.names().any(|name| name == field) {
        return None;
    }
    let (within, field) = (within.to_owned(), field.to_owned());
    if let Some((_, meaning)) = legal.planned.iter().find(|(name, _)| *name == field) {
        return Some(Problem::NotSupported { within, field, meaning });
    }
    let nearest = nearest(&field, legal.names());
    Some(Problem::UnknownField { within, field, nearest, legal: legal.names().map(str::to_owned).collect() })
}

/// The known name that looks most like the given one, if any looks like it.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = known.map(|name| (strsim::jaro_winkler(given, name), name));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).map(|(_, name)| name.to_owned())
}
