//! `docs/functions.md` shows manifests that are right.

use std::path::Path;

use tidemill::deploy::Manifest;

use crate::page;

/// The blocks of YAML on a page.
fn manifests(page: &str) -> impl Iterator<Item = &str> {
    page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

#[test]
fn every_manifest_of_the_page_is_right_and_needs_no_warning() {
    let page = page::read("functions.md");
    assert!(manifests(&page).count() > 8, "the manifests of the page are found");
    for text in manifests(&page) {
        let manifest =
            Manifest::parse("functions.md", Path::new(""), text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(manifest.warnings(), Vec::<String>::new(), "{text}");
    }
}
