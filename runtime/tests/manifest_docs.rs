//! `docs/manifest.md` says what the reader of manifests does.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong shall stop")]

use std::path::Path;

/// The page is written from the reader's tables. With `UPDATE_DOCS=1` it is written anew.
#[test]
fn the_page_of_the_manifest_is_what_the_reader_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manifest.md");
    let page = tidemill::deploy::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (there, right)) in there.lines().zip(page.lines()).enumerate() {
        assert_eq!(there, right, "line {}: write the page anew with UPDATE_DOCS=1", line + 1);
    }
    assert_eq!(there.len(), page.len(), "write the page anew with UPDATE_DOCS=1");
}
