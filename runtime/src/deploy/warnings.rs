//! What is right in a manifest and yet likely not meant.

use super::units::print_duration;
use super::{DestinationSpec, Manifest, Semantics, TriggerRules, TriggerSpec};

impl Manifest {
    /// What is right and yet likely not meant, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let of = |trigger| {
            [self.feeds_itself(trigger), fails_to_itself(trigger), gives_up_unseen(trigger), waits_too_long(trigger)]
        };
        self.triggers.iter().flat_map(of).flatten().collect()
    }

    /// The function may emit to the stream whose records it gets.
    fn feeds_itself(&self, trigger: &TriggerSpec) -> Option<String> {
        let TriggerSpec { name, stream, function, .. } = trigger;
        let spec = self.functions.iter().find(|spec| spec.name == *function)?;
        spec.emit.contains(stream).then(|| {
            format!(
                "the trigger '{name}' gives '{function}' the records of '{stream}', to which it may emit: what it \
                 emits there comes back to it; unless it ends that by itself, it goes on for ever and fills the disk"
            )
        })
    }
}

/// Records that are given up are told of on the stream that they come from.
fn fails_to_itself(trigger: &TriggerSpec) -> Option<String> {
    let TriggerSpec { name, stream, rules, .. } = trigger;
    let is_own = matches!(&rules.on_failure, Some(DestinationSpec::Stream(told)) if told == stream);
    is_own.then(|| {
        format!(
            "the trigger '{name}' tells of records that it gives up on '{stream}', whose records it delivers: its function \
             gets what it is told as well; where it fails that too, it goes on for ever; name another stream in 'on_failure'"
        )
    })
}

/// Records are given up, and nobody is told.
fn gives_up_unseen(trigger: &TriggerSpec) -> Option<String> {
    let TriggerSpec { name, rules, .. } = trigger;
    let TriggerRules { semantics, retries_max, age_max, on_failure, .. } = rules;
    let retries = retries_max.map(|_| "'retries'");
    let age = age_max.map(|_| "'max_age'");
    let limits: Vec<_> = [retries, age].into_iter().flatten().collect();
    let is_seen = limits.is_empty() || on_failure.is_some() || *semantics == Semantics::Lambda;
    (!is_seen).then(|| {
        format!(
            "the trigger '{name}' has {} and no 'on_failure': of records that it gives up only the log tells, how many and \
             from which on; name a stream in 'on_failure'",
            limits.join(" and ")
        )
    })
}

/// Records may be too old before their batch is full.
fn waits_too_long(trigger: &TriggerSpec) -> Option<String> {
    let TriggerSpec { name, rules, .. } = trigger;
    let age = rules.age_max.filter(|age| *age <= rules.window)?;
    let (window, age) = (print_duration(rules.window), print_duration(age));
    Some(format!(
        "the trigger '{name}' waits up to {window} for more records ('window') and gives up those older than {age} \
         ('max_age'): some are given up without a call; make 'window' the shorter of the two"
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is said of a trigger of the stream `a` with these fields, for a function that may emit to these streams.
    fn warned(emit: &str, fields: &str) -> Vec<String> {
        let text = format!(
            "streams: {{ a: , b: }}\nfunctions: {{ f: {{ path: p, allow: {{ emit: [{emit}] }} }} }}\n\
             triggers: [{{ name: t, stream: a, function: f, start: latest{fields} }}]"
        );
        Manifest::parse("warned", Path::new(""), &text).unwrap().warnings()
    }

    /// The trigger is warned of in one sentence that has these words, or in none.
    fn check(emit: &str, fields: &str, words: Option<&str>) {
        let warned = warned(emit, fields);
        assert_eq!(warned.len(), usize::from(words.is_some()), "{warned:?}");
        assert!(words.is_none_or(|words| warned[0].contains(words)), "{warned:?}");
    }

    #[test]
    fn a_function_that_feeds_itself_is_warned_of() {
        check("b", "", None);
        check("b, a", "", Some("gives 'f' the records of 'a', to which it may emit"));
    }

    #[test]
    fn a_trigger_that_fails_to_its_own_stream_is_warned_of() {
        check("b", ", on_failure: b", None);
        check("b", ", on_failure: a", Some("tells of records that it gives up on 'a'"));
        check("b", ", on_failure: { stream: a }", Some("tells of records that it gives up on 'a'"));
    }

    #[test]
    fn a_trigger_that_gives_up_unseen_is_warned_of() {
        check("b", ", retries: unlimited, max_age: unlimited", None);
        check("b", ", retries: 0, max_age: 1h, on_failure: b", None);
        check("b", ", retries: 0, semantics: lambda", None);
        check("b", ", retries: 0", Some("has 'retries' and no 'on_failure'"));
        check("b", ", max_age: 1h", Some("has 'max_age' and no 'on_failure'"));
        check("b", ", retries: 3, max_age: 1h", Some("has 'retries' and 'max_age' and no 'on_failure'"));
    }

    #[test]
    fn a_trigger_that_waits_until_records_are_too_old_is_warned_of() {
        check("b", ", max_age: 2m, window: 1m, on_failure: b", None);
        check("b", ", max_age: 1m, window: 1m, on_failure: b", Some("waits up to 1m"));
    }
}
