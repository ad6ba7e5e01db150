//! Takes the fields of one part of a manifest out of the tree, and notes what is wrong with them.

use std::time::Duration;

use super::error::{Mistake, Place, Problem};
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

/// The fields that a part of a manifest may have.
#[derive(Debug)]
pub(super) struct Legal {
    /// Those that work.
    pub(super) fields: &'static [&'static str],
    /// Those that will, and what they will do.
    pub(super) planned: &'static [(&'static str, &'static str)],
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
    pub(super) fn need(&self, field: &'static str, example: &'static str, mistakes: &mut Mistakes) -> Option<&'a Node> {
        let found = self.get(field);
        if found.is_none() {
            mistakes.note(self.place, Problem::Missing { within: self.within.clone(), field, example });
        }
        found
    }

    /// How messages call one of the fields.
    pub(super) fn what(&self, field: &str) -> String {
        format!("'{field}' of {}", self.within)
    }

    /// A whole number in a range.
    pub(super) fn integer(&self, field: &str, min: u64, max: u64, mistakes: &mut Mistakes) -> Option<u64> {
        let node = self.get(field)?;
        let Value::Integer(given) = node.value else {
            mistakes.note(node.place, wrong_type(self.what(field), "a whole number", &node.value));
            return None;
        };
        let fitting = u64::try_from(given).ok().filter(|number| (min..=max).contains(number));
        if fitting.is_none() {
            let (given, min, max) = (given.to_string(), min.to_string(), max.to_string());
            mistakes.note(node.place, Problem::Range { what: self.what(field), given, min, max });
        }
        fitting
    }

    /// A duration in a range.
    pub(super) fn duration(&self, field: &str, min: Duration, max: Duration, notes: &mut Mistakes) -> Option<Duration> {
        let amount = Amount {
            read: units::duration,
            print: units::print_duration,
            units: units::DURATION_UNITS,
            expected: "a duration like 5s",
        };
        self.amount(field, min, max, &amount, notes)
    }

    /// A size in a range, bytes.
    pub(super) fn size_bytes(&self, field: &str, min: u64, max: u64, notes: &mut Mistakes) -> Option<u64> {
        let amount = Amount {
            read: units::size_bytes,
            print: units::print_size,
            units: units::SIZE_UNITS,
            expected: "a size like 64MiB",
        };
        self.amount(field, min, max, &amount, notes)
    }

    fn amount<T: Copy + PartialOrd>(
        &self,
        field: &str,
        min: T,
        max: T,
        amount: &Amount<T>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let node = self.get(field)?;
        let given = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            other => {
                mistakes.note(node.place, wrong_type(self.what(field), amount.expected, other));
                return None;
            }
        };
        let what = self.what(field);
        let Some(value) = (amount.read)(&given) else {
            let (units, example) = (amount.units, (amount.print)(min));
            mistakes.note(node.place, Problem::Unit { what, given, units, example });
            return None;
        };
        if (min..=max).contains(&value) {
            return Some(value);
        }
        let (min, max) = ((amount.print)(min), (amount.print)(max));
        mistakes.note(node.place, Problem::Range { what, given, min, max });
        None
    }
}

struct Amount<T> {
    read: fn(&str) -> Option<T>,
    print: fn(T) -> String,
    units: &'static str,
    expected: &'static str,
}

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
    if legal.fields.contains(&field) {
        return None;
    }
    let (within, field) = (within.to_owned(), field.to_owned());
    if let Some((_, meaning)) = legal.planned.iter().find(|(name, _)| *name == field) {
        return Some(Problem::NotSupported { within, field, meaning });
    }
    let nearest = nearest(&field, legal.fields.iter().copied());
    Some(Problem::UnknownField {
        within,
        field,
        nearest,
        legal: legal.fields.iter().map(ToString::to_string).collect(),
    })
}

/// The known name that looks most like the given one, if any looks like it.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = known.map(|name| (strsim::jaro_winkler(given, name), name));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).map(|(_, name)| name.to_owned())
}
