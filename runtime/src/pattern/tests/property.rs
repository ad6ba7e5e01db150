//! Compares with a naive reading of event-ruler's rule: of each combination, every condition finds a field with its path
//! and a fitting value, no two of the fields lie in different elements of the same array, and what must be absent has no
//! field that could stand with them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{FILTERED, PASSES, verdict};

type Path = Vec<String>;
/// The element of each array, by the array's number.
type Membership = BTreeMap<usize, usize>;

/// A value of the data.
#[derive(Debug)]
struct Field {
    path: Path,
    value: Value,
    membership: Membership,
}

/// A path and the values that it may have.
type Condition = (Path, Vec<Value>);

/// Collects the fields of a value that lies in elements of arrays, the last of them those since the last object: a value
/// in an array belongs to the object that has the array.
fn fields(value: &Value, path: &Path, [object, element]: [&Membership; 2], arrays: &mut usize, found: &mut Vec<Field>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                fields(value, &[path.clone(), vec![name.clone()]].concat(), [element; 2], arrays, found);
            }
        }
        Value::Array(elements) => {
            let array = *arrays;
            *arrays += 1;
            for (index, value) in elements.iter().enumerate() {
                let mut element = element.clone();
                element.insert(array, index);
                fields(value, path, [object, &element], arrays, found);
            }
        }
        scalar => found.push(Field { path: path.clone(), value: scalar.clone(), membership: object.clone() }),
    }
}

fn combinations(pattern: &Map<String, Value>, path: &Path) -> Vec<Vec<Condition>> {
    let mut all: Vec<Vec<Condition>> = vec![Vec::new()];
    for (name, value) in pattern {
        let below = [path.clone(), vec![name.clone()]].concat();
        let one = match value {
            Value::Array(ways) if name == "$or" => {
                ways.iter().flat_map(|way| combinations(way.as_object().unwrap(), path)).collect()
            }
            Value::Array(values) => vec![vec![(below, values.clone())]],
            nested => combinations(nested.as_object().unwrap(), &below),
        };
        all = all.iter().flat_map(|all| one.iter().map(|one| [all.clone(), one.clone()].concat())).collect();
    }
    all
}

fn hold(conditions: &[Condition], absent: &[Path], membership: &Membership, fields: &[Field]) -> bool {
    let stands = |field: &&Field, path: &Path| field.path == *path && consistent(&field.membership, membership);
    let Some(((path, values), rest)) = conditions.split_first() else {
        return absent.iter().all(|path| !fields.iter().any(|field| stands(&field, path)));
    };
    let by_value = fields.iter().filter(|field| stands(field, path)).any(|field| {
        let with = membership.iter().chain(&field.membership).map(|(array, element)| (*array, *element)).collect();
        values.iter().any(|wanted| fits(wanted, &field.value)) && hold(rest, absent, &with, fields)
    });
    let by_absence = values.contains(&json!({"exists": false}));
    by_value || by_absence && hold(rest, &[absent, std::slice::from_ref(path)].concat(), membership, fields)
}

fn consistent(one: &Membership, other: &Membership) -> bool {
    one.iter().all(|(array, element)| other.get(array).is_none_or(|known| known == element))
}

fn fits(wanted: &Value, value: &Value) -> bool {
    let Some((operator, operand)) = wanted.as_object().and_then(|operator| operator.iter().next()) else {
        return wanted == value;
    };
    match (operator.as_str(), value) {
        ("exists", _) => operand == true,
        ("anything-but", _) => operand != value,
        ("prefix", Value::String(text)) => text.starts_with(operand.as_str().unwrap()),
        ("equals-ignore-case", Value::String(text)) => text.to_lowercase() == operand.as_str().unwrap().to_lowercase(),
        ("numeric", Value::Number(number)) => number.as_f64() > operand[1].as_f64(),
        _ => false,
    }
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![json!(null), json!(true), json!(1), json!(2), json!("x"), json!("X"), json!("xy")])
}

fn data() -> impl Strategy<Value = Value> {
    let object = |value| prop::collection::btree_map(name(), value, 0..3).prop_map(|object| json!(object));
    let value = scalar().prop_recursive(4, 24, 3, move |value| {
        prop_oneof![object(value.clone()), prop::collection::vec(value, 0..3).prop_map(Value::Array)]
    });
    object(value.boxed())
}

fn pattern() -> impl Strategy<Value = Value> {
    let operator = prop::sample::select(vec![
        json!({"exists": true}),
        json!({"exists": false}),
        json!({"anything-but": "x"}),
        json!({"anything-but": 1}),
        json!({"prefix": "x"}),
        json!({"equals-ignore-case": "x"}),
        json!({"numeric": [">", 1]}),
    ]);
    let values = prop::collection::vec(prop_oneof![scalar(), operator], 1..3).prop_map(Value::Array);
    let object = |value| prop::collection::btree_map(name(), value, 1..3);
    object(values.boxed()).prop_map(|object| json!(object)).prop_recursive(3, 16, 3, move |below| {
        let leaves = prop::collection::vec(scalar(), 1..3).prop_map(Value::Array);
        let ways = prop::option::weighted(0.4, prop::collection::vec(below.clone(), 2..4));
        (object(prop_oneof![leaves, below].boxed()), ways).prop_map(|(mut object, ways)| {
            object.extend(ways.map(|ways| ("$or".to_owned(), json!(ways))));
            json!(object)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_naive_reading(pattern in pattern(), data in data()) {
        let mut found = Vec::new();
        fields(&data, &Vec::new(), [&Membership::new(); 2], &mut 0, &mut found);
        let combinations = combinations(pattern.as_object().unwrap(), &Vec::new());
        prop_assume!(combinations.len() < 500);
        let passes = combinations.iter().any(|conditions| hold(conditions, &[], &Membership::new(), &found));
        let whole = json!({"data": pattern}).to_string();
        prop_assert_eq!(verdict(&whole, data.to_string()), if passes { PASSES } else { FILTERED });
    }
}
