//! The reference of the manifest, written from the tables that the reader uses: `docs/manifest.md`.

use std::fmt::Write as _;

use tidemill_stream::name::StreamName;

use super::legal::{self, Bounded, Field, Legal, Takes, trigger};
use super::units::{DURATION_UNITS, SIZE_UNITS, print_duration, print_size};
use crate::functions::FunctionName;

/// How often the columns of an example are set in.
const INDENT: &str = "  ";

/// The streams that the example's function emits to and its trigger tells of failures: not the one whose records it gets.
const OTHER_STREAMS: [&str; 2] = ["alerts", "dead-letters"];

/// The page, as Markdown.
pub fn reference() -> String {
    let mut page = BEGINNING.replace("DURATION_UNITS", DURATION_UNITS).replace("SIZE_UNITS", SIZE_UNITS);
    let _ = write!(page, "\n```yaml\n{}```\n", example());
    for section in sections() {
        section.write(&mut page);
    }
    page.push_str(END);
    page
}

/// One part of a manifest on the page.
struct Section {
    title: &'static str,
    about: String,
    legal: &'static Legal,
}

fn sections() -> [Section; 9] {
    let section = |title, about: &str, legal| Section { title, about: about.to_owned(), legal };
    let stream = StreamName::parse("").err().map(|error| rule(&error.to_string())).unwrap_or_default();
    let function = FunctionName::parse("").err().map(|error| rule(&error.to_string())).unwrap_or_default();
    [
        section("The whole", "Each may be left out, or be empty.", &legal::MANIFEST),
        section("`streams`", &format!("By name. A name has {stream}."), &legal::STREAM),
        section("`functions`", &format!("By name. A name has {function}."), &legal::FUNCTION),
        section("`functions.NAME.allow`", "Nothing is granted unless it is listed here.", &legal::ALLOW),
        section("`triggers`", &format!("A list. A name has {}.", trigger::TRIGGER_NAME_RULE), &trigger::TRIGGER),
        section("`triggers.on_failure`", ON_FAILURE, &trigger::DESTINATION),
        section("`ingest`", INGEST, &legal::INGEST),
        section("`ingest.tokens`", "A list of 1 to 100 tokens. Each has one of these fields.", &legal::TOKEN),
        section("`ingest.cors`", "The CORS protocol of browsers.", &legal::CORS),
    ]
}

/// The part of an error that says what would be right.
fn rule(error: &str) -> String {
    error.split_once(": use ").map(|(_, rule)| rule.to_owned()).unwrap_or_default()
}

impl Section {
    fn write(&self, page: &mut String) {
        let _ = write!(page, "\n## {}\n\n{}\n", self.title, self.about);
        page.push_str("\n| field | takes | default | meaning |\n|---|---|---|---|\n");
        for field in self.legal.fields {
            let (takes, default) = (takes(&field.takes), default(&field.takes));
            let about = field.about.replace('|', "\\|"); // which would end the cell
            let _ = writeln!(page, "| `{}` | {takes} | {default} | {about} |", field.name());
        }
        if !self.legal.planned.is_empty() {
            page.push_str("\nNot yet, and refused until then:\n\n| field | so far |\n|---|---|\n");
        }
        for (name, meaning) in self.legal.planned {
            let _ = writeln!(page, "| `{name}` | {meaning} |");
        }
    }
}

fn takes(takes: &Takes) -> String {
    match takes {
        Takes::Count(range) => format!("a whole number, {} to {}", range.min, range.max),
        Takes::Duration(range) => {
            format!("a duration, {} to {}", print_duration(range.min), print_duration(range.max))
        }
        Takes::Size(range) => format!("a size, {} to {}", print_size(range.min), print_size(range.max)),
        Takes::CountOrNone(range) => format!("a whole number, {} to {}{}", range.min, range.max, word(range)),
        Takes::DurationOrNone(range) => {
            format!("a duration, {} to {}{}", print_duration(range.min), print_duration(range.max), word(range))
        }
        Takes::Flag(_) => "`true` or `false`".to_owned(),
        Takes::Other(plain) => plain.takes.to_owned(),
    }
}

fn word<T>(range: &Bounded<T>) -> String {
    range.word.map(|word| format!(", or `{word}`")).unwrap_or_default()
}

fn default(takes: &Takes) -> String {
    match takes {
        Takes::Count(range) => format!("`{}`", range.default),
        Takes::Duration(range) => format!("`{}`", print_duration(range.default)),
        Takes::Size(range) if range.default == legal::NO_LIMIT => "no limit".to_owned(),
        Takes::Size(range) => format!("`{}`", print_size(range.default)),
        Takes::CountOrNone(range) => range.otherwise.to_owned(),
        Takes::DurationOrNone(range) => range.otherwise.to_owned(),
        Takes::Flag(flag) => format!("`{}`", flag.default),
        Takes::Other(plain) => plain.default.unwrap_or("must be there").to_owned(),
    }
}

/// A manifest with each field, as its own example gives it.
fn example() -> String {
    let mut text = String::new();
    write_named(&mut text, legal::STREAMS.name, trigger::STREAM_NAME.example, &legal::STREAM);
    for name in OTHER_STREAMS {
        let _ = writeln!(text, "{INDENT}{name}: {{}}");
    }
    write_named(&mut text, legal::FUNCTIONS.name, trigger::FUNCTION_NAME.example, &legal::FUNCTION);
    let _ = writeln!(text, "{}:", legal::TRIGGERS.name);
    for (index, field) in trigger::TRIGGER.fields.iter().enumerate() {
        let mark = if index == 0 { "- " } else { INDENT };
        write_field(&mut text, &format!("{INDENT}{mark}"), field);
    }
    let _ = writeln!(text, "{}:", legal::INGEST_SECTION.name);
    legal::INGEST.fields.iter().for_each(|field| write_field(&mut text, INDENT, field));
    text
}

fn write_named(text: &mut String, section: &str, name: &str, legal: &Legal) {
    let _ = writeln!(text, "{section}:\n{INDENT}{name}:");
    legal.fields.iter().for_each(|field| write_field(text, &format!("{INDENT}{INDENT}"), field));
}

fn write_field(text: &mut String, indent: &str, field: &Field) {
    let _ = writeln!(text, "{indent}{}: {}", field.name(), field.example());
}

const INGEST: &str = "Who may put records over plain HTTP; [http-ingest.md](http-ingest.md) tells more. The Kinesis API on the \
                      same port is not guarded by it.";

const ON_FAILURE: &str = "Who is told of records that are given up: one of `stream`, `folder` and `url`.";

const BEGINNING: &str = "# The manifest

A manifest says which streams, functions and triggers a node has, in YAML. `tidemill check deploy.yaml` says what is wrong
with one: all of it, each with file, line, column and what would be right. `tidemill deploy --dry-run` says what applying it
would do. An empty manifest is a manifest.

An amount has its unit: a duration is a whole number and one of DURATION_UNITS, a size is one and one of SIZE_UNITS. A text
that looks like a number, a truth value or nothing (`5.5`, `true`, `null`) goes in quotes. Paths are seen from the manifest's
folder. A field that is not on this page is a mistake.

With each field once:
";

const END: &str = "
## Applying it

`tidemill up` and `tidemill serve` apply the manifest they were started with. They read it again when `tidemill deploy` or
`kill -HUP` says so, and `up` whenever a file changes. What the node has is compared with what the manifest says, and only the
difference is brought about; applying the same twice changes nothing. If anything of it cannot be, nothing is applied.

| what changed | what happens |
|---|---|
| a stream is new | it is created |
| a stream's shards | shards are split and merged until there are so many, all of one size, while puts and triggers go on; so are those that somebody else split or merged |
| a stream's `retention` or `retention_bytes` | it counts at once; what has expired does not come back |
| a stream's `capacity` | it counts at once |
| a stream's mode | the shards stay as they are, and are then brought to `shards`, or left to the node |
| a stream is not named any more | it stays, with its data; `tidemill stream delete NAME` deletes it |
| a function's wasm or settings | the next batch is handled by the new version; one that failed is tried with it at once |
| a function is not named any more | it is removed |
| a trigger's function, or how it makes batches and what happens when one fails | it goes on where it is; what waits for its next attempt is tried at once, and counts as new |
| a trigger's `enabled` | it stops between two batches, and keeps its place; or it goes on there |
| a trigger's stream or start | it forgets how far it has come, and starts afresh |
| a trigger is not named any more | it stops between two batches, and how far it has come is forgotten |
| who may put over plain HTTP | it counts from the next request on |

```sh
tidemill deploy --dry-run    # what would change
tidemill deploy              # builds, shows what changes, and has the node apply it
```

Over HTTP, `GET /deployment` tells what the node has, and `POST /deployment` (without a body) has the node read its manifest
and apply it. It answers with the steps that were carried out, with 422 when the manifest has mistakes and with 409 when it
cannot be applied; then nothing has changed. Requests from web pages are refused.
";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::deploy::Manifest;
    use crate::functions::FunctionSettings;

    #[test]
    fn the_example_is_a_manifest_with_every_field() {
        let text = example();
        let manifest = Manifest::parse("example", Path::new(""), &text).unwrap();
        assert_eq!((manifest.streams.len(), manifest.functions.len(), manifest.triggers.len()), (3, 1, 1));
        assert_eq!(manifest.warnings(), Vec::<String>::new());
        assert_eq!((manifest.ingest.tokens.len(), manifest.functions[0].config.len()), (1, 1));
        for legal in [&legal::STREAM, &legal::FUNCTION, &trigger::TRIGGER, &legal::INGEST] {
            for name in legal.names() {
                assert!(text.contains(&format!("{name}: ")), "{name} is not in\n{text}");
            }
        }
    }

    #[test]
    fn what_a_function_has_by_default_is_what_the_page_says() {
        let default = FunctionSettings::default();
        let (memory, timeout) = (legal::MEMORY.default, legal::TIMEOUT.default);
        assert_eq!((default.memory_bytes as u64, default.timeout), (memory, timeout));
        let stated = "functions: { f: { path: p } }";
        let manifest = Manifest::parse("defaults", Path::new(""), stated).unwrap();
        assert_eq!(manifest.functions[0].settings(), default);
    }
}
