//! Documents and cursors: the steps.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidemill_stream::cursor::{Cursor, MoveCursorError, TriggerId};
use tidemill_stream::engine::{Bound, Change, DocumentError, Durability, Expect, Key, Position, Revision};
use tidemill_stream::shard::ShardIndex;

use super::steps::{CURSORS_EACH, Knowledge, NewChange, TRIGGERS};
use super::tally::Kind;
use super::world::World;

/// Documents of the model's own.
const PREFIX: &str = "model/";
/// A revision that nothing has: below those that a folder that was opened gives.
const NEVER: Revision = Revision(1);
const PAGE_DOCUMENTS: usize = 3;

/// What the model calls a cursor.
fn cursor_name(trigger: u8, shard: u8) -> String {
    format!("cursor of {trigger} in {shard}")
}

fn numbers(name: &str) -> (TriggerId, ShardIndex) {
    let mut numbers = name.split(' ').filter_map(|word| word.parse().ok());
    let (trigger, shard): (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    (TriggerId(u64::from(trigger)), ShardIndex(shard))
}

impl World {
    /// The change as the engine gets it, with its name, and whether the model says that it meets what is there.
    fn new_change(&mut self, new: &NewChange) -> (Change, bool) {
        let name = format!("{PREFIX}{}", new.document);
        let revision = self.cells.revision(&name);
        let expect = match (new.knowledge, revision) {
            (Knowledge::None, _) => Expect::Any,
            (Knowledge::Right, Some(revision)) => Expect::At(revision),
            (Knowledge::Wrong, Some(revision)) if new.document.is_multiple_of(2) => {
                Expect::At(Revision(revision.0 - 1))
            }
            (Knowledge::Wrong, None) => Expect::At(NEVER),
            (Knowledge::Right, None) | (Knowledge::Wrong, Some(_)) => Expect::Absent,
        };
        let value = new.bytes.map(|bytes| Bytes::from(self.content(bytes)));
        let is_met = !matches!(new.knowledge, Knowledge::Wrong);
        (Change { key: Key::new(name), expect, value }, is_met)
    }

    pub(crate) async fn change(&mut self, new: &[NewChange], durability: Durability) {
        // A name changes once at a time.
        let new: BTreeMap<u8, &NewChange> = new.iter().map(|change| (change.document, change)).collect();
        let (changes, met): (Vec<Change>, Vec<bool>) = new.into_values().map(|new| self.new_change(new)).unzip();
        let answer = self.store().engine().compare_and_set(changes.clone(), durability).await;
        if let Some(unmet) = met.iter().position(|is_met| !is_met) {
            self.expect_conflict(answer, &changes[unmet].key);
            return;
        }
        for change in &changes {
            let was_there = self.cells.get(change.key.as_str()).is_some();
            self.tally.succeeded(match (was_there, &change.value) {
                (_, None) => Kind::DocumentDelete,
                (true, Some(_)) => Kind::DocumentUpdate,
                (false, Some(_)) => Kind::DocumentInsert,
            });
        }
        if changes.len() > 1 {
            self.tally.succeeded(Kind::DocumentsSeveral);
        }
        self.tally.succeeded(match durability {
            Durability::Lazy => Kind::DocumentLazy,
            Durability::Synced => Kind::DocumentSynced,
        });
        self.cells.change(acknowledged(&changes, &answer.unwrap()), durability);
    }

    fn expect_conflict(&mut self, answer: Result<Vec<Revision>, DocumentError>, unmet: &Key) {
        let Err(DocumentError::Conflict { key, found }) = answer else {
            panic!("no conflict at {unmet:?}: {answer:?}")
        };
        assert_eq!((&key, found), (unmet, self.cells.revision(unmet.as_str())));
        self.tally.succeeded(Kind::DocumentConflict);
    }

    pub(crate) async fn fix_cursors(&mut self, trigger: u8, shards: &BTreeSet<u8>, bound: u64, with: &NewChange) {
        let (with, is_met) = self.new_change(with);
        let bound = Bound::at(Position(bound));
        let cursors: Vec<_> = shards.iter().map(|shard| (ShardIndex(u32::from(*shard)), bound)).collect();
        let id = TriggerId(u64::from(trigger));
        let fixed = self.store().fix_cursors(id, &cursors, vec![with.clone()]).await;
        let names: Vec<String> = shards.iter().map(|shard| cursor_name(trigger, *shard)).collect();
        if !is_met || names.iter().any(|name| self.cells.get(name).is_some()) {
            assert!(matches!(fixed, Err(DocumentError::Conflict { .. })), "{fixed:?}");
            self.tally.in_vain(Kind::CursorFix);
            return;
        }
        fixed.unwrap();
        // The revisions are not told: they are read.
        let mut made = Vec::new();
        for name in names {
            let (trigger, shard) = numbers(&name);
            let cursor = self.store().cursor(trigger, shard).await.unwrap().unwrap();
            assert_eq!(cursor.progress, bound.into());
            made.push((name, cursor.revision, Some(content_of(bound))));
        }
        let document = self.store().engine().get(&with.key).await.unwrap();
        assert_eq!(document.as_ref().map(|found| &found.value), with.value.as_ref());
        match document {
            Some(document) => made.extend(acknowledged(&[with], &[document.revision])),
            None => self.cells.forget(with.key.as_str()),
        }
        self.cells.change(made, Durability::Synced);
        self.tally.succeeded(Kind::CursorFix);
    }

    pub(crate) async fn move_cursor(&mut self, nth: usize, to: u64, knowledge: Knowledge) {
        let kind = if matches!(knowledge, Knowledge::Wrong) { Kind::CursorStale } else { Kind::CursorMove };
        let cursors = self.cells.under("cursor");
        let Some(nth) = nth.checked_rem(cursors.len()) else { return self.tally.in_vain(kind) };
        let (name, (revision, content)) = cursors.into_iter().nth(nth).unwrap();
        let ((trigger, shard), to) = (numbers(&name), Bound::at(Position(to)));
        let mut from = Cursor { revision, progress: bound_of(&content).into() };
        if kind == Kind::CursorStale {
            from.revision = Revision(revision.0 - 1);
        }
        let moved = self.store().move_cursor(trigger, shard, &from, to.into()).await;
        if kind == Kind::CursorStale {
            let stale = matches!(moved, Err(MoveCursorError::Stale { found, .. }) if found == Some(revision));
            assert!(stale, "{moved:?}");
        } else {
            let moved = moved.unwrap();
            assert_eq!(moved.progress, to.into());
            self.cells.change(vec![(name, moved.revision, Some(content_of(to)))], Durability::Lazy);
        }
        self.tally.succeeded(kind);
    }

    pub(crate) async fn drop_cursors(&mut self, trigger: u8, shards: &BTreeSet<u8>) {
        let indexes: Vec<_> = shards.iter().map(|shard| ShardIndex(u32::from(*shard))).collect();
        self.store().drop_cursors(TriggerId(u64::from(trigger)), &indexes).await.unwrap();
        let names: Vec<String> = shards.iter().map(|shard| cursor_name(trigger, *shard)).collect();
        let any = names.iter().any(|name| self.cells.get(name).is_some());
        for name in names {
            self.cells.forget(&name);
        }
        if any { self.tally.succeeded(Kind::CursorDrop) } else { self.tally.in_vain(Kind::CursorDrop) }
    }

    /// All documents of the model's own and all cursors, as the store has them.
    pub(crate) async fn found_cells(&self) -> BTreeMap<String, (Revision, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut after: Option<Key> = None;
        loop {
            let page = self.store().engine().list(PREFIX, after.as_ref(), PAGE_DOCUMENTS).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            let entry = |document: &tidemill_stream::engine::Document| {
                (document.key.as_str().to_owned(), (document.revision, document.value.to_vec()))
            };
            found.extend(page.iter().map(entry));
        }
        for (trigger, shard) in (0..TRIGGERS).flat_map(|trigger| (0..CURSORS_EACH).map(move |shard| (trigger, shard))) {
            let name = cursor_name(trigger, shard);
            let (trigger, shard) = numbers(&name);
            let cursor = self.store().cursor(trigger, shard).await.unwrap();
            found.extend(cursor.map(|cursor| (name, (cursor.revision, content_of(cursor.progress.low())))));
        }
        found
    }
}

/// Changes that were made, with the revisions they got.
fn acknowledged(changes: &[Change], revisions: &[Revision]) -> Vec<(String, Revision, Option<Vec<u8>>)> {
    assert_eq!(changes.len(), revisions.len());
    let made = |(change, revision): (&Change, &Revision)| {
        (change.key.as_str().to_owned(), *revision, change.value.as_ref().map(|value| value.to_vec()))
    };
    changes.iter().zip(revisions).map(made).collect()
}

fn content_of(bound: Bound) -> Vec<u8> {
    bound.lowest().0.to_le_bytes().to_vec()
}

fn bound_of(content: &[u8]) -> Bound {
    Bound::at(Position(u64::from_le_bytes(content.try_into().unwrap())))
}
