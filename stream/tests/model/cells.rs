//! The model of what is changed by compare-and-set: for each name what is there, and what a crash may bring back.

use std::collections::BTreeMap;

use tidemill_stream::engine::{Durability, Revision};

/// What is there under a name: its revision and content, if anything.
pub(crate) type State = Option<(Revision, Vec<u8>)>;

#[derive(Debug, Default)]
pub(crate) struct Cells {
    cells: BTreeMap<String, Cell>,
    /// Lazy changes of several names at once, since the folder was opened.
    lazy_groups: Vec<Vec<(String, State)>>,
}

#[derive(Debug)]
struct Cell {
    /// What may be there after a crash, oldest first; the last is there now.
    possible: Vec<State>,
    /// No revision is given twice, not even that of a change which a crash took back.
    highest: Revision,
}

impl Default for Cell {
    fn default() -> Self {
        Self { possible: vec![None], highest: Revision(0) }
    }
}

impl Cells {
    pub(crate) fn get(&self, name: &str) -> State {
        self.cells.get(name).and_then(|cell| cell.possible.last().cloned().flatten())
    }

    pub(crate) fn revision(&self, name: &str) -> Option<Revision> {
        self.get(name).map(|(revision, _)| revision)
    }

    /// All that is there under names that begin so.
    pub(crate) fn under(&self, prefix: &str) -> BTreeMap<String, (Revision, Vec<u8>)> {
        let names = self.cells.keys().filter(|name| name.starts_with(prefix));
        names.filter_map(|name| self.get(name).map(|state| (name.clone(), state))).collect()
    }

    /// What was acknowledged: the new contents, and their revisions.
    pub(crate) fn change(&mut self, changes: Vec<(String, Revision, Option<Vec<u8>>)>, durability: Durability) {
        let mut group = Vec::new();
        for (name, revision, value) in changes {
            let state = value.map(|value| (revision, value));
            let cell = self.cells.entry(name.clone()).or_default();
            assert!(revision > cell.highest, "{name} got {revision:?} after {:?}", cell.highest);
            cell.highest = revision;
            match durability {
                Durability::Synced => cell.possible = vec![state.clone()],
                Durability::Lazy => cell.possible.push(state.clone()),
            }
            group.push((name, state));
        }
        if durability == Durability::Lazy && group.len() > 1 {
            self.lazy_groups.push(group);
        }
    }

    /// What was deleted durably, at a revision that was not told.
    pub(crate) fn forget(&mut self, name: &str) {
        self.cells.entry(name.to_owned()).or_default().possible = vec![None];
    }

    /// After the store was closed in good order: what is there is what was there.
    pub(crate) fn expect(&mut self, found: &BTreeMap<String, (Revision, Vec<u8>)>) {
        for (name, cell) in &mut self.cells {
            let state = cell.possible.pop().flatten();
            assert_eq!(found.get(name), state.as_ref(), "{name}");
            cell.possible = vec![state];
        }
        self.end(found);
    }

    /// After a crash: what is there may be older, if all that came later was lazy. Changes made at once are there at
    /// once, as far as nothing came over them.
    pub(crate) fn accept(&mut self, found: &BTreeMap<String, (Revision, Vec<u8>)>) {
        for group in std::mem::take(&mut self.lazy_groups) {
            let is_last = |(name, state): &(String, State)| state.is_some() && self.get(name) == *state;
            let is_there = |(name, state): &(String, State)| found.get(name) == state.as_ref();
            let there = group.iter().filter(|change| is_there(change)).count();
            if group.iter().all(is_last) {
                assert!(there == 0 || there == group.len(), "only a part of {group:?} is there");
            }
        }
        for (name, cell) in &mut self.cells {
            let state = found.get(name).cloned();
            assert!(cell.possible.contains(&state), "{name} is {state:?}, and may be {:?}", cell.possible);
            cell.possible = vec![state];
        }
        self.end(found);
    }

    fn end(&mut self, found: &BTreeMap<String, (Revision, Vec<u8>)>) {
        self.lazy_groups.clear();
        for name in found.keys() {
            assert!(self.cells.contains_key(name), "{name} was never there");
        }
    }
}
