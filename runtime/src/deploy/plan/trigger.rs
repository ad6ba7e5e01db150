//! The settings of triggers in words.

use super::{Action, Setting, Step, Words, words};
use crate::deploy::inventory::{DestinationItem, RulesItem, TriggerItem};

/// As the manifest writes them; of those that have defaults, those that are others.
pub(super) fn words(item: &TriggerItem) -> Words {
    let mut words = vec![
        ("stream".to_owned(), item.stream.clone()),
        ("function".to_owned(), item.function.clone()),
        ("start".to_owned(), item.start.clone()),
    ];
    let enabled = item.disabled.then(|| "false".to_owned());
    let batch_size = item.batch_size.map(|records| records.to_string());
    let rest = [("enabled", enabled), ("batch_size", batch_size)].into_iter().chain(rules(&item.rules));
    words.extend(rest.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    words
}

fn rules(item: &RulesItem) -> [(&'static str, Option<String>); 10] {
    let flag = |is_so: bool| is_so.then(|| "true".to_owned());
    [
        ("window", item.window_ms.map(words::duration)),
        ("parallelization", item.parallelization.map(|lanes| lanes.to_string())),
        ("retries", item.retries.map(|retries| retries.to_string())),
        ("max_age", item.max_age_ms.map(words::duration)),
        ("bisect", flag(item.bisect)),
        ("report_failures", flag(item.report_failures)),
        ("filter", (!item.filter.is_empty()).then(|| item.filter.join(", "))),
        ("on_failure", item.on_failure.as_ref().map(destination)),
        ("tumbling_window", item.tumbling_window_ms.map(words::duration)),
        ("semantics", item.semantics.clone()),
    ]
}

fn destination(item: &DestinationItem) -> String {
    match item {
        DestinationItem::Stream { stream } => stream.clone(),
        DestinationItem::Folder { folder } => format!("{{ folder: {folder} }}"),
        DestinationItem::Url { url, secret: None } => format!("{{ url: {url} }}"),
        DestinationItem::Url { url, secret: Some(secret) } => format!("{{ url: {url}, secret: {secret} }}"),
    }
}

/// Names what a setting is that is left out: `retries unlimited -> 3` says more than that it is new.
pub(super) fn name_defaults(step: &mut Step) {
    for Setting { name, from, to } in step.settings.iter_mut().filter(|_| step.action == Action::Change) {
        let default = default(name).map(str::to_owned);
        let named = |value: Option<String>| value.or_else(|| default.clone());
        (*from, *to) = (named(from.take()), named(to.take()));
    }
}

fn default(name: &str) -> Option<&'static str> {
    match name {
        "enabled" => Some("true"),
        "window" => Some("0ms"),
        "parallelization" => Some("1"),
        "retries" | "max_age" => Some("unlimited"),
        "bisect" | "report_failures" => Some("false"),
        "semantics" => Some("tidemill"),
        _ => None,
    }
}

/// What follows from a step of a trigger.
pub(super) fn follows(step: &Step, wanted: Option<&TriggerItem>) -> Option<String> {
    let changes = |name: &str| step.settings.iter().any(|setting| setting.name == name);
    match (step.action, wanted) {
        (Action::Remove, _) => Some("how far it has come is forgotten".to_owned()),
        (Action::Change, Some(wanted)) if changes("stream") || changes("start") => {
            let TriggerItem { stream, start, .. } = wanted;
            Some(format!("it forgets how far it has come, and starts afresh at {start} of '{stream}'"))
        }
        _ => None,
    }
}
