use proptest::prelude::*;
use prost::Message as _;

use super::*;

/// The message as protobuf's own encoder writes it.
#[derive(Clone, PartialEq, prost::Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct UserRecord {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", required, tag = "3")]
    data: Bytes,
    #[prost(message, repeated, tag = "4")]
    tags: Vec<Tag>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Tag {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

fn user_record(key: u64, hash_key: Option<u64>, data: &'static str) -> UserRecord {
    UserRecord { partition_key_index: key, explicit_hash_key_index: hash_key, data: data.into(), tags: Vec::new() }
}

fn message(keys: &[&str], hash_keys: &[&str], records: Vec<UserRecord>) -> AggregatedRecord {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    AggregatedRecord { partition_key_table: owned(keys), explicit_hash_key_table: owned(hash_keys), records }
}

fn sealed(message: &[u8]) -> Bytes {
    [&MAGIC, message, Md5::digest(message).as_slice()].concat().into()
}

fn carrier(data: Bytes) -> StoredRecord {
    let partition_key = PartitionKey::parse("a").unwrap();
    StoredRecord { position: Position(7), arrival: Timestamp::from_millis(9), partition_key, explicit_hash: None, data }
}

fn taken_apart(payload: &Bytes) -> Vec<StoredRecord> {
    let aggregate = read(payload).unwrap().unwrap();
    let (len, size_bytes) = (aggregate.len(), aggregate.size_bytes());
    let records: Vec<_> = aggregate.into_user_records(&carrier(payload.clone())).collect();
    assert_eq!((len, size_bytes), (records.len(), records.iter().map(StoredRecord::size_bytes).sum()));
    records
}

fn shown(record: &StoredRecord) -> (&str, Option<u128>, &[u8]) {
    (record.partition_key.as_str(), record.explicit_hash.as_ref().map(|hash| hash.0), &record.data)
}

/// As `aws_kinesis_agg` 1.2.3 writes it: keys `alice`, `bob`, `alice`, the second with the explicit hash key 5.
const WRITTEN_BY_PYTHON: &str = "f3899ac20a05616c6963650a03626f621201351a0708001a036f6e651a09080110001a0374776f1a0908001a057468726565b68f5af118dc33d97619001b65b9f07f";

fn from_hex(digits: &str) -> Bytes {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_another_aggregator_wrote_is_taken_apart() {
    let payload = from_hex(WRITTEN_BY_PYTHON);
    let records = taken_apart(&payload);
    let found: Vec<_> = records.iter().map(shown).collect();
    assert_eq!(found, [("alice", None, &b"one"[..]), ("bob", Some(5), b"two"), ("alice", None, b"three")]);
    assert!(records.iter().all(|record| (record.position, record.arrival) == (Position(7), Timestamp::from_millis(9))));
}

#[test]
fn a_payload_that_does_not_begin_as_an_aggregate_is_none() {
    let whole = sealed(b"");
    for plain in [&b""[..], b"{}", b"\xf3\x89\x9a", &MAGIC, &[&MAGIC[..], &[0; 15]].concat(), &whole] {
        assert!(read(&Bytes::copy_from_slice(plain)).unwrap().is_none(), "{plain:?}");
    }
}

#[test]
fn tags_and_unknown_fields_are_passed_over_and_tables_may_come_last() {
    let mut record = user_record(1, Some(0), "x");
    record.tags.push(Tag { key: "k".to_owned(), value: Some("v".to_owned()) });
    let records = message(&[], &[], vec![record]).encode_to_vec();
    let tables = message(&["a", "b"], &["340282366920938463463374607431768211455"], Vec::new()).encode_to_vec();
    // Field 15 as a number, 14 as eight bytes, 13 as a text, 12 as four bytes.
    let unknown = [&[0x78, 0x80, 0x01][..], &[0x71, 1, 2, 3, 4, 5, 6, 7, 8], &[0x6a, 1, 0xff], &[0x65, 1, 2, 3, 4]];
    let payload = sealed(&[&records[..], &unknown.concat(), &tables].concat());
    assert_eq!(taken_apart(&payload).iter().map(shown).collect::<Vec<_>>(), [("b", Some(u128::MAX), &b"x"[..])]);
}

#[test]
fn an_aggregate_in_an_aggregate_stays_one() {
    let inner = sealed(&message(&["a"], &[], vec![user_record(0, None, "x")]).encode_to_vec());
    let record = UserRecord { data: inner.clone(), ..user_record(0, None, "") };
    let outer = sealed(&message(&["b"], &[], vec![record]).encode_to_vec());
    assert_eq!(taken_apart(&outer).iter().map(shown).collect::<Vec<_>>(), [("b", None, &inner[..])]);
}

#[test]
fn user_records_share_the_bytes_of_the_payload() {
    let payload = sealed(&message(&["a"], &[], vec![user_record(0, None, "xyz")]).encode_to_vec());
    let records = taken_apart(&payload);
    assert!(payload.as_ptr_range().contains(&records[0].data.as_ptr()));
    assert!(payload.as_ptr_range().contains(&records[0].partition_key.as_str().as_ptr()));
}

#[test]
fn an_aggregate_that_was_changed_is_malformed() {
    let whole = sealed(&message(&["a"], &["1"], vec![user_record(0, Some(0), "xyz")]).encode_to_vec());
    for at in MAGIC.len()..whole.len() {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        assert_eq!(read(&changed.into()).unwrap_err(), Malformed::Digest, "byte {at}");
    }
}

#[test]
fn a_message_that_is_not_whole_is_malformed() {
    let check = |message: &[u8], expected: Malformed| {
        assert_eq!(read(&sealed(message)).unwrap_err(), expected, "{message:?}");
    };
    check(&[0x0a], Malformed::CutOff { at: 5 });
    check(&[0x0a, 2, b'a'], Malformed::CutOff { at: 6 });
    check(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Malformed::CutOff { at: 15 });
    check(&[0xff; 11], Malformed::CutOff { at: 4 });
    check(&[0x00, 0x00], Malformed::Field { wire_type: 0, number: 0, at: 4 });
    check(&[0x0b, 0x0c], Malformed::Field { wire_type: 3, number: 1, at: 4 });
    check(&[0x1a, 0], Malformed::Incomplete { index: 0, field: "partition key" });
    check(&[0x1a, 2, 0x08, 0], Malformed::Incomplete { index: 0, field: "data" });
    let encoded = |keys: &[&str], hash_keys: &[&str], record| message(keys, hash_keys, vec![record]).encode_to_vec();
    let no_key = |entry, entries| Malformed::PartitionKey { index: 0, entry, entries };
    check(&encoded(&["a"], &[], user_record(1, None, "")), no_key(1, 1));
    check(&encoded(&["a"], &[], user_record(u64::MAX, None, "")), no_key(u64::MAX, 1));
    check(&encoded(&["a"], &[], user_record(1 << 32, None, "")), no_key(1 << 32, 1));
    check(&encoded(&["a", ""], &[], user_record(1, None, "")), no_key(1, 2));
    check(&encoded(&[&"x".repeat(257)], &[], user_record(0, None, "")), no_key(0, 1));
    let no_hash_key = |entry, entries| Malformed::HashKey { index: 0, entry, entries };
    check(&encoded(&["a"], &[], user_record(0, Some(0), "")), no_hash_key(0, 0));
    for bad in ["", "x", "-1", "340282366920938463463374607431768211456"] {
        check(&encoded(&["a"], &[bad], user_record(0, Some(0), "")), no_hash_key(0, 1));
    }
}

#[test]
fn more_user_records_than_are_read_are_malformed() {
    let of = |count| {
        let records = [0x1a, 4, 0x08, 0, 0x1a, 0].repeat(count);
        read(&sealed(&[&[0x0a, 1, b'a'], &records[..]].concat()))
    };
    assert_eq!(of(AGGREGATE_RECORDS_MAX).unwrap().unwrap().len(), AGGREGATE_RECORDS_MAX);
    let max = AGGREGATE_RECORDS_MAX;
    assert_eq!(of(max + 1).unwrap_err(), Malformed::TooMany { what: "user records", max });
    let keys = sealed(&[0x0a, 1, b'a'].repeat(max + 1));
    assert_eq!(read(&keys).unwrap_err(), Malformed::TooMany { what: "partition keys", max });
}

#[test]
fn one_user_record_of_another_shard_makes_the_aggregate_one_of_another_shard() {
    // The MD5 of "a" begins with 0c, that of "b" with 92.
    let (low, high) = (HashRange::uniform(2)[0], HashRange::uniform(2)[1]);
    let check = |records: &[UserRecord], fits: (bool, bool)| {
        let payload = sealed(&message(&["a", "b"], &["0"], records.to_vec()).encode_to_vec());
        let aggregate = read(&payload).unwrap().unwrap();
        assert_eq!((aggregate.fits(low), aggregate.fits(high)), fits, "{records:?}");
    };
    let (a, b, explicit) = (user_record(0, None, "x"), user_record(1, None, "y"), user_record(1, Some(0), "z"));
    check(std::slice::from_ref(&a), (true, false));
    check(std::slice::from_ref(&b), (false, true));
    check(std::slice::from_ref(&explicit), (true, false));
    check(&[a.clone(), explicit], (true, false));
    check(&[a, b], (false, false));
}

proptest! {
    #[test]
    fn what_is_packed_comes_out(
        keys in prop::collection::vec("[a-zé]{1,5}", 1..8),
        hash_keys in prop::collection::vec(any::<u128>(), 1..4),
        records in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<Option<prop::sample::Index>>(), prop::collection::vec(any::<u8>(), 0..200)),
            1..50,
        ),
    ) {
        let numbers: Vec<String> = hash_keys.iter().map(ToString::to_string).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let packed = records.iter().map(|(key, hash, data)| UserRecord {
            partition_key_index: key.index(keys.len()) as u64,
            explicit_hash_key_index: hash.map(|hash| hash.index(numbers.len()) as u64),
            data: data.clone().into(),
            tags: Vec::new(),
        });
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let found = taken_apart(&sealed(&message(&keys, &numbers, packed.collect()).encode_to_vec()));
        let meant: Vec<_> = records.iter().map(|(key, hash, data)| {
            (keys[key.index(keys.len())], hash.map(|hash| hash_keys[hash.index(hash_keys.len())]), data.as_slice())
        }).collect();
        prop_assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), meant);
    }

    #[test]
    fn any_message_is_read_or_refused_within_its_size(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x0a), Just(0x12), Just(0x1a), 0u8..8], 1..400),
    ) {
        let payload = sealed(&bytes);
        if let Ok(found) = read(&payload) {
            let found = found.unwrap();
            prop_assert!(found.partition_keys.len() + found.hash_keys.len() + found.records.len() <= bytes.len() / 2);
            prop_assert!(found.into_user_records(&carrier(payload.clone())).count() <= bytes.len() / 6);
        }
    }

    #[test]
    fn any_payload_is_left_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let bare = Bytes::from(bytes);
        prop_assert!(!matches!(read(&bare), Ok(Some(_))));
        prop_assert!(!matches!(read(&[&MAGIC, &bare[..]].concat().into()), Ok(Some(_))));
    }
}
