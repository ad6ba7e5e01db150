//! The section `triggers`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::name::StreamName;

use super::{Known, destination, filter, reference};
use crate::deploy::error::{Place, Problem};
use crate::deploy::fields::{Mistakes, Part, text, wrong_type};
use crate::deploy::legal::TRIGGERS;
use crate::deploy::legal::trigger::{
    BATCH_SIZE, BISECT, ENABLED, FUNCTION_NAME, MAX_AGE, NAME, PARALLELIZATION, REPORT_FAILURES, RETRIES, SEMANTICS,
    START, STREAM_NAME, TRIGGER, TRIGGER_NAME_RULE, TUMBLING_WINDOW, WINDOW,
};
use crate::deploy::tree::{Node, Value};
use crate::deploy::units::print_duration;
use crate::deploy::{Semantics, Start, TriggerRules, TriggerSpec};
use crate::functions::FunctionName;
use crate::limits::TRIGGER_NAME_CHARS_MAX;

/// All triggers. The folders that they name are seen from `folder`.
pub(super) fn triggers(folder: &Path, part: &Part<'_>, known: &Known<'_>, mistakes: &mut Mistakes) -> Vec<TriggerSpec> {
    let Some(node) = part.get(TRIGGERS.name) else { return Vec::new() };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Null => &[],
        other => {
            mistakes.note(
                node.place,
                wrong_type(part.what(TRIGGERS.name), "a list (each item begins with '- name:')", other),
            );
            &[]
        }
    };
    let mut lines = BTreeMap::new();
    items.iter().filter_map(|item| trigger(folder, item, known, &mut lines, mistakes)).collect()
}

/// `lines` holds the line of each trigger name seen so far.
fn trigger<'a>(
    folder: &Path,
    node: &'a Node,
    known: &Known<'_>,
    lines: &mut BTreeMap<&'a str, u64>,
    mistakes: &mut Mistakes,
) -> Option<TriggerSpec> {
    let part = Part::open(node, within(node), &TRIGGER, mistakes)?;
    let name = part.need(&NAME, mistakes).and_then(|node| trigger_name(&part, node, lines, mistakes));
    let stream = part.need(&STREAM_NAME, mistakes);
    let stream = stream.and_then(|node| reference(&part, STREAM_NAME.name, node, known.streams, mistakes));
    let function = part.need(&FUNCTION_NAME, mistakes);
    let function = function.and_then(|node| reference(&part, FUNCTION_NAME.name, node, known.functions, mistakes));
    let start = part.need(&START, mistakes).and_then(|node| start(&part, node, mistakes));
    let is_enabled = part.flag(&ENABLED, mistakes);
    let rules = rules(folder, &part, known, mistakes);
    Some(TriggerSpec {
        name: name?.to_owned(),
        stream: StreamName::parse(stream?).ok()?, // an illegal name was noted where the stream is
        function: FunctionName::parse(function?).ok()?, // so was this
        start: start?,
        is_enabled,
        rules,
    })
}

fn rules(folder: &Path, part: &Part<'_>, known: &Known<'_>, mistakes: &mut Mistakes) -> TriggerRules {
    let parallelization = part.count(&PARALLELIZATION, mistakes);
    TriggerRules {
        semantics: semantics(part, mistakes),
        batch_records_max: size(part.count(&BATCH_SIZE, mistakes)),
        window: part.duration(&WINDOW, mistakes),
        parallelization: size(parallelization),
        retries_max: part.count_or_none(&RETRIES, mistakes).map(|retries| u32::try_from(retries).unwrap_or(u32::MAX)),
        age_max: part.duration_or_none(&MAX_AGE, mistakes),
        bisects: part.flag(&BISECT, mistakes),
        reports_failures: part.flag(&REPORT_FAILURES, mistakes),
        filter: filter::filter(part, mistakes),
        on_failure: destination::destination(folder, part, known, mistakes),
        tumbling_window: tumbling_window(part, parallelization, mistakes),
    }
}

/// A number whose range every machine counts to.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A window has one state, so a shard has one lane.
fn tumbling_window(part: &Part<'_>, parallelization: u64, mistakes: &mut Mistakes) -> Option<Duration> {
    let node = part.get(TUMBLING_WINDOW.name)?;
    if let Some(lanes) = part.get(PARALLELIZATION.name).filter(|_| parallelization > 1) {
        let (what, given) = (part.what(PARALLELIZATION.name), parallelization);
        mistakes.note(lanes.place, Problem::OneState { what, given });
    }
    let window = part.duration_or_none(&TUMBLING_WINDOW, mistakes)?;
    if window.subsec_nanos() != 0 {
        let (what, given) = (part.what(TUMBLING_WINDOW.name), print_duration(window));
        mistakes.note(node.place, Problem::Seconds { what, given });
    }
    Some(window)
}

fn semantics(part: &Part<'_>, mistakes: &mut Mistakes) -> Semantics {
    let Some(node) = part.get(SEMANTICS.name) else { return Semantics::default() };
    let Some(given) = text(node, part.what(SEMANTICS.name), mistakes) else { return Semantics::default() };
    let semantics = Semantics::parse(given);
    if semantics.is_none() {
        mistakes.note(node.place, Problem::Semantics { what: part.what(SEMANTICS.name), given: given.to_owned() });
    }
    semantics.unwrap_or_default()
}

/// How messages call a trigger: by its name, if it has one.
fn within(node: &Node) -> String {
    let Value::Map(entries) = &node.value else { return "a trigger".to_owned() };
    let name = entries.iter().find(|(name, _)| name.text == NAME.name).map(|(_, node)| &node.value);
    if let Some(Value::Text(name)) = name { format!("trigger '{name}'") } else { "a trigger".to_owned() }
}

fn trigger_name<'a>(
    part: &Part<'_>,
    node: &'a Node,
    lines: &mut BTreeMap<&'a str, u64>,
    mistakes: &mut Mistakes,
) -> Option<&'a str> {
    let name = text(node, part.what(NAME.name), mistakes)?;
    check_trigger_name(name, node.place, mistakes);
    if let Some(first_line) = lines.get(name) {
        mistakes.note(node.place, Problem::Duplicate { name: name.to_owned(), first_line: *first_line });
        return None;
    }
    lines.insert(name, node.place.line);
    Some(name)
}

fn start(part: &Part<'_>, node: &Node, mistakes: &mut Mistakes) -> Option<Start> {
    let given = text(node, part.what(START.name), mistakes)?;
    let start = match given {
        "trim-horizon" => Some(Start::TrimHorizon),
        "latest" => Some(Start::Latest),
        time => timestamp(time).map(Start::At),
    };
    if start.is_none() {
        mistakes.note(node.place, Problem::Start { what: part.what(START.name), given: given.to_owned() });
    }
    start
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp::from_millis)
}

fn check_trigger_name(name: &str, place: Place, mistakes: &mut Mistakes) {
    let max = TRIGGER_NAME_CHARS_MAX;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(1..=max).contains(&name.len()) || !name.bytes().all(legal) {
        let message = format!("'{name}' is not a trigger name: use {TRIGGER_NAME_RULE}");
        mistakes.note(place, Problem::Name { message });
    }
}
