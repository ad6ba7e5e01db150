//! Tags: their number and lengths as the model has them, and the characters that AWS allows.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use tidemill_stream::attached::Tags;

use super::{At, Check};

const TAGS_AT: At = At::Member("tags");
const KEYS_AT: At = At::Member("tagKeys");
const KEY_CHARS: RangeInclusive<usize> = 1..=128;
const VALUE_CHARS: RangeInclusive<usize> = 0..=256;
/// What keys of AWS's own tags begin with.
const RESERVED: &str = "aws:";

impl Check<'_> {
    /// Tags that may be absent. `None` also when something is wrong with them.
    pub(in crate::http) fn tags(&mut self, tags: Option<BTreeMap<String, String>>) -> Option<Tags> {
        let tags = tags?;
        let before = self.violations_count;
        self.length(TAGS_AT, tags.len(), 1..=200);
        self.each(TAGS_AT, "Map keys must", tags.keys(), &KEY_CHARS);
        self.each(TAGS_AT, "Map value must", tags.values(), &VALUE_CHARS);
        let is_illegal = |text: &&String| !text.chars().all(is_legal);
        if tags.keys().chain(tags.values()).any(|text| is_illegal(&text)) {
            self.invalid(
                "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, \
                 _ . : / = + - @ %",
            );
        }
        if let Some(key) = tags.keys().find(|key| key.starts_with(RESERVED)) {
            self.invalid(format!("The tag key {key} is reserved: keys that begin with {RESERVED} are AWS's own."));
        }
        (self.violations_count == before).then_some(tags)
    }

    /// The keys of tags, which must be there.
    pub(in crate::http) fn tag_keys(&mut self, keys: Option<Vec<String>>) -> Option<Vec<String>> {
        let keys = self.required(KEYS_AT, keys)?;
        let before = self.violations_count;
        self.length(KEYS_AT, keys.len(), 1..=50);
        self.each(KEYS_AT, "Member must", keys.iter(), &KEY_CHARS);
        (self.violations_count == before).then_some(keys)
    }

    /// The key behind which a listing begins.
    pub(in crate::http) fn start_key<'v>(&mut self, key: Option<&'v str>) -> Option<&'v str> {
        let shape = super::Shape { pattern: None, chars: Some(KEY_CHARS) };
        self.text(At::Member("exclusiveStartTagKey"), key, &shape)
    }

    /// Texts of a list or a map, each of which must have so many characters. The first that has not is told.
    fn each<'v>(
        &mut self,
        at: At,
        subject: &str,
        texts: impl Iterator<Item = &'v String>,
        chars: &RangeInclusive<usize>,
    ) {
        let mut wrong = texts.filter(|text| !chars.contains(&text.chars().count()));
        let Some(text) = wrong.next() else { return };
        let rule = format_args!(
            "{subject} satisfy constraint: [Member must have length less than or equal to {}, Member must have length \
             greater than or equal to {}]",
            chars.end(),
            chars.start()
        );
        let text: &dyn Display = text;
        self.value_violation(at, text, rule);
    }
}

fn is_legal(char: char) -> bool {
    char.is_alphanumeric()
        || char.is_whitespace()
        || matches!(char, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@' | '%')
        // Marks that are part of letters in many scripts.
        || (!char.is_ascii() && !char.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::{ApiError, ErrorKind};

    fn check(key: &str, value: &str) -> Result<Tags, ApiError> {
        let mut check = Check::default();
        let tags = check.tags(Some([(key.to_owned(), value.to_owned())].into()));
        check.finish(tags)
    }

    #[test]
    fn tags_have_the_characters_that_aws_allows() {
        for (key, value) in [("k", ""), ("Größe 7_.:/=+-@%", "日本 १२"), (&"ä".repeat(128), &"x".repeat(256))]
        {
            assert!(check(key, value).is_ok(), "{key} {value}");
        }
        for (key, value) in [("a{b", ""), ("k", "a|b"), ("k", "\u{7}"), ("aws:k", "v")] {
            assert_eq!(check(key, value).unwrap_err().kind, ErrorKind::InvalidArgument, "{key} {value}");
        }
    }

    #[test]
    fn lengths_are_told_in_the_words_of_aws() {
        let message = check("", "v").unwrap_err().message;
        let expected = "1 validation error detected: Value '' at 'tags' failed to satisfy constraint: Map keys must satisfy \
                        constraint: [Member must have length less than or equal to 128, Member must have length greater \
                        than or equal to 1]";
        assert_eq!(message, expected);
        assert!(check("k", &"x".repeat(257)).unwrap_err().message.contains("Map value must satisfy"));
    }
}
