//! An engine as a correct caller meets it.

use std::ops::Deref;
use std::sync::Arc;

use super::*;
use crate::engine::{Appended, Batch, Resolved, Sealed};

/// Calls after which a patient caller gives up: troubles never come in such a row.
const TRIES_MAX: usize = 64;

/// How a caller meets trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Each call is made once, and its first answer counts.
    Strict,
    /// Copes with every trouble that the contract allows.
    Patient,
}

/// An engine and its caller. What is not repeated here is called directly.
pub(super) struct Subject {
    engine: Arc<dyn Engine>,
    caller: Caller,
}

impl Deref for Subject {
    type Target = dyn Engine;

    fn deref(&self) -> &Self::Target {
        &*self.engine
    }
}

impl Subject {
    pub(super) fn new(engine: Arc<dyn Engine>, caller: Caller) -> Self {
        Self { engine, caller }
    }

    pub(super) fn is_patient(&self) -> bool {
        self.caller == Caller::Patient
    }

    /// Tries whose troubles are coped with; the answer of the one behind them counts, whatever it is.
    fn patience(&self) -> usize {
        if self.is_patient() { TRIES_MAX } else { 0 }
    }

    /// A fence is believed when it names another generation; an unknown outcome is asked for.
    pub(super) async fn append(
        &self,
        log: LogId,
        generation: Generation,
        append: Append,
    ) -> Result<Appended, AppendError> {
        for _ in 0..self.patience() {
            match self.engine.append(log, generation, append.clone()).await {
                Err(AppendError::Unknown(ticket)) => {
                    if let Resolved::Appended(appended) = self.engine.resolve(&ticket).await.unwrap() {
                        return Ok(appended);
                    }
                }
                Err(AppendError::Fenced { given, current }) if given == current => {}
                done => return done,
            }
        }
        self.engine.append(log, generation, append).await
    }

    /// An unknown outcome shows in the log's generation; then the closed shard says where it was.
    pub(super) async fn seal(
        &self,
        log: LogId,
        generation: Generation,
        close: &[ShardIndex],
        open: &[ShardIndex],
    ) -> Result<Sealed, SealError> {
        for _ in 0..self.patience() {
            let done = self.engine.seal(log, generation, close, open).await;
            let is_past = self.is_past(log, generation).await;
            match done {
                Err(SealError::Unknown) if is_past => {
                    let closed = self.read_until(log, close[0], Bound::START, ALL, Batch::is_at_end).await;
                    let generation = self.engine.stats(log).await.unwrap().generation;
                    // Else it was another seal that went past.
                    if let Some(position) = closed.closed_at {
                        return Ok(Sealed { generation, position });
                    }
                }
                Err(SealError::Unknown | SealError::Fenced { .. }) if !is_past => {}
                done => return done,
            }
        }
        self.engine.seal(log, generation, close, open).await
    }

    /// Whether the log has left this generation behind, or is gone.
    async fn is_past(&self, log: LogId, generation: Generation) -> bool {
        match self.engine.stats(log).await {
            Ok(stats) => stats.generation != generation,
            Err(LogError::NoLog(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// After an unknown outcome the documents say whether they were changed.
    pub(super) async fn change(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<Vec<Revision>, DocumentError> {
        for _ in 0..self.patience() {
            match self.engine.compare_and_set(changes.clone(), durability).await {
                Err(DocumentError::Unknown) => {
                    if let Some(revisions) = self.made(&changes).await {
                        return Ok(revisions);
                    }
                }
                done => return done,
            }
        }
        self.engine.compare_and_set(changes, durability).await
    }

    async fn made(&self, changes: &[Change]) -> Option<Vec<Revision>> {
        let mut revisions = Vec::new();
        for change in changes {
            let found = self.engine.get(&change.key).await.unwrap();
            if found.as_ref().map(|document| &document.value) != change.value.as_ref() {
                return None;
            }
            revisions.push(found.map_or(Revision(0), |document| document.revision));
        }
        Some(revisions)
    }

    /// Reads again until the view is new enough to show this; the last view if it never is.
    pub(super) async fn read_until(
        &self,
        log: LogId,
        shard: ShardIndex,
        from: Bound,
        limits: ReadLimits,
        is_there: impl Fn(&Batch) -> bool,
    ) -> Batch {
        for _ in 0..self.patience() {
            let batch = self.engine.read(log, shard, from, limits).await.unwrap();
            if is_there(&batch) {
                return batch;
            }
        }
        self.engine.read(log, shard, from, limits).await.unwrap()
    }

    /// Checks that a read returns these texts, and that an earlier view is a part of them from the first on.
    #[track_caller]
    pub(super) fn shows<'a>(
        &'a self,
        shard: ShardIndex,
        from: Bound,
        limits: ReadLimits,
        expected: &'a [&'a str],
    ) -> impl Future<Output = ()> + 'a {
        let line = std::panic::Location::caller().line();
        async move {
            let seen = self
                .read_until(LOG, shard, from, limits, |batch| {
                    let seen = texts(batch);
                    let is_view = seen.len() <= expected.len() && seen.iter().zip(expected).all(|(a, b)| a == b);
                    assert!(is_view, "line {line}: {seen:?} is no view of {expected:?}");
                    seen.len() == expected.len()
                })
                .await;
            assert_eq!(texts(&seen), expected, "line {line}");
        }
    }
}

pub(super) fn texts(batch: &Batch) -> Vec<String> {
    batch.records.iter().map(|record| String::from_utf8(record.data.to_vec()).unwrap()).collect()
}
