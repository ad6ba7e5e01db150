//! The constraints of the service model: lengths, ranges, patterns and enums.
//!
//! As AWS does, a [`Check`] collects every violation of a request before it refuses it, in AWS's wording, because test
//! suites of clients compare it. Trouble that no single member has (a name that contradicts an ARN) is told only when
//! there is no violation. This module must not know operations.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use tidemill_stream::limits::{PARTITION_KEY_CHARS_MAX, RECORD_BYTES_MAX};
use tidemill_stream::name::{STREAM_NAME_CHARS_MAX, StreamName};
use tidemill_stream::shard::ShardIndex;

use super::auth::is_account;
use super::error::{ApiError, ErrorKind};
use super::limits::{ECHO_CHARS_MAX, ITERATOR_CHARS_MAX, VIOLATIONS_MAX};

/// What a string member must look like.
pub(super) struct Shape {
    pattern: Option<Pattern>,
    chars: Option<RangeInclusive<usize>>,
}

struct Pattern {
    text: &'static str,
    matches: fn(&str) -> bool,
}

const NAME: Pattern = Pattern { text: "[a-zA-Z0-9_.-]+", matches: is_name };

pub(super) const STREAM_NAME: Shape = Shape { pattern: Some(NAME), chars: Some(1..=STREAM_NAME_CHARS_MAX) };
pub(super) const SHARD_ID: Shape = Shape { pattern: Some(NAME), chars: Some(1..=128) };
pub(super) const STREAM_ARN: Shape = Shape {
    pattern: Some(Pattern {
        text: r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+",
        matches: |text| arn_name(text).is_some(),
    }),
    chars: Some(1..=2048),
};
pub(super) const HASH_KEY: Shape =
    Shape { pattern: Some(Pattern { text: r"0|([1-9]\d{0,38})", matches: |text| is_decimal(text, 39) }), chars: None };
pub(super) const SEQUENCE_NUMBER: Shape = Shape {
    pattern: Some(Pattern { text: r"0|([1-9]\d{0,128})", matches: |text| is_decimal(text, 129) }),
    chars: None,
};
pub(super) const PARTITION_KEY: Shape = Shape { pattern: None, chars: Some(1..=PARTITION_KEY_CHARS_MAX) };
pub(super) const ITERATOR: Shape = Shape { pattern: None, chars: Some(1..=ITERATOR_CHARS_MAX) };
pub(super) const NEXT_TOKEN: Shape = Shape { pattern: None, chars: Some(1..=1_048_576) };

/// The path of a member, as AWS names it in a violation.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// A member of the request.
    Member(&'static str),
    /// A member of a record of the request, counted from 0 here and from 1 on the wire.
    Record(usize, &'static str),
}

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(name) => f.write_str(name),
            Self::Record(index, name) => write!(f, "records.{}.member.{name}", index + 1),
        }
    }
}

/// Collects what is wrong with one request.
#[derive(Debug, Default)]
pub(super) struct Check {
    violations: Vec<String>,
    violations_count: usize,
    invalid: Option<String>,
}

impl Check {
    /// Ends the check. `checked` is what the request turned into: it is there when nothing was wrong.
    pub(super) fn finish<T>(self, checked: Option<T>) -> Result<T, ApiError> {
        if !self.violations.is_empty() {
            return Err(ApiError::new(ErrorKind::Validation, self.message()));
        }
        match (self.invalid, checked) {
            (Some(invalid), _) => Err(ApiError::invalid(invalid)),
            (None, Some(checked)) => Ok(checked),
            (None, None) => Err(ApiError::internal("a check found nothing wrong and nothing right", &"no value")),
        }
    }

    fn message(&self) -> String {
        let plural = if self.violations_count == 1 { "" } else { "s" };
        format!("{} validation error{plural} detected: {}", self.violations_count, self.violations.join("; "))
    }

    /// Something is wrong that no single member has. The first such is told.
    pub(super) fn invalid(&mut self, message: impl Into<String>) {
        self.invalid.get_or_insert_with(|| message.into());
    }

    /// A member that must be there.
    pub(super) fn required<T>(&mut self, at: At, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.violation(format_args!("Value null at '{at}' failed to satisfy constraint: Member must not be null"));
        }
        value
    }

    /// A string that may be absent. `None` also when it is wrong.
    pub(super) fn text<'v>(&mut self, at: At, value: Option<&'v str>, shape: &Shape) -> Option<&'v str> {
        let value = value?;
        let before = self.violations_count;
        if let Some(pattern) = shape.pattern.as_ref().filter(|pattern| !(pattern.matches)(value)) {
            let rule = format_args!("Member must satisfy regular expression pattern: {}", pattern.text);
            self.value_violation(at, &value, rule);
        }
        if let Some(chars) = &shape.chars {
            let count = value.chars().count();
            if count < *chars.start() {
                let rule = format_args!("Member must have length greater than or equal to {}", chars.start());
                self.value_violation(at, &value, rule);
            }
            if count > *chars.end() {
                let rule = format_args!("Member must have length less than or equal to {}", chars.end());
                self.value_violation(at, &value, rule);
            }
        }
        (self.violations_count == before).then_some(value)
    }

    /// A string that must be there.
    pub(super) fn required_text<'v>(&mut self, at: At, value: Option<&'v str>, shape: &Shape) -> Option<&'v str> {
        let value = self.required(at, value);
        self.text(at, value, shape)
    }

    /// An integer that may be absent. `None` also when it is wrong.
    pub(super) fn integer(&mut self, at: At, value: Option<i64>, range: RangeInclusive<u32>) -> Option<u32> {
        let value = value?;
        if value < i64::from(*range.start()) {
            let rule = format_args!("Member must have value greater than or equal to {}", range.start());
            self.value_violation(at, &value, rule);
        }
        if value > i64::from(*range.end()) {
            let rule = format_args!("Member must have value less than or equal to {}", range.end());
            self.value_violation(at, &value, rule);
        }
        u32::try_from(value).ok().filter(|value| range.contains(value))
    }

    /// A word out of a few. `None` also when it is none of them.
    pub(super) fn word<T: Copy>(&mut self, at: At, value: Option<&str>, words: &[(&'static str, T)]) -> Option<T> {
        let value = value?;
        let found = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let set: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let rule = format_args!("Member must satisfy enum value set: [{}]", set.join(", "));
            self.value_violation(at, &value, rule);
        }
        found
    }

    /// The payload of a record.
    pub(super) fn data<T: AsRef<[u8]>>(&mut self, at: At, value: Option<T>) -> Option<T> {
        let value = self.required(at, value)?;
        if value.as_ref().len() > RECORD_BYTES_MAX {
            self.length_violation(at, "less", RECORD_BYTES_MAX);
            return None;
        }
        Some(value)
    }

    /// How many members a list has.
    pub(super) fn length(&mut self, at: At, count: usize, range: RangeInclusive<usize>) {
        if count < *range.start() {
            self.length_violation(at, "greater", *range.start());
        }
        if count > *range.end() {
            self.length_violation(at, "less", *range.end());
        }
    }

    /// A stream that may be named, addressed by ARN, or both. `None` also when something is wrong with it.
    pub(super) fn optional_stream(&mut self, name: Option<&str>, arn: Option<&str>) -> Option<StreamName> {
        let name = self.text(At::Member("streamName"), name, &STREAM_NAME);
        let named = arn.and_then(arn_name);
        let arn = self.text(At::Member("streamARN"), arn, &STREAM_ARN);
        match (name, named) {
            (Some(name), Some(named)) if name != named => {
                let arn = arn.unwrap_or_default();
                self.invalid(format!("StreamName {name} and StreamARN {arn} are not of the same stream."));
                None
            }
            (Some(name), _) | (None, Some(name)) => {
                let parsed = StreamName::parse(name);
                if let Err(error) = &parsed {
                    self.invalid(error.to_string());
                }
                parsed.ok()
            }
            (None, None) => None,
        }
    }

    /// A stream that must be named, addressed by ARN, or both.
    pub(super) fn stream(&mut self, name: Option<&str>, arn: Option<&str>) -> Option<StreamName> {
        if name.is_none() && arn.is_none() {
            self.invalid("Either StreamName or StreamARN must be given.");
        }
        self.optional_stream(name, arn)
    }

    /// The shard behind which a listing begins, as `ExclusiveStartShardId` gives it.
    pub(super) fn start_shard(&mut self, value: Option<&str>) -> Option<ShardIndex> {
        let text = self.text(At::Member("exclusiveStartShardId"), value, &SHARD_ID);
        self.shard_id(text)
    }

    /// The shard that a filter of type `AFTER_SHARD_ID` needs.
    pub(super) fn filter_shard(&mut self, value: Option<&str>) -> Option<ShardIndex> {
        if value.is_none() {
            self.invalid("A ShardFilter of type AFTER_SHARD_ID needs a ShardId.");
        }
        self.shard_id(value)
    }

    fn shard_id(&mut self, text: Option<&str>) -> Option<ShardIndex> {
        match ShardIndex::parse_id(text?) {
            Ok(index) => Some(index),
            Err(error) => {
                self.invalid(error.to_string());
                None
            }
        }
    }

    fn length_violation(&mut self, at: At, than: &str, bound: usize) {
        let rule = format_args!("Member must have length {than} than or equal to {bound}");
        // The value is a payload or a list: it is not repeated.
        self.violation(format_args!("Value at '{at}' failed to satisfy constraint: {rule}"));
    }

    fn value_violation(&mut self, at: At, value: &dyn Display, rule: fmt::Arguments<'_>) {
        let value: String = value.to_string().chars().take(ECHO_CHARS_MAX).collect();
        self.violation(format_args!("Value '{value}' at '{at}' failed to satisfy constraint: {rule}"));
    }

    fn violation(&mut self, text: fmt::Arguments<'_>) {
        self.violations_count += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(text.to_string());
        }
    }
}

/// The stream's name in `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
fn arn_name(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let prefix = parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("kinesis")
        && parts.next().is_some()
        && parts.next().is_some_and(is_account);
    let name = parts.next().filter(|_| prefix)?.strip_prefix("stream/")?;
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A decimal number without leading zeros.
fn is_decimal(text: &str, digits_max: usize) -> bool {
    let digits = (1..=digits_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(work: impl FnOnce(&mut Check)) -> ApiError {
        let mut check = Check::default();
        work(&mut check);
        check.finish(Some(())).unwrap_err()
    }

    #[test]
    fn all_violations_are_told_at_once_in_the_words_of_aws() {
        let long = "a".repeat(129);
        let error = refusal(|check| {
            check.stream(Some(""), None);
            check.required_text(At::Member("shardId"), None, &SHARD_ID);
            check.text(At::Member("shardId"), Some(&long), &SHARD_ID);
            check.integer(At::Member("limit"), Some(0), 1..=10);
            check.word(At::Member("type"), Some("X"), &[("A", 1), ("B", 2)]);
            check.length(At::Member("records"), 501, 1..=500);
        });
        assert_eq!(error.kind, ErrorKind::Validation);
        let expected = format!(
            "7 validation errors detected: \
             Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; \
             Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1; \
             Value null at 'shardId' failed to satisfy constraint: Member must not be null; \
             Value '{long}' at 'shardId' failed to satisfy constraint: Member must have length less than or equal to 128; \
             Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; \
             Value 'X' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [A, B]; \
             Value at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"
        );
        assert_eq!(error.message, expected);
    }

    #[test]
    fn violations_and_what_they_repeat_are_bounded() {
        let error = refusal(|check| {
            for index in 0..500 {
                check.text(At::Record(index, "explicitHashKey"), Some(&"x".repeat(9999)), &HASH_KEY);
            }
        });
        assert!(error.message.starts_with("500 validation errors detected: Value 'xxx"));
        assert!(error.message.contains("'records.10.member.explicitHashKey'"));
        assert!(!error.message.contains("'records.11.member.explicitHashKey'"));
        assert!(error.message.len() < 5000, "{}", error.message.len());
    }

    #[test]
    fn a_stream_is_found_by_name_or_arn() {
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/s";
        for (name, arn) in [(Some("s"), None), (None, Some(arn)), (Some("s"), Some(arn))] {
            let mut check = Check::default();
            let stream = check.stream(name, arn);
            assert_eq!(check.finish(stream).unwrap().as_str(), "s");
        }
    }

    #[test]
    fn a_stream_that_is_not_clear_is_an_invalid_argument() {
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/s";
        let unnamable = "arn:aws:kinesis:eu-west-1:123456789012:stream/s/t";
        for (name, arn) in [(None, None), (Some("other"), Some(arn)), (None, Some(unnamable))] {
            assert_eq!(
                refusal(|check| drop(check.stream(name, arn))).kind,
                ErrorKind::InvalidArgument,
                "{name:?} {arn:?}"
            );
        }
    }

    #[test]
    fn patterns_are_those_of_the_model() {
        for (text, matches) in [("0", true), ("10", true), ("", false), ("01", false), ("+1", false), ("1x", false)] {
            assert_eq!(is_decimal(text, 39), matches, "{text}");
        }
        assert!(!is_decimal(&"1".repeat(40), 39));
        for bad in ["", "s", "arn:aws:kinesis:eu:1:stream/s", "arn:aws:sqs:eu:123456789012:stream/s"] {
            assert_eq!(arn_name(bad), None, "{bad}");
        }
        assert_eq!(arn_name("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s"), Some("s"));
    }
}
