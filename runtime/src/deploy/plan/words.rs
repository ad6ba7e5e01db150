//! Settings, steps and plans in words.

use std::fmt;
use std::time::Duration;

use super::{Action, Kind, Plan, Setting, Step, Words};
use crate::deploy::inventory::{FunctionItem, IngestItem, StreamItem};
use crate::deploy::units::{print_duration, print_size};

/// Before the name of a value of a function's configuration.
const CONFIG: &str = "config.";
/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 48;
/// Digits of a version that are shown.
const VERSION_DIGITS: usize = 12;

pub(super) fn stream(item: &StreamItem) -> Words {
    let shards = item.shards.map_or_else(|| "on-demand".to_owned(), |shards| shards.to_string());
    let mut words = vec![("shards".to_owned(), shards), ("retention".to_owned(), duration(item.retention_ms))];
    words.extend(item.retention_bytes.map(|bytes| ("retention_bytes".to_owned(), print_size(bytes))));
    words.extend(item.capacity.iter().map(|capacity| ("capacity".to_owned(), capacity.clone())));
    words
}

pub(super) fn function(item: &FunctionItem) -> Words {
    let mut words = vec![
        ("version".to_owned(), item.version.clone()),
        ("memory".to_owned(), print_size(item.memory_bytes)),
        ("timeout".to_owned(), duration(item.timeout_ms)),
    ];
    words.extend(item.config.iter().map(|(name, value)| (format!("{CONFIG}{name}"), value.clone())));
    words.extend((!item.emit.is_empty()).then(|| ("allow.emit".to_owned(), item.emit.join(", "))));
    words
}

pub(super) fn ingest(item: &IngestItem) -> Words {
    let list = |name: &str, items: &[String]| (!items.is_empty()).then(|| (name.to_owned(), items.join(", ")));
    [list("tokens", &item.tokens), list("cors.origins", &item.origins)].into_iter().flatten().collect()
}

pub(super) fn duration(millis: u64) -> String {
    print_duration(Duration::from_millis(millis))
}

/// What is said of a stream that the manifest does not name.
pub(super) fn stays(name: &str) -> String {
    format!("is not in the manifest and stays, with its data; 'tidemill stream delete {name}' deletes it")
}

/// What follows from a change of a stream.
pub(super) fn of_stream(there: &StreamItem, wanted: &StreamItem) -> Option<String> {
    let bytes = |item: &StreamItem| item.retention_bytes.unwrap_or(u64::MAX);
    let is_less = there.retention_ms > wanted.retention_ms || bytes(there) > bytes(wanted);
    is_less.then(|| "records beyond that are gone at once".to_owned())
}

impl Action {
    /// The sign that stands for it.
    pub const fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
            Self::Keep => '=',
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::Function => "function",
            Self::Trigger => "trigger",
            Self::Ingest => "ingest",
        })
    }
}

impl Setting {
    fn shown(&self, value: &str) -> String {
        if self.name == "version" {
            return value.chars().take(VERSION_DIGITS).collect();
        }
        let mut short: String = value.chars().take(VALUE_CHARS_MAX).collect();
        if short.len() < value.len() {
            short.push('…');
        }
        if self.name.starts_with(CONFIG) { format!("{short:?}") } else { short }
    }
}

/// `timeout 5s -> 10s`
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, from, to } = self;
        let shown = |value: &Option<String>| value.as_ref().map(|value| self.shown(value));
        match (shown(from), shown(to)) {
            (Some(from), Some(to)) if from == to => write!(f, "{name} changes behind {from}"),
            (Some(from), Some(to)) => write!(f, "{name} {from} -> {to}"),
            (None, Some(to)) => write!(f, "{name} {to}"),
            (Some(from), None) => write!(f, "{name} {from} -> nothing"),
            (None, None) => f.write_str(name),
        }
    }
}

impl Step {
    /// What it is: `+ stream orders`.
    pub fn head(&self) -> String {
        let sign = self.action.sign();
        match self.kind {
            Kind::Ingest => format!("{sign} ingest"),
            kind @ (Kind::Stream | Kind::Function | Kind::Trigger) => format!("{sign} {kind} {}", self.name),
        }
    }

    /// What becomes of it: the settings of a new thing as one, those that change one by one, and what follows.
    pub fn details(&self) -> Vec<String> {
        let is_news = |setting: &Setting| self.action == Action::Change && setting.from.is_none();
        let shown = |setting: &Setting| format!("{setting}{}", if is_news(setting) { " (new)" } else { "" });
        let settings: Vec<String> = self.settings.iter().map(shown).collect();
        let mut details = match self.action {
            Action::Add if !settings.is_empty() => vec![settings.join(", ")],
            Action::Add | Action::Change | Action::Remove | Action::Keep => settings,
        };
        details.extend(self.note.clone());
        details
    }
}

/// One line: `~ function score: timeout 5s -> 10s; memory 64MiB -> 1GiB`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = self.details().join("; ");
        let separator = if details.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{details}", self.head())
    }
}

impl Plan {
    /// All of it in a sentence.
    pub fn summary(&self) -> String {
        if !self.has_changes() {
            return "Nothing changes: the node is as the manifest says.".to_owned();
        }
        let count = |action, done| {
            let count = self.count(action);
            (count > 0).then(|| format!("{count} {done}"))
        };
        let unchanged = (self.unchanged > 0).then(|| format!("{} unchanged", self.unchanged));
        let parts = [count(Action::Add, "new"), count(Action::Change, "changed"), count(Action::Remove, "removed")];
        format!("{}.", parts.into_iter().chain([unchanged]).flatten().collect::<Vec<_>>().join(", "))
    }
}
