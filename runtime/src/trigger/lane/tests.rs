use bytes::Bytes;
use proptest::prelude::*;
use tidemill_stream::record::PartitionKey;

use super::*;
use crate::limits::LANES_BYTES_MAX;

const SIZE: Sizes = Sizes::Payload;

fn limits(records_max: usize, bytes_max: usize) -> BatchLimits {
    BatchLimits { records_max, bytes_max, sizes: SIZE, window_ms: None }
}

/// A record of 2 bytes with its key.
fn item(position: u64, arrival_ms: u64, ends_record: bool) -> Item {
    let record = StoredRecord {
        position: Position(position),
        arrival: Timestamp::from_millis(arrival_ms),
        partition_key: PartitionKey::parse("k").unwrap(),
        explicit_hash: None,
        data: Bytes::from_static(b"d"),
    };
    Item { weight: SIZE.of(&record), record, ends_record }
}

/// A lane with Kinesis records at 10, 20, ... of so many user records.
fn lane(sizes: &[usize], limits: &BatchLimits) -> Lane {
    let mut lane = Lane::new(Bound::START, &Room::default());
    for (index, size) in sizes.iter().enumerate() {
        let position = 10 * (index as u64 + 1);
        (1..=*size).for_each(|number| lane.push(item(position, 0, number == *size), limits));
    }
    lane
}

/// The sizes of the batches that leave, and where the lane stands behind each (+1: behind the record).
fn batches(sizes: &[usize], limits: &BatchLimits) -> Vec<(usize, u64)> {
    let mut lane = lane(sizes, limits);
    let next = || lane.form(limits).map(|batch| (batch.records.len(), bound(&batch, batch.records.len())));
    std::iter::from_fn(next).collect()
}

fn bound(batch: &Batch, count: usize) -> u64 {
    batch.bound_behind(count).unwrap().lowest().0
}

#[test]
fn a_batch_keeps_to_its_limits_and_cuts_no_record_that_has_room() {
    for (sizes, records_max, expected) in [
        (&[][..], 3, &[][..]),
        (&[1, 1], 3, &[(2, 21)]),
        (&[1, 1, 1], 2, &[(2, 21), (1, 31)]),
        (&[1, 3, 1], 5, &[(5, 31)]),
        (&[1, 3, 1], 4, &[(4, 21), (1, 31)]),
        (&[1, 3, 1], 3, &[(1, 11), (3, 21), (1, 31)]),
        (&[1, 3, 1], 2, &[(1, 11), (2, 20), (2, 31)]),
        (&[3, 1], 2, &[(2, 10), (2, 21)]),
        (&[3], 1, &[(1, 10), (1, 10), (1, 11)]),
    ] {
        assert_eq!(batches(sizes, &limits(records_max, 1000)), expected, "{sizes:?} {records_max}");
    }
}

#[test]
fn the_limit_of_bytes_counts_data_and_keys() {
    for (bytes_max, expected) in [(6, &[(3, 31)][..]), (5, &[(2, 21), (1, 31)]), (1, &[(1, 11), (1, 21), (1, 31)])] {
        assert_eq!(batches(&[1, 1, 1], &limits(100, bytes_max)), expected, "{bytes_max}");
    }
}

#[test]
fn a_lane_within_a_batch_stands_between_kinesis_records() {
    let limits = limits(10, 1000);
    let batch = lane(&[1, 3, 2], &limits).form(&limits).unwrap();
    let stands: Vec<u64> = (1..=6).map(|count| bound(&batch, count)).collect();
    assert_eq!(stands, [11, 20, 20, 21, 30, 31]);
    assert_eq!((batch.bound_behind(0), batch.bound_behind(7)), (None, None));
}

#[test]
fn a_batch_lies_in_one_tumbling_window() {
    let limits = BatchLimits { window_ms: Some(100), ..limits(10, 1000) };
    let mut lane = Lane::new(Bound::START, &Room::default());
    for (position, arrival) in [(1, 0), (2, 99), (3, 100), (4, 350), (5, 360)] {
        assert_eq!(lane.is_full(&limits), arrival > 100, "before {arrival}");
        lane.push(item(position, arrival, true), &limits);
    }
    let next = || lane.form(&limits).map(|batch| batch.records.len());
    assert_eq!(std::iter::from_fn(next).collect::<Vec<_>>(), [2, 1, 2]);
}

#[test]
fn a_lane_takes_what_is_new_and_has_room() {
    let limits = limits(2, 1000);
    let mut lane = Lane::new(Bound::at(Position(15)), &Room::default());
    lane.opens_for(Bound::at(Position(20)));
    assert!(!lane.admits(Position(20), &limits), "what lies between was not read");
    lane.closes_at(Bound::at(Position(30)));
    assert_eq!(lane.taken(), Bound::at(Position(15)));
    lane.opens_for(Bound::at(Position(5)));
    assert!(!lane.admits(Position(10), &limits), "it has that already");
    for number in 0..=LANE_AHEAD_RECORDS {
        assert!(lane.admits(Position(20), &limits), "what is of one record comes whole");
        lane.push(item(20, 0, number == LANE_AHEAD_RECORDS), &limits);
    }
    assert!(!lane.admits(Position(40), &limits) && !lane.admits(Position(50), &limits));
    lane.closes_at(Bound::at(Position(60)));
    assert_eq!(lane.taken(), Bound::at(Position(40)), "there it goes on");
}

/// How many records of 2 bytes a lane has when it is not low any more, and when it takes no more.
fn marks(limits: &BatchLimits, room: &Room) -> (usize, usize) {
    let mut lane = Lane::new(Bound::START, room);
    let mut low = None;
    for number in 0.. {
        low = low.or_else(|| (!lane.is_low(limits)).then_some(number));
        if !lane.has_room(limits) {
            return (low.unwrap(), number);
        }
        lane.push(item(number as u64, 0, true), limits);
    }
    unreachable!()
}

#[test]
fn a_lane_waits_with_a_batch_or_a_little_more_and_with_its_share_where_memory_is_short() {
    let (ahead, room) = (LANE_AHEAD_RECORDS, Room::default());
    for (records_max, expected) in [(1, (ahead / 2, ahead)), (ahead - 1, (ahead - 1, ahead)), (5000, (5000, 5000))] {
        assert_eq!(marks(&limits(records_max, 1 << 30), &room), expected, "{records_max}");
    }
    assert_eq!(marks(&limits(5000, 4000), &room), (2000, 2000), "bytes count as records do");
    let _others = room.hold(LANES_BYTES_MAX);
    let share = LANE_BYTES_SHORT / 2;
    assert_eq!(marks(&limits(100_000, 1 << 30), &room), (share, share));
    let mut lane = lane(&vec![1; share], &limits(100_000, 1 << 30));
    lane.held = room.hold(lane.held.bytes());
    assert!(lane.is_full(&limits(100_000, 1 << 30)), "it does not wait for a batch that it has no room for");
}

#[test]
fn a_lane_remembers_since_when_it_waits() {
    let limits = limits(1, 1000);
    let mut lane = Lane::new(Bound::START, &Room::default());
    assert_eq!(lane.waits_since(), None);
    (1..=2).for_each(|number| lane.push(item(number, number * 1000, true), &limits));
    let since = |lane: &Lane| lane.waits_since().map(Timestamp::as_secs);
    assert_eq!(since(&lane), Some(1));
    lane.form(&limits).unwrap();
    assert_eq!(since(&lane), Some(1), "it is in work");
    lane.is_back();
    assert_eq!(since(&lane), Some(2));
}

proptest! {
    #[test]
    fn nothing_is_lost_and_every_batch_keeps_its_limits(
        sizes in prop::collection::vec(1_usize..5, 0..20),
        records_max in 1_usize..8,
        bytes_max in 1_usize..20,
    ) {
        let limits = limits(records_max, bytes_max);
        let mut lane = lane(&sizes, &limits);
        let mut left: Vec<u64> = (1..).zip(&sizes).flat_map(|(index, size)| vec![10 * index; *size]).collect();
        while let Some(batch) = lane.form(&limits) {
            let count = batch.records.len();
            prop_assert!(count <= records_max && (2 * count <= bytes_max || count == 1));
            let positions: Vec<u64> = batch.records.iter().map(|record| record.position.0).collect();
            prop_assert_eq!(&positions[..], &left[..count]);
            for done in 1..=count {
                let bound = bound(&batch, done);
                prop_assert!(left[done..].iter().all(|position| *position >= bound), "nothing is passed over");
                prop_assert!(left[..done].iter().all(|position| *position < bound || left[done..].contains(position)));
            }
            left.drain(..count);
        }
        prop_assert!(left.is_empty() && lane.is_empty() && lane.bytes == 0 && lane.held.bytes() == 0);
    }
}
