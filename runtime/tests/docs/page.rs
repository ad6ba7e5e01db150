//! Reads a page: its tables, headings and links.

use std::path::{Path, PathBuf};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

pub(crate) fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines outside of code blocks.
pub(crate) fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The cells of the rows of all tables whose first column has this title.
pub(crate) fn rows<'a>(page: &'a str, title: &str) -> Vec<Vec<&'a str>> {
    let mut rows = Vec::new();
    let mut is_wanted = None;
    for line in prose(page) {
        let Some(inside) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            is_wanted = None;
            continue;
        };
        let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
        match is_wanted {
            None => is_wanted = Some(cells[0] == title),
            Some(true) if !cells[0].starts_with("---") => rows.push(cells),
            Some(_) => {}
        }
    }
    rows
}

/// What is between the first pair of backticks.
pub(crate) fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or_else(|| panic!("no `name` in: {cell}"))
}

/// The headings' anchors, as GitHub makes them.
pub(crate) fn anchors(page: &str) -> Vec<String> {
    let headings =
        prose(page).filter_map(|line| line.split_once("# ").filter(|(marks, _)| marks.bytes().all(|b| b == b'#')));
    headings.map(|(_, heading)| anchor(heading)).collect()
}

pub(crate) fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn tables_headings_and_code_are_told_apart() {
    let page = "# A page\n| name | n |\n|---|---|\n| `a` | 1 |\n| `b` | |\n\n| other | n |\n|---|---|\n| c | 3 |\n\n\
                ```sh\n# no heading\n| name | 4 |\n```\n## What's `x`?\n";
    assert_eq!(rows(page, "name"), [["`a`", "1"], ["`b`", ""]]);
    assert_eq!(anchors(page), ["a-page", "whats-x"]);
}
