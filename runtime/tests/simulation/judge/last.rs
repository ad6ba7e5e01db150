//! What must hold when all is over.

use super::{Court, Law};

impl Court<'_> {
    pub(super) fn conclude(&mut self) {
        for ((trigger, _), rules) in self.rules.clone() {
            let records = self.history.shards.values().flat_map(|shard| &shard.records);
            let passing = records.filter(|kept| rules.passes(&kept.key)).map(|kept| kept.number);
            let open: Vec<_> = passing.filter(|number| !self.settled.contains_key(&(trigger, *number))).collect();
            let is_told = self.found.iter().any(|violation| violation.law == Law::AllIsTaken);
            self.must(open.is_empty() || is_told, Law::AllIsTaken, || format!("t{trigger}: {open:?}"));
        }
        let emitted = std::mem::take(&mut self.emitted);
        let lost: Vec<_> = emitted.iter().filter(|emission| !self.history.emitted.contains(emission)).collect();
        self.must(lost.is_empty(), Law::EmittedIsKept, || format!("{lost:?}"));
    }
}
