//! Which records of a shard are processed, where several lanes work on it.
//!
//! A lane has the records of some partition keys and handles them in order, so one position says what it is done with, and
//! as many positions as there are lanes say all of it: exactly, and in bounded space. When the number of lanes changes, the
//! positions of before are kept until the new lanes have passed them.

use crate::engine::{Bound, Position};
use crate::limits::LANES_MAX;
use crate::record::PartitionKey;

/// Divisions into lanes that are remembered beside the one in use. One that goes before its time costs repeated work, never
/// a record.
const FORMER_MAX: usize = 4;

/// What a trigger has processed of a shard: of each lane, all that lies before its bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// At least one.
    lanes: Vec<Bound>,
    /// Earlier divisions, the newest first: what one of them says is processed is.
    former: Vec<Vec<Bound>>,
}

/// The lane that has the records of a key. Stored positions rest on it: it never changes.
pub fn lane_of(key: &PartitionKey, lanes: usize) -> usize {
    if lanes <= 1 {
        return 0;
    }
    crc32c::crc32c(key.as_str().as_bytes()) as usize % lanes
}

impl From<Bound> for Progress {
    fn from(bound: Bound) -> Self {
        Self { lanes: vec![bound], former: Vec::new() }
    }
}

impl Progress {
    /// As it was stored; `None` if it cannot have been.
    pub(super) fn stored(lanes: Vec<Bound>, former: Vec<Vec<Bound>>) -> Option<Self> {
        let is_legal = |lanes: &Vec<Bound>| (1..=LANES_MAX).contains(&lanes.len());
        let legal = is_legal(&lanes) && former.len() <= FORMER_MAX && former.iter().all(is_legal);
        legal.then_some(Self { lanes, former })
    }

    /// The bounds of the lanes.
    pub fn lanes(&self) -> &[Bound] {
        &self.lanes
    }

    pub(super) fn former(&self) -> &[Vec<Bound>] {
        &self.former
    }

    /// Everything before it is processed.
    pub fn low(&self) -> Bound {
        self.lanes.iter().copied().min().unwrap_or(Bound::START)
    }

    /// Nothing from here on is processed.
    pub fn high(&self) -> Bound {
        self.lanes.iter().chain(self.former.iter().flatten()).copied().max().unwrap_or(Bound::START)
    }

    /// The same for so many lanes, 1 to [`LANES_MAX`].
    #[must_use]
    pub fn divided(mut self, lanes: usize) -> Self {
        let lanes = lanes.clamp(1, LANES_MAX);
        if self.lanes.len() == lanes {
            return self;
        }
        let low = self.low();
        let before = std::mem::replace(&mut self.lanes, vec![low; lanes]);
        self.former.insert(0, before);
        self.former.truncate(FORMER_MAX);
        self.forget_passed();
        self
    }

    /// A lane is done with all before this; it never steps back.
    pub fn advance(&mut self, lane: usize, to: Bound) {
        if let Some(bound) = self.lanes.get_mut(lane) {
            *bound = to.max(*bound);
        }
        self.forget_passed();
    }

    /// Whether a record is processed.
    pub fn includes(&self, key: &PartitionKey, position: Position) -> bool {
        let is_before =
            |lanes: &Vec<Bound>| lanes.get(lane_of(key, lanes.len())).is_some_and(|bound| !bound.admits(position));
        is_before(&self.lanes) || self.former.iter().any(is_before)
    }

    /// Whether an earlier division says more than the one in use.
    pub fn has_former(&self) -> bool {
        !self.former.is_empty()
    }

    fn forget_passed(&mut self) {
        if !self.former.is_empty() {
            let low = self.low();
            self.former.retain(|lanes| lanes.iter().any(|bound| *bound > low));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn key(number: u64) -> PartitionKey {
        PartitionKey::parse(format!("key-{number}")).unwrap()
    }

    #[test]
    fn lanes_of_keys_never_change() {
        let lanes =
            |count| ["a", "b", "customer-17", "ä"].map(|text| lane_of(&PartitionKey::parse(text).unwrap(), count));
        assert_eq!(lanes(1), [0; 4]);
        assert_eq!(lanes(10), GOLDEN_OF_TEN);
        assert_eq!(lanes(3), GOLDEN_OF_THREE);
    }

    /// Stored cursors rest on these.
    const GOLDEN_OF_TEN: [usize; 4] = [6, 0, 9, 3];
    const GOLDEN_OF_THREE: [usize; 4] = [0, 2, 2, 2];

    #[test]
    fn keys_are_spread_evenly() {
        for lanes in 2..=LANES_MAX {
            let mut counts = vec![0; lanes];
            (0..10_000).for_each(|number| counts[lane_of(&key(number), lanes)] += 1);
            let even = 10_000 / lanes;
            assert!(counts.iter().all(|count| (even * 9 / 10..even * 11 / 10).contains(count)), "{counts:?}");
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Advance(usize, u64),
        Divide(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..LANES_MAX, 0..20_u64).prop_map(|(lane, by)| Step::Advance(lane, by)),
            1 => (1..=LANES_MAX).prop_map(Step::Divide),
        ]
    }

    proptest! {
        /// Against a set of the records that were processed; position and key of a record are one number.
        #[test]
        fn it_says_exactly_what_is_processed(steps in proptest::collection::vec(step(), 1..40)) {
            let (mut progress, mut processed) = (Progress::from(Bound::START), BTreeSet::new());
            let mut divisions: Vec<usize> = vec![1];
            for step in steps {
                match step {
                    Step::Advance(lane, by) => {
                        let lane = lane % progress.lanes().len();
                        let (from, lanes) = (progress.lanes()[lane], progress.lanes().len());
                        let to = Bound::at(Position(from.lowest().0 + by));
                        let of_lane = (0..to.lowest().0).filter(|number| lane_of(&key(*number), lanes) == lane);
                        processed.extend(of_lane);
                        progress.advance(lane, to);
                    }
                    Step::Divide(lanes) => {
                        progress = progress.divided(lanes);
                        if divisions.last() != Some(&lanes) { divisions.push(lanes); }
                    }
                }
                let end = progress.high().lowest().0 + 3;
                let said: BTreeSet<u64> = (0..end).filter(|number| progress.includes(&key(*number), Position(*number))).collect();
                prop_assert!(said.is_subset(&processed), "nothing is said to be processed that is not");
                if divisions.len() <= FORMER_MAX + 1 {
                    prop_assert_eq!(&said, &processed, "{:?}", progress);
                }
                prop_assert!(progress.former.len() <= FORMER_MAX);
                let stored = Progress::stored(progress.lanes.clone(), progress.former.clone());
                prop_assert_eq!(stored.as_ref(), Some(&progress));
            }
        }
    }
}
