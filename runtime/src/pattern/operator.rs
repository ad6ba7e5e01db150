//! From the values and operators that a pattern lists for a field to conditions.
//!
//! Forms as AWS's `JsonRuleCompiler` (aws/event-ruler) takes them, but for `wildcard` and `exactly`.

use super::condition::{Block, Condition, folded};
use super::error::{Fault, Located};
use super::matching::Alternatives;
use super::numeric::numeric;
use super::reader::Scalar;
use super::tree::Json;

const VALUES: &str = "an array of one or more values such as [\"a\", \"b\"]";
const VALUE: &str = "a string, number, true, false, null or operator such as {\"prefix\": \"a\"}";
const OPERATOR: &str = "an object of one key such as {\"prefix\": \"a\"}";
const STRING: &str = "a string";
const STRING_OR_FOLDED: &str = "a string or {\"equals-ignore-case\": \"a\"}";
const STRINGS: &str = "a string or an array of strings";
const STRINGS_NOT_EMPTY: &str = "a string of one or more characters or an array of such";
const EXCLUDED: &str = "a string, a number, an array of strings, an array of numbers, or {\"prefix\": \"a\"}, \
                        {\"suffix\": \"a\"} or {\"equals-ignore-case\": \"a\"}";

type Compiled = Result<Condition, Located>;

/// One of the array's values must hold.
pub(super) fn alternatives(values: &[Json<'_>]) -> Result<Alternatives, Located> {
    if values.is_empty() {
        return Err(Fault::Kind { place: "a field", right: VALUES, found: "an empty array" }.into());
    }
    Ok(Alternatives::new(each(values, condition)?))
}

fn condition(value: &Json<'_>) -> Compiled {
    match value {
        Json::Scalar(scalar) => Ok(literal(scalar)),
        Json::Object(members) => operator(members),
        Json::Array(_) => Err(wrong("a value", VALUE, value)),
    }
}

fn literal(scalar: &Scalar<'_>) -> Condition {
    match scalar {
        Scalar::Null => Condition::Null,
        Scalar::Bool(value) => Condition::Bool(*value),
        Scalar::Number(text) => Condition::Number((*text).into()),
        Scalar::String(text) => Condition::String(text.as_ref().into()),
    }
}

fn operator(members: &[(String, Json<'_>)]) -> Compiled {
    let (name, operand) = single(members)?;
    let condition = match name {
        "prefix" => prefix(operand),
        "suffix" => suffix(operand),
        "equals-ignore-case" => text(operand, "\"equals-ignore-case\"", STRING).map(equals_ignore_case),
        "anything-but" => anything_but(operand).map(Condition::AnythingBut),
        "numeric" => numeric(operand),
        "exists" => exists(operand),
        "cidr" => cidr(operand),
        "wildcard" => Err(Fault::Wildcard.into()),
        _ => return Err(Fault::Operator { name: name.to_owned() }.into()),
    };
    condition.map_err(|located| located.in_field(name))
}

fn prefix(operand: &Json<'_>) -> Compiled {
    match operand {
        Json::Object(members) => ignoring_case(members, "\"prefix\"").map(Condition::PrefixIgnoreCase),
        _ => text(operand, "\"prefix\"", STRING_OR_FOLDED).map(|text| Condition::Prefix(text.into())),
    }
}

fn suffix(operand: &Json<'_>) -> Compiled {
    match operand {
        Json::Object(members) => ignoring_case(members, "\"suffix\"").map(Condition::SuffixIgnoreCase),
        _ => text(operand, "\"suffix\"", STRING_OR_FOLDED).map(|text| Condition::Suffix(text.into())),
    }
}

fn equals_ignore_case(text: &str) -> Condition {
    Condition::EqualsIgnoreCase(folded(text).collect::<String>().into())
}

/// The folded text of `{"equals-ignore-case": "a"}` in another operator.
fn ignoring_case(members: &[(String, Json<'_>)], place: &'static str) -> Result<Box<str>, Located> {
    match members {
        [(name, operand)] if name == "equals-ignore-case" => {
            let text = text(operand, "\"equals-ignore-case\"", STRING).map_err(|located| located.in_field(name))?;
            Ok(folded(text).collect::<String>().into())
        }
        _ => Err(Fault::Kind { place, right: STRING_OR_FOLDED, found: "another object" }.into()),
    }
}

fn anything_but(operand: &Json<'_>) -> Result<Vec<Condition>, Located> {
    match operand {
        Json::Scalar(scalar @ (Scalar::String(_) | Scalar::Number(_))) => Ok(vec![literal(scalar)]),
        Json::Array(values) => excluded_values(values),
        Json::Object(members) => excluded_texts(members),
        Json::Scalar(Scalar::Null | Scalar::Bool(_)) => Err(wrong("\"anything-but\"", EXCLUDED, operand)),
    }
}

fn excluded_values(values: &[Json<'_>]) -> Result<Vec<Condition>, Located> {
    let strings = values.iter().all(|value| matches!(value, Json::Scalar(Scalar::String(_))));
    let numbers = values.iter().all(|value| matches!(value, Json::Scalar(Scalar::Number(_))));
    if values.is_empty() || !(strings || numbers) {
        let found = if values.is_empty() { "an empty array" } else { "another array" };
        return Err(Fault::Kind { place: "\"anything-but\"", right: EXCLUDED, found }.into());
    }
    each(values, condition)
}

fn excluded_texts(members: &[(String, Json<'_>)]) -> Result<Vec<Condition>, Located> {
    let (name, operand) = single(members)?;
    let conditions = match name {
        "prefix" => texts(operand, |value| not_empty(value, "\"prefix\"").map(|text| Condition::Prefix(text.into()))),
        "suffix" => texts(operand, |value| not_empty(value, "\"suffix\"").map(|text| Condition::Suffix(text.into()))),
        "equals-ignore-case" => {
            texts(operand, |value| text(value, "\"equals-ignore-case\"", STRINGS).map(equals_ignore_case))
        }
        "wildcard" => Err(Fault::Wildcard.into()),
        _ => return Err(Fault::Kind { place: "\"anything-but\"", right: EXCLUDED, found: "another object" }.into()),
    };
    conditions.map_err(|located| located.in_field(name))
}

/// A condition for the one text, or for each of the array's.
fn texts(operand: &Json<'_>, condition: impl Fn(&Json<'_>) -> Compiled) -> Result<Vec<Condition>, Located> {
    match operand {
        Json::Array(values) if !values.is_empty() => each(values, condition),
        _ => Ok(vec![condition(operand)?]),
    }
}

fn not_empty<'j>(value: &'j Json<'_>, place: &'static str) -> Result<&'j str, Located> {
    match text(value, place, STRINGS_NOT_EMPTY)? {
        "" => Err(Fault::Kind { place, right: STRINGS_NOT_EMPTY, found: "an empty string" }.into()),
        text => Ok(text),
    }
}

fn exists(operand: &Json<'_>) -> Compiled {
    match operand {
        Json::Scalar(Scalar::Bool(true)) => Ok(Condition::Exists),
        Json::Scalar(Scalar::Bool(false)) => Ok(Condition::Absent),
        _ => Err(wrong("\"exists\"", "true or false", operand)),
    }
}

fn cidr(operand: &Json<'_>) -> Compiled {
    let text = text(operand, "\"cidr\"", "a string such as \"10.0.0.0/8\"")?;
    let block = Block::parse(text).ok_or_else(|| Fault::Cidr { text: text.to_owned() })?;
    Ok(Condition::Cidr(block))
}

fn single<'j, 't>(members: &'j [(String, Json<'t>)]) -> Result<(&'j str, &'j Json<'t>), Located> {
    match members {
        [(name, operand)] => Ok((name, operand)),
        [] => Err(Fault::Kind { place: "an operator", right: OPERATOR, found: "an empty object" }.into()),
        _ => Err(Fault::Kind { place: "an operator", right: OPERATOR, found: "an object of several" }.into()),
    }
}

fn text<'j>(value: &'j Json<'_>, place: &'static str, right: &'static str) -> Result<&'j str, Located> {
    match value {
        Json::Scalar(Scalar::String(text)) => Ok(text),
        _ => Err(wrong(place, right, value)),
    }
}

fn each(values: &[Json<'_>], condition: impl Fn(&Json<'_>) -> Compiled) -> Result<Vec<Condition>, Located> {
    let one = |(index, value)| condition(value).map_err(|located| located.in_element(index));
    values.iter().enumerate().map(one).collect()
}

fn wrong(place: &'static str, right: &'static str, found: &Json<'_>) -> Located {
    Fault::Kind { place, right, found: found.kind() }.into()
}
