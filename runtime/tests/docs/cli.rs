//! `docs/cli.md` is made of the command line's own definitions. `UPDATE_DOCS=1` writes it.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::{page, program};

const PAGE: &str = "cli.md";
const HEAD: &str = "# The command line

<!-- Made of the program's own definitions: UPDATE_DOCS=1 cargo test --workspace --test docs -->

`tidemill COMMAND --help` prints the same. Standard output has what a command was asked for; log lines, progress and errors
go to standard error. `tidemill --version` prints the version.
";

/// The page that these definitions make.
fn render(mut root: Command) -> String {
    root.build();
    let mut out = HEAD.to_owned();
    remarks(&mut out, &root);
    out += "\n| command | what it does |\n|---|---|\n";
    for (name, command) in commands(&root, "tidemill") {
        let about = text(&command.get_about().map(ToString::to_string).unwrap_or_default());
        writeln!(out, "| [`{name}`](#{}) | {about} |", page::anchor(&name)).unwrap();
    }
    for (name, command) in commands(&root, "tidemill") {
        section(&mut out, &name, command);
    }
    out
}

/// All commands that do something, by their full names.
fn commands<'a>(parent: &'a Command, path: &str) -> Vec<(String, &'a Command)> {
    let children = parent.get_subcommands().filter(|child| child.get_name() != "help" && !child.is_hide_set());
    let with_own = children.flat_map(|child| {
        let name = format!("{path} {}", child.get_name());
        if child.has_subcommands() { commands(child, &name) } else { vec![(name, child)] }
    });
    with_own.collect()
}

fn section(out: &mut String, name: &str, command: &Command) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    write!(out, "\n## {name}\n\n{}\n\n```text\n{usage}\n```\n", text(&sentence(&about))).unwrap();
    let (positionals, options): (Vec<_>, Vec<_>) = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()))
        .partition(|arg| arg.is_positional());
    table(out, "argument", command, &positionals);
    table(out, "option", command, &options);
    remarks(out, command);
}

fn table(out: &mut String, kind: &str, command: &Command, args: &[&Arg]) {
    if args.is_empty() {
        return;
    }
    write!(out, "\n| {kind} | meaning |\n|---|---|\n").unwrap();
    for arg in args {
        writeln!(out, "| `{}` | {} |", shape(arg), meaning(command, arg)).unwrap();
    }
}

/// `STREAM`, `--all`, `-n, --node URL`.
fn shape(arg: &Arg) -> String {
    let values =
        arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let short = arg.get_short().map(|short| format!("-{short}"));
    let names: Vec<String> = short.into_iter().chain(arg.get_long().map(|long| format!("--{long}"))).collect();
    let values = if arg.get_action().takes_values() { values } else { String::new() };
    format!("{} {values}", names.join(", ")).trim().to_owned()
}

fn meaning(command: &Command, arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut out = text(&sentence(&help)).replace('\n', " ");
    if arg.get_action().takes_values() {
        let words: Vec<_> = arg.get_possible_values().iter().map(|word| format!("`{}`", word.get_name())).collect();
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.display().to_string()).collect();
        for (lead, list) in [("One of", words.join(", ")), ("Default:", code_of(&defaults.join(" ")))] {
            if !list.is_empty() {
                write!(out, " {lead} {list}.").unwrap();
            }
        }
    }
    if arg.is_required_set() && !arg.is_positional() {
        out += " Required.";
    }
    let others: Vec<_> =
        command.get_arg_conflicts_with(arg).into_iter().map(|other| format!("`{}`", shape(other))).collect();
    if !others.is_empty() {
        write!(out, " Not together with {}.", others.join(", ")).unwrap();
    }
    out
}

fn code_of(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("`{value}`") }
}

/// What stands behind a command's options: examples as commands, other lists as they are.
fn remarks(out: &mut String, command: &Command) {
    let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default();
    let mut lines = after.lines().peekable();
    while let Some(line) = lines.next() {
        let is_title = line.ends_with(':') && lines.peek().is_some_and(|next| next.starts_with("  "));
        if !is_title {
            writeln!(out, "{}{}", if line.is_empty() { "" } else { "\n" }, text(line)).unwrap();
            continue;
        }
        let language = if line == "Examples:" { "sh" } else { "text" };
        write!(out, "\n{line}\n\n```{language}\n").unwrap();
        while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
            writeln!(out, "{}", &line[2..]).unwrap();
        }
        *out += "```\n";
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}

/// Words as Markdown that shows them as they are.
fn text(words: &str) -> String {
    let escape = |part: &str| part.replace('<', "&lt;").replace('*', "\\*").replace('|', "\\|");
    let parts = words.split('`').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 1 { part.replace('|', "\\|") } else { escape(part) });
    parts.collect::<Vec<_>>().join("`")
}

#[test]
fn the_page_has_every_command_as_the_program_has_it() {
    let made = render(tidemill::cli::definition());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page::folder().join(PAGE), &made).unwrap();
    }
    let page = std::fs::read_to_string(page::folder().join(PAGE)).unwrap_or_default();
    let differ = made.lines().zip(page.lines()).find(|(made, page)| made != page);
    assert!(
        made == page,
        "docs/{PAGE} is not what the program says ({differ:?}); UPDATE_DOCS=1 cargo test --workspace --test docs writes it"
    );
}

#[test]
fn every_command_shows_an_example() {
    let mut root = tidemill::cli::definition();
    root.build();
    for (name, command) in commands(&root, "tidemill") {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(
            after.contains(&format!("Examples:\n  {name}")) || after.contains(&format!("  {name} ")),
            "{name}: {after}"
        );
    }
}

#[test]
fn definitions_are_shown_in_markdown() {
    let list = Command::new("list").about("List <all>").after_help("Examples:\n  t box list").arg(
        Arg::new("format")
            .long("format")
            .short('f')
            .value_name("WORD")
            .value_parser(["a", "b"])
            .default_value("a")
            .help("How"),
    );
    let root = Command::new("t").subcommand(Command::new("box").subcommand(list)).after_help("Codes:\n  0  well");
    let made = render(root);
    for part in [
        "\nCodes:\n\n```text\n0  well\n```\n",
        "| [`tidemill box list`](#tidemill-box-list) | List &lt;all> |\n",
        "## tidemill box list\n\nList &lt;all>.\n\n```text\nt box list [OPTIONS]\n```\n",
        "| option | meaning |\n|---|---|\n| `-f, --format WORD` | How. One of `a`, `b`. Default: `a`. |\n",
        "\nExamples:\n\n```sh\nt box list\n```\n",
    ] {
        assert!(made.contains(part), "{part} is missing in\n{made}");
    }
}

#[tokio::test]
async fn commands_end_with_the_codes_of_the_page() {
    let page = render(tidemill::cli::definition());
    for (arguments, code) in [(&["--version"][..], 0), (&["check", "no/such/file"][..], 1), (&["chekc"][..], 2)] {
        assert!(page.contains(&format!("\n{code}    ")), "the page does not have {code}");
        assert_eq!(program::run(arguments, "").await.code, code, "{arguments:?}");
    }
}
