//! What applying a manifest does: the difference between what a node has and what it shall have.
//!
//! This is pure. A plan never deletes a stream: what the manifest does not name stays, with its data. A plan can hold
//! what cannot be done; then nothing of it is. It must not know how a step is carried out, nor where it is shown.

mod trigger;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::inventory::{Inventory, StreamItem, TriggerItem};

/// What there is to do, in the order of stream, function, trigger and the rest; what stays comes last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// How many streams, functions and triggers are as the manifest says.
    pub unchanged: usize,
}

/// One thing and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What becomes of it.
    pub action: Action,
    /// What it is.
    pub kind: Kind,
    /// Its name; `ingest` has none but that.
    pub name: String,
    /// The settings that it gets, or that become others.
    pub settings: Vec<Setting>,
    /// What follows from that, or why it cannot be done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// What becomes of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Add,
    /// It gets other settings.
    Change,
    /// It is taken away.
    Remove,
    /// It stays, although the manifest does not name it.
    Keep,
}

/// What a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A stream.
    Stream,
    /// A function.
    Function,
    /// A trigger.
    Trigger,
    /// Who may put over plain HTTP.
    Ingest,
}

/// A setting that becomes another. `None` is: not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// As the manifest calls it; a function's `version` is the SHA-256 of its wasm.
    pub name: String,
    /// What it is.
    pub from: Option<String>,
    /// What it becomes.
    pub to: Option<String>,
}

impl Plan {
    /// What makes a node that has the one have the other.
    pub fn between(has: &Inventory, wanted: &Inventory) -> Self {
        let mut plan = Self::default();
        plan.streams(&has.streams, &wanted.streams);
        plan.compare(Kind::Function, &has.functions, &wanted.functions, words::function);
        plan.triggers(has, wanted);
        plan.ingest(has, wanted);
        plan.steps.sort_by_key(|step| step.action == Action::Keep);
        plan
    }

    /// Whether there is anything to do.
    pub fn has_changes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Add | Action::Change | Action::Remove))
    }

    /// How many steps do this.
    pub fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }

    /// Whether this is a step of the plan.
    pub fn does(&self, action: Action, kind: Kind, name: &str) -> bool {
        self.steps.iter().any(|step| step.action == action && step.kind == kind && step.name == name)
    }

    fn streams(&mut self, has: &BTreeMap<String, StreamItem>, wanted: &BTreeMap<String, StreamItem>) {
        for (name, item) in wanted {
            let there = has.get(name);
            let Some(mut step) = self.step(Kind::Stream, name, there.map(words::stream), Some(words::stream(item)))
            else {
                continue;
            };
            step.note = there.and_then(|there| words::of_stream(there, item));
            self.steps.push(step);
        }
        for name in has.keys().filter(|name| !wanted.contains_key(*name)) {
            let note = Some(words::stays(name));
            let (action, kind) = (Action::Keep, Kind::Stream);
            self.steps.push(Step { action, kind, name: name.clone(), settings: Vec::new(), note });
        }
    }

    fn triggers(&mut self, has: &Inventory, wanted: &Inventory) {
        let known = |(name, item): (&String, &TriggerItem)| {
            let known = wanted.triggers.get(name).map_or_else(|| item.clone(), |wanted| item.completed(wanted));
            (name.clone(), known)
        };
        let there = has.triggers.iter().map(known).collect();
        let first = self.steps.len();
        self.compare(Kind::Trigger, &there, &wanted.triggers, trigger::words);
        for step in self.steps.iter_mut().skip(first) {
            trigger::name_defaults(step);
            step.note = trigger::follows(step, wanted.triggers.get(&step.name));
        }
        self.made_anew(has, wanted, &there);
    }

    /// A trigger whose stream is gone and made again has changed, although its settings have not.
    fn made_anew(&mut self, has: &Inventory, wanted: &Inventory, there: &BTreeMap<String, TriggerItem>) {
        for (name, item) in &wanted.triggers {
            if there.get(name) == Some(item) && !has.streams.contains_key(&item.stream) {
                self.unchanged = self.unchanged.saturating_sub(1);
                let note = Some(format!("the stream '{}' is made anew: it starts afresh there", item.stream));
                let (action, kind) = (Action::Change, Kind::Trigger);
                self.steps.push(Step { action, kind, name: name.clone(), settings: Vec::new(), note });
            }
        }
    }

    fn ingest(&mut self, has: &Inventory, wanted: &Inventory) {
        let (there, wanted) = (words::ingest(&has.ingest), words::ingest(&wanted.ingest));
        let settings = difference(&there, &wanted);
        if !settings.is_empty() {
            let (action, kind) = (Action::Change, Kind::Ingest);
            self.steps.push(Step { action, kind, name: "ingest".to_owned(), settings, note: None });
        }
    }

    fn compare<T>(
        &mut self,
        kind: Kind,
        has: &BTreeMap<String, T>,
        wanted: &BTreeMap<String, T>,
        words: fn(&T) -> Words,
    ) {
        let gone = has.keys().filter(|name| !wanted.contains_key(*name));
        for name in wanted.keys().chain(gone) {
            let step = self.step(kind, name, has.get(name).map(words), wanted.get(name).map(words));
            self.steps.extend(step);
        }
    }

    /// What becomes of one thing, if anything does.
    fn step(&mut self, kind: Kind, name: &str, there: Option<Words>, wanted: Option<Words>) -> Option<Step> {
        let action = match (&there, &wanted) {
            (Some(_), Some(_)) => Action::Change,
            (_, Some(_)) => Action::Add,
            (_, None) => Action::Remove,
        };
        let mut settings = difference(&there.unwrap_or_default(), &wanted.unwrap_or_default());
        if action == Action::Change && settings.is_empty() {
            self.unchanged += 1;
            return None;
        }
        if action == Action::Remove {
            settings.clear();
        }
        Some(Step { action, kind, name: name.to_owned(), settings, note: None })
    }
}

/// The settings of a thing by name, in the order in which they are shown.
type Words = Vec<(String, String)>;

fn difference(there: &Words, wanted: &Words) -> Vec<Setting> {
    let of = |words: &Words, name: &str| words.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let gone = there.iter().filter(|(name, _)| of(wanted, name).is_none());
    let names = wanted.iter().chain(gone).map(|(name, _)| name);
    let settings = names.map(|name| Setting { name: name.clone(), from: of(there, name), to: of(wanted, name) });
    settings.filter(|setting| setting.from != setting.to).collect()
}

#[cfg(test)]
mod tests;
