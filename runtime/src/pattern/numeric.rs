//! The operator `numeric`: a comparison, or a range from low to high.

use std::ops::Bound;

use super::condition::{Condition, comparable};
use super::error::{Fault, Located};
use super::reader::Scalar;
use super::tree::Json;

const COMPARISON: &str = "an array such as [\">\", 0] or [\">=\", 0, \"<\", 10], of =, <, <=, > or >=";

type Ends = (Bound<f64>, Bound<f64>);

pub(super) fn numeric(operand: &Json<'_>) -> Result<Condition, Located> {
    let ends = match operand {
        Json::Array(parts) => match parts.as_slice() {
            [sign, number] => comparison(sign, number)?,
            [low_sign, low, high_sign, high] => range(comparison(low_sign, low)?, comparison(high_sign, high)?)?,
            _ => None,
        },
        Json::Scalar(_) | Json::Object(_) => None,
    };
    match ends {
        Some((low, high)) => Ok(Condition::Numeric(low, high)),
        None => Err(Fault::Kind { place: "\"numeric\"", right: COMPARISON, found: found(operand) }.into()),
    }
}

/// The ends of the numbers that compare so; none if the two are no sign and number.
fn comparison(sign: &Json<'_>, number: &Json<'_>) -> Result<Option<Ends>, Located> {
    let (Json::Scalar(Scalar::String(sign)), Json::Scalar(Scalar::Number(number))) = (sign, number) else {
        return Ok(None);
    };
    let value = comparable(number).ok_or_else(|| Fault::Number { number: (*number).to_owned() })?;
    Ok(match sign.as_ref() {
        "=" => Some((Bound::Included(value), Bound::Included(value))),
        "<" => Some((Bound::Unbounded, Bound::Excluded(value))),
        "<=" => Some((Bound::Unbounded, Bound::Included(value))),
        ">" => Some((Bound::Excluded(value), Bound::Unbounded)),
        ">=" => Some((Bound::Included(value), Bound::Unbounded)),
        _ => None,
    })
}

/// What two comparisons have in common; none if they are not a low end and a high end, in this order.
fn range(first: Option<Ends>, second: Option<Ends>) -> Result<Option<Ends>, Located> {
    let (Some((low, Bound::Unbounded)), Some((Bound::Unbounded, high))) = (first, second) else {
        return Ok(None);
    };
    let (Bound::Included(low_value) | Bound::Excluded(low_value)) = low else { return Ok(None) };
    let (Bound::Included(high_value) | Bound::Excluded(high_value)) = high else { return Ok(None) };
    if low_value >= high_value {
        return Err(Fault::EmptyRange { low: low_value.to_string(), high: high_value.to_string() }.into());
    }
    Ok(Some((low, high)))
}

fn found(operand: &Json<'_>) -> &'static str {
    match operand {
        Json::Array(_) => "another array",
        Json::Scalar(_) | Json::Object(_) => operand.kind(),
    }
}
