use bytes::Bytes;
use tidemill_stream::clock::Timestamp;
use tidemill_stream::record::PartitionKey;
use tidemill_stream::shard::HashKey;

use super::*;

/// `a` hashes to the lower half of the hash space, `b` to the upper one. Message and MD5 were made by `aws_kinesis_agg`.
const OF_A: &str = "f3899ac20a01611a0508001a01311a0508001a01321a0508001a013346a7f1fdde8bd810a238a7a2ae8ead90";
const OF_A_AND_B: &str = "f3899ac20a01610a01621a0508001a01341a0508011a0135607ba7a6984cb72d8f46ef12a5165461";

const LOWER: HashRange = HashRange { start: HashKey(0), end: HashKey(u128::MAX / 2) };
const ALL: HashRange = HashRange { start: HashKey(0), end: HashKey(u128::MAX) };

fn from_hex(digits: &str) -> Bytes {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn broken() -> Bytes {
    let mut bytes = from_hex(OF_A).to_vec();
    bytes[5] ^= 1;
    bytes.into()
}

/// Records at positions 10, 20, ..., of the key `a`.
fn records(data: &[Bytes]) -> Vec<StoredRecord> {
    let record = |(index, data): (usize, &Bytes)| StoredRecord {
        position: Position(10 * (index as u64 + 1)),
        arrival: Timestamp::from_millis(1),
        partition_key: PartitionKey::parse("a").unwrap(),
        explicit_hash: None,
        data: data.clone(),
    };
    data.iter().enumerate().map(record).collect()
}

fn plain() -> Bytes {
    Bytes::from_static(b"plain")
}

fn intake(rules: &TriggerRules, range: HashRange) -> Intake {
    Intake::new(rules, range, true)
}

/// What lanes are offered: `lane@position data`, with a `.` behind a lane's last of its Kinesis record.
fn shown(offers: &[Offer]) -> Vec<String> {
    let shown = |Offer { lane, position, what }: &Offer| match what {
        Offered::Item(Item { record, ends_record, .. }) => {
            let end = if *ends_record { "." } else { "" };
            format!("{lane}@{} {}{end}", position.0, String::from_utf8_lossy(&record.data))
        }
        Offered::Filtered => format!("{lane}@{} filtered", position.0),
        Offered::NotJson => format!("{lane}@{} not JSON", position.0),
    };
    offers.iter().map(shown).collect()
}

fn check(intake: &Intake, data: &[Bytes], expected: &[&str]) -> Found {
    let (offers, found) = intake.sort(records(data), |_, _| true);
    assert_eq!(shown(&offers), expected);
    found
}

#[test]
fn aggregates_are_taken_apart() {
    let one = intake(&TriggerRules::default(), ALL);
    let expected = ["0@10 plain.", "0@20 1", "0@20 2", "0@20 3.", "0@30 plain."];
    assert_eq!(check(&one, &[plain(), from_hex(OF_A), plain()], &expected), Found::default());
    check(&one, &[], &[]);
}

#[test]
fn what_waits_keeps_no_more_memory_than_it_weighs() {
    let data = [plain(), from_hex(OF_A)];
    for is_alone in [true, false] {
        let (offers, _) = Intake::new(&TriggerRules::default(), ALL, is_alone).sort(records(&data), |_, _| true);
        let items: Vec<Item> = offers
            .into_iter()
            .map(|offer| match offer.what {
                Offered::Item(item) => item,
                other => panic!("{other:?}"),
            })
            .collect();
        let lies_in = |item: &Item, data: &Bytes| data.as_ptr_range().contains(&item.record.data.as_ptr());
        assert!(items[..1].iter().all(|item| lies_in(item, &data[0]) == is_alone));
        assert!(items[1..].iter().all(|item| lies_in(item, &data[1]) == is_alone));
        let weights = |items: &[Item]| items.iter().map(|item| item.weight - Item::OVERHEAD_BYTES).sum::<usize>();
        assert_eq!(weights(&items[..1]), "plain".len() + "a".len());
        // However little of it is left, the whole Kinesis record is there.
        let (whole, of_whole) = (data[1].len(), weights(&items[1..]));
        assert!(of_whole <= whole && whole < of_whole + 3, "{of_whole} of {whole}");
    }
}

#[test]
fn user_records_go_to_the_lanes_of_their_keys() {
    let two = intake(&TriggerRules { parallelization: 3, ..TriggerRules::default() }, ALL);
    let lane = |key| lane_of(&PartitionKey::parse(key).unwrap(), 3);
    let (a, b) = (lane("a"), lane("b"));
    assert_ne!(a, b);
    check(&two, &[from_hex(OF_A_AND_B)], &[&format!("{a}@10 4."), &format!("{b}@10 5.")]);
    let (offers, _) = two.sort(records(&[from_hex(OF_A_AND_B), plain()]), |lane, _| lane == b);
    assert_eq!(shown(&offers), [format!("{b}@10 5.")]);
    let (offers, _) = two.sort(records(&[plain(), plain()]), |_, position| position.0 > 10);
    assert_eq!(shown(&offers), [format!("{a}@20 plain.")]);
}

#[test]
fn with_lambda_s_semantics_records_come_as_they_were_put() {
    let lambda = intake(&TriggerRules { semantics: Semantics::Lambda, ..TriggerRules::default() }, LOWER);
    let data = [from_hex(OF_A), broken(), from_hex(OF_A_AND_B)];
    let (offers, found) = lambda.sort(records(&data), |_, _| true);
    let items = offers.into_iter().map(|offer| match offer.what {
        Offered::Item(item) if item.ends_record => item.record,
        other => panic!("{other:?}"),
    });
    assert_eq!((items.collect::<Vec<_>>(), found), (records(&data), Found::default()));
}

#[test]
fn user_records_of_another_shard_are_delivered_and_counted() {
    let lower = intake(&TriggerRules::default(), LOWER);
    let found =
        check(&lower, &[from_hex(OF_A), from_hex(OF_A_AND_B)], &["0@10 1", "0@10 2", "0@10 3.", "0@20 4", "0@20 5."]);
    assert_eq!((found.misplaced, found.malformed), (2, 0));
    let (_, found) = lower.sort(records(&[from_hex(OF_A_AND_B)]), |_, _| false);
    assert_eq!(found.misplaced, 0, "what nobody takes is not counted");
}

#[test]
fn a_broken_aggregate_is_delivered_as_it_is_and_counted() {
    let (offers, found) = intake(&TriggerRules::default(), ALL).sort(records(&[plain(), broken()]), |_, _| true);
    assert_eq!((offers.len(), found.malformed, found.misplaced), (2, 1, 0));
    assert_eq!(found.last_malformed, Some((Position(20), Malformed::Digest)));
}

#[test]
fn the_filter_sees_user_records() {
    let filter = Filter::parse([r#"{"data": {"n": [1]}}"#]).unwrap();
    let filtering = intake(&TriggerRules { filter: Some(filter), ..TriggerRules::default() }, ALL);
    let data = [Bytes::from_static(br#"{"n":1}"#), Bytes::from_static(br#"{"n":2}"#), plain(), from_hex(OF_A)];
    let expected =
        ["0@10 {\"n\":1}.", "0@20 filtered", "0@30 not JSON", "0@40 filtered", "0@40 filtered", "0@40 filtered"];
    check(&filtering, &data, &expected);
}
