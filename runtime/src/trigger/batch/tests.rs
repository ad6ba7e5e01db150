use bytes::Bytes;
use proptest::prelude::*;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::record::PartitionKey;
use tidemill_stream::shard::HashKey;

use super::*;

/// `a` hashes to the lower half of the hash space, `b` to the upper one. Message and MD5 were made by `aws_kinesis_agg`.
const OF_A: &str = "f3899ac20a01611a0508001a01311a0508001a01321a0508001a013346a7f1fdde8bd810a238a7a2ae8ead90";
const OF_A_AND_B: &str = "f3899ac20a01610a01621a0508001a01341a0508011a0135607ba7a6984cb72d8f46ef12a5165461";

/// What is put: a plain record, or an aggregate.
#[derive(Debug, Clone)]
enum Put {
    Plain,
    Hex(&'static str),
    Broken,
}

fn from_hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn data(put: &Put) -> Bytes {
    match put {
        Put::Plain => Bytes::from_static(b"plain"),
        Put::Hex(digits) => from_hex(digits).into(),
        Put::Broken => {
            let mut bytes = from_hex(OF_A);
            bytes[5] ^= 1;
            bytes.into()
        }
    }
}

fn read_of(puts: &[Put]) -> Read {
    let record = |(index, put): (usize, &Put)| StoredRecord {
        position: Position(10 * (index as u64 + 1)),
        arrival: Timestamp::from_millis(1),
        partition_key: PartitionKey::parse("a").unwrap(),
        explicit_hash: None,
        data: data(put),
    };
    let records: Vec<_> = puts.iter().enumerate().map(record).collect();
    let next = records.last().map_or(Bound::START, |record| Bound::after(record.position));
    Read { records, next, behind: std::time::Duration::ZERO, is_at_tip: true, is_at_end: false, skipped: false }
}

const LOWER: HashRange = HashRange { start: HashKey(0), end: HashKey(u128::MAX / 2) };
const ALL: HashRange = HashRange { start: HashKey(0), end: HashKey(u128::MAX) };

fn rules(records_max: usize) -> Rules {
    Rules { semantics: Semantics::Tidemill, range: ALL, records_max, bytes_max: 1000 }
}

/// Each batch: its data, and the record behind which the cursor moves.
fn batches(puts: &[Put], rules: Rules) -> Vec<(String, Option<u64>)> {
    let shown = |batch: Batch| {
        let data = batch.records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned());
        (data.collect::<Vec<_>>().join(" "), batch.cursor.map(|bound| bound.lowest().0.saturating_sub(1)))
    };
    Batches::of(read_of(puts), rules).map(shown).collect()
}

fn check(puts: &[Put], rules: Rules, expected: &[(&str, Option<u64>)]) {
    let expected: Vec<_> = expected.iter().map(|(data, cursor)| ((*data).to_owned(), *cursor)).collect();
    assert_eq!(batches(puts, rules), expected, "{puts:?}");
}

#[test]
fn the_limits_count_user_records_and_a_cursor_stands_between_kinesis_records() {
    use Put::{Hex, Plain};
    let aggregate = Hex(OF_A); // 1 2 3
    check(&[], rules(3), &[("", Some(0))]);
    check(&[Plain, Plain], rules(3), &[("plain plain", Some(20))]);
    check(&[Plain, Plain, Plain], rules(2), &[("plain plain", Some(20)), ("plain", Some(30))]);
    check(&[Plain, aggregate.clone(), Plain], rules(5), &[("plain 1 2 3 plain", Some(30))]);
    check(&[Plain, aggregate.clone(), Plain], rules(4), &[("plain 1 2 3", Some(20)), ("plain", Some(30))]);
    let whole = [("plain", Some(10)), ("1 2 3", Some(20)), ("plain", Some(30))];
    check(&[Plain, aggregate.clone(), Plain], rules(3), &whole);
    let in_parts = [("plain", Some(10)), ("1 2", None), ("3 plain", Some(30))];
    check(&[Plain, aggregate.clone(), Plain], rules(2), &in_parts);
    let one_by_one = [("1", None), ("2", None), ("3", Some(10)), ("1", None), ("2", None), ("3", Some(20))];
    check(&[aggregate.clone(), aggregate], rules(1), &one_by_one);
}

#[test]
fn the_limit_of_bytes_counts_user_records_with_their_keys() {
    let few = |bytes_max| Rules { bytes_max, ..rules(100) };
    check(&[Put::Hex(OF_A)], few(6), &[("1 2 3", Some(10))]);
    check(&[Put::Hex(OF_A)], few(5), &[("1 2", None), ("3", Some(10))]);
    check(&[Put::Hex(OF_A)], few(1), &[("1", None), ("2", None), ("3", Some(10))]);
    check(&[Put::Plain, Put::Plain], few(11), &[("plain", Some(10)), ("plain", Some(20))]);
}

#[test]
fn with_lambda_s_rules_aggregates_come_as_they_were_put() {
    let rules = Rules { semantics: Semantics::Lambda, range: LOWER, ..rules(100) };
    let puts = [Put::Hex(OF_A), Put::Broken, Put::Hex(OF_A_AND_B)];
    let found: Vec<_> = Batches::of(read_of(&puts), rules).collect();
    let [batch] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&batch.records, &batch.found), (&read_of(&puts).records, &Found::default()));
}

#[test]
fn an_aggregate_of_two_shards_is_left_out_whole_and_counted() {
    let lower = Rules { range: LOWER, ..rules(100) };
    let puts = [Put::Hex(OF_A), Put::Hex(OF_A_AND_B), Put::Plain, Put::Hex(OF_A_AND_B)];
    check(&puts, lower, &[("1 2 3 plain", Some(40))]);
    check(&puts[3..], lower, &[("", Some(10))]);
    let batch = Batches::of(read_of(&puts), lower).next().unwrap();
    assert_eq!((batch.found.misplaced, batch.found.last_misplaced), (4, Some(Position(40))));
    assert_eq!((batch.found.malformed, batch.found.last_malformed), (0, None));
    check(&puts[1..2], rules(100), &[("4 5", Some(10))]);
}

#[test]
fn a_broken_aggregate_is_delivered_as_it_is_and_counted() {
    let puts = [Put::Plain, Put::Broken, Put::Hex(OF_A)];
    let batch = Batches::of(read_of(&puts), rules(100)).next().unwrap();
    let data: Vec<_> = batch.records.iter().map(|record| record.data.clone()).collect();
    assert_eq!(data[..2], [data_of(&puts[0]), data_of(&puts[1])]);
    assert_eq!((data.len(), batch.cursor), (5, Some(Bound::after(Position(30)))));
    assert_eq!((batch.found.malformed, batch.found.misplaced), (1, 0));
    assert_eq!(batch.found.last_malformed, Some((Position(20), Malformed::Digest)));
}

fn data_of(put: &Put) -> Bytes {
    data(put)
}

proptest! {
    #[test]
    fn nothing_is_lost_and_every_batch_keeps_its_limits(
        puts in prop::collection::vec(
            prop_oneof![Just(Put::Plain), Just(Put::Hex(OF_A)), Just(Put::Hex(OF_A_AND_B)), Just(Put::Broken)], 0..20),
        records_max in 1usize..8,
        bytes_max in 1usize..200,
    ) {
        let rules = Rules { bytes_max, ..rules(records_max) };
        let read = read_of(&puts);
        let next = read.next;
        let found: Vec<Batch> = Batches::of(read, rules).collect();
        let parts = |put: &Put| match put {
            Put::Plain | Put::Broken => 1,
            Put::Hex(OF_A) => 3,
            Put::Hex(_) => 2,
        };
        let positions: Vec<u64> = found.iter().flat_map(|batch| batch.records.iter().map(|r| r.position.0)).collect();
        let meant: Vec<u64> = puts.iter().enumerate()
            .flat_map(|(index, put)| vec![10 * (index as u64 + 1); parts(put)]).collect();
        prop_assert_eq!(&positions, &meant);
        let mut delivered = 0;
        for (index, batch) in found.iter().enumerate() {
            prop_assert!(batch.records.len() <= records_max);
            let bytes: usize = batch.records.iter().map(StoredRecord::size_bytes).sum();
            prop_assert!(bytes <= bytes_max || batch.records.len() == 1);
            delivered += batch.records.len();
            if let Some(cursor) = batch.cursor {
                prop_assert!(positions[delivered..].iter().all(|position| *position >= cursor.lowest().0), "{index}");
            }
        }
        prop_assert_eq!(found.last().unwrap().cursor, Some(next));
    }
}
