//! `docs/manifest.md` says what the reader of manifests does. `UPDATE_DOCS=1` writes it.

use crate::page;

const PAGE: &str = "manifest.md";

#[test]
fn the_page_of_the_manifest_is_what_the_reader_reads() {
    let made = tidemill::deploy::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page::folder().join(PAGE), &made).unwrap();
    }
    let page = std::fs::read_to_string(page::folder().join(PAGE)).unwrap_or_default();
    let differ = made.lines().zip(page.lines()).find(|(made, page)| made != page);
    assert!(
        made == page,
        "docs/{PAGE} is not what the reader says ({differ:?}); UPDATE_DOCS=1 cargo test --workspace --test docs writes it"
    );
}
