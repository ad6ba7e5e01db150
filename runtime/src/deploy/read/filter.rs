//! `filter` of a trigger: patterns, as JSON or written in YAML.

use crate::deploy::error::{Place, Problem};
use crate::deploy::fields::{Mistakes, Part, items, wrong_type};
use crate::deploy::legal::trigger::FILTER;
use crate::deploy::tree::{Name, Node, Value};
use crate::pattern::{Filter, FilterError, PATTERNS_MAX};

const EXPECTED: &str = "a list of patterns like [{ data: { state: [\"on\"] } }]";

/// The filter, if there is one that is right.
pub(super) fn filter(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Filter> {
    let node = part.get(FILTER.name)?;
    let items = items(part.what(FILTER.name), node, EXPECTED, PATTERNS_MAX, mistakes);
    let mut patterns = Vec::new();
    for (number, item) in (1..).zip(items) {
        let what = format!("pattern {number} of {}", part.what(FILTER.name));
        patterns.extend(pattern(item, what, mistakes));
    }
    // Patterns that are wrong were noted, each at its place.
    if patterns.len() == items.len() { Filter::parse(patterns).ok() } else { None }
}

/// The JSON of a pattern that compiles.
fn pattern(node: &Node, what: String, mistakes: &mut Mistakes) -> Option<String> {
    let text = match &node.value {
        Value::Text(text) => text.clone(),
        value @ Value::Map(_) => json(value),
        other => {
            mistakes.note(
                node.place,
                wrong_type(what, "a map like { data: { state: [\"on\"] } }, or JSON in quotes", other),
            );
            return None;
        }
    };
    match Filter::parse([text.as_str()]) {
        Ok(_) => return Some(text),
        Err(FilterError::Pattern { number: _, path, fault }) => {
            mistakes.note(place_of(node, &path), Problem::Pattern { what, path, fault });
        }
        Err(error @ FilterError::Count { .. }) => {
            mistakes.note(node.place, Problem::Name { message: error.to_string() });
        }
    }
    None
}

/// Where in a map the part of a pattern is that a path such as `data.order.type[0].prefix` leads to; as near as can be told.
fn place_of(node: &Node, path: &str) -> Place {
    let below = match &node.value {
        Value::Map(entries) => entries.iter().find_map(|(name, node)| Some((node, behind_field(path, &name.text)?))),
        Value::List(items) => behind_index(path).and_then(|(index, rest)| Some((items.get(index)?, rest))),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => None,
    };
    below.map_or(node.place, |(node, rest)| place_of(node, rest))
}

/// What of a path lies behind a field, if it leads into that.
fn behind_field<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(name)?;
    let is_whole = rest.is_empty() || rest.starts_with(['.', '[']);
    is_whole.then(|| rest.strip_prefix('.').unwrap_or(rest))
}

fn behind_index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest.strip_prefix('.').unwrap_or(rest)))
}

/// A value of YAML as JSON, which knows no infinite numbers: the reader of YAML refuses them.
fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => {
            serde_json::Number::from_f64(*value).map_or("null".to_owned(), |value| value.to_string())
        }
        Value::Text(text) => quoted(text),
        Value::List(items) => format!("[{}]", joined(items.iter().map(|Node { value, .. }| json(value)))),
        Value::Map(entries) => format!("{{{}}}", joined(entries.iter().map(entry))),
    }
}

fn entry((name, node): &(Name, Node)) -> String {
    format!("{}:{}", quoted(&name.text), json(&node.value))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::deploy::Manifest;

    /// The JSON of a pattern that is written in YAML.
    fn check(yaml: &str, expected: &str) {
        let text = format!(
            "streams: {{ s: }}\nfunctions: {{ f: {{ path: p }} }}\n\
             triggers:\n- {{ name: t, stream: s, function: f, start: latest, filter: [{yaml}] }}"
        );
        let manifest = Manifest::parse("filter", Path::new(""), &text).unwrap();
        let filter = manifest.triggers[0].rules.filter.clone().unwrap();
        assert_eq!(filter.patterns(), [expected], "{yaml}");
    }

    #[test]
    fn yaml_becomes_json() {
        check(
            "{ data: { a: [x, 'y\"z', null, true, 5, -1.5, ''] } }",
            r#"{"data":{"a":["x","y\"z",null,true,5,-1.5,""]}}"#,
        );
        check("{ data: { a: [on, yes, n, 0x10] } }", r#"{"data":{"a":["on","yes","n",16]}}"#);
        check("{ partitionKey: [{ prefix: eu- }] }", r#"{"partitionKey":[{"prefix":"eu-"}]}"#);
        check(
            "{ data: { $or: [{ b: [1] }, { a: [{ exists: false }] }] } }",
            r#"{"data":{"$or":[{"b":[1]},{"a":[{"exists":false}]}]}}"#,
        );
        check(
            "{ data: { a: [3.10, 300.0, 18446744073709551615] } }",
            r#"{"data":{"a":[3.1,300.0,18446744073709551615]}}"#,
        );
    }

    #[test]
    fn a_text_is_taken_as_it_is() {
        check(r#"'{"data": {"a": [3.10]}}'"#, r#"{"data": {"a": [3.10]}}"#);
    }
}
