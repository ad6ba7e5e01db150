//! `docs/aws.md` has every operation of the API, and says of each whether this node serves it.

use std::collections::BTreeSet;

use tidemill_wire::{OPERATION_NAMES, Operation};

use crate::page;

#[test]
fn the_page_says_of_every_operation_whether_it_is_served() {
    let page = page::read("aws.md");
    let mut rows: Vec<(&str, bool)> = Vec::new();
    for row in page::rows(&page, "operation") {
        let served = ["yes", "refused"].contains(&row[1]);
        assert!(served || row[1] == "not yet", "neither 'yes', 'refused' nor 'not yet': {row:?}");
        rows.extend(row[0].split(", ").map(|name| (page::code(name), served)));
    }
    let names: BTreeSet<&str> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), rows.len(), "an operation has two rows");
    assert_eq!(names, OPERATION_NAMES.into_iter().collect());
    for (name, served) in rows {
        assert_eq!(served, Operation::parse(name).is_some(), "{name}");
    }
    let counts = format!("{} of {} operations", Operation::ALL.len(), OPERATION_NAMES.len());
    assert!(page.contains(&counts), "the page must say: {counts}");
}
