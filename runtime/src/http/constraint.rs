//! The constraints of the service model: lengths, ranges, patterns and enums.
//!
//! As AWS does, a [`Check`] collects every violation of a request before it refuses it, in AWS's wording, because test
//! suites of clients compare it. Trouble that no single member has (a name that contradicts an ARN) is told only when
//! there is no violation. This module must not know operations.

mod resource;
mod tags;

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use tidemill_stream::limits::{PARTITION_KEY_CHARS_MAX, RECORD_BYTES_DEFAULT, RECORD_BYTES_MAX};
use tidemill_stream::name::{InvalidStreamName, STREAM_NAME_CHARS_MAX, StreamName};
use tidemill_stream::shard::ShardIndex;

pub(super) use self::resource::{Resource, StreamRef};
use super::auth::{Caller, Target};
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
pub(super) const CONSUMER_NAME: Shape = STREAM_NAME;
pub(super) const KEY_ID: Shape = Shape { pattern: None, chars: Some(1..=2048) };
pub(super) const SHARD_ID: Shape = Shape { pattern: Some(NAME), chars: Some(1..=128) };
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
pub(super) struct Check<'a> {
    /// Who asks for what; nobody in tests.
    asked: Option<(&'a Caller, &'static str)>,
    /// The streams that the request names.
    streams: Vec<StreamName>,
    /// The ARN of what belongs to somebody else.
    foreign: Option<String>,
    violations: Vec<String>,
    violations_count: usize,
    invalid: Option<String>,
}

impl<'a> Check<'a> {
    /// Of a request of this caller for this action.
    pub(super) fn of(caller: &'a Caller, action: &'static str) -> Self {
        Self { asked: Some((caller, action)), ..Self::default() }
    }

    /// A stream of the caller's that the request names.
    pub(super) fn named(&mut self, name: &str) -> Result<StreamName, InvalidStreamName> {
        let name = StreamName::parse(name)?;
        let name = self.asked.map_or(name.clone(), |(caller, _)| name.within(&caller.space()));
        self.streams.push(name.clone());
        Ok(name)
    }

    /// An ARN that the request has. Whose account and region it names matters only where there are access keys.
    fn addressed(&mut self, arn: &str) {
        if self.asked.is_some_and(|(caller, _)| !caller.owns(arn)) {
            self.foreign.get_or_insert_with(|| arn.to_owned());
        }
    }

    fn permit(&self) -> Result<(), ApiError> {
        let Some((caller, action)) = self.asked else { return Ok(()) };
        if let Some(arn) = &self.foreign {
            return Err(caller.denied(action, arn));
        }
        self.streams.iter().try_for_each(|stream| caller.permit(action, Target::Stream(stream)))
    }

    /// Ends the check. `checked` is what the request turned into: it is there when nothing was wrong.
    pub(super) fn finish<T>(self, checked: Option<T>) -> Result<T, ApiError> {
        if !self.violations.is_empty() {
            return Err(ApiError::new(ErrorKind::Validation, self.message()));
        }
        self.permit()?;
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

    /// The size of the largest record of a stream, as `MaxRecordSizeInKiB` gives it.
    pub(super) fn record_kib(&mut self, value: Option<i64>) -> Option<u32> {
        let range = (RECORD_BYTES_DEFAULT / 1024) as u32..=(RECORD_BYTES_MAX / 1024) as u32;
        self.integer(At::Member("maxRecordSizeInKiB"), value, range)
    }

    /// The throughput that a stream shall be ready for.
    pub(super) fn warm_throughput(&mut self, value: Option<i64>) -> Option<u32> {
        self.integer(At::Member("warmThroughputMiBps"), value, 0..=u32::MAX)
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

    /// Words out of a few, as many as the model says. `None` also when something is wrong with them.
    pub(super) fn words<T: Copy>(
        &mut self,
        at: At,
        values: Option<&[String]>,
        words: &[(&'static str, T)],
        count: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        let values = values?;
        let before = self.violations_count;
        self.length(at, values.len(), count);
        let meaning = |value: &String| words.iter().find(|(word, _)| word == value).map(|(_, meaning)| *meaning);
        let found: Vec<T> = values.iter().filter_map(meaning).collect();
        if found.len() < values.len() {
            let set: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let rule = format_args!(
                "Member must satisfy constraint: [Member must satisfy enum value set: [{}]]",
                set.join(", ")
            );
            self.value_violation(at, &format_args!("[{}]", values.join(", ")), rule);
        }
        (self.violations_count == before).then_some(found)
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

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A decimal number without leading zeros.
fn is_decimal(text: &str, digits_max: usize) -> bool {
    let digits = (1..=digits_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests;
