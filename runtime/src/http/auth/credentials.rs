//! The access keys of a node: who they belong to, and what they may do.
//!
//! Kept in a file of its own, which nobody else should be able to read. This module must not know how a request is signed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use tidemill_stream::name::StreamName;
use tidemill_wire::OPERATION_NAMES;

use super::{is_account, wildcard};
use crate::http::limits::{ACCESS_KEYS_MAX, CREDENTIALS_BYTES_MAX, KEY_RULES_MAX};

/// What an action may begin with, as policies of AWS write it.
const SERVICE_PREFIX: &str = "kinesis:";
/// What a key has, for whoever wrote something else.
const RULE: &str = "an access key is 'ID: { secret: .., account: \"12 digits\" }', with 'session_token' and 'allow', a list, if need be";

/// What an action is done to.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) enum Target<'a> {
    /// Not known yet: that there is anything it may be done to is enough.
    Something,
    /// All that the account has.
    Account,
    Stream(&'a StreamName),
}

/// Access keys, by id.
#[derive(Debug, Default)]
pub struct Credentials(BTreeMap<String, AccessKey>);

/// Why a file of access keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the access keys in {}: {what}", path.display())]
pub struct InvalidCredentials {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what would be right.
    pub what: String,
}

/// One access key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessKey {
    pub(super) secret: String,
    pub(super) account: String,
    /// Of temporary credentials: each request must bring it.
    pub(super) session_token: Option<String>,
    /// Everything in its account where it is left out.
    #[serde(default, deserialize_with = "listed")]
    allow: Option<Vec<Rule>>,
}

/// Secrets stay where they are.
impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("account", &self.account).field("allow", &self.allow).finish_non_exhaustive()
    }
}

/// Actions that are allowed on streams; both may have the wildcards `*` and `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    actions: Vec<String>,
    #[serde(default = "all")]
    streams: Vec<String>,
}

/// What is there is a list: one whose lines are all gone allows nothing.
fn listed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Rule>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Credentials {
    /// Reads a file: a map in YAML from ids to keys.
    pub fn load(path: &Path) -> Result<Self, InvalidCredentials> {
        let invalid = |what: String| InvalidCredentials { path: path.to_owned(), what };
        let file = std::fs::File::open(path).map_err(|error| invalid(error.to_string()))?;
        let mut text = String::new();
        file.take(CREDENTIALS_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| invalid(error.to_string()))?;
        if text.len() as u64 > CREDENTIALS_BYTES_MAX {
            return Err(invalid(format!("the file has more than {CREDENTIALS_BYTES_MAX} bytes")));
        }
        Self::parse(&text).map_err(invalid)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // What the reader shows of the text could have a secret in it.
        let keys: BTreeMap<String, AccessKey> = serde_saphyr::from_str(text).map_err(|error| {
            let place = error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
            format!("{}{RULE}", place.unwrap_or_default())
        })?;
        if keys.is_empty() || keys.len() > ACCESS_KEYS_MAX {
            return Err(format!("it has {} access keys; 1 to {ACCESS_KEYS_MAX} are possible", keys.len()));
        }
        keys.iter().try_for_each(|(id, key)| key.check(id))?;
        Ok(Self(keys))
    }

    pub(super) fn get(&self, id: &str) -> Option<&AccessKey> {
        self.0.get(id)
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl AccessKey {
    fn check(&self, id: &str) -> Result<(), String> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !(1..=128).contains(&id.len()) || !id.bytes().all(legal) {
            // A secret, perhaps, that was written where the id belongs.
            return Err("a key's id is none: it has 1 to 128 characters of a-z, A-Z, 0-9 and '_'".to_owned());
        }
        if self.secret.is_empty() {
            return Err(format!("the key '{id}' has an empty secret"));
        }
        if !is_account(&self.account) {
            return Err(format!("the account of the key '{id}' is none: it has 12 digits, in quotes"));
        }
        let rules = self.allow.as_ref().map_or(0, Vec::len);
        if rules > KEY_RULES_MAX {
            return Err(format!("the key '{id}' has {rules} rules; {KEY_RULES_MAX} are possible"));
        }
        let patterns = self.allow.iter().flatten().flat_map(|rule| &rule.actions);
        let is_none = |pattern: &&String| !OPERATION_NAMES.iter().any(|action| is_action(pattern, action));
        match patterns.into_iter().find(is_none) {
            Some(pattern) => Err(format!("the action '{pattern}' of the key '{id}' is none of the Kinesis API's")),
            None => Ok(()),
        }
    }

    /// Whether the key may do this to that.
    pub(super) fn allows(&self, action: &str, target: Target<'_>) -> bool {
        let Some(rules) = &self.allow else { return true };
        rules.iter().any(|rule| rule.allows(action, target))
    }
}

impl Rule {
    fn allows(&self, action: &str, target: Target<'_>) -> bool {
        let is_target = match target {
            Target::Something => true,
            Target::Account => self.streams.iter().any(|pattern| pattern == "*"),
            Target::Stream(name) => self.streams.iter().any(|pattern| wildcard(pattern, name.as_str())),
        };
        is_target && self.actions.iter().any(|pattern| is_action(pattern, action))
    }
}

fn is_action(pattern: &str, action: &str) -> bool {
    wildcard(pattern.strip_prefix(SERVICE_PREFIX).unwrap_or(pattern), action)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "
AKIDALL: { secret: s1, account: '123456789012' }
AKIDPUT:
  secret: s2
  account: '123456789012'
  session_token: t
  allow:
    - actions: [kinesis:Put*, DescribeStream]
      streams: [orders-?, log*]
    - actions: [ListStreams]
";

    #[test]
    fn a_key_may_do_what_its_rules_allow() {
        let keys = Credentials::parse(KEYS).unwrap();
        let name = |name: &str| StreamName::parse(name).unwrap();
        let (all, put) = (keys.get("AKIDALL").unwrap(), keys.get("AKIDPUT").unwrap());
        assert!(all.allows("DeleteStream", Target::Stream(&name("x"))));
        for (action, stream, allowed) in [
            ("PutRecord", "orders-1", true),
            ("PutRecords", "log", true),
            ("PutRecord", "orders-12", false),
            ("PutRecord", "orders", false),
            ("DescribeStream", "logs", true),
            ("DescribeStreamSummary", "logs", false),
            ("ListStreams", "anything", true),
            ("DeleteStream", "logs", false),
        ] {
            assert_eq!(put.allows(action, Target::Stream(&name(stream))), allowed, "{action} {stream}");
        }
        assert!(put.allows("ListStreams", Target::Account) && !put.allows("PutRecord", Target::Account));
        assert!(put.allows("PutRecord", Target::Something) && !put.allows("DescribeLimits", Target::Something));
        assert!(!format!("{keys:?}").contains("s1"), "{keys:?}");
    }

    #[test]
    fn a_list_that_is_empty_allows_nothing() {
        for allow in ["[]", "", "null"] {
            let text = format!("AKID: {{ secret: s, account: '123456789012', allow: {allow} }}");
            let allows = |keys: Credentials| keys.get("AKID").unwrap().allows("PutRecord", Target::Something);
            assert!(!Credentials::parse(&text).is_ok_and(allows), "{text}");
        }
    }

    #[test]
    fn a_bad_file_is_told_without_its_secrets() {
        for (text, expected) in [
            ("{}", "0 access keys"),
            ("AKID: { secret: s3cret, account: '12' }", "12 digits"),
            ("AKID: { secret: '', account: '123456789012' }", "empty secret"),
            ("'s3cret/': { secret: s3cret, account: '123456789012' }", "a key's id is none"),
            ("AKID: { secret: s, account: s3cret }", "12 digits"),
            ("AKID: { secret: s, account: '123456789012', allow: [{ actions: [PutRecrd] }] }", "'PutRecrd'"),
            ("AKID: { secret: s3cret, account: '123456789012', s3cret: [] }", "an access key is"),
            ("AKID: { secret: s3cret }", "account"),
            ("AKID: s3cret", "line 1"),
        ] {
            let said = Credentials::parse(text).unwrap_err();
            assert!(said.contains(expected) && !said.contains("s3cret"), "{text}: {said}");
        }
    }
}
