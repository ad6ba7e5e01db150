//! A plan for a person: what becomes of what on the left, how on the right, in 80 columns.

use std::fmt::Write as _;

use crate::cli::text::{TABLE_COLUMNS_MAX, cell, columns, cut, on_one_line, terminal};
use crate::deploy::{Action, Plan, Step};

/// The widest left column; what is longer has a line for itself.
const HEAD_COLUMNS_MAX: usize = 28;
/// Streams that stay are named up to here; the rest are counted.
const KEPT_SHOWN_MAX: usize = 8;

/// The plan and, below, all of it in a sentence. Coloured on a terminal, unless `NO_COLOR` is set.
pub(super) fn shown(plan: &Plan) -> String {
    let coloured = terminal().is_some() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    text(plan, if coloured { coloured_sign } else { |_, text| text.to_owned() })
}

/// The text in the colour of what becomes of it.
fn coloured_sign(action: Action, text: &str) -> String {
    let colour = match action {
        Action::Add => 32,
        Action::Change => 33,
        Action::Remove => 31,
        Action::Keep => 2,
    };
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

fn text(plan: &Plan, paint: fn(Action, &str) -> String) -> String {
    let is_kept = |step: &&Step| step.action == Action::Keep;
    let (kept, done): (Vec<&Step>, Vec<&Step>) = plan.steps.iter().partition(is_kept);
    let steps: Vec<&Step> = done.into_iter().chain(kept.iter().copied().take(KEPT_SHOWN_MAX)).collect();
    let heads = steps.iter().map(|step| columns(&step.head()));
    let width = heads.filter(|width| *width <= HEAD_COLUMNS_MAX).max().unwrap_or(HEAD_COLUMNS_MAX);
    let mut text = String::new();
    for step in &steps {
        write_step(&mut text, step, width, paint);
    }
    let hidden = kept.len().saturating_sub(KEPT_SHOWN_MAX);
    if hidden > 0 {
        let _ = writeln!(text, "  and {hidden} more streams that are not in the manifest and stay");
    }
    let separator = if text.is_empty() { "" } else { "\n" };
    format!("{text}{separator}{}", plan.summary())
}

fn write_step(text: &mut String, step: &Step, width: usize, paint: fn(Action, &str) -> String) {
    let right = TABLE_COLUMNS_MAX - width - 2;
    let mut lines: Vec<String> =
        step.details().iter().flat_map(|detail| wrapped(&on_one_line(detail), right)).collect();
    let head = cut(&step.head(), TABLE_COLUMNS_MAX);
    let is_own_line = columns(&head) > width || lines.is_empty();
    let first = if is_own_line { String::new() } else { lines.remove(0) };
    let head = if is_own_line { head } else { cell(&head, width) };
    let (sign, rest) = head.split_at(1);
    let _ = writeln!(text, "{}", format!("{}{rest}  {first}", paint(step.action, sign)).trim_end());
    for line in lines {
        let _ = writeln!(text, "{:width$}  {line}", "");
    }
}

/// The text in lines of so many columns, broken between words where that is possible.
fn wrapped(text: &str, columns_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { continue };
        let blank = usize::from(!line.is_empty());
        if columns(line) + blank + columns(word) <= columns_max {
            line.extend((blank == 1).then_some(' '));
            line.push_str(word);
            continue;
        }
        let mut rest: Vec<char> = word.chars().collect();
        if line.is_empty() {
            lines.pop();
        }
        while !rest.is_empty() {
            let fits = fitting(&rest, columns_max);
            lines.push(rest.drain(..fits).collect());
        }
    }
    lines
}

/// How many characters fit into so many columns, at least one.
fn fitting(characters: &[char], columns_max: usize) -> usize {
    let mut text = String::new();
    let fits = |character: &&char| {
        text.push(**character);
        columns(&text) <= columns_max
    };
    characters.iter().take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{Kind, Setting};

    fn step(action: Action, kind: Kind, name: &str, settings: &[(&str, Option<&str>, &str)]) -> Step {
        let setting = |(name, from, to): &(&str, Option<&str>, &str)| Setting {
            name: (*name).to_owned(),
            from: from.map(str::to_owned),
            to: Some((*to).to_owned()),
        };
        Step { action, kind, name: name.to_owned(), settings: settings.iter().map(setting).collect(), note: None }
    }

    fn plain(plan: &Plan) -> String {
        text(plan, |_, text| text.to_owned())
    }

    #[test]
    fn a_plan_is_two_columns() {
        let mut changed = step(
            Action::Change,
            Kind::Function,
            "score",
            &[("timeout", Some("5s"), "10s"), ("config.threshold", Some("5.5"), "6")],
        );
        changed.note = Some("a note that is so long that it has to go on in the next line, word by word".to_owned());
        let added = step(Action::Add, Kind::Stream, "orders", &[("shards", None, "2"), ("retention", None, "24h")]);
        let plan = Plan { steps: vec![added, changed, step(Action::Remove, Kind::Function, "b", &[])], unchanged: 2 };
        let expected = r#"+ stream orders   shards 2, retention 24h
~ function score  timeout 5s -> 10s
                  config.threshold "5.5" -> "6"
                  a note that is so long that it has to go on in the next line,
                  word by word
- function b

1 new, 1 changed, 1 removed, 2 unchanged."#;
        assert_eq!(plain(&plan), expected);
        assert!(text(&plan, coloured_sign).starts_with("\u{1b}[32m+\u{1b}[0m stream orders   shards"));
    }

    #[test]
    fn everything_fits_80_columns() {
        let long = "n".repeat(128);
        let mut kept = step(Action::Keep, Kind::Stream, &long, &[]);
        kept.note = Some(format!("stays; 'tidemill stream delete {long}' deletes it"));
        let value = "日本 ".repeat(60);
        let config = format!("config.{long}");
        let changed = step(Action::Change, Kind::Function, &long, &[(&config, Some(&value), "x")]);
        let mut steps = vec![changed];
        steps.extend(std::iter::repeat_n(kept, 20));
        let shown = plain(&Plan { steps, unchanged: 0 });
        for line in shown.lines() {
            assert!(columns(line) <= TABLE_COLUMNS_MAX, "{} columns: {line}", columns(line));
        }
        assert!(shown.contains("and 12 more streams that are not in the manifest and stay"), "{shown}");
    }

    #[test]
    fn texts_are_wrapped_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("a abcdefgh ij", 5), ["a", "abcde", "fgh", "ij"]);
        assert_eq!(wrapped("", 5), [""]);
    }
}
