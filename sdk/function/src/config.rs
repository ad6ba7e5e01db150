//! The function's configuration, as its deployment sets it.
//!
//! Outside a node it is what a test sets: [`Delivery::config`](crate::testing::Delivery::config).

use std::fmt::Display;
use std::str::FromStr;

use crate::Result;

/// The value of a name, if it is set.
#[cfg(target_family = "wasm")]
pub fn get(name: &str) -> Option<String> {
    crate::bindings::tidemill::function::config::get(name)
}

/// The value of a name, if it is set.
#[cfg(not(target_family = "wasm"))]
pub fn get(name: &str) -> Option<String> {
    crate::testing::config(name)
}

/// The value of a name, if it is set, as a `T`: `config::parse("threshold")?.unwrap_or(5.5)`.
pub fn parse<T>(name: &str) -> Result<Option<T>>
where
    T: FromStr,
    T::Err: Display,
{
    get(name).map(|value| value_of(name, &value)).transpose()
}

fn value_of<T>(name: &str, value: &str) -> Result<T>
where
    T: FromStr,
    T::Err: Display,
{
    value.parse().map_err(|error| format!("the configuration's {name} is '{value}': {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_parse_is_named() {
        assert_eq!(value_of::<u8>("threshold", "5").unwrap(), 5);
        let error = value_of::<u8>("threshold", "high").unwrap_err().to_string();
        assert_eq!(error, "the configuration's threshold is 'high': invalid digit found in string");
    }
}
